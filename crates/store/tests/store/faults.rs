//! What the client makes of a server that fails.

use std::io::{self, Read};
use std::time::Duration;

use flowlake_store::{Condition, ErrorKind, LakeStore, ObjectStore, Put, StoreError, StoreOptions};
use flowlake_testserver::{Behaviour, Fault, Request, Server};

use crate::places::{at, noise, options};

const SIZE: usize = 1000;

/// A server with one object of 1,000 bytes, `x`, that is read in ranges of 400 bytes, one at a time.
struct World {
    server: Server,
    store: ObjectStore,
}

impl World {
    fn new() -> Self {
        Self::with(&StoreOptions { range_bytes: 400, ranges_ahead: 0, retries: 2, ..options() })
    }

    fn with(options: &StoreOptions) -> Self {
        let server = Server::start(Behaviour::default()).expect("a port");
        server.write("lake/x", &noise(SIZE), &[]);
        let store = at(&server, options);
        Self { server, store }
    }

    /// The n-th request for bytes, from 0, goes wrong as `fault` says.
    fn misbehave(&self, mut fault: impl FnMut(usize, &Request) -> Fault + Send + 'static) {
        let mut reads = 0;
        self.server.misbehave(move |request| {
            if !request.reads_object() {
                return Fault::None;
            }
            reads += 1;
            fault(reads - 1, request)
        });
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let lake = LakeStore::Objects(self.store.clone());
        let entry = lake.entry("x").expect("it can be asked").expect("it is there");
        let mut bytes = Vec::new();
        lake.reader(&entry).expect("it opens").read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn reads_well(&self) {
        assert!(self.read().expect("it reads") == noise(SIZE));
    }

    #[track_caller]
    fn fails(&self, kind: &ErrorKind, says: &str) -> StoreError {
        let error = self.read().expect_err("it cannot be read");
        assert!(StoreError::inside(&error).is_some(), "{error:?}");
        let error = error.downcast::<StoreError>().expect("the store has to say something");
        assert_eq!(error.to_string(), "cannot read s3://b/lake/x");
        assert_eq!(&error.kind, kind, "{}", error.source);
        let text = error.source.to_string();
        assert!(text.contains(says), "{text}");
        error
    }

    /// First byte and the one behind the last of the ranges that were asked for.
    fn ranges(&self) -> Vec<(usize, usize)> {
        let requests = self.server.take_requests();
        let reads = requests.iter().filter(|request| request.reads_object());
        reads.map(|request| request.range().unwrap_or((0, SIZE))).collect()
    }
}

fn first(fault: Fault) -> impl FnMut(usize, &Request) -> Fault + Send {
    move |read, _| if read == 0 { fault.clone() } else { Fault::None }
}

#[test]
fn an_object_is_asked_for_in_ranges() {
    let world = World::new();
    world.reads_well();
    assert_eq!(world.ranges(), [(0, 400), (400, 800), (800, 1000)]);
}

#[test]
fn an_answer_that_breaks_off_is_resumed_where_it_did() {
    let world = World::new();
    world.misbehave(first(Fault::Cut(150)));
    world.reads_well();
    assert_eq!(world.ranges(), [(0, 400), (150, 400), (400, 800), (800, 1000)]);
}

#[test]
fn a_range_that_is_called_the_whole_is_taken_for_what_it_is() {
    let world = World::new();
    world.misbehave(|_, _| Fault::RangeCalledWhole);
    world.reads_well();
    assert_eq!(world.ranges(), [(0, 400), (400, 800), (800, 1000)]);
}

#[test]
fn every_answer_may_break_off_as_long_as_each_brings_something() {
    let world = World::with(&StoreOptions { range_bytes: 10_000, ranges_ahead: 0, retries: 1, ..options() });
    world.misbehave(|_, _| Fault::Cut(200));
    world.reads_well();
    assert_eq!(world.ranges(), [(0, 1000), (200, 1000), (400, 1000), (600, 1000), (800, 1000)]);
}

#[test]
fn an_answer_that_stalls_is_resumed_where_it_did() {
    let options =
        StoreOptions { timeout: Duration::from_millis(300), range_bytes: 400, ranges_ahead: 0, ..options() };
    let world = World::with(&options);
    for (fault, resumed) in [(Fault::Stall(150), 150), (Fault::Silent, 0)] {
        world.misbehave(first(fault));
        world.reads_well();
        assert_eq!(world.ranges(), [(0, 400), (resumed, 400), (400, 800), (800, 1000)]);
    }
}

#[test]
fn answers_that_did_not_come_are_asked_for_again() {
    for fault in [
        Fault::Status(500, "InternalError"),
        Fault::Status(503, "SlowDown"),
        Fault::Status(503, ""),
        Fault::Status(429, "TooManyRequests"),
        Fault::Lost,
        Fault::Cut(0),
    ] {
        let world = World::new();
        let name = format!("{fault:?}");
        world.misbehave(move |read, _| if read < 2 { fault.clone() } else { Fault::None });
        world.reads_well();
        assert_eq!(world.ranges(), [(0, 400), (0, 400), (0, 400), (400, 800), (800, 1000)], "{name}");
    }
}

#[test]
fn a_server_that_never_recovers_is_given_up() {
    for (fault, kind, says) in [
        (Fault::Status(503, "SlowDown"), ErrorKind::Unavailable, "status 503, SlowDown"),
        (Fault::Status(500, ""), ErrorKind::Unavailable, "status 500"),
        (Fault::Lost, ErrorKind::Unavailable, ""),
        (Fault::Cut(0), ErrorKind::Unavailable, ""),
    ] {
        let world = World::with(&StoreOptions { range_bytes: 400, ranges_ahead: 0, retries: 1, ..options() });
        let name = format!("{fault:?}");
        world.misbehave(move |_, _| fault.clone());
        let error = world.fails(&kind, says);
        assert!(error.hint().is_some() && error.may_pass(), "{name}");
        let ranges = world.ranges();
        // Both the library and we try each request twice.
        assert!(
            (2..=4).contains(&ranges.len()) && ranges.iter().all(|&range| range == (0, 400)),
            "{name}: {ranges:?}"
        );
    }
}

#[test]
fn a_server_that_is_silent_for_ever_is_given_up() {
    let options = StoreOptions { timeout: Duration::from_millis(100), retries: 1, ..options() };
    let world = World::with(&options);
    world.misbehave(|_, _| Fault::Silent);
    let error = world.fails(&ErrorKind::Timeout, "");
    assert!(error.hint().is_some_and(|hint| hint.contains("FLOWLAKE_STORE_TIMEOUT")));
}

#[test]
fn what_no_retry_can_cure_is_not_tried_again() {
    for (fault, kind, says) in [
        (Fault::Status(404, "NoSuchKey"), ErrorKind::NotFound, "NoSuchKey"),
        (Fault::Status(404, "NoSuchBucket"), ErrorKind::NoBucket, "NoSuchBucket"),
        (Fault::Status(403, "AccessDenied"), ErrorKind::Permission, "AccessDenied"),
        (Fault::Status(403, "SignatureDoesNotMatch"), ErrorKind::BadCredentials, "status 403"),
        (
            Fault::Status(412, "PreconditionFailed"),
            ErrorKind::Changed,
            "it was replaced or removed while it was read",
        ),
        (Fault::OtherTag, ErrorKind::Changed, "it was replaced or removed while it was read"),
        (Fault::NoRange, ErrorKind::NotSupported, ""),
    ] {
        let world = World::new();
        let name = format!("{fault:?}");
        // The first range comes; so whatever is wrong with the second is no matter of the place as such.
        world.misbehave(move |read, _| if read == 0 { Fault::None } else { fault.clone() });
        world.fails(&kind, says);
        assert_eq!(world.ranges(), [(0, 400), (400, 800)], "{name}");
    }
}

/// Bytes of two contents must never be put together.
#[test]
fn an_object_that_is_replaced_between_two_answers_is_no_object() {
    for replacement in [noise(SIZE + 1)[1..].to_vec(), noise(SIZE - 1), noise(SIZE + 1)] {
        for cut in [Fault::None, Fault::Cut(150)] {
            let world = World::new();
            let lake = LakeStore::Objects(world.store.clone());
            let entry = lake.entry("x").expect("it can be asked").expect("it is there");
            world.misbehave(first(cut));
            let mut reader = lake.reader(&entry).expect("it opens");
            // The first range is asked for and the second is not yet.
            reader.read_exact(&mut [0; 10]).expect("it is there");
            world.server.write("lake/x", &replacement, &[]);
            let mut rest = Vec::new();
            match reader.read_to_end(&mut rest) {
                // The library may have had all of the second range before.
                Ok(_) => assert!(rest == noise(SIZE)[10..]),
                Err(error) => {
                    let error = error.downcast::<StoreError>().expect("the store has to say something");
                    assert_eq!(error.kind, ErrorKind::Changed, "{}", error.source);
                    assert!(rest[..] == noise(SIZE)[10..10 + rest.len()]);
                }
            }
        }
    }
}

/// Another content, met when an answer that broke off is asked for again.
#[test]
fn an_object_that_is_replaced_while_an_answer_comes_is_no_object() {
    let world = World::new();
    world.misbehave(|read, _| match read {
        0 => Fault::Cut(150),
        _ => Fault::OtherTag,
    });
    world.fails(&ErrorKind::Changed, "it was replaced or removed while it was read");
    let ranges = world.ranges();
    assert_eq!(ranges[..2], [(0, 400), (150, 400)]);
    assert!(ranges[1..].iter().all(|&range| range == (150, 400)), "{ranges:?}");
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let World { server, store } = World::with(&StoreOptions { retries: 0, ..options() });
    drop(server);
    let error = store.stat("x").expect_err("nobody answers");
    assert_eq!(error.kind, ErrorKind::Unreachable, "{}", error.source);
    assert_eq!(error.to_string(), "cannot look at s3://b/lake/x");
    assert!(error.hint().is_some_and(|hint| hint.contains("AWS_ENDPOINT_URL")));
}

#[test]
fn small_objects_and_lists_are_asked_for_again_too() {
    for fault in [Fault::Status(503, ""), Fault::Lost, Fault::Cut(7), Fault::Cut(0)] {
        let world = World::new();
        let name = format!("{fault:?}");
        let mut requests = 0;
        // Every other request, whatever it is.
        world.server.misbehave(move |_| {
            requests += 1;
            if requests % 2 == 1 { fault.clone() } else { Fault::None }
        });
        let (bytes, _) = world.store.read("x").expect(&name).expect("it is there");
        assert!(bytes == noise(SIZE), "{name}");
        assert_eq!(world.store.walk("").expect(&name).len(), 1, "{name}");
        assert!(world.store.stat("x").expect(&name).is_some(), "{name}");
    }
}

#[test]
fn writes_with_a_condition_are_tried_once() {
    for (fault, is_written) in [
        (Fault::Lost, true),
        (Fault::Unheard, false),
        (Fault::DoneBut(500, "InternalError"), true),
        (Fault::Status(503, "SlowDown"), false),
    ] {
        let world = World::new();
        let name = format!("{fault:?}");
        world.server.misbehave(move |_| fault.clone());
        let error = world.store.put("y", b"1".to_vec(), Condition::Absent, "").expect_err("nobody says so");
        assert!(error.may_pass(), "{name}: {:?} {}", error.kind, error.source);
        assert_eq!(world.server.take_requests().len(), 1, "{name}");
        assert_eq!(world.server.object("lake/y").is_some(), is_written, "{name}");
    }
}

#[test]
fn conditions_that_do_not_hold_are_no_errors() {
    let world = World::new();
    let (_, stat) = world.store.read("x").expect("it reads").expect("it is there");
    let version = stat.entry.version.expect("it has one");
    let put = |path: &str, condition| world.store.put(path, b"2".to_vec(), condition, "").expect("it says");
    assert_eq!(put("x", Condition::Absent), Put::Refused);
    assert_eq!(put("missing", Condition::Is(&version)), Put::Refused);
    assert_eq!(put("x", Condition::Is(&version)), Put::Written);
    assert_eq!(put("x", Condition::Is(&version)), Put::Refused);
    assert_eq!(put("y", Condition::Absent), Put::Written);
    // Of two at a time the store refuses one in its own way.
    world.server.misbehave(|_| Fault::Status(409, "ConditionalRequestConflict"));
    assert_eq!(put("x", Condition::Is(&version)), Put::Refused);
    assert_eq!(put("z", Condition::Absent), Put::Refused);
}

#[test]
fn a_store_that_overlooks_conditions_is_found_out_and_nothing_stays() {
    for conditions in [true, false] {
        let server = Server::start(Behaviour { conditions, ..Behaviour::default() }).expect("a port");
        assert_eq!(at(&server, &options()).honours_conditions().expect("it can be tried"), conditions);
        assert!(server.keys().is_empty());
    }
    // One that says so.
    let server = Server::start(Behaviour::default()).expect("a port");
    server.misbehave(|request| match request.header("if-none-match").or(request.header("if-match")) {
        Some(_) => Fault::Status(501, "NotImplemented"),
        None => Fault::None,
    });
    assert!(!at(&server, &options()).honours_conditions().expect("it can be tried"));
    assert!(server.keys().is_empty());
}

#[test]
fn a_lost_answer_is_no_answer_about_conditions() {
    for fault in [Fault::Lost, Fault::DoneBut(500, "InternalError"), Fault::Status(503, "")] {
        let server = Server::start(Behaviour::default()).expect("a port");
        let name = format!("{fault:?}");
        let mut requests = 0;
        server.misbehave(move |_| {
            requests += 1;
            if requests % 2 == 1 { fault.clone() } else { Fault::None }
        });
        assert!(at(&server, &options()).honours_conditions().expect(&name), "{name}");
        assert!(server.keys().is_empty(), "{name}");
    }
}
