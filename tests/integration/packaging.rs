//! The forms in which a dump may lie in a directory: all of them give the same rows and the same data files.

use std::collections::BTreeMap;

use super::support::{DumpText, Flow, World, pack, tree};

fn dump() -> DumpText {
    let flows = (0..500).map(|number| {
        let start = format!("2019-{:02}-28 23:59:{:02}.000", number / 100 + 6, number % 60);
        if number % 9 == 0 { Flow::inbound() } else { Flow::numbered(number).starting(&start) }
    });
    flows.fold(DumpText::default(), |dump, flow| dump.flow(&flow)).spelled(&Flow::new(), "damaged").trailer()
}

/// The data and the rejected lines of the lake built from these files, and the manifest without what names the files.
#[track_caller]
fn built(files: &[(&str, &[u8])]) -> (BTreeMap<String, Vec<u8>>, serde_json::Value) {
    let world = World::new().with_limits("max_rejected_share = 0.01");
    for (name, bytes) in files {
        world.add_dump(name, bytes);
    }
    let lake = world.built();
    let parts: Vec<_> = lake.source()["parts"].as_array().expect("a list").clone();
    let listed: Vec<_> =
        parts.iter().map(|part| (part["name"].as_str().expect("a name"), &part["bytes"])).collect();
    let expected: Vec<_> =
        files.iter().map(|(name, bytes)| (*name, serde_json::json!(bytes.len()))).collect();
    assert_eq!(listed, expected.iter().map(|(name, bytes)| (*name, bytes)).collect::<Vec<_>>());
    assert!(parts.iter().all(|part| part["sha256"].as_str().is_some_and(|digest| digest.len() == 64)));

    let mut manifest = lake.manifest.clone();
    manifest["sources"][0]["parts"].take();
    manifest["totals"]["inputBytes"].take();
    let mut data = tree(&lake.path(""));
    data.remove("manifest.json");
    (data, manifest)
}

#[test]
fn all_forms_give_the_same_rows_and_the_same_data_files() {
    let dump = dump();
    let bytes = dump.bytes();
    let published = pack::tar_gz("hub", bytes);
    let (data, manifest) = built(&[("hub.tar.gz", &published)]);
    assert_eq!(manifest["rowAccounting"]["read"], 501);
    assert!(data.len() > 6, "months and rejected lines");
    let same = |files: &[(&str, &[u8])]| {
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        let (other_data, other_manifest) = built(files);
        assert!(other_data == data, "{names:?} gives other files");
        assert_eq!(other_manifest, manifest, "{names:?}");
    };
    same(&[("hub.tgz", &published)]);
    same(&[("hub.json", bytes)]);
    same(&[("hub.json.gz", &pack::gzip(bytes))]);
    same(&[("hub.json.gz", &pack::gzip_members(bytes, 7))]);
    same(&[("hub.json.zst", &pack::zstd(bytes))]);
    let frames: Vec<u8> = pack::pieces(bytes, 3).into_iter().flat_map(pack::zstd).collect();
    same(&[("hub.json.zst", &frames)]);
    same(&[("hub.tar.gz", &pack::gzip_members(&pack::tar(&[("hub.json", bytes)]), 5))]);

    let two = pack::pieces(&published, 2);
    same(&[("hub.tar.gz00", two[0]), ("hub.tar.gz01", two[1])]);
    let many = pack::pieces(&published, 12);
    let names: Vec<String> = (0..12).map(|number| format!("hub.tar.gz{number:02}")).collect();
    same(&names.iter().map(String::as_str).zip(many.iter().copied()).collect::<Vec<_>>());
    let names: Vec<String> = (0..12).map(|number| format!("hub.tar.gz{number:03}")).collect();
    same(&names.iter().map(String::as_str).zip(many).collect::<Vec<_>>());
    let parts = pack::pieces(bytes, 3);
    same(&[("hub.json00", parts[0]), ("hub.json01", parts[1]), ("hub.json02", parts[2])]);
}

#[test]
fn a_part_may_be_a_single_byte_or_empty() {
    let published = pack::tar_gz("hub", dump().bytes());
    let (data, _) = built(&[("hub.tar.gz", &published)]);
    let (middle, last) = published.split_at(1).1.split_at(7);
    let parts = [
        ("hub.tar.gz00", &published[..1]),
        ("hub.tar.gz01", &[]),
        ("hub.tar.gz02", middle),
        ("hub.tar.gz03", last),
        ("hub.tar.gz04", &[]),
    ];
    assert!(built(&parts).0 == data);
}

