//! Bombs: what is too large is an error that names the cap and how to raise it, not an outage.

use super::support::{DumpText, Flow, Outcome, World, pack};

/// The smallest cap on lines a catalogue may set.
const LINE: usize = 65_536;

/// Builds this dump as JSON under these limits, which it must pass.
#[track_caller]
fn refuse(dump: &DumpText, limits: &str) -> Outcome {
    let world = World::new().with_limits(limits);
    world.add_dump("hub.json.gz", &pack::gzip(dump.bytes()));
    world.refused(3, &[])
}

/// A good flow of so many bytes.
fn flow_of(bytes: usize) -> Flow {
    let padded = |text: &str| Flow::new().text("padding", text);
    let flow = padded(&"x".repeat(bytes - padded("").line().len()));
    assert_eq!(flow.line().len(), bytes);
    flow
}

#[test]
fn a_line_above_the_cap_is_an_error_that_names_line_and_cap() {
    let dump = DumpText::of([Flow::new(), flow_of(LINE + 1), Flow::new()]);
    let outcome = refuse(&dump, "max_line_bytes = 65536");
    insta::assert_snapshot!(outcome.stderr, @r"
    error: dump hub: a line's length in bytes is above the limit of 65536 (line 2, byte 1608)
    hint: if the dump is genuine, raise `max_line_bytes` under [limits] in the catalogue
    ");
}

#[test]
fn a_line_of_exactly_the_cap_is_read_and_a_raised_cap_lets_longer_ones_be_read() {
    let world = World::new().with_limits("max_line_bytes = 65536");
    world.add_dump("hub.json", DumpText::of([Flow::new(), flow_of(LINE)]).bytes());
    assert_eq!(world.built().source()["kept"], 2);
    let world = World::new().with_limits("max_line_bytes = 65537");
    world.add_dump("hub.json", DumpText::of([Flow::new(), flow_of(LINE + 1)]).bytes());
    assert_eq!(world.built().source()["kept"], 2);
}

#[test]
fn a_line_without_end_is_stopped_at_the_cap_without_any_configuration() {
    // 64 MiB in one line, a few KiB compressed.
    let world = World::new();
    let line = vec![b'x'; 64 << 20];
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", &line));
    let outcome = world.refused(3, &[]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: dump hub: a line's length in bytes is above the limit of 1048576 (line 1, byte 0)
    hint: if the dump is genuine, raise `max_line_bytes` under [limits] in the catalogue
    ");
}

#[test]
fn a_too_long_line_at_the_end_of_a_dump_is_found_too() {
    let dump = DumpText::default().flow(&Flow::new());
    let offset = dump.offset();
    let dump = dump.line("x".repeat(LINE + 1));
    refuse(&dump, "max_line_bytes = 65536")
        .expect_says([&format!("(line 2, byte {offset})"), "max_line_bytes"]);
}

#[test]
fn more_decompressed_bytes_than_the_cap_are_an_error_in_every_form() {
    let dump = DumpText::of((0..2000).map(Flow::numbered));
    let forms = [
        ("hub.json", dump.bytes().to_vec()),
        ("hub.json.gz", pack::gzip(dump.bytes())),
        ("hub.json.gz", pack::gzip_members(dump.bytes(), 5)),
        ("hub.json.zst", pack::zstd(dump.bytes())),
        ("hub.tar.gz", pack::tar_gz("hub", dump.bytes())),
    ];
    for (name, bytes) in forms {
        let world = World::new().with_limits("max_decompressed_bytes = 1000000");
        world.add_dump(name, &bytes);
        let outcome = world.refused(3, &[]);
        outcome.expect_says([
            "dump hub: the decompressed size in bytes is above the limit of 1000000 (part hub.",
            "raise `max_decompressed_bytes` under [limits] in the catalogue",
        ]);
    }
}

#[test]
fn a_dump_of_exactly_the_cap_is_read() {
    let dump = DumpText::of([Flow::new()]);
    let world = World::new().with_limits(&format!("max_decompressed_bytes = {}", dump.bytes().len()));
    world.add_dump("hub.json", dump.bytes());
    assert_eq!(world.built().source()["kept"], 1);
    let world = World::new().with_limits(&format!("max_decompressed_bytes = {}", dump.bytes().len() - 1));
    world.add_dump("hub.json", dump.bytes());
    world.refused(3, &[]);
}

#[test]
fn a_bomb_in_another_entry_of_the_archive_is_stopped_too() {
    let dump = DumpText::of([Flow::new()]);
    let zeros = vec![0; 16 << 20];
    for entries in [
        [("zeros.bin", zeros.as_slice()), ("hub.json", dump.bytes())],
        [("hub.json", dump.bytes()), ("zeros.bin", zeros.as_slice())],
    ] {
        let world = World::new().with_limits("max_decompressed_bytes = 1000000");
        world.add_dump("hub.tar.gz", &pack::gzip(&pack::tar(&entries)));
        world.refused(3, &[]).expect_says(["dump hub", "max_decompressed_bytes"]);
    }
}

#[test]
fn a_bomb_behind_the_end_of_the_archive_is_stopped_too() {
    let mut archive = pack::tar(&[("hub.json", DumpText::of([Flow::new()]).bytes())]);
    archive.resize(archive.len() + (16 << 20), 0);
    let world = World::new().with_limits("max_decompressed_bytes = 1000000");
    world.add_dump("hub.tar.gz", &pack::gzip(&archive));
    world.refused(3, &[]).expect_says(["dump hub", "max_decompressed_bytes"]);
}

#[test]
fn more_archive_entries_than_the_cap_are_an_error() {
    let dump = DumpText::of([Flow::new()]);
    let names: Vec<String> = (0..10).map(|i| format!("notes-{i}.txt")).collect();
    let mut entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"x".as_slice())).collect();
    entries.push(("hub.json", dump.bytes()));
    let archive = pack::gzip(&pack::tar(&entries));
    let world = World::new().with_limits("max_archive_entries = 10");
    world.add_dump("hub.tar.gz", &archive);
    let outcome = world.refused(3, &[]);
    let size = archive.len().to_string();
    insta::assert_snapshot!(outcome.stderr.replace(&size, "[size]"), @r"
    error: dump hub: the number of archive entries is above the limit of 10 (part hub.tar.gz, byte [size])
    hint: if the dump is genuine, raise `max_archive_entries` under [limits] in the catalogue
    ");
    let world = world.with_limits("max_archive_entries = 11");
    assert_eq!(world.built().source()["kept"], 1);
}

#[test]
fn paths_inside_an_archive_are_never_used_as_paths() {
    let world = World::new();
    let dump = DumpText::of([Flow::new()]);
    let mut archive = pack::tar(&[("evil.json", dump.bytes())]);
    // `tar` refuses to write such names: put one into the header and mend its checksum.
    let name = b"../../evil.json\0";
    archive[..name.len()].copy_from_slice(name);
    archive[148..156].fill(b' ');
    let sum: u32 = archive[..512].iter().map(|&byte| u32::from(byte)).sum();
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    world.add_dump("hub.tar.gz", &pack::gzip(&archive));
    let lake = world.built();
    assert_eq!(lake.source()["kept"], 1);
    assert_eq!(
        lake.files_without_digests(),
        ["data/month=2019-07/deviceClass=iotGatewayHub/hub-00000.parquet"]
    );
    assert!(!world.root().parent().is_some_and(|parent| parent.join("evil.json").exists()));
}

#[test]
fn deeply_nested_json_is_rejected_and_no_stack_overflows() {
    let deep = format!("{{\"flows\":{{\"a\":{}{}}}}}", "[".repeat(30_000), "]".repeat(30_000));
    let dump = DumpText::default().spelled(&Flow::new(), deep).flow(&Flow::new()).trailer();
    let lake = World::with_hub(&dump).lenient().built();
    assert_eq!(lake.accounting()["rejected"], 1);
    assert_eq!(lake.accounting()["kept"], 1);
}

#[test]
fn more_rejected_lines_than_the_cap_stop_a_build_whatever_their_share() {
    let dump =
        (0..20).fold(DumpText::default().flow(&Flow::new()), |dump, i| dump.line(format!("damaged {i}")));
    let world =
        World::with_hub(&dump.trailer()).with_limits("max_rejected_share = 1.0\nmax_rejected_lines = 19");
    let outcome = world.refused(1, &[]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: dump hub: more than 19 lines are rejected; the first: line 2, byte 1608: not JSON: expected value at column 1
    hint: is this a dump of flows? If it is, raise `max_rejected_lines` under [limits] in the catalogue
    ");
    let world = world.with_limits("max_rejected_share = 1.0\nmax_rejected_lines = 20");
    assert_eq!(world.built().accounting()["rejected"], 20);
}

#[test]
fn rejected_lines_longer_than_the_cap_all_together_stop_a_build() {
    let dump =
        ["abcd", "efgh", "ijklm"].iter().fold(DumpText::of([Flow::new()]), |dump, line| dump.line(line));
    let world = World::with_hub(&dump).with_limits("max_rejected_share = 1.0\nmax_rejected_bytes = 12");
    let outcome = world.refused(1, &[]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: dump hub: more than 12 bytes of lines are rejected; the first: line 4, byte 1987: not JSON: expected value at column 1
    hint: is this a dump of flows? If it is, raise `max_rejected_bytes` under [limits] in the catalogue
    ");
    world.expect_no_staging();
    let world = world.with_limits("max_rejected_share = 1.0\nmax_rejected_bytes = 13");
    assert_eq!(world.built().accounting()["rejected"], 3);
}

#[test]
fn flows_in_more_months_than_the_cap_are_an_error() {
    let starts = ["2019-06-01", "2019-07-01", "2019-08-01"];
    let flows = || starts.iter().map(|day| Flow::new().starting(&format!("{day} 00:00:00.000")));
    let world = World::with_hub(&DumpText::of(flows())).with_limits("max_months = 2");
    let outcome = world.refused(3, &[]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: dump hub: its flows lie in more than 2 months, the limit, from 2019-06 to 2019-08
    hint: if the times are genuine, raise `max_months` under [limits] in the catalogue
    ");
    assert_eq!(world.with_limits("max_months = 3").built().files().len(), 3);
    // Months of flows that are not kept open no file.
    let removed = flows().map(|flow| flow.between("02:00:00:00:00:fe", "02:00:00:00:00:01"));
    let world = World::with_hub(&DumpText::of(removed)).with_limits("max_months = 1");
    assert_eq!(world.built().accounting()["read"], 3);
}

#[test]
fn text_of_256_bytes_is_the_longest() {
    // 128 letters of two bytes each.
    let longest = "ä".repeat(128);
    let too_long = format!("{longest}x");
    let flows = [&longest, &too_long, &"x".repeat(65)].map(|text| Flow::new().text("flowEndReason", text));
    let lake = World::with_hub(&DumpText::of(flows)).lenient().built();
    assert_eq!(lake.column("flowEndReason"), [longest, "x".repeat(65)]);
    let reason = lake.rejected("hub")[0]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.starts_with("flowEndReason: expected text of at most 256 bytes, found \"ää"), "{reason}");
}
