//! Lakes, read back as rows. That other engines read the same is what `tests/interop` is for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use polars::prelude::{Column, DataFrame, DataType};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::rows::read_frame;

/// A lake on disk.
#[derive(Debug)]
pub(crate) struct Lake {
    path: PathBuf,
    pub(crate) manifest: Value,
    /// The temporary directory it is in, if it is to stay as long as this value.
    _keep: Option<Arc<TempDir>>,
}

impl Lake {
    #[track_caller]
    pub(crate) fn open(path: &Path) -> Self {
        let text = fs::read_to_string(path.join("manifest.json")).expect("a manifest");
        Self { path: path.to_owned(), manifest: serde_json::from_str(&text).expect("JSON"), _keep: None }
    }

    /// Keeps the directory it is in.
    pub(super) fn keeping(self, directory: &Arc<TempDir>) -> Self {
        Self { _keep: Some(Arc::clone(directory)), ..self }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.path.join(below)
    }

    /// Paths of the data files, as the manifest lists them.
    pub(crate) fn files(&self) -> Vec<String> {
        self.list("files").iter().map(|file| file["path"].as_str().expect("a path").to_owned()).collect()
    }

    /// The same without the digests in their names, which must be those of the files.
    #[track_caller]
    pub(crate) fn files_without_digests(&self) -> Vec<String> {
        let plain = |file: &Value| {
            let (path, sha256) = (file["path"].as_str().expect("a path"), file["sha256"].as_str());
            let (plain, digest) = path.rsplit_once('-').expect("a digest");
            assert_eq!(digest, format!("{}.parquet", &sha256.expect("a digest")[..16]));
            format!("{plain}.parquet")
        };
        self.list("files").iter().map(plain).collect()
    }

    /// Path of the first data file of a device and month.
    #[track_caller]
    pub(crate) fn file(&self, device: &str, month: &str) -> String {
        let of = |file: &&Value| file["deviceName"] == device && file["month"] == month;
        let file = self.list("files").iter().find(of).expect("a data file");
        file["path"].as_str().expect("a path").to_owned()
    }

    /// A list of the manifest.
    #[track_caller]
    pub(crate) fn list(&self, key: &str) -> &[Value] {
        self.manifest[key].as_array().expect("a list")
    }

    /// The only source.
    #[track_caller]
    pub(crate) fn source(&self) -> &Value {
        let [source] = self.list("sources") else { panic!("not one source: {:?}", self.list("sources")) };
        source
    }

    /// Values a repair changed.
    #[track_caller]
    pub(crate) fn repaired(&self, name: &str) -> u64 {
        let repair = self.list("repairs").iter().find(|repair| repair["name"] == name).expect("a repair");
        repair["values"].as_u64().expect("a number")
    }

    /// Kinds of the warnings.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.list("warnings").iter().map(|warning| warning["kind"].as_str().expect("a kind")).collect()
    }

    /// What became of the rows: read, kept, removed by rule, rejected.
    pub(crate) fn accounting(&self) -> Value {
        let accounting = &self.manifest["rowAccounting"];
        let mut removed = Map::new();
        for rule in accounting["removed"].as_array().expect("a list") {
            removed.insert(rule["rule"].as_str().expect("a name").to_owned(), rule["rows"].clone());
        }
        json!({
            "read": accounting["read"],
            "kept": accounting["kept"],
            "removed": removed,
            "rejected": accounting["rejected"],
        })
    }

    /// A data file as a frame, with the columns that are in the file.
    #[track_caller]
    pub(crate) fn frame(&self, path: &str) -> DataFrame {
        read_frame(&self.path(path))
    }

    /// All rows, file by file, in order.
    pub(crate) fn rows(&self) -> Vec<Map<String, Value>> {
        self.files().iter().flat_map(|file| frame_rows(&self.frame(file))).collect()
    }

    /// The only row.
    #[track_caller]
    pub(crate) fn row(&self) -> Map<String, Value> {
        let mut rows = self.rows();
        assert_eq!(rows.len(), 1, "not one row");
        rows.remove(0)
    }

    /// One column of all rows.
    pub(crate) fn column(&self, name: &str) -> Vec<Value> {
        self.rows().into_iter().map(|mut row| row.remove(name).expect("a column")).collect()
    }

    /// Path of the rejected lines of a dump.
    #[track_caller]
    pub(crate) fn rejected_path(&self, dump: &str) -> String {
        let source = self.list("sources").iter().find(|source| source["dump"] == dump).expect("a dump");
        source["rejectedLines"]["path"].as_str().expect("a path").to_owned()
    }

    /// The rejected lines of a dump.
    #[track_caller]
    pub(crate) fn rejected(&self, dump: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(&self.rejected_path(dump))).expect("rejected lines");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// A text in which `[digest]` stands for the digests in names of files: they change with every version of an encoder.
pub(crate) fn without_digests(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('-') {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let hexadecimal = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        rest = match after.split_at(hexadecimal) {
            (digest, rest) if digest.len() == 16 && rest.starts_with('.') => {
                out.push_str("[digest]");
                rest
            }
            _ => after,
        };
    }
    out + rest
}

/// The rows of a frame. Numbers and text are themselves; dates are days, timestamps milliseconds, since 1970.
pub(crate) fn frame_rows(frame: &DataFrame) -> Vec<Map<String, Value>> {
    let columns: Vec<(String, Vec<Value>)> =
        frame.columns().iter().map(|column| (column.name().to_string(), values(column))).collect();
    let row = |i: usize| columns.iter().map(|(name, values)| (name.clone(), values[i].clone())).collect();
    (0..frame.height()).map(row).collect()
}

fn values(column: &Column) -> Vec<Value> {
    match column.dtype() {
        DataType::String => column.str().expect("text").iter().map(|text| json!(text)).collect(),
        DataType::Float64 => column.f64().expect("numbers").iter().map(|number| json!(number)).collect(),
        _ => {
            let numbers = column.cast(&DataType::Int64).expect("an integer beneath");
            numbers.i64().expect("integers").iter().map(|number| json!(number)).collect()
        }
    }
}

/// Every file below a directory with its bytes, and every directory, by relative path.
pub(crate) fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(directory).expect("below it").to_string_lossy().into_owned();
            if path.is_dir() {
                found.insert(format!("{name}/"), Vec::new());
                waiting.push(path);
            } else {
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}
