//! Where a dump is cut into chunks changes nothing: neither rows nor rejections, lines, offsets or counts.

use std::collections::BTreeMap;
use std::path::Path;

use flowlake_ingest::{Chunk, Decoder, Dump, DumpFormat, DumpReader, Limits, PartDigest, RawBatch};
use flowlake_store::{Entry, LakeStore};
use fs_err as fs;
use proptest::prelude::*;

use super::support::{DumpText, Flow, cases, pack};

/// About 1.3 MB with everything a dump can hold, and lines much longer than the others.
fn text() -> Vec<u8> {
    let mut dump = DumpText::default();
    for number in 0..1000_u64 {
        let flow = Flow::numbered(number);
        dump = match number % 37 {
            5 => dump.spelled(&flow, &flow.line().as_bytes()[..number as usize % 900 + 1]),
            11 => dump.line(""),
            13 => dump.spelled(&flow, flow.line() + "\r"),
            17 => dump.spelled(&flow, [b"{\"flows\":\xff\xfe".as_slice(), &number.to_le_bytes()].concat()),
            19 => dump.flow(&flow.clone().raw(&format!("unknown{}", number % 5), "[{\"a\":[1,2]}]")),
            23 => dump.spelled(&flow, flow.line().replace("\":", "\" : ")),
            29 => dump.line("{\"dns\":{}}").stats(number, number * 12),
            _ => dump.flow(&flow),
        };
        if number % 250 == 100 {
            dump = dump.flow(&flow.text("padding", &"long ".repeat(30_000)));
        }
    }
    // The last line has no end.
    let mut bytes = dump.trailer().line("cut o").bytes().to_vec();
    bytes.pop();
    bytes
}

/// Everything that decoding gives, over all chunks.
#[derive(Debug, Default)]
struct Decoded {
    batch: RawBatch,
    chunks: usize,
    digests: Vec<PartDigest>,
}

fn read(dump: &Dump, chunk_bytes: usize, reuse: bool) -> Decoded {
    let limits = Limits::default();
    let mut reader = DumpReader::with_chunk_bytes(dump, &limits, chunk_bytes).expect("it opens");
    let decoder = Decoder::new(&dump.name, &limits);
    let mut decoded = Decoded::default();
    let mut buffer = Vec::new();
    let mut next_offset = 0;
    while let Some(chunk) = reader.next_chunk(buffer).expect("it is whole") {
        assert_eq!(chunk.offset, next_offset, "chunks are one behind the other");
        assert_eq!(chunk.bytes().last(), Some(&b'\n'), "chunks are cut at line ends");
        next_offset += chunk.bytes().len() as u64;
        decoded.add(decoder.decode(&chunk).expect("no limit is passed"));
        // Used memory holds old lines behind the new ones.
        buffer = if reuse { chunk.into_buffer() } else { Vec::new() };
    }
    decoded.digests = reader.digests().to_vec();
    decoded
}

impl Decoded {
    fn add(&mut self, next: RawBatch) {
        self.chunks += 1;
        let all = &mut self.batch;
        if self.chunks == 1 {
            *all = next;
            return;
        }
        all.flows.vstack_mut(&next.flows).expect("the same columns");
        all.rejections.extend(next.rejections);
        all.packets += next.packets;
        all.records.flows += next.records.flows;
        all.records.stats += next.records.stats;
        all.records.tombstone += next.records.tombstone;
        all.records.other += next.records.other;
        all.control_totals = next.control_totals.or(all.control_totals);
        all.unknown_fields.merge(&next.unknown_fields);
    }
}

fn check(found: &RawBatch, expected: &RawBatch) -> Result<(), TestCaseError> {
    prop_assert!(found.flows.equals_missing(&expected.flows), "other rows");
    prop_assert_eq!(&found.rejections, &expected.rejections);
    prop_assert_eq!(found.records, expected.records);
    prop_assert_eq!(found.packets, expected.packets);
    prop_assert_eq!(found.control_totals, expected.control_totals);
    prop_assert_eq!(&found.unknown_fields, &expected.unknown_fields);
    Ok(())
}

fn dump_of(directory: &Path, format: DumpFormat, files: &[&[u8]]) -> Dump {
    for (i, bytes) in files.iter().enumerate() {
        fs::write(directory.join(format!("part{i}")), bytes).expect("it is written");
    }
    let input = LakeStore::Directory(directory.to_owned());
    // Those of an earlier dump may lie behind ours.
    let parts: Vec<Entry> = input.files().expect("it is listed").into_iter().take(files.len()).collect();
    Dump { name: "hub".to_owned(), input, format, parts }
}

#[test]
fn the_text_of_these_tests_has_everything_in_it() {
    let batch =
        Decoder::new("hub", &Limits::default()).decode(&Chunk::whole(&text())).expect("no limit is passed");
    assert!(batch.flows.height() > 800 && batch.rejections.len() > 50);
    assert!(batch.records.stats > 20 && batch.records.other > 20 && batch.unknown_fields.iter().count() > 3);
    // Lines are numbered as an editor would.
    let bytes = text();
    for rejection in &batch.rejections {
        let before = &bytes[..usize::try_from(rejection.offset).expect("small")];
        assert_eq!(before.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1, rejection.line);
        assert!(bytes[before.len()..].starts_with(&rejection.text));
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn chunks_of_any_size_give_what_the_whole_gives(
        sizes in prop::collection::vec(1_usize..600_000, 3),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 2),
        reuse in any::<bool>(),
    ) {
        let text = text();
        let whole = Decoder::new("hub", &Limits::default()).decode(&Chunk::whole(&text)).expect("no limit is passed");
        let directory = tempfile::tempdir().expect("a directory");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        cuts.sort_unstable();
        let parts = [&text[..cuts[0]], &text[cuts[0]..cuts[1]], &text[cuts[1]..]];
        // Plain parts end anywhere, and a read ends with them: cuts in lines, in keys, in line ends.
        for (format, files) in [
            (DumpFormat::Json, parts.map(<[u8]>::to_vec).to_vec()),
            (DumpFormat::JsonGz, vec![parts.map(pack::gzip).concat()]),
            (DumpFormat::TarGz, vec![pack::gzip(&pack::tar(&[("a.json", &text)]))]),
        ] {
            let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
            let dump = dump_of(directory.path(), format, &files);
            for &size in &sizes {
                let found = read(&dump, size, reuse);
                prop_assert!(found.chunks > 1 || size > 500_000, "{} chunks of {size}", found.chunks);
                check(&found.batch, &whole)?;
                prop_assert_eq!(found.digests.len(), files.len());
            }
        }
    }
}

#[test]
fn digests_of_parts_do_not_depend_on_chunks() {
    let text = text();
    let directory = tempfile::tempdir().expect("a directory");
    let packed = pack::tar_gz("hub", &text);
    let parts = pack::pieces(&packed, 3);
    let dump = dump_of(directory.path(), DumpFormat::TarGz, &parts);
    let digests: BTreeMap<usize, Vec<PartDigest>> =
        [1, 100_000, 10_000_000].into_iter().map(|size| (size, read(&dump, size, true).digests)).collect();
    assert_eq!(digests[&1], digests[&100_000]);
    assert_eq!(digests[&1], digests[&10_000_000]);
    let sizes: Vec<u64> = digests[&1].iter().map(|part| part.bytes).collect();
    assert_eq!(sizes, parts.iter().map(|part| part.len() as u64).collect::<Vec<_>>());
}
