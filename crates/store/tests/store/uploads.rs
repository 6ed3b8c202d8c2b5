//! Uploads bring files to their place with their digest, or leave nothing.

use std::path::PathBuf;
use std::time::Duration;

use flowlake_store::{Cancelled, Condition, LakeStore, Put, Upload, unique_name};
use flowlake_testserver::{Behaviour, Fault, Server};
use fs_err as fs;

use crate::places::{Place, at, noise, options, read_all};

macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        crate::places::in_every_place!(
            Memory: [$($test),*],
            Own: [$($test),*],
            S3: [$($test),*],
            S3Unconditional: [$($test),*],
        );
    };
}

tests!(
    files_of_every_size_arrive,
    what_is_there_is_not_uploaded_again,
    what_was_cancelled_can_be_named,
    objects_are_written_and_deleted_many_at_a_time,
);

/// Files of this machine that wait.
struct Spool(tempfile::TempDir);

impl Spool {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn upload(&self, path: &str, bytes: &[u8]) -> Upload {
        let file: PathBuf = self.0.path().join(path.replace('/', "_"));
        fs::write(&file, bytes).expect("it is written");
        Upload {
            path: path.to_owned(),
            file,
            bytes: bytes.len() as u64,
            sha256: format!("digest-of-{}", bytes.len()),
            may_be_there: false,
        }
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.0.path()).expect("a directory").next().is_none()
    }
}

fn files_of_every_size_arrive(place: &Place) {
    let (store, spool) = (place.objects(), Spool::new());
    let uploads = store.uploads();
    // Parts are of 1,000 bytes: in one request up to that, in two and more parts above, with a shorter one at the end.
    let sizes = [0, 1, 999, 1000, 1001, 2000, 4567, 30_000];
    for size in sizes {
        uploads.add(spool.upload(&format!("data/f-{size:05}"), &noise(size))).expect("none failed");
    }
    let mut uploaded = uploads.wait().expect("all are there");
    uploaded.sort();
    assert_eq!(uploaded, sizes.map(|size| format!("data/f-{size:05}")));
    assert!(spool.is_empty());
    let lake = LakeStore::Objects(store.clone());
    let paths: Vec<&str> = uploaded.iter().map(String::as_str).collect();
    let stats = store.stat_all(&paths).expect("they can be asked");
    for ((size, path), stat) in sizes.into_iter().zip(paths).zip(stats) {
        let stat = stat.expect("it is there");
        assert_eq!((stat.entry.path.as_str(), stat.entry.bytes), (path, size as u64));
        assert_eq!(stat.sha256, Some(format!("digest-of-{size}")), "{path}");
        assert_eq!(stat.mark, None);
        assert!(read_all(&lake, path) == noise(size), "{path}");
    }
}

fn what_is_there_is_not_uploaded_again(place: &Place) {
    let (store, spool) = (place.objects(), Spool::new());
    for size in [10, 2500] {
        let path = format!("x-{size}");
        let upload = || Upload { may_be_there: true, ..spool.upload(&path, &noise(size)) };
        let add = |upload| {
            let uploads = store.uploads();
            uploads.add(upload).expect("none failed");
            uploads.wait().expect("it is there")
        };
        assert_eq!(add(upload()), [path.as_str()], "it may be there and is not");
        assert!(add(upload()).is_empty(), "it is there");
        let other = Upload { sha256: "another".to_owned(), ..upload() };
        assert_eq!(add(other), [path.as_str()], "with other bytes");
        assert!(spool.is_empty());
        // Whoever writes it anew leaves no digest.
        store.put(&path, noise(size), Condition::Any, "mark").expect("it is written");
        let stat = store.stat(&path).expect("it can be asked").expect("it is there");
        assert_eq!((stat.sha256, stat.mark.as_deref()), (None, Some("mark")));
        assert_eq!(add(upload()), [path.as_str()], "without a digest");
    }
}

