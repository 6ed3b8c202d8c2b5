//! Reading gives the same wherever the bytes are.

use std::io::{Read, Seek, SeekFrom};

use flowlake_store::{Entry, EntryKind, LakeStore};
use flowlake_testserver::{Behaviour, Server};

use crate::places::{Kind, Place, at, noise, options, read_all, write};

/// The tests of this module in each kind of place.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        crate::places::in_every_place!(
            Directory: [$($test),*],
            Memory: [$($test),*],
            Own: [$($test),*],
            S3: [$($test),*],
            S3Unconditional: [$($test),*],
        );
    };
}

tests!(
    lists_are_those_of_the_place_and_in_order,
    a_place_beside_that_begins_alike_is_not_seen,
    what_is_absent_is_none_and_no_error,
    bytes_are_the_same_by_every_way,
    a_list_can_be_longer_than_a_page,
    what_vanished_is_an_error_that_names_it,
    readers_can_be_left_at_any_time,
);

fn paths(entries: &[Entry]) -> Vec<(&str, EntryKind, u64)> {
    entries.iter().map(|entry| (entry.path.as_str(), entry.kind, entry.bytes)).collect()
}

/// What is there, but for directories, which object stores do not have.
fn walked(lake: &LakeStore) -> Vec<(String, u64)> {
    let entries = lake.walk(&|_| true).expect("it can be listed");
    let files = entries.into_iter().filter(|entry| entry.kind != EntryKind::Directory);
    files.map(|entry| (entry.path, entry.bytes)).collect()
}

fn lists_are_those_of_the_place_and_in_order(place: &Place) {
    let lake = place.lake();
    assert_eq!(walked(&lake), []);
    assert_eq!(lake.files().expect("it can be listed"), []);
    for (path, bytes) in
        [("b.json", 3), ("data/month=2019-06/x-1.parquet", 5), ("data/y", 0), ("a", 0), ("c d é", 2)]
    {
        write(&lake, path, &noise(bytes));
    }
    // By bytes, whatever the place thinks of `-` and `/`.
    write(&lake, "data-x", b"1");
    let file = |path, bytes| (path, EntryKind::File, bytes);
    let all = [
        ("a", 0),
        ("b.json", 3),
        ("c d é", 2),
        ("data-x", 1),
        ("data/month=2019-06/x-1.parquet", 5),
        ("data/y", 0),
    ]
    .map(|(path, bytes)| (path.to_owned(), bytes));
    assert_eq!(walked(&lake), all);
    let files = lake.files().expect("it can be listed");
    assert_eq!(paths(&files), [file("a", 0), file("b.json", 3), file("c d é", 2), file("data-x", 1)]);
    if let LakeStore::Objects(objects) = &lake {
        let below = objects.walk("data").expect("it can be listed");
        assert_eq!(paths(&below), [file("data/month=2019-06/x-1.parquet", 5), file("data/y", 0)]);
    }
    // A place below is a place.
    let below = place.beside("lake/data");
    assert_eq!(walked(&below), [("month=2019-06/x-1.parquet".to_owned(), 5), ("y".to_owned(), 0)]);
}

/// As `rclone serve s3` did, once, while several wrote into one directory.
#[test]
fn an_object_that_a_list_tells_twice_is_one_object() {
    let server = Server::start(Behaviour { told: 2, ..Behaviour::default() }).expect("a port");
    let objects = at(&server, &options());
    let lake = LakeStore::Objects(objects.clone());
    for path in ["a", "data/x", "data/y"] {
        write(&lake, path, path.as_bytes());
    }
    let expected = [("a", 1), ("data/x", 6), ("data/y", 6)].map(|(path, bytes)| (path.to_owned(), bytes));
    assert_eq!(walked(&lake), expected);
    assert_eq!(paths(&lake.files().expect("it can be listed")), [("a", EntryKind::File, 1)]);
    assert_eq!(objects.walk("data").expect("it can be listed").len(), 2);
}

fn a_place_beside_that_begins_alike_is_not_seen(place: &Place) {
    let (lake, beside) = (place.lake(), place.beside("lake2"));
    write(&beside, "foreign", b"not ours");
    write(&place.beside("lak"), "foreign", b"not ours");
    assert_eq!(walked(&lake), []);
    assert_eq!(lake.files().expect("it can be listed"), []);
    assert_eq!(lake.entry("foreign").expect("it can be asked"), None);
    write(&lake, "own", b"ours");
    assert_eq!(walked(&lake), [("own".to_owned(), 4)]);
    assert_eq!(walked(&beside), [("foreign".to_owned(), 8)]);
}

