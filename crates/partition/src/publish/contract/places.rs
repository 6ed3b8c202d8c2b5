//! Places of every kind to publish at, for tests that are written once.

use std::ffi::OsStr;
use std::io::Write;
use std::time::Duration;

use flowlake_store::{
    Condition, Endpoint, EntryKind, LakeStore, Location, ObjectStore, StoreOptions, unique_name,
};
use flowlake_testserver::{Behaviour, Server};
use fs_err as fs;

use crate::manifest::{MANIFEST_FILE, Manifest};
use crate::publish::{Outlet, Publication, PublishError, PublishMode};
use crate::read::read_manifest;
use crate::rejected::{RejectedLine, RejectedLinesWriter};
use crate::testing;
use crate::verify::{VerifyOptions, verify};
use crate::writer::WriterOptions;

/// Kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    Memory,
    /// The server of ours, which honours conditional writes.
    Own,
    /// The same, when it overlooks the conditions.
    OwnUnconditional,
    /// The server that `FLOWLAKE_TEST_S3` names: it honours conditional writes.
    S3,
    /// The server that `FLOWLAKE_TEST_S3_UNCONDITIONAL` names: it overlooks the conditions.
    S3Unconditional,
}

/// A place for a lake, with nothing in it, and nothing beside it.
pub(super) struct Place {
    pub(super) kind: Kind,
    /// What is above the lake.
    above: LakeStore,
    /// For the server of ours.
    server: Option<Server>,
    _directory: Option<tempfile::TempDir>,
}

/// What a lake is made of: the first row of an endless table, and how many. Some are of June 2019 and some of July.
pub(super) type Rows = (u64, usize);

/// 50 rows of June and 50 of July.
pub(super) const SOME: Rows = (86_350, 100);
/// The same of June, and more of July.
pub(super) const MORE: Rows = (86_350, 150);

/// Small parts, so that small files have several; and not much patience.
fn options() -> StoreOptions {
    StoreOptions {
        timeout: Duration::from_secs(20),
        retries: 2,
        part_bytes: 4096,
        range_bytes: 2048,
        ..StoreOptions::default()
    }
}

fn objects(url: &str, endpoint: &Endpoint) -> LakeStore {
    let Ok(Location::Objects(url)) = Location::parse(OsStr::new(url)) else { panic!("{url} is a URL") };
    LakeStore::Objects(ObjectStore::at_endpoint(&url, &options(), endpoint).expect("it can be addressed"))
}

/// A prefix of its own at a server that a variable names; says so where there is none.
fn named(variable: &str) -> Option<LakeStore> {
    let Some(url) = std::env::var(variable).ok().filter(|url| !url.is_empty()) else {
        // Past the test runner, which keeps what a passing test prints with `eprintln!`.
        let _ = writeln!(std::io::stderr(), "\nskipped: no {variable} in the environment");
        return None;
    };
    let bucket = std::env::var("FLOWLAKE_TEST_S3_BUCKET").unwrap_or_else(|_| "flowlake-test".to_owned());
    Some(objects(&format!("s3://{bucket}/{}", unique_name()), &Endpoint { url, key: None }))
}

impl Place {
    pub(super) fn new(kind: Kind) -> Option<Self> {
        let (mut server, mut directory) = (None, None);
        let mut own = |conditions| {
            let behaviour = Behaviour { conditions, page: 3, ..Behaviour::default() };
            let server = server.insert(Server::start(behaviour).expect("a port"));
            let key = Some(("key".to_owned(), "secret".to_owned()));
            objects("s3://b/above", &Endpoint { url: server.endpoint(), key })
        };
        let above = match kind {
            Kind::Directory => {
                let directory = directory.insert(tempfile::tempdir().expect("a directory"));
                LakeStore::Directory(directory.path().to_owned())
            }
            Kind::Memory => LakeStore::Objects(ObjectStore::in_memory(options())),
            Kind::Own => own(true),
            Kind::OwnUnconditional => own(false),
            Kind::S3 => named("FLOWLAKE_TEST_S3")?,
            Kind::S3Unconditional => named("FLOWLAKE_TEST_S3_UNCONDITIONAL")?,
        };
        Some(Self { kind, above, server, _directory: directory })
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    pub(super) fn lake(&self) -> LakeStore {
        match &self.above {
            LakeStore::Directory(path) => LakeStore::Directory(path.join("lake")),
            LakeStore::Objects(objects) => LakeStore::Objects(objects.below("lake")),
        }
    }

    /// The lake's place as that of objects; `None` for a directory.
    pub(super) fn objects(&self) -> Option<ObjectStore> {
        match self.lake() {
            LakeStore::Directory(_) => None,
            LakeStore::Objects(objects) => Some(objects),
        }
    }

    /// The server of ours, where that is where it is. Keys begin with `above/lake/`.
    pub(super) fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// Whether it is a server that takes writes with conditions for plain ones.
    pub(super) fn overlooks_conditions(&self) -> bool {
        matches!(self.kind, Kind::OwnUnconditional | Kind::S3Unconditional)
    }

    /// Writes a file by its path below the lake, without a digest.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        self.write_marked(path, bytes, "");
    }

    /// As [`Place::write`], with the mark of whoever writes, where there are marks.
    pub(super) fn write_marked(&self, path: &str, bytes: &[u8], mark: &str) {
        match self.lake() {
            LakeStore::Directory(root) => {
                let file = root.join(path);
                fs::create_dir_all(file.parent().expect("it has one")).expect("it is made");
                fs::write(file, bytes).expect("it is written");
            }
            LakeStore::Objects(objects) => {
                objects.put(path, bytes.to_vec(), Condition::Any, mark).expect("it is written");
            }
        }
    }