fn what_was_cancelled_can_be_named(place: &Place) {
    let (store, spool) = (place.objects(), Spool::new());
    let uploads = store.uploads();
    uploads.add(spool.upload("done", &noise(10))).expect("none failed");
    uploads.wait().expect("it is there");
    for file in 0..20 {
        uploads.add(spool.upload(&format!("f-{file:02}"), &noise(5000))).expect("none failed");
    }
    let Cancelled { uploaded, left } = uploads.cancel();
    assert!(left.is_empty(), "{left:?}");
    assert!(uploaded.contains(&"done".to_owned()));
    // A server may carry out what nobody waits for any more, so some may still come; but none that is not named.
    for entry in store.walk("").expect("it can be listed") {
        assert!(uploaded.contains(&entry.path), "{entry:?}");
    }
}

fn objects_are_written_and_deleted_many_at_a_time(place: &Place) {
    let store = place.objects();
    let paths: Vec<String> = (0..40).map(|object| format!("d/{object}&<é> {}", unique_name())).collect();
    for path in &paths {
        let put = store.put_until_answered(path, b"x", Condition::Any, "").expect("it is written");
        assert_eq!(put, Put::Written);
    }
    assert_eq!(store.walk("d").expect("it can be listed").len(), paths.len());
    store.delete(&paths).expect("they are deleted");
    store.delete(&paths).expect("nor is it an error that they are gone");
    assert_eq!(store.walk("").expect("it can be listed"), []);
}

/// What the server is asked for a file of three parts.
#[test]
fn a_multipart_upload_is_begun_once_and_completed() {
    let server = Server::start(Behaviour::default()).expect("a port");
    let (store, spool) = (at(&server, &options()), Spool::new());
    let uploads = store.uploads();
    uploads.add(spool.upload("x", &noise(2500))).expect("none failed");
    uploads.wait().expect("it is there");
    let asked: Vec<String> = server.take_requests().into_iter().map(|request| request.method).collect();
    assert_eq!(asked, ["POST", "PUT", "PUT", "PUT", "POST"]);
    let object = server.object("lake/x").expect("it is there");
    assert!(object.bytes == noise(2500));
    assert_eq!(object.metadata["flowlakesha256"], "digest-of-2500");
    assert!(server.unfinished_uploads().is_empty());
}

/// The server begins an upload and its answer is lost; the library asks for another. The first must not stay.
#[test]
fn uploads_begun_without_our_knowledge_are_aborted() {
    let server = Server::start(Behaviour::default()).expect("a port");
    let (store, spool) = (at(&server, &options()), Spool::new());
    let mut begun = 0;
    server.misbehave(move |request| {
        if request.method == "POST" && request.query.contains_key("uploads") {
            begun += 1;
            // An error, because a lost answer is not tried again by the library but by us.
            return [Fault::DoneBut(500, "InternalError"), Fault::Lost]
                .get(begun - 1)
                .cloned()
                .unwrap_or(Fault::None);
        }
        Fault::None
    });
    let uploads = store.uploads();
    uploads.add(spool.upload("x", &noise(2500))).expect("none failed");
    assert_eq!(uploads.wait().expect("it is there"), ["x"]);
    assert!(server.unfinished_uploads().is_empty(), "{:?}", server.unfinished_uploads());
    assert!(server.object("lake/x").expect("it is there").bytes == noise(2500));
}

#[test]
fn a_cancelled_multipart_upload_leaves_nothing_on_the_server() {
    let server = Server::start(Behaviour::default()).expect("a port");
    let (store, spool) = (at(&server, &options()), Spool::new());
    let (sender, began) = std::sync::mpsc::channel();
    server.misbehave(move |request| {
        let is_part = request.method == "PUT" && request.query.contains_key("partNumber");
        if is_part && request.query["partNumber"] == "3" {
            let _ = sender.send(());
            return Fault::Silent;
        }
        Fault::None
    });
    let uploads = store.uploads();
    uploads.add(spool.upload("x", &noise(9500))).expect("none failed");
    began.recv().expect("parts are sent");
    assert_eq!(server.unfinished_uploads(), ["lake/x"]);
    let Cancelled { uploaded, left } = uploads.cancel();
    assert!(uploaded.is_empty() && left.is_empty(), "{uploaded:?} {left:?}");
    assert!(server.unfinished_uploads().is_empty());
    assert!(server.keys().is_empty());
}

