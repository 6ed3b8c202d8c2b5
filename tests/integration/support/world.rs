//! A directory to build in: `dumps/`, `catalogue.toml`, and `lake/` when all went well.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use tempfile::TempDir;

use super::flow::{DEVICE_MAC, DumpText, Flow};
use super::lake::{Lake, tree};
use super::pack;
use super::program::{Outcome, Program};

/// A place of its own for one test.
#[derive(Debug)]
pub(crate) struct World {
    directory: Arc<TempDir>,
}

/// A catalogue of these `[[device]]` entries, and what else is put before them.
pub(crate) fn catalogue(before: &str, devices: &[String]) -> String {
    format!(
        "[dataset]\n\
         name = \"test-set\"\n\
         title = \"Flows of a test\"\n\
         licence = \"CC0-1.0\"\n\
         citation = \"Nobody: Nothing. Nowhere, 2019\"\n\
         url = \"https://example.org/\"\n\n\
         {before}\n{}",
        devices.concat()
    )
}

/// A `[[device]]` entry; the archive has the device's name.
pub(crate) fn device(name: &str, class: &str, mac: &str) -> String {
    format!("[[device]]\nname = \"{name}\"\nclass = \"{class}\"\nmac = \"{mac}\"\narchive = \"{name}\"\n")
}

impl World {
    /// An empty one whose catalogue has one device: `hub`, of class `iotGatewayHub`.
    pub(crate) fn new() -> Self {
        let world = Self { directory: Arc::new(tempfile::tempdir().expect("a temporary directory")) };
        fs::create_dir(world.dumps()).expect("a directory");
        world.set_catalogue(&catalogue("", &[device("hub", "iotGatewayHub", DEVICE_MAC)]));
        world
    }

    /// One whose dump of `hub` is this text, packed as it is published.
    pub(crate) fn with_hub(dump: &DumpText) -> Self {
        let world = Self::new();
        world.add_dump("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()));
        world
    }

    /// The same catalogue, with keys under `[limits]`.
    pub(crate) fn with_limits(self, limits: &str) -> Self {
        let text = catalogue(&format!("[limits]\n{limits}\n"), &[device("hub", "iotGatewayHub", DEVICE_MAC)]);
        self.set_catalogue(&text);
        self
    }

    /// Takes more rejected lines than the default, so that what is built in spite of them can be looked at.
    pub(crate) fn lenient(self) -> Self {
        self.with_limits("max_rejected_share = 1.0")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn dumps(&self) -> PathBuf {
        self.path("dumps")
    }

    pub(crate) fn catalogue_path(&self) -> PathBuf {
        self.path("catalogue.toml")
    }

    pub(crate) fn set_catalogue(&self, text: &str) {
        fs::write(self.catalogue_path(), text).expect("it is written");
    }

    /// Writes a file to `dumps/`.
    pub(crate) fn add_dump(&self, file_name: &str, bytes: &[u8]) {
        fs::write(self.dumps().join(file_name), bytes).expect("it is written");
    }

    /// `flowlake build` of everything here.
    pub(crate) fn build(&self) -> Program {
        self.build_to("lake")
    }

    /// `flowlake build` to another place here.
    pub(crate) fn build_to(&self, lake: &str) -> Program {
        Program::new(["build", "--progress", "none", "--jobs", "2", "--config"])
            .arg(self.catalogue_path())
            .arg("--input")
            .arg(self.dumps())
            .arg("--output")
            .arg(self.path(lake))
            .redact(self.root())
    }

    /// A command about the lake here.
    pub(crate) fn about_lake(&self, command: &str) -> Program {
        Program::new([command]).arg(self.path("lake")).redact(self.root())
    }

    /// Builds and gives the lake, which must verify.
    #[track_caller]
    pub(crate) fn built(&self) -> Lake {
        self.build().run().expect_code(0);
        self.lake()
    }

    /// A build that must be refused with this exit code: nothing is published, and a lake that was there stays as it was.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, options: &[&str]) -> Outcome {
        let outcome = self.build().args(options).run().expect_code(code);
        assert_eq!(outcome.stdout, "");
        self.expect_nothing_published();

        let old = Self::with_hub(&DumpText::of([Flow::new()]));
        old.built();
        fs::rename(old.path("lake"), self.path("lake")).expect("it moves");
        let before = tree(&self.path("lake"));
        self.build().args(options).arg("--replace").run().expect_code(code);
        assert!(tree(&self.path("lake")) == before, "the old lake was changed");
        self.expect_no_staging();
        fs::remove_dir_all(self.path("lake")).expect("it goes");
        outcome
    }

    /// The lake, which must be there.
    #[track_caller]
    pub(crate) fn lake(&self) -> Lake {
        self.about_lake("verify").run().expect_code(0);
        Lake::open(&self.path("lake")).keeping(&self.directory)
    }

    /// Fails the test if there is a lake, or anything left of making one.
    #[track_caller]
    pub(crate) fn expect_nothing_published(&self) {
        assert!(!self.path("lake").exists(), "there is a lake");
        self.expect_no_staging();
    }

    /// Fails the test if something is left of making a lake.
    #[track_caller]
    pub(crate) fn expect_no_staging(&self) {
        assert_eq!(self.hidden(), Vec::<String>::new());
    }

    /// Names of staging directories here. A build that has one has looked at its target.
    pub(crate) fn staging(&self) -> Vec<String> {
        self.hidden().into_iter().filter(|name| name.contains(".flowlake-staging-")).collect()
    }

    fn hidden(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root()).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with('.')).collect()
    }
}