fn what_is_absent_is_none_and_no_error(place: &Place) {
    let lake = place.lake();
    write(&lake, "data/x", b"1");
    for path in ["missing", "data/missing", "missing/missing", "data/x/missing"] {
        // This server keeps objects as files, and a file has nothing below it: to it that is a failure.
        if place.kind == Kind::S3Unconditional && path == "data/x/missing" {
            continue;
        }
        assert_eq!(lake.entry(path).expect("it can be asked"), None, "{path}");
        assert_eq!(lake.read(path).expect("it can be asked"), None, "{path}");
    }
    match lake.entry("data").expect("it can be asked") {
        // An object store knows no directories; a server that keeps them as such may.
        None => assert_ne!(place.kind, Kind::Directory),
        Some(entry) => assert_eq!(entry.kind, EntryKind::Directory, "{:?}", place.kind),
    }
}

fn bytes_are_the_same_by_every_way(place: &Place) {
    let lake = place.lake();
    // Ranges are of 100 bytes: none, one and a bit less and more, several, more than are asked for ahead.
    for size in [0, 1, 99, 100, 101, 200, 350, 1000, 2345] {
        let path = format!("data/file-{size}");
        let bytes = noise(size);
        write(&lake, &path, &bytes);
        let entry = lake.entry(&path).expect("it can be asked").expect("it is there");
        assert_eq!(
            (entry.path.as_str(), entry.kind, entry.bytes),
            (path.as_str(), EntryKind::File, size as u64)
        );
        assert_eq!(lake.read(&path).expect("it reads").as_deref(), Some(bytes.as_slice()), "{size}");
        assert!(read_all(&lake, &path) == bytes, "{size}");

        // As it was listed, rather than asked for.
        let walked = lake.walk(&|_| true).expect("it can be listed");
        let listed = walked.iter().find(|entry| entry.path == path).expect("it is listed");
        let mut read = Vec::new();
        lake.reader(listed).expect("it opens").read_to_end(&mut read).expect("it reads");
        assert!(read == bytes, "{size}");

        let mut file = lake.fetch(listed).expect("it comes");
        let mut read = Vec::new();
        file.read_to_end(&mut read).expect("it reads");
        assert!(read == bytes, "{size}");
        file.seek(SeekFrom::Start(0)).expect("it is a file");
    }
}

fn a_list_can_be_longer_than_a_page(place: &Place) {
    let lake = place.lake();
    let files: Vec<(String, u64)> = (0..13).map(|file| (format!("data/{file:02}"), 1)).collect();
    for (path, _) in files.iter().rev() {
        write(&lake, path, b"x");
    }
    assert_eq!(walked(&lake), files);
    assert_eq!(place.beside("lake/data").files().expect("it can be listed").len(), 13);
}

fn what_vanished_is_an_error_that_names_it(place: &Place) {
    let lake = place.lake();
    write(&lake, "data/x", &noise(250));
    let entry = lake.entry("data/x").expect("it can be asked").expect("it is there");
    match &lake {
        LakeStore::Directory(root) => fs_err::remove_file(root.join("data/x")).expect("it is removed"),
        LakeStore::Objects(objects) => objects.delete(&["data/x".to_owned()]).expect("it is deleted"),
    }
    let name = lake.name("data/x");
    let fetched = lake.fetch(&entry).expect_err("there is nothing");
    assert_eq!(fetched.url, name);
    let text = match lake.reader(&entry) {
        Err(error) => error.to_string(),
        Ok(mut reader) => reader.read_to_end(&mut Vec::new()).expect_err("there is nothing").to_string(),
    };
    assert!(text.contains(&name), "{text}");
    if let LakeStore::Objects(objects) = &lake {
        objects.delete(&["data/x".to_owned()]).expect("to delete what is not there is no error");
    }
}

fn readers_can_be_left_at_any_time(place: &Place) {
    let lake = place.lake();
    let bytes = noise(2000);
    write(&lake, "x", &bytes);
    let entry = lake.entry("x").expect("it can be asked").expect("it is there");
    for taken in [0, 1, 100, 450] {
        let mut reader = lake.reader(&entry).expect("it opens");
        let mut some = vec![0; taken];
        reader.read_exact(&mut some).expect("there is more");
        assert!(some == bytes[..taken]);
    }
}
