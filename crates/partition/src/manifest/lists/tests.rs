use std::path::Path;

use fs_err as fs;

use super::*;
use crate::read::{ReadError, read_manifest};
use crate::testing;

/// A lake with all its entries in lists, of which there are none but these, and its manifest.
fn indexed(root: &Path, warnings: usize) -> (Manifest, Written) {
    let mut manifest = testing::publish_lake(root, 0, 10, crate::publish::PublishMode::Fresh);
    manifest.format_version = INDEX_FORMAT_VERSION;
    manifest.warnings = (0..warnings).map(warning).collect();
    let written = write(&manifest, root);
    (manifest, written)
}

fn warning(number: usize) -> Warning {
    Warning { kind: "linesRejected".to_owned(), subject: format!("echo-{number}"), message: "x".repeat(1000) }
}

fn write(manifest: &Manifest, root: &Path) -> Written {
    fs::create_dir_all(root.join(LISTS_DIRECTORY)).expect("it is made");
    let written = manifest.write_beyond(0, &mut |path, bytes| fs::write(root.join(path), bytes));
    let written = written.expect("it is written");
    fs::write(root.join(MANIFEST_FILE), &written.text).expect("it is written");
    written
}

fn read(root: &Path) -> Result<Manifest, ReadError> {
    read_manifest(&LakeStore::Directory(root.to_owned()))
}

/// What is said of a lake, with one string of its manifest replaced by another.
fn with(root: &Path, from: &str, to: &str) -> String {
    with_all(root, &[(from, to)])
}

fn with_all(root: &Path, changes: &[(&str, &str)]) -> String {
    let path = root.join(MANIFEST_FILE);
    let before = fs::read_to_string(&path).expect("a manifest");
    let changed = changes.iter().fold(before.clone(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replacen(from, to, 1)
    });
    fs::write(&path, changed).expect("it is written");
    let error = read(root).expect_err("it is refused").to_string();
    fs::write(&path, before).expect("it is written");
    error.replace(&root.display().to_string(), "LAKE")
}

#[test]
fn an_index_reads_as_the_manifest_it_was() {
    let lake = tempfile::tempdir().expect("a directory");
    let (manifest, written) = indexed(lake.path(), 100_000);
    let found = read(lake.path()).expect("it reads");
    assert_eq!(found, manifest);
    assert_eq!(found.lists().cloned().collect::<Vec<_>>(), written.lists);
    // Of 100 MB of warnings there are several lists, each with a number of its own.
    let paths: Vec<&str> = written.lists.iter().map(|list| &list.path[..list.path.len() - 27]).collect();
    let expected = [
        "sources-00000",
        "files-00000",
        "warnings-00000",
        "warnings-00001",
        "warnings-00002",
        "warnings-00003",
    ];
    assert_eq!(paths, expected.map(|name| format!("manifest/{name}-")));
    assert!(written.lists.iter().all(|list| is_list(&list.path)));
    assert_eq!(written.lists[2..].iter().map(|list| list.entries).sum::<u64>(), 100_000);
    let listed = found.listed();
    for list in &written.lists {
        assert_eq!(listed.get(list.path.as_str()), Some(&Some(list.bytes)));
    }
    // It is written again as it was, and without lists when they are not needed.
    assert_eq!(write(&found, lake.path()), written);
    let mut few = found;
    few.warnings = Entries::default();
    assert_eq!(few.written().expect("it is written").lists, []);
}

#[test]
fn entries_are_inside_until_they_are_too_many() {
    let mut manifest = testing::manifest(vec![]);
    manifest.warnings = (1..MOST_INSIDE).map(warning).collect();
    let inside = manifest.written().expect("it is written");
    assert_eq!(inside.lists, []);
    assert!(inside.text.starts_with(b"{\n  \"formatVersion\": 1,"));
    manifest.warnings.push(warning(0));
    let outside = manifest.written().expect("it is written");
    assert_eq!(outside.lists.len(), 2);
    assert!(outside.text.starts_with(b"{\n  \"formatVersion\": 2,"));
    assert!(outside.text.len() < 5000, "it holds no entry");
}

