//! Places of every kind, for tests that are written once.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::time::Duration;

use flowlake_store::{Condition, Endpoint, LakeStore, Location, ObjectStore, StoreOptions, unique_name};
use flowlake_testserver::{Behaviour, Server};
use fs_err as fs;

/// Kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Memory,
    /// The server of ours.
    Own,
    /// The server that `FLOWLAKE_TEST_S3` names.
    S3,
    /// The server that `FLOWLAKE_TEST_S3_UNCONDITIONAL` names.
    S3Unconditional,
}

/// A place, and the one above it.
pub(crate) struct Place {
    above: LakeStore,
    pub(crate) kind: Kind,
    _keep: (Option<tempfile::TempDir>, Option<Server>),
}

/// Small ranges and parts, so that little data takes several; and no patience, for nothing here is slow.
pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        timeout: Duration::from_secs(20),
        retries: 3,
        part_bytes: 1000,
        range_bytes: 100,
        ..StoreOptions::default()
    }
}

fn objects(url: &str, options: &StoreOptions, endpoint: &Endpoint) -> ObjectStore {
    let Ok(Location::Objects(url)) = Location::parse(OsStr::new(url)) else { panic!("{url} is a URL") };
    ObjectStore::at_endpoint(&url, options, endpoint).expect("it can be addressed")
}

/// The place `s3://b/lake` at a server of ours.
pub(crate) fn at(server: &Server, options: &StoreOptions) -> ObjectStore {
    let key = Some(("key".to_owned(), "secret".to_owned()));
    objects("s3://b/lake", options, &Endpoint { url: server.endpoint(), key })
}

/// A prefix of its own at a server that a variable names; says so where there is none.
fn named(variable: &str, options: &StoreOptions) -> Option<LakeStore> {
    let Some(url) = std::env::var(variable).ok().filter(|url| !url.is_empty()) else {
        // Past the test runner, which keeps what a passing test prints with `eprintln!`.
        let _ = writeln!(std::io::stderr(), "\nskipped: no {variable} in the environment");
        return None;
    };
    let bucket = std::env::var("FLOWLAKE_TEST_S3_BUCKET").unwrap_or_else(|_| "flowlake-test".to_owned());
    let endpoint = Endpoint { url, key: None };
    Some(LakeStore::Objects(objects(&format!("s3://{bucket}/{}", unique_name()), options, &endpoint)))
}

impl Place {
    pub(crate) fn new(kind: Kind) -> Option<Self> {
        let mut keep = (None, None);
        let above = match kind {
            Kind::Directory => {
                let directory = keep.0.insert(tempfile::tempdir().expect("a directory"));
                LakeStore::Directory(directory.path().to_owned())
            }
            Kind::Memory => LakeStore::Objects(ObjectStore::in_memory(options())),
            Kind::Own => {
                let behaviour = Behaviour { page: 3, ..Behaviour::default() };
                let server = keep.1.insert(Server::start(behaviour).expect("a port"));
                LakeStore::Objects(at(server, &options()).below("above"))
            }
            Kind::S3 => named("FLOWLAKE_TEST_S3", &options())?,
            Kind::S3Unconditional => named("FLOWLAKE_TEST_S3_UNCONDITIONAL", &options())?,
        };
        let place = Self { above, kind, _keep: keep };
        if let LakeStore::Directory(path) = &place.above {
            fs::create_dir(path.join("lake")).expect("it is made");
        }
        Some(place)
    }

    /// The place itself.
    pub(crate) fn lake(&self) -> LakeStore {
        self.beside("lake")
    }

    /// A place beside it.
    pub(crate) fn beside(&self, name: &str) -> LakeStore {
        match &self.above {
            LakeStore::Directory(path) => LakeStore::Directory(path.join(name)),
            LakeStore::Objects(objects) => LakeStore::Objects(objects.below(name)),
        }
    }

    /// The place itself as that of objects.
    pub(crate) fn objects(&self) -> ObjectStore {
        match self.lake() {
            LakeStore::Objects(objects) => objects,
            LakeStore::Directory(_) => panic!("a directory has no objects"),
        }
    }
}

/// Writes a file by its path below a place.
pub(crate) fn write(place: &LakeStore, path: &str, bytes: &[u8]) {
    match place {
        LakeStore::Directory(root) => {
            let file = root.join(path);
            fs::create_dir_all(file.parent().expect("it has one")).expect("it is made");
            fs::write(file, bytes).expect("it is written");
        }
        LakeStore::Objects(objects) => {
            objects.put(path, bytes.to_vec(), Condition::Any, "").expect("it is written");
        }
    }
}

/// All bytes of a file, read through a reader.
pub(crate) fn read_all(place: &LakeStore, path: &str) -> Vec<u8> {
    let entry = place.entry(path).expect("it can be asked").expect("it is there");
    let mut bytes = Vec::new();
    place.reader(&entry).expect("it opens").read_to_end(&mut bytes).expect("it reads");
    bytes
}

/// Bytes that are not the same anywhere.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// Makes a test of each function that takes a [`Place`], for each kind of place.
macro_rules! in_every_place {
    ($($kind:ident: [$($test:ident),* $(,)?]),* $(,)?) => {
        $(
            #[allow(non_snake_case)]
            mod $kind {
                $(
                    #[test]
                    fn $test() {
                        if let Some(place) = $crate::places::Place::new($crate::places::Kind::$kind) {
                            super::$test(&place);
                        }
                    }
                )*
            }
        )*
    };
}
pub(crate) use in_every_place;
