//! Loading and merging descriptor sets.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::Path;

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::Error;
use crate::annotations::Annotations;

/// All known proto files, by the name under which other files import them.
#[derive(Clone, Debug, Default)]
pub struct DescriptorSet {
    files: BTreeMap<String, FileDescriptorProto>,
    annotations: Annotations,
}

impl DescriptorSet {
    /// Adds the descriptor set in the file at `path`.
    pub fn read(&mut self, path: &Path) -> Result<(), Error> {
        let encoded = fs::read(path).map_err(|source| Error::Unreadable {
            path: path.into(),
            source,
        })?;
        let origin = path.display().to_string();
        self.decode(&encoded, &origin)
    }

    /// Adds an encoded descriptor set. Errors name it `origin`.
    pub fn decode(&mut self, encoded: &[u8], origin: &str) -> Result<(), Error> {
        let undecodable = |source| Error::NotADescriptorSet {
            origin: origin.to_owned(),
            source,
        };
        self.annotations.read(encoded).map_err(undecodable)?;
        self.merge(FileDescriptorSet::decode(encoded).map_err(undecodable)?)
    }

    pub(crate) fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// Adds the files of `set`, without Roma's annotations. A file that is already known must have the same content.
    pub fn merge(&mut self, set: FileDescriptorSet) -> Result<(), Error> {
        set.file.into_iter().try_for_each(|file| self.insert(file))
    }

    /// Returns the file that others import as `name`.
    pub fn file(&self, name: &str) -> Result<&FileDescriptorProto, Error> {
        self.files.get(name).ok_or_else(|| Error::MissingFile {
            name: name.into(),
            known: self.files.keys().cloned().collect(),
        })
    }

    /// Returns the named files and their transitive imports, ordered by name.
    pub(crate) fn closure<'a>(
        &'a self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<&'a FileDescriptorProto>, Error> {
        let mut reached = BTreeMap::new();
        let mut unvisited = Vec::new();
        for name in names {
            unvisited.push(self.file(name)?);
        }
        while let Some(file) = unvisited.pop() {
            if reached.insert(file.name(), file).is_none() {
                for import in &file.dependency {
                    unvisited.push(self.import(file, import)?);
                }
            }
        }
        Ok(reached.into_values().collect())
    }

    /// Returns all files, ordered by name.
    pub fn files(&self) -> impl Iterator<Item = &FileDescriptorProto> {
        self.files.values()
    }

    fn import(&self, by: &FileDescriptorProto, name: &str) -> Result<&FileDescriptorProto, Error> {
        self.files.get(name).ok_or_else(|| Error::MissingImport {
            name: name.into(),
            imported_by: by.name().into(),
        })
    }

    fn insert(&mut self, file: FileDescriptorProto) -> Result<(), Error> {
        match self.files.entry(file.name().into()) {
            Entry::Vacant(entry) => {
                entry.insert(file);
            }
            Entry::Occupied(mut entry) => {
                if !same_declarations(entry.get(), &file) {
                    return Err(Error::Conflict {
                        name: file.name().into(),
                    });
                }
                // Sets with imports usually omit the imports' comments: keep the known ones.
                if entry.get().source_code_info.is_none() {
                    entry.insert(file);
                }
            }
        }
        Ok(())
    }
}

/// Returns whether two files are equal except for comments and line numbers.
fn same_declarations(left: &FileDescriptorProto, right: &FileDescriptorProto) -> bool {
    let without_source = |file: &FileDescriptorProto| FileDescriptorProto {
        source_code_info: None,
        ..file.clone()
    };
    without_source(left) == without_source(right)
}

#[cfg(test)]
mod tests {
    use prost_types::SourceCodeInfo;

    use super::*;

    fn file(name: &str, package: &str) -> FileDescriptorProto {
        FileDescriptorProto {
            name: Some(name.into()),
            package: Some(package.into()),
            ..Default::default()
        }
    }

    fn merged(files: Vec<FileDescriptorProto>) -> Result<DescriptorSet, Error> {
        let mut set = DescriptorSet::default();
        for file in files {
            set.merge(FileDescriptorSet { file: vec![file] })?;
        }
        Ok(set)
    }

    #[test]
    fn the_same_file_twice_is_kept_once() {
        let set = merged(vec![
            file("b.proto", "b"),
            file("a.proto", "a"),
            file("b.proto", "b"),
        ])
        .unwrap();
        let names: Vec<_> = set.files().map(FileDescriptorProto::name).collect();
        assert_eq!(names, ["a.proto", "b.proto"]);
    }

    #[test]
    fn the_copy_with_comments_wins() {
        let commented = FileDescriptorProto {
            source_code_info: Some(SourceCodeInfo::default()),
            ..file("a.proto", "a")
        };
        for order in [
            vec![file("a.proto", "a"), commented.clone()],
            vec![commented.clone(), file("a.proto", "a")],
        ] {
            let set = merged(order).unwrap();
            assert!(set.file("a.proto").unwrap().source_code_info.is_some());
        }
    }

    #[test]
    fn two_different_files_with_one_name_are_refused() {
        let error = merged(vec![file("a.proto", "a"), file("a.proto", "other")]).unwrap_err();
        assert!(matches!(error, Error::Conflict { name } if name == "a.proto"));
    }

    #[test]
    fn the_error_for_a_missing_file_lists_the_known_files() {
        let set = merged(vec![file("a.proto", "a"), file("b.proto", "b")]).unwrap();
        let message = set.file("c.proto").unwrap_err().to_string();
        assert!(
            message.contains("\"c.proto\"") && message.contains("a.proto, b.proto"),
            "{message}"
        );
    }

    #[test]
    fn the_closure_holds_exactly_the_transitive_imports() {
        let importing = |name: &str, import: &str| FileDescriptorProto {
            dependency: vec![import.into()],
            ..file(name, "")
        };
        let set = merged(vec![
            importing("a.proto", "b.proto"),
            importing("b.proto", "c.proto"),
            file("c.proto", ""),
            importing("unrelated.proto", "missing.proto"),
        ])
        .unwrap();
        let closure = set.closure(["a.proto"]).unwrap();
        let names: Vec<_> = closure.iter().map(|it| it.name()).collect();
        assert_eq!(names, ["a.proto", "b.proto", "c.proto"]);

        let error = set.closure(["unrelated.proto"]).unwrap_err();
        assert!(matches!(error, Error::MissingImport { imported_by, .. }
            if imported_by == "unrelated.proto"));
    }

    #[test]
    fn the_error_for_an_unreadable_set_names_it() {
        let message = DescriptorSet::default()
            .read("no/such.binpb".as_ref())
            .unwrap_err()
            .to_string();
        assert!(message.contains("no/such.binpb"), "{message}");
    }

    #[test]
    fn bytes_that_are_not_a_descriptor_set_are_refused() {
        let path = std::env::temp_dir().join(format!("roma-codegen-{}", std::process::id()));
        fs::write(&path, b"\xff\xff not a set").unwrap();
        let error = DescriptorSet::default().read(&path).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(matches!(error, Error::NotADescriptorSet { .. }), "{error}");
    }
}
