//! The interface that an SDK ships equals the declared one: its descriptors, and the bytes between
//! prost on the host's side and C++ on the UDF's side.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nasty::bzl_tests::nasty::v1::Nasty;
use nasty::bzl_tests::nasty::v1::nasty::inner::{Innermost, innermost};
use nasty::bzl_tests::nasty::v1::nasty::{Choice, Colour, Inner};
use nasty_client::ByobNastyService;
use place_rust_proto::bzl_tests::place::v1::place::Coordinates;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use roma_byob::{ExecuteOptions, Mode, Service};

/// A bound for hangs, not for speed.
const PATIENCE: Duration = Duration::from_secs(60);
const COLOURS: [Colour; 5] = [
    Colour::Unspecified,
    Colour::Red,
    Colour::Ultraviolet,
    Colour::Black,
    Colour::Darkest,
];

fn file(variable: &str) -> PathBuf {
    std::path::absolute(std::env::var_os(variable).unwrap()).unwrap()
}

/// Returns the only file of a descriptor set that declares a service, without its name and source
/// locations, which a copy may change.
fn declaration(variable: &str) -> FileDescriptorProto {
    let encoded = std::fs::read(file(variable)).unwrap();
    let set = FileDescriptorSet::decode(&*encoded).unwrap();
    let mut declaring = set.file.into_iter().filter(|it| !it.service.is_empty());
    let found = declaring.next().unwrap();
    assert!(declaring.next().is_none());
    FileDescriptorProto {
        name: None,
        source_code_info: None,
        ..found
    }
}

#[test]
fn shipped_descriptors_equal_the_declared_ones() {
    let declared = declaration("DECLARED");
    assert_eq!(declared.message_type[0].field.len(), 47);
    assert_eq!(declaration("SHIPPED_TEXT"), declared);
    assert_eq!(declaration("SHIPPED_DESCRIPTORS"), declared);
}

/// Pseudo-random numbers, which are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // Large numbers, small ones and extremes.
        match self.0 % 5 {
            0 => self.0,
            1 => self.0 % 3,
            2 => u64::MAX,
            3 => 1 << 63,
            _ => self.0 % (1 << 20),
        }
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.next().is_multiple_of(2).then(|| make(self))
    }

    fn some<T>(&mut self, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.next() % 4).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> String {
        self.some(|it| char::from_u32(it.next() as u32 % 0x11_0000).unwrap_or('ä'))
            .into_iter()
            .collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.some(|it| it.next() as u8)
    }

    fn colour(&mut self) -> i32 {
        COLOURS[self.next() as usize % COLOURS.len()].into()
    }

    fn inner(&mut self) -> Inner {
        Inner {
            number: self.next() as i32,
            innermost: self.maybe(Self::innermost),
        }
    }

    fn innermost(&mut self) -> Innermost {
        let choice = match self.next() % 2 {
            0 => innermost::Choice::Unspecified,
            _ => innermost::Choice::Last,
        };
        Innermost {
            choice: choice.into(),
        }
    }

    fn choice(&mut self) -> Choice {
        match self.next() % 5 {
            0 => Choice::Text(self.text()),
            1 => Choice::Inner(self.inner()),
            2 => Choice::Colour(self.colour()),
            3 => Choice::Time(prost_types::Timestamp {
                seconds: self.next() as i64,
                nanos: self.next() as i32,
            }),
            _ => Choice::Raw(self.bytes()),
        }
    }

    fn notes(&mut self) -> prost_types::Struct {
        let value = prost_types::Value {
            kind: Some(Kind::StringValue(self.text())),
        };
        prost_types::Struct {
            fields: BTreeMap::from([("note".to_owned(), value)]),
        }
    }

    fn nasty(&mut self, depth: u32) -> Nasty {
        Nasty {
            double: self.next() as f64,
            float: self.next() as f32,
            int32: self.next() as i32,
            int64: self.next() as i64,
            uint32: self.next() as u32,
            uint64: self.next(),
            sint32: self.next() as i32,
            sint64: self.next() as i64,
            fixed32: self.next() as u32,
            fixed64: self.next(),
            sfixed32: self.next() as i32,
            sfixed64: self.next() as i64,
            bool: self.next() % 2 == 1,
            string: self.text(),
            bytes: self.bytes(),
            r#type: self.text(),
            r#match: self.text(),
            self_: self.text(),
            crate_: self.text(),
            namespace: self.text(),
            delete: self.text(),
            class: self.text(),
            r#async: self.text(),
            optional_int32: self.maybe(|it| it.next() as i32),
            optional_string: self.maybe(Self::text),
            optional_colour: self.maybe(Self::colour),
            wrapped: self.maybe(|it| it.next() % 2 == 1),
            packed: self.some(|it| it.next() as i32),
            packed_by_word: self.some(|it| it.next() as i64),
            unpacked: self.some(|it| it.next() as u32),
            colours: self.some(Self::colour),
            strings: self.some(Self::text),
            inners: self.some(Self::inner),
            by_name: self
                .some(|it| (it.text(), it.inner()))
                .into_iter()
                .collect(),
            by_number: self
                .some(|it| (it.next() as i32, it.colour()))
                .into_iter()
                .collect(),
            by_truth: self
                .some(|it| (it.next() % 2 == 1, it.bytes()))
                .into_iter()
                .collect(),
            by_fixed: self
                .some(|it| (it.next() as i64, it.next() as f64))
                .into_iter()
                .collect(),
            choice: self.maybe(Self::choice),
            child: (depth > 0).then(|| Box::new(self.nasty(depth - 1))),
            somewhere: self.maybe(|it| Coordinates {
                latitude: it.next() as f64,
                longitude: it.next() as f64,
            }),
            notes: self.maybe(Self::notes),
            attachment: self.maybe(|it| prost_types::Any {
                type_url: it.text(),
                value: it.bytes(),
            }),
            innermost: self.maybe(Self::innermost),
        }
    }
}

#[tokio::test]
async fn a_udf_with_the_shipped_interface_returns_every_message_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let config = Service::builder()
        .run_dir(folder.path())
        .run_workers(file("ROMA_RUN_WORKERS"))
        .obey_environment(false);
    let client = ByobNastyService::create(config, Mode::Minimal)
        .await
        .unwrap();
    let code = client.register(file("NASTY_UDF"), 2).await.unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for depth in 0..64 {
        let nasty = numbers.nasty(depth % 4);
        let options = ExecuteOptions {
            queue_timeout: PATIENCE,
            deadline: PATIENCE,
            ..Default::default()
        };
        let mirrored = client.mirror(&code, &nasty, options).await.unwrap();
        assert_eq!(mirrored, nasty);
        assert_eq!(mirrored.encoded_len(), nasty.encoded_len());
    }
    client.shutdown().await;
}