/// The object was written, but its answer did not come before the upload was cancelled.
#[test]
fn an_upload_that_was_cancelled_on_its_way_is_named() {
    let server = Server::start(Behaviour::default()).expect("a port");
    let (store, spool) = (at(&server, &options()), Spool::new());
    for size in [500, 2500] {
        let (sender, began) = std::sync::mpsc::channel();
        server.misbehave(move |request| {
            let writes =
                request.writes_object() || request.method == "POST" && request.query.contains_key("uploadId");
            if writes {
                let _ = sender.send(());
                return Fault::Silent;
            }
            Fault::None
        });
        let uploads = store.uploads();
        uploads.add(spool.upload("x", &noise(size))).expect("none failed");
        began.recv().expect("it is written");
        while server.keys().is_empty() {
            std::thread::yield_now();
        }
        let Cancelled { uploaded, left } = uploads.cancel();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(uploaded, ["x"], "it may be there");
        server.behave();
        store.delete(&uploaded).expect("it is deleted");
        assert!(server.keys().is_empty() && server.unfinished_uploads().is_empty());
    }
}

/// A server that is still writing while we give up must not be done after what was written is deleted.
#[test]
fn what_a_server_is_writing_is_waited_for() {
    for (size, step) in [(500, 0), (2500, 4)] {
        let server = Server::start(Behaviour::default()).expect("a port");
        let (store, spool) = (at(&server, &options()), Spool::new());
        let (sender, began) = std::sync::mpsc::channel();
        let mut requests = 0;
        server.misbehave(move |_| {
            requests += 1;
            if requests != step + 1 {
                return Fault::None;
            }
            let _ = sender.send(());
            Fault::Late(Duration::from_millis(300))
        });
        let uploads = store.uploads();
        uploads.add(spool.upload("x", &noise(size))).expect("none failed");
        began.recv().expect("it is written");
        let Cancelled { uploaded, left } = uploads.cancel();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(uploaded, ["x"]);
        assert_eq!(server.keys(), ["lake/x"], "the server is done with it");
    }
}

/// Each way in which a write goes wrong although it was carried out, or was not.
#[test]
fn uploads_survive_whatever_can_be_tried_again() {
    for fault in [
        Fault::Lost,
        Fault::Unheard,
        Fault::DoneBut(500, "InternalError"),
        Fault::Status(503, "SlowDown"),
        Fault::Status(500, ""),
    ] {
        for size in [500, 2500] {
            let server = Server::start(Behaviour::default()).expect("a port");
            let (store, spool) = (at(&server, &options()), Spool::new());
            // Each kind of request goes wrong the first time.
            let (fault, mut seen) = (fault.clone(), Vec::new());
            let name = format!("{fault:?} {size}");
            server.misbehave(move |request| {
                let kind = (request.method.clone(), request.query.keys().cloned().collect::<Vec<String>>());
                if seen.contains(&kind) {
                    return Fault::None;
                }
                seen.push(kind);
                fault.clone()
            });
            let uploads = store.uploads();
            uploads.add(spool.upload("x", &noise(size))).expect("none failed");
            assert_eq!(uploads.wait().expect(&name), ["x"], "{name}");
            assert!(server.object("lake/x").expect("it is there").bytes == noise(size), "{name}");
            assert!(server.unfinished_uploads().is_empty(), "{name}: {:?}", server.unfinished_uploads());
            assert!(spool.is_empty());
        }
    }
}

#[test]
fn an_upload_that_is_refused_is_an_error_that_names_it() {
    let server = Server::start(Behaviour::default()).expect("a port");
    let (store, spool) = (at(&server, &options()), Spool::new());
    server.misbehave(|request| match request.method.as_str() {
        "PUT" => Fault::Status(403, "AccessDenied"),
        _ => Fault::None,
    });
    for size in [500, 2500] {
        let uploads = store.uploads();
        uploads.add(spool.upload("x", &noise(size))).expect("none failed yet");
        let error = uploads.wait().expect_err("it is refused");
        assert_eq!((error.operation, error.url.as_str()), ("write", "s3://b/lake/x"));
        assert_eq!(error.kind, flowlake_store::ErrorKind::Permission);
        assert!(uploads.cancel().uploaded.is_empty());
        assert!(server.unfinished_uploads().is_empty());
    }
}
