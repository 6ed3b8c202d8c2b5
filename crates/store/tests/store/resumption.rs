//! However answers break off, the bytes are the same.

use std::io::Read;

use flowlake_store::{LakeStore, StoreOptions};
use flowlake_testserver::{Behaviour, Fault, Server};
use proptest::prelude::*;

use crate::places::{at, noise, options};

/// What may go wrong with one answer. There are never more of these than there are retries.
fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => (0..700usize).prop_map(Fault::Cut),
        1 => Just(Fault::Lost),
        1 => Just(Fault::Status(500, "InternalError")),
        2 => Just(Fault::None),
    ]
}

proptest! {
    // Each pauses for some tenths of a second for each fault, as a client should.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_cuts_gives_the_same_bytes(
        size in 1..2000usize,
        range_bytes in 1..900usize,
        ranges_ahead in 0..4usize,
        faults in prop::collection::vec(fault(), 0..8),
        taken in 1..500usize,
    ) {
        // No more than some dozens of ranges.
        let range_bytes = range_bytes.max(size / 30);
        let bytes = noise(size);
        let server = Server::start(Behaviour::default()).expect("a port");
        server.write("lake/x", &bytes, &[]);
        let lake = LakeStore::Objects(at(
            &server,
            &StoreOptions { range_bytes, ranges_ahead, retries: faults.len(), ..options() },
        ));
        let entry = lake.entry("x").expect("it can be asked").expect("it is there");
        let mut faults = faults.into_iter();
        server.misbehave(move |_| faults.next().unwrap_or(Fault::None));
        let mut reader = lake.reader(&entry).expect("it opens");
        let mut read = Vec::new();
        let mut buffer = vec![0; taken];
        loop {
            match reader.read(&mut buffer).expect("it reads") {
                0 => break,
                n => read.extend_from_slice(&buffer[..n]),
            }
        }
        prop_assert!(read == bytes);
        let requests = server.take_requests();
        let mut ranges = requests.iter().filter_map(|request| request.range());
        prop_assert!(ranges.all(|(first, end)| first < end && end <= size));
    }
}
