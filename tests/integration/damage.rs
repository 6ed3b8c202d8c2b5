//! Damaged and incomplete dumps: exit 3, naming the dump, the part and the offset, and nothing is published.

use fs_err as fs;

use super::support::{DEVICE_MAC, DumpText, Flow, OTHER_MAC, Outcome, World, catalogue, device, pack};

/// A dump large enough that damage in its middle lies behind rows that were already read.
fn many_flows() -> DumpText {
    DumpText::of((0..2000).map(Flow::numbered))
}

/// Builds `hub` from these files, which must fail; the old lake must stay as it was.
#[track_caller]
fn refuse(files: &[(&str, &[u8])]) -> Outcome {
    let world = World::new();
    for (name, bytes) in files {
        world.add_dump(name, bytes);
    }
    world.refused(3, &[])
}

/// The offset an error names, as a number.
#[track_caller]
fn offset(outcome: &Outcome) -> usize {
    let (_, after) = outcome.stderr.split_once("byte ").expect("an offset");
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn a_truncated_gzip_stream_names_dump_part_and_offset() {
    let packed = pack::tar_gz("hub", many_flows().bytes());
    for length in [packed.len() / 2, packed.len() - 1, packed.len() - 8, 20, 5] {
        let outcome = refuse(&[("hub.tar.gz", &packed[..length])]);
        assert_eq!(offset(&outcome), length, "{}", outcome.stderr);
        outcome.expect_says([
            "error: dump hub: gzip stream ends too early, in part hub.tar.gz at byte ",
            "\nhint: ",
        ]);
    }
}

#[test]
fn an_empty_file_is_no_dump() {
    refuse(&[("hub.tar.gz", b"")]).expect_says(["dump hub"]);
    refuse(&[("hub.json.gz", b"")]).expect_says(["dump hub"]);
    refuse(&[("hub.json.zst", b"")]).expect_says(["dump hub"]);
}

#[test]
fn a_corrupt_gzip_stream_names_dump_part_and_offset() {
    let mut packed = pack::tar_gz("hub", many_flows().bytes());
    let middle = packed.len() / 2;
    packed[middle..middle + 64].fill(0xff);
    let outcome = refuse(&[("hub.tar.gz", &packed)]);
    assert!(offset(&outcome) >= middle.min(packed.len()), "{}", outcome.stderr);
    outcome.expect_says([
        "error: dump hub: damaged gzip stream, found in part hub.tar.gz near byte ",
        "caused by: ",
    ]);
}

#[test]
fn a_wrong_checksum_at_the_end_of_a_gzip_stream_is_found() {
    let mut packed = pack::tar_gz("hub", many_flows().bytes());
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    refuse(&[("hub.tar.gz", &packed)])
        .expect_says(["dump hub: damaged gzip stream, found in part hub.tar.gz"]);
    let mut packed = pack::gzip(many_flows().bytes());
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    refuse(&[("hub.json.gz", &packed)])
        .expect_says(["dump hub: damaged gzip stream, found in part hub.json.gz"]);
}

#[test]
fn what_is_no_gzip_at_all_is_said_to_be_damaged() {
    let outcome = refuse(&[("hub.tar.gz", b"<html>404 Not Found</html> and so on, for a while")]);
    outcome.expect_says(["dump hub: damaged gzip stream, found in part hub.tar.gz near byte "]);
}

#[test]
fn garbage_behind_a_gzip_stream_is_found() {
    let mut packed = pack::tar_gz("hub", many_flows().bytes());
    packed.extend_from_slice(&[b'x'; 64]);
    refuse(&[("hub.tar.gz", &packed)])
        .expect_says(["dump hub: damaged gzip stream, found in part hub.tar.gz"]);
}

#[test]
fn a_truncated_zstd_stream_names_dump_part_and_offset() {
    let packed = pack::zstd(many_flows().bytes());
    for length in [packed.len() / 2, packed.len() - 1, 7] {
        let outcome = refuse(&[("hub.json.zst", &packed[..length])]);
        assert_eq!(offset(&outcome), length, "{}", outcome.stderr);
        outcome.expect_says(["dump hub: zstd stream ends too early, in part hub.json.zst at byte "]);
    }
}

#[test]
fn a_corrupt_zstd_stream_names_dump_part_and_offset() {
    let mut packed = pack::zstd(many_flows().bytes());
    let middle = packed.len() / 2;
    for byte in &mut packed[middle..middle + 64] {
        *byte ^= 0xff;
    }
    let outcome = refuse(&[("hub.json.zst", &packed)]);
    outcome
        .expect_says(["dump hub: damaged zstd stream, found in part hub.json.zst near byte ", "caused by: "]);
}

#[test]
fn a_wrong_checksum_of_a_zstd_frame_is_found() {
    let mut packed = pack::zstd(many_flows().bytes());
    let last = packed.len() - 1;
    packed[last] ^= 1;
    refuse(&[("hub.json.zst", &packed)])
        .expect_says(["dump hub: damaged zstd stream, found in part hub.json.zst"]);
}

#[test]
fn a_tar_archive_cut_off_inside_whole_gzip_is_no_shorter_dump() {
    let dump = many_flows();
    let archive = pack::tar(&[("hub.json", dump.bytes())]);
    let in_entry = pack::gzip(&archive[..archive.len() / 2]);
    refuse(&[("hub.tar.gz", &in_entry)])
        .expect_says(["dump hub: tar entry ends too early, in part hub.tar.gz at byte "]);
    let in_header = pack::gzip(&archive[..300]);
    refuse(&[("hub.tar.gz", &in_header)])
        .expect_says(["dump hub: tar header ends too early, in part hub.tar.gz"]);
}

#[test]
fn a_tar_header_with_a_wrong_checksum_is_damage() {
    let mut archive = pack::tar(&[("hub.json", many_flows().bytes())]);
    archive[0] ^= 1;
    let outcome = refuse(&[("hub.tar.gz", &pack::gzip(&archive))]);
    outcome.expect_says([
        "dump hub: damaged tar header, found in part hub.tar.gz",
        "caused by: its checksum does not match",
    ]);
}

#[test]
fn gzip_without_tar_inside_a_tar_gz_is_damage() {
    let outcome = refuse(&[("hub.tar.gz", &pack::gzip(many_flows().bytes()))]);
    outcome.expect_says(["dump hub: damaged tar header, found in part hub.tar.gz"]);
}

#[test]
fn an_archive_without_json_is_refused() {
    let archive =
        pack::gzip(&pack::tar(&[("README.txt", b"nothing here"), ("._hub.json", b"not this either")]));
    let outcome = refuse(&[("hub.tar.gz", &archive)]);
    insta::assert_snapshot!(outcome.stderr, @"error: dump hub: the archive holds no .json file");
}

#[test]
fn a_part_missing_in_the_middle_or_at_the_beginning_is_named() {
    let packed = pack::tar_gz("hub", many_flows().bytes());
    let parts = pack::pieces(&packed, 3);
    let outcome = refuse(&[("hub.tar.gz00", parts[0]), ("hub.tar.gz02", parts[2])]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: dump hub: part hub.tar.gz01 is missing in [dir]/dumps
    hint: parts are joined before decompression: all must be there
    ");
    let outcome = refuse(&[("hub.tar.gz01", parts[1]), ("hub.tar.gz02", parts[2])]);
    outcome.expect_says(["dump hub: part hub.tar.gz00 is missing in "]);
}

#[test]
fn a_part_missing_at_the_end_is_named_when_the_catalogue_knows_how_many_there_are() {
    let packed = pack::tar_gz("hub", many_flows().bytes());
    let parts = pack::pieces(&packed, 3);
    let world = World::new();
    let entry = device("hub", "iotGatewayHub", DEVICE_MAC) + "parts = 3\n";
    world.set_catalogue(&catalogue("", &[entry]));
    world.add_dump("hub.tar.gz00", parts[0]);
    world.add_dump("hub.tar.gz01", parts[1]);
    world.refused(3, &[]).expect_says(["dump hub: part hub.tar.gz02 is missing in "]);
    world.add_dump("hub.tar.gz02", parts[2]);
    assert_eq!(world.built().source()["read"], 2000);
}

#[test]
fn a_part_missing_at_the_end_is_an_early_end_in_the_last_part_there_is() {
    let packed = pack::tar_gz("hub", many_flows().bytes());
    let parts = pack::pieces(&packed, 3);
    let outcome = refuse(&[("hub.tar.gz00", parts[0]), ("hub.tar.gz01", parts[1])]);
    assert_eq!(offset(&outcome), parts[1].len());
    insta::assert_snapshot!(outcome.stderr.replace(&parts[1].len().to_string(), "[size]"), @r"
    error: dump hub: gzip stream ends too early, in part hub.tar.gz01 at byte [size]
    hint: compare the size of hub.tar.gz01 with its publisher's; if the archive is split, a later part may be missing
    ");
}

#[test]
fn damage_in_a_later_part_names_that_part_and_the_offset_in_it() {
    let packed = pack::tar_gz("hub", DumpText::of((0..60_000).map(Flow::numbered)).bytes());
    let mut parts: Vec<Vec<u8>> = pack::pieces(&packed, 2).into_iter().map(<[u8]>::to_vec).collect();
    let middle = parts[1].len() / 2;
    assert!(middle > (256 << 10), "too little to tell the read-ahead of the first part from the damage");
    parts[1][middle..middle + 64].fill(0xff);
    let outcome = refuse(&[("hub.tar.gz00", &parts[0]), ("hub.tar.gz01", &parts[1])]);
    let found = offset(&outcome);
    assert!(found >= middle && found <= middle + (1 << 20), "{found} is not near {middle}");
    outcome.expect_says(["damaged gzip stream, found in part hub.tar.gz01 near byte "]);
}

#[test]
fn parts_in_the_wrong_order_are_damage() {
    let packed = pack::tar_gz("hub", many_flows().bytes());
    let parts = pack::pieces(&packed, 2);
    refuse(&[("hub.tar.gz00", parts[1]), ("hub.tar.gz01", parts[0])])
        .expect_says(["dump hub: damaged gzip stream"]);
}

#[test]
fn a_dump_that_is_there_in_two_forms_is_refused() {
    let dump = DumpText::of([Flow::new()]);
    let outcome = refuse(&[("hub.json", dump.bytes()), ("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()))]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: dump hub is there twice: hub.json and hub.tar.gz
    hint: keep one of them in the input directory
    ");
}

#[test]
fn one_damaged_dump_keeps_all_others_from_being_published() {
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    world.set_catalogue(&catalogue("", &devices));
    let good = DumpText::of([Flow::new()]);
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", good.bytes()));
    let packed = pack::tar_gz("lamp", good.bytes());
    world.add_dump("lamp.tar.gz", &packed[..packed.len() - 20]);
    world.refused(3, &[]).expect_says(["dump lamp: gzip stream ends too early, in part lamp.tar.gz"]);
}

#[test]
fn an_input_directory_that_is_not_there_is_named() {
    let world = World::new();
    fs::remove_dir(world.dumps()).expect("it goes");
    let outcome = world.refused(3, &[]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: cannot list [dir]/dumps
    caused by: No such file or directory (os error 2)
    hint: --input is the directory or prefix that holds the dumps
    ");
}

#[test]
fn an_input_directory_without_any_dump_is_refused() {
    let world = World::new();
    world.add_dump("README.txt", b"nothing here");
    let outcome = world.refused(3, &[]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: no dump of a device of the catalogue is in [dir]/dumps
    hint: dumps are matched to devices by file name: <archive>.tar.gz, .tar.gz00…, .json, .json.gz, .json.zst
    ");
}

#[test]
fn names_of_directories_and_hidden_files_are_no_dumps() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    fs::create_dir(world.dumps().join("lamp.tar.gz")).expect("a directory");
    world.add_dump("._hub.tar.gz", b"a companion file of macOS");
    world.add_dump("hub.tar.gz.part", b"a download that goes on");
    assert_eq!(world.built().list("sources").len(), 1);
}

#[test]
fn data_behind_the_zeros_at_the_end_of_a_gzip_file_is_found() {
    for bytes in [b"x".as_slice(), &pack::gzip(b"another member")] {
        let packed = [&pack::tar_gz("hub", many_flows().bytes()), [0; 700].as_slice(), bytes].concat();
        refuse(&[("hub.tar.gz", &packed)])
            .expect_says(["dump hub: damaged gzip stream", "in part hub.tar.gz"]);
    }
}