#[test]
fn the_name_of_the_entry_and_its_companions_do_not_matter() {
    let dump = dump();
    let (data, manifest) = built(&[("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()))]);
    let entries: [(&str, &[u8]); 4] = [
        ("home/user/README.md", b"made by somebody"),
        ("home/user/._flows.json", b"a companion file of macOS"),
        ("home/user/flows.json", dump.bytes()),
        ("LICENCE", b"free"),
    ];
    let other = built(&[("hub.tar.gz", &pack::gzip(&pack::tar(&entries)))]);
    assert!(other.0 == data);
    assert_eq!(other.1, manifest);
}

#[test]
fn an_entry_with_a_long_name_or_pax_headers_is_read() {
    let dump = dump();
    let (data, _) = built(&[("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()))]);
    // More than the 100 bytes of a header: `tar` writes a long-name entry before it.
    let long = format!("{}/{}.json", "d".repeat(120), "f".repeat(90));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(dump.bytes().len() as u64);
    builder.append_data(&mut header, &long, dump.bytes()).expect("memory takes it");
    let archive = builder.into_inner().expect("memory takes it");
    assert!(built(&[("hub.tar.gz", &pack::gzip(&archive))]).0 == data);

    let size = dump.bytes().len().to_string();
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_pax_extensions([("mtime", b"1561451789.747".as_slice()), ("size", size.as_bytes())])
        .expect("memory takes it");
    let mut header = tar::Header::new_ustar();
    header.set_size(dump.bytes().len() as u64);
    builder.append_data(&mut header, "hub.json", dump.bytes()).expect("memory takes it");
    let archive = builder.into_inner().expect("memory takes it");
    assert!(built(&[("hub.tar.gz", &pack::gzip(&archive))]).0 == data);
}

#[test]
fn several_json_files_in_an_archive_are_one_dump() {
    let dump = dump();
    let (data, _) = built(&[("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()))]);
    let cut = dump.bytes().iter().position(|&byte| byte == b'\n').expect("a line end") + 1;
    let (first, rest) = dump.bytes().split_at(cut);
    let archive = pack::tar(&[("hub-1.json", first), ("hub-2.json", rest)]);
    assert!(built(&[("hub.tar.gz", &pack::gzip(&archive))]).0 == data);
}

#[test]
fn two_json_files_in_an_archive_do_not_grow_together_where_the_first_lacks_a_line_end() {
    let lines = [Flow::numbered(1).line(), Flow::numbered(2).line()];
    let archive = pack::tar(&[("a.json", lines[0].as_bytes()), ("b.json", lines[1].as_bytes())]);
    let world = World::new();
    world.add_dump("hub.tar.gz", &pack::gzip(&archive));
    assert_eq!(world.built().column("IoTTransportPort"), [50_001, 50_002]);
}

#[test]
fn a_tar_archive_without_its_end_mark_is_whole() {
    let dump = dump();
    let (data, _) = built(&[("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()))]);
    let archive = pack::tar(&[("hub.json", dump.bytes())]);
    let without = &archive[..512 + dump.bytes().len().next_multiple_of(512)];
    assert!(built(&[("hub.tar.gz", &pack::gzip(without))]).0 == data);
}

#[test]
fn line_ends_byte_order_marks_and_blank_lines_change_no_row() {
    let text = String::from_utf8(DumpText::of((0..20).map(Flow::numbered)).bytes().to_vec()).expect("UTF-8");
    let rows = |bytes: &[u8]| {
        let world = World::new();
        world.add_dump("hub.json", bytes);
        let lake = world.built();
        assert_eq!(lake.warnings(), Vec::<&str>::new());
        lake.rows()
    };
    let expected = rows(text.as_bytes());
    assert_eq!(expected.len(), 20);
    assert!(rows(text.trim_end().as_bytes()) == expected, "no line feed at the end");
    assert!(rows(text.replace('\n', "\r\n").as_bytes()) == expected, "CRLF");
    assert!(rows(text.trim_end().replace('\n', "\r\n").as_bytes()) == expected, "CRLF, but not at the end");
    assert!(rows(text.replace('\n', "\n\n \t\n\r\n").as_bytes()) == expected, "blank lines");
    assert!(rows(format!("\n\n{text}\n\n").as_bytes()) == expected, "blank lines around it");
    assert!(rows(format!("\u{feff}{text}").as_bytes()) == expected, "a byte order mark");
    assert!(rows(format!("\u{feff}{}", text.replace('\n', "\r\n")).as_bytes()) == expected, "both");
}

#[test]
fn a_byte_order_mark_at_a_line_start_is_passed_over_and_elsewhere_it_is_not() {
    let dump = DumpText::default()
        .flow(&Flow::new())
        .spelled(&Flow::new(), format!("\u{feff}{}", Flow::new().line()))
        .spelled(&Flow::new(), format!("{}\u{feff}", Flow::new().line()));
    let lake = World::with_hub(&dump.trailer()).lenient().built();
    assert_eq!(lake.accounting()["kept"], 2, "files that were joined have one at each beginning");
    assert_eq!(lake.accounting()["rejected"], 1);
}

#[test]
fn what_is_counted_over_a_large_dump_does_not_depend_on_how_it_is_packed() {
    // More distinct values of a dropped field than are counted one by one. One value comes back in each chunk of 8 MiB
    // just when that chunk has seen too many others: where chunks begin decides whether it is counted, so they must begin
    // at the same lines however many bytes come at a time.
    let rows_of_a_chunk = (8 << 20) / (Flow::new().line().len() as u64 + 1);
    let flows = (0..35_000_u64).map(|number| {
        let comes_back = number % rows_of_a_chunk == 1024 + 20 && number > rows_of_a_chunk;
        let value = if number == 0 || comes_back { 0 } else { number };
        Flow::new().text("tcpSequenceNumber", &format!("0x{value:08x}"))
    });
    let dump = DumpText::of(flows);
    let bytes = dump.bytes();
    let whole = built(&[("hub.json", bytes)]);
    assert_eq!(whole.1["droppedColumns"][9]["name"], "tcpSequenceNumber");
    assert_eq!(whole.1["droppedColumns"][9]["evidence"]["distinctIsEstimate"], true);
    let pieces = pack::pieces(bytes, 7);
    let names: Vec<String> = (0..7).map(|number| format!("hub.json{number:02}")).collect();
    let split = names.iter().map(String::as_str).zip(pieces).collect::<Vec<_>>();
    let packed = pack::gzip_members(bytes, 11);
    let zstd = pack::zstd(bytes);
    let published = pack::tar_gz("hub", bytes);
    for files in [
        split,
        vec![("hub.json.gz", packed.as_slice())],
        vec![("hub.json.zst", zstd.as_slice())],
        vec![("hub.tar.gz", published.as_slice())],
    ] {
        let other = built(&files);
        assert!(other.0 == whole.0, "{} gives other files", files[0].0);
        let evidence = |manifest: &serde_json::Value| manifest["droppedColumns"][9]["evidence"].clone();
        assert_eq!(evidence(&other.1), evidence(&whole.1), "{}", files[0].0);
    }
}

#[test]
fn archives_joined_to_one_are_read_to_their_end() {
    let dump = dump();
    let (data, _) = built(&[("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()))]);
    let cut = dump.bytes().iter().rposition(|&byte| byte == b'{').expect("a line");
    let cut = dump.bytes()[..cut].iter().rposition(|&byte| byte == b'\n').expect("a line end") + 1;
    let (first, rest) = dump.bytes().split_at(cut);
    let (first, rest) = (pack::tar(&[("a.json", first)]), pack::tar(&[("b.json", rest)]));
    assert!(built(&[("hub.tar.gz", &pack::gzip(&[first.clone(), rest.clone()].concat()))]).0 == data, "tars");
    assert!(
        built(&[("hub.tar.gz", &[pack::gzip(&first), pack::gzip(&rest)].concat())]).0 == data,
        "gzip files"
    );
}

#[test]
fn zeros_behind_an_archive_or_a_gzip_file_are_padding() {
    let dump = dump();
    let (data, _) = built(&[("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()))]);
    for zeros in [1, 511, 512, 10_240, 300_000] {
        let mut archive = pack::tar(&[("hub.json", dump.bytes())]);
        archive.resize(archive.len() + zeros, 0);
        assert!(built(&[("hub.tar.gz", &pack::gzip(&archive))]).0 == data, "{zeros} in the archive");
        let mut packed = pack::tar_gz("hub", dump.bytes());
        packed.resize(packed.len() + zeros, 0);
        assert!(built(&[("hub.tar.gz", &packed)]).0 == data, "{zeros} behind gzip");
        let mut packed = pack::gzip(dump.bytes());
        packed.resize(packed.len() + zeros, 0);
        assert!(built(&[("hub.json.gz", &packed)]).0 == data, "{zeros} behind gzip without tar");
    }
}

#[test]
fn a_byte_order_mark_at_each_beginning_of_joined_files_is_no_part_of_a_record() {
    let lines = [1, 2].map(|number| format!("\u{feff}{}\n", Flow::numbered(number).line()));
    let archive = pack::tar(&[("a.json", lines[0].as_bytes()), ("b.json", lines[1].as_bytes())]);
    let world = World::new();
    world.add_dump("hub.tar.gz", &pack::gzip(&archive));
    assert_eq!(world.built().column("IoTTransportPort"), [50_001, 50_002]);
}