#[test]
fn what_is_wrong_with_a_list_is_said() {
    let temporary = tempfile::tempdir().expect("a directory");
    let root = temporary.path();
    let (manifest, written) = indexed(root, 2);
    let [_, files, warnings] = &written.lists[..] else { panic!("{:?}", written.lists) };
    let path = |list: &ListFile| root.join(&list.path);

    let said = with(root, &files.path, "manifest/../files-00000-0123456789abcdef.ndjson.zst");
    assert_eq!(
        said,
        "LAKE/manifest.json names the list \"manifest/../files-00000-0123456789abcdef.ndjson.zst\", which is none of flowlake's"
    );
    let said = with(root, &files.path, &files.path.replace("00000", "00001"));
    assert!(said.contains("which is none of flowlake's"), "{said}");
    let said = with(root, &files.path, &warnings.path);
    assert!(said.contains("which is none of flowlake's"), "{said}");
    let said = with(root, &files.sha256, &"0".repeat(64));
    assert_eq!(
        said,
        format!(
            "LAKE/{} is not what manifest.json says: SHA-256 expected {}, found {}",
            files.path,
            "0".repeat(64),
            files.sha256
        )
    );
    let size = |bytes: u64| format!("\"bytes\": {bytes},\n        \"sha256\": \"{}", warnings.sha256);
    let said = with(root, &size(warnings.bytes), &size(1));
    let expected = format!(
        "LAKE/{} is not what manifest.json says: 1 bytes expected, found {}",
        warnings.path, warnings.bytes
    );
    assert_eq!(said, expected);
    let said = with(root, "\"formatVersion\": 2", "\"formatVersion\": 1");
    assert!(said.ends_with("not a manifest"), "{said}");
    let said = with(root, "\"entries\": 2", "\"entries\": 3");
    assert_eq!(
        said,
        format!("LAKE/{} is not what manifest.json says: 3 entries expected, found 2", warnings.path)
    );

    let before = fs::read(path(warnings)).expect("a list");
    let replace = |bytes: &[u8]| {
        fs::write(path(warnings), bytes).expect("it is written");
        let said = with_all(
            root,
            &[
                (&warnings.sha256, &hex(&Sha256::digest(bytes))),
                (&format!("\"bytes\": {},", warnings.bytes), &format!("\"bytes\": {},", bytes.len())),
            ],
        );
        said.replace(&warnings.path, "LIST")
    };
    assert_eq!(replace(&before[..before.len() - 8]), "LAKE/LIST, after line 0: not Zstandard, or cut off");
    assert_eq!(replace(b"{}\n"), "LAKE/LIST, after line 0: not Zstandard, or cut off");
    let mut lines = zstd::decode_all(&before[..]).expect("Zstandard");
    lines.extend_from_slice(b"{\"kind\": 3}\n");
    let said = replace(&zstd::encode_all(&lines[..], 0).expect("it is compressed"));
    assert_eq!(said, "LAKE/LIST line 3, column 10: not an entry of a manifest");

    fs::remove_file(path(warnings)).expect("it is removed");
    let error = read(root).expect_err("it is refused").to_string();
    assert_eq!(error, format!("{} is missing, a list of manifest.json", path(warnings).display()));
    fs::write(path(warnings), before).expect("it is written");
    assert_eq!(read(root).expect("it reads"), manifest);
}

#[test]
fn only_our_names_are_those_of_lists() {
    let good = "manifest/files-00000-0123456789abcdef.ndjson.zst";
    assert!(is_list(good));
    assert!(is_list(&good.replace("files", "sources").replace("00000", "123456")));
    for bad in [
        "files-00000-0123456789abcdef.ndjson.zst",
        "manifest/files-0000-0123456789abcdef.ndjson.zst",
        "manifest/files-0000x-0123456789abcdef.ndjson.zst",
        "manifest/files-00000-0123456789ABCDEF.ndjson.zst",
        "manifest/files-00000-0123456789abcdef.ndjson",
        "manifest/rows-00000-0123456789abcdef.ndjson.zst",
        "manifest/../files-00000-0123456789abcdef.ndjson.zst",
        "manifest/a/files-00000-0123456789abcdef.ndjson.zst",
    ] {
        assert!(!is_list(bad), "{bad}");
    }
}
