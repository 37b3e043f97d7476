//! Rust types for messages and enums, by prost.

use std::collections::BTreeMap;

use prost_build::{Config, Module};
use prost_types::FileDescriptorProto;

use crate::modules::ModuleTree;
use crate::type_names::{declared_in, nested, rust_path, scope_of_package};
use crate::{DescriptorSet, Error, ExternFile};

/// How `Error::TwoOwners` calls the crate that is being generated.
const THIS_CRATE: &str = "this crate";

/// The lints of the including crate must not apply to generated code.
const ATTRIBUTES: &str = "#[allow(missing_docs, clippy::all, rustdoc::all)]";

/// Generates one self-contained source file with the types of `files`.
///
/// The types of a file with `package a.b` are in the module `a::b`. Types of `externs` are referred
/// to where the other crate has them, those of protobuf itself in `prost_types`. The source may be
/// a crate's root or be included anywhere; it depends on `prost` and, for well-known types, on
/// `prost-types`.
pub fn prost_source(
    descriptors: &DescriptorSet,
    files: &[String],
    externs: &[ExternFile],
) -> Result<String, Error> {
    let owners = owners(files, externs)?;
    let closure = descriptors.closure(owners.keys().copied())?;
    refuse_well_known(&closure, &owners)?;
    refuse_unreachable_types(&closure, &owners)?;
    let tree = generate(&closure, &owners)?;
    format_source(&owners, &tree.into_source(ATTRIBUTES))
}

#[derive(PartialEq)]
enum Owner<'a> {
    ThisCrate,
    OtherCrate(&'a str),
}

impl Owner<'_> {
    fn display(&self) -> String {
        match self {
            Owner::ThisCrate => THIS_CRATE.into(),
            Owner::OtherCrate(name) => format!("the crate {name}"),
        }
    }
}

/// Which crate each named file belongs to, ordered by the file's name.
type Owners<'a> = BTreeMap<&'a str, Owner<'a>>;

fn owners<'a>(files: &'a [String], externs: &'a [ExternFile]) -> Result<Owners<'a>, Error> {
    if files.is_empty() {
        return Err(Error::NothingToGenerate);
    }
    let own = files.iter().map(|file| (file.as_str(), Owner::ThisCrate));
    let others = externs
        .iter()
        .map(|it| (it.file.as_str(), Owner::OtherCrate(&it.crate_name)));

    let mut owners = Owners::new();
    for (name, owner) in own.chain(others) {
        match owners.get(name) {
            Some(first) if *first != owner => {
                return Err(Error::TwoOwners {
                    name: name.into(),
                    first: first.display(),
                    second: owner.display(),
                });
            }
            _ => owners.insert(name, owner),
        };
    }
    Ok(owners)
}

fn is_own(owners: &Owners<'_>, file: &FileDescriptorProto) -> bool {
    owners.get(file.name()) == Some(&Owner::ThisCrate)
}

fn is_well_known(file: &FileDescriptorProto) -> bool {
    file.package() == "google.protobuf"
}

fn refuse_well_known(closure: &[&FileDescriptorProto], owners: &Owners<'_>) -> Result<(), Error> {
    let named = |file: &&&FileDescriptorProto| owners.contains_key(file.name());
    match closure
        .iter()
        .filter(named)
        .find(|file| is_well_known(file))
    {
        Some(file) => Err(Error::WellKnown {
            name: file.name().into(),
        }),
        None => Ok(()),
    }
}

/// Without this, the source would refer to code that was generated and thrown away.
fn refuse_unreachable_types(
    closure: &[&FileDescriptorProto],
    owners: &Owners<'_>,
) -> Result<(), Error> {
    let mut defined_in = BTreeMap::new();
    for file in closure {
        for type_name in declared_in(file) {
            defined_in.insert(type_name, *file);
        }
    }
    for file in closure.iter().filter(|file| is_own(owners, file)) {
        for (field, type_name) in references(file) {
            let definition = defined_in.get(&type_name);
            if !definition.is_some_and(|it| is_well_known(it) || owners.contains_key(it.name())) {
                return Err(Error::UnreachableType {
                    field,
                    type_name: type_name.trim_start_matches('.').into(),
                    defined_in: definition.map_or("no known file", |it| it.name()).into(),
                });
            }
        }
    }
    Ok(())
}

/// Each field of a message or enum type in `file`, as (full name of the field, type's full name).
fn references(file: &FileDescriptorProto) -> Vec<(String, String)> {
    let scope = scope_of_package(file);
    let mut unvisited: Vec<_> = file
        .message_type
        .iter()
        .map(|it| (scope.clone(), it))
        .collect();
    let mut references = Vec::new();
    while let Some((scope, message)) = unvisited.pop() {
        let full_name = nested(&scope, message.name());
        for field in message.field.iter().filter(|it| it.type_name.is_some()) {
            let field_name = nested(full_name.trim_start_matches('.'), field.name());
            references.push((field_name, field.type_name().into()));
        }
        let inner = message.nested_type.iter();
        unvisited.extend(inner.map(|it| (full_name.clone(), it)));
    }
    references
}

fn generate(closure: &[&FileDescriptorProto], owners: &Owners<'_>) -> Result<ModuleTree, Error> {
    // prost looks into the types of all files to know what may derive Copy or needs a Box, so it
    // is given all of them; what it generates for files that are not ours is dropped.
    let dropped = Module::from_parts(["(dropped)"]);
    let requests = closure.iter().map(|file| {
        let module = if is_own(owners, file) {
            Module::from_protobuf_package_name(file.package())
        } else {
            dropped.clone()
        };
        (module, FileDescriptorProto::clone(file))
    });
    let modules = config(closure, owners)
        .generate(requests.collect())
        .map_err(Error::Prost)?;

    let mut tree = ModuleTree::default();
    for (module, code) in modules {
        if module != dropped {
            tree.insert(&module, &code);
        }
    }
    Ok(tree)
}

fn config(closure: &[&FileDescriptorProto], owners: &Owners<'_>) -> Config {
    let mut config = Config::new();
    // Ordered, so that equal messages have equal bytes.
    config.btree_map(["."]);
    for file in closure {
        if let Some(Owner::OtherCrate(crate_name)) = owners.get(file.name()) {
            for type_name in declared_in(file) {
                let path = format!("::{crate_name}::{}", rust_path(&type_name));
                config.extern_path(type_name, path);
            }
        }
    }
    config
}

fn format_source(owners: &Owners<'_>, source: &str) -> Result<String, Error> {
    let own = owners.iter().filter(|(_, it)| **it == Owner::ThisCrate);
    let files: Vec<_> = own.map(|(name, _)| *name).collect();
    let header = format!("// Generated from {}: do not edit.\n\n", files.join(", "));
    Ok(header + &prettyplease::unparse(&syn::parse_file(source)?))
}

#[cfg(test)]
mod tests;