    pub(super) fn read(&self, path: &str) -> Vec<u8> {
        self.lake().read(path).expect("it reads").expect("it is there")
    }

    pub(super) fn remove(&self, path: &str) {
        match self.lake() {
            LakeStore::Directory(root) => fs::remove_file(root.join(path)).expect("it is removed"),
            LakeStore::Objects(objects) => objects.delete(&[path.to_owned()]).expect("it is deleted"),
        }
    }

    /// Everything that is there, and beside it: paths below what is above the lake, in order.
    pub(super) fn everything(&self) -> Vec<String> {
        let entries = self.above.walk(&|_| true).expect("it can be listed");
        let files = entries.into_iter().filter(|entry| entry.kind != EntryKind::Directory);
        files.map(|entry| entry.path).collect()
    }

    pub(super) fn begin(&self, mode: PublishMode) -> Publication {
        self.try_begin(mode).expect("it may be published there")
    }

    pub(super) fn try_begin(&self, mode: PublishMode) -> Result<Publication, PublishError> {
        Publication::begin(&self.lake(), mode)
    }

    /// Publishes a lake and looks whether it is.
    pub(super) fn publish(&self, mode: PublishMode, rows: Rows, name: &str) -> Manifest {
        let publication = self.begin(mode);
        let manifest = build(&publication, rows, name);
        let left = publication.publish(&manifest).expect("it is published");
        assert!(left.is_empty(), "{left:?}");
        self.holds(&manifest);
        manifest
    }

    /// The same while another build of this test is under way, whose files may be there.
    pub(super) fn publish_beside(&self, mode: PublishMode, rows: Rows, name: &str) -> Manifest {
        let publication = self.begin(mode);
        let manifest = build(&publication, rows, name);
        publication.publish(&manifest).expect("it is published");
        manifest
    }

    /// Removes the lake, for what comes next.
    pub(super) fn clear(&self) {
        match self.lake() {
            LakeStore::Directory(root) => fs::remove_dir_all(root).expect("it is removed"),
            LakeStore::Objects(objects) => {
                let entries = objects.walk("").expect("it can be listed");
                let paths: Vec<String> = entries.into_iter().map(|entry| entry.path).collect();
                objects.delete(&paths).expect("they are deleted");
            }
        }
    }

    /// The lake is the one that is meant, whole, and there is nothing else.
    #[track_caller]
    pub(super) fn holds(&self, manifest: &Manifest) {
        assert_eq!(&read_manifest(&self.lake()).expect("a lake"), manifest);
        let mut expected: Vec<String> =
            paths(manifest).into_iter().map(|path| format!("lake/{path}")).collect();
        expected.push(format!("lake/{MANIFEST_FILE}"));
        expected.sort();
        assert_eq!(self.everything(), expected);
        for quick in [true, false] {
            let report = verify(&self.lake(), VerifyOptions { quick, jobs: 2 }).expect("it can be checked");
            assert!(report.is_clean(), "quick {quick}: {:?}", report.differences);
        }
    }

    /// There is no lake, nor anything else.
    #[track_caller]
    pub(super) fn holds_nothing(&self) {
        assert!(self.everything().is_empty(), "{:?}", self.everything());
    }
}

/// Paths of all files of a lake but for its manifest.
pub(super) fn paths(manifest: &Manifest) -> Vec<String> {
    manifest.listed().into_keys().filter(|path| path != MANIFEST_FILE).map(String::from).collect()
}

/// Makes a lake but for its manifest.
pub(super) fn build(publication: &Publication, (first, rows): Rows, name: &str) -> Manifest {
    let root = publication.root();
    let frames = [testing::frame(first, rows)];
    let files = testing::write(root, "echo", &frames, &WriterOptions::default());
    let mut rejected = RejectedLinesWriter::new(root, "echo").expect("a name");
    for line in 1..=2 {
        let rejected_line = RejectedLine { line, offset: rows as u64, reason: "no flow", text: b"x" };
        rejected.write(rejected_line).expect("it is written");
    }
    let mut manifest = testing::manifest(files);
    manifest.dataset.name = name.to_owned();
    manifest.sources[0].rejected_lines = rejected.finish().expect("it is closed");
    for file in &manifest.files {
        publication.add(&file.path, file.bytes, &file.sha256).expect("none failed");
    }
    if let Some(file) = &manifest.sources[0].rejected_lines {
        publication.add(&file.path, file.bytes, &file.sha256).expect("none failed");
    }
    manifest
}

/// Makes a test of each function that takes a [`Place`], for each kind of place.
macro_rules! in_every_place {
    ($($test:ident),* $(,)?) => {
        in_every_place!(@ [Directory Memory Own OwnUnconditional S3 S3Unconditional] [$($test)*]);
    };
    (@ [$($kind:ident)*] $tests:tt) => {
        $(in_every_place!(# $kind $tests);)*
    };
    (# $kind:ident [$($test:ident)*]) => {
        #[allow(non_snake_case)]
        mod $kind {
            use super::super::places::{Kind, Place};
            $(
                #[test]
                fn $test() {
                    if let Some(place) = Place::new(Kind::$kind) {
                        super::$test(&place);
                    }
                }
            )*
        }
    };
}
pub(super) use in_every_place;
