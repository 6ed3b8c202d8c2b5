//! The same inputs give the same bytes, whatever the threads, the order, the place or the day.

use fs_err as fs;
use serde_json::Value;

use super::support::{DEVICE_MAC, DumpText, Flow, OTHER_MAC, Program, World, catalogue, device, pack, tree};

/// Dumps of three devices in three forms, with everything that has an order: several months that alternate, rejected lines,
/// unknown fields, several values of dropped fields, warnings.
fn odd_world() -> World {
    let world = World::new();
    let devices = [
        device("hub", "iotGatewayHub", DEVICE_MAC),
        device("lamp", "lighting", OTHER_MAC),
        device("cam", "networkCamera", DEVICE_MAC),
        device("absent", "networkCamera", DEVICE_MAC),
    ];
    world.set_catalogue(&catalogue("[limits]\nmax_rejected_share = 0.5\n", &devices));
    for (form, bytes) in odd_dumps() {
        world.add_dump(&form, &bytes);
    }
    world
}

fn odd_dumps() -> Vec<(String, Vec<u8>)> {
    let mut dump = DumpText::default();
    for number in 0..600 {
        let start = format!("2019-{:02}-15 10:00:{:02}.000", number % 7 + 4, number % 60);
        let mut flow = Flow::numbered(number).starting(&start);
        if number % 3 == 0 {
            flow = flow.between(OTHER_MAC, DEVICE_MAC);
        }
        if number % 50 == 0 {
            dump = dump.line(format!("rejected {number}"));
            flow = flow
                .raw(&format!("unknown{}", number % 8), "[1]")
                .text("vlanId", &format!("0x{:03x}", number % 9));
        }
        dump = dump.flow(&flow);
    }
    let dump = dump.trailer();
    let packed = pack::tar_gz("hub", dump.bytes());
    let parts = pack::pieces(&packed, 3);
    vec![
        ("hub.tar.gz00".to_owned(), parts[0].to_vec()),
        ("hub.tar.gz01".to_owned(), parts[1].to_vec()),
        ("hub.tar.gz02".to_owned(), parts[2].to_vec()),
        ("lamp.json.zst".to_owned(), pack::zstd(dump.bytes())),
        ("cam.json.gz".to_owned(), pack::gzip_members(dump.bytes(), 4)),
        ("nobody.json".to_owned(), dump.bytes().to_vec()),
        ("someone.json".to_owned(), dump.bytes().to_vec()),
    ]
}

#[test]
fn the_same_inputs_twice_give_the_same_bytes_of_every_file() {
    let world = odd_world();
    let first = world.built();
    assert!(first.files().len() > 10 && !first.rejected("hub").is_empty() && first.warnings().len() > 4);
    world.build_to("second").run().expect_code(0);
    assert_eq!(tree(&world.path("second")), tree(&world.path("lake")));
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let world = odd_world();
    for recipe in ["flows", "encoded", "full"] {
        let build = |lake: &str, jobs| {
            let lake = format!("{recipe}-{lake}");
            world.build_to(&lake).args(["--recipe", recipe]).with("--jobs", jobs).run().expect_code(0);
            tree(&world.path(&lake))
        };
        let expected = build("lake", "2");
        for jobs in ["1", "3", "4", "9"] {
            assert!(build(jobs, jobs) == expected, "{recipe}: --jobs {jobs} gives other bytes");
        }
    }
}

#[test]
fn a_dump_of_many_chunks_and_row_groups_gives_the_same_bytes_with_any_number_of_threads() {
    let world = World::new();
    // 70,000 flows are about 85 MB of JSON: 11 chunks, and 2 row groups of the file of July.
    let mut dump = DumpText::default();
    for number in 0..70_000_u64 {
        let month = if number % 1000 == 0 { 8 } else { 7 };
        let start =
            format!("2019-{month:02}-{:02} {:02}:00:00.{:03}", number % 28 + 1, number % 24, number % 999);
        dump = dump.flow(&Flow::numbered(number).starting(&start));
        if number % 20_000 == 5 {
            // A long-running exporter writes its totals now and then; the last ones are in the last chunk.
            let (flows, packets) = (dump.flow_count(), dump.packet_count());
            dump = dump.stats(flows, packets);
        }
    }
    world.add_dump("hub.json", dump.trailer().bytes());
    world.build_to("lake").with("--jobs", "1").run().expect_code(0);
    let lake = world.lake();
    let groups: Vec<_> =
        lake.list("files").iter().map(|file| file["rowGroups"].as_u64().expect("a number")).collect();
    assert_eq!(groups, [2, 1]);
    assert_eq!(lake.source()["trailer"]["matches"], true);
    let expected = tree(&world.path("lake"));
    for jobs in ["2", "4"] {
        world.build_to(jobs).with("--jobs", jobs).run().expect_code(0);
        assert!(tree(&world.path(jobs)) == expected, "--jobs {jobs} gives other bytes");
        fs::remove_dir_all(world.path(jobs)).expect("it goes");
    }
}

#[test]
fn the_order_in_which_a_directory_lists_its_files_changes_no_byte() {
    let world = odd_world();
    world.built();
    let other = odd_world();
    fs::remove_dir_all(other.dumps()).expect("it goes");
    fs::create_dir(other.dumps()).expect("a directory");
    for (name, bytes) in odd_dumps().into_iter().rev() {
        other.add_dump(&name, &bytes);
        // Room for other names in between, as a file system would fill it.
        other.add_dump(&format!("x{name}x"), b"");
        fs::remove_file(other.dumps().join(format!("x{name}x"))).expect("it goes");
    }
    other.built();
    assert_eq!(tree(&other.path("lake")), tree(&world.path("lake")));
}

#[test]
fn the_order_of_devices_in_the_catalogue_changes_nothing_but_the_copy_of_it() {
    let world = odd_world();
    world.built();
    let text = fs::read_to_string(world.catalogue_path()).expect("it is there");
    let (head, devices) = text.split_once("[[device]]\n").expect("devices");
    let mut devices: Vec<&str> = devices.split("[[device]]\n").collect();
    devices.reverse();
    world.set_catalogue(&format!("{head}[[device]]\n{}", devices.join("[[device]]\n")));
    world.build_to("second").run().expect_code(0);
    let [first, second] = ["lake", "second"].map(|lake| {
        let mut files = tree(&world.path(lake));
        let manifest = files.remove("manifest.json").expect("a manifest");
        let mut manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        let catalogue = manifest["configuration"]["catalogue"].take();
        (files, manifest, catalogue)
    });
    assert!((&first.0, &first.1) == (&second.0, &second.1), "{first:?} {second:?}");
    assert_ne!(first.2, second.2);
}

#[test]
fn the_order_of_device_options_changes_no_byte() {
    let world = odd_world();
    world.build().args(["--device", "hub", "--device", "cam"]).run().expect_code(0);
    world
        .build_to("second")
        .args(["--device", "cam", "--device", "hub", "--device", "cam"])
        .run()
        .expect_code(0);
    assert_eq!(tree(&world.path("second")), tree(&world.path("lake")));
}

#[test]
fn place_environment_and_progress_change_no_byte() {
    let world = odd_world();
    world.built();
    let other = odd_world();
    let mut command =
        Program::new(["build", "--config", "./catalogue.toml", "--input", "dumps/../dumps", "--output"])
            .args(["other-name", "--progress", "plain"])
            .within(other.root())
            .command();
    command
        .env("TZ", "Asia/Tokyo")
        .env("LANG", "de_DE.UTF-8")
        .env("LC_ALL", "de_DE.UTF-8")
        .env("HOME", other.root());
    command.env("USER", "somebody").env("HOSTNAME", "elsewhere").env("POLARS_MAX_THREADS", "1");
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(tree(&other.path("other-name")), tree(&world.path("lake")));
}

#[test]
fn replacing_a_lake_gives_the_same_bytes_as_building_it_afresh() {
    let world = odd_world();
    world.built();
    let expected = tree(&world.path("lake"));
    world.build().args(["--device", "lamp", "--replace"]).run().expect_code(0);
    assert_ne!(tree(&world.path("lake")), expected);
    world.build().arg("--replace").run().expect_code(0);
    assert_eq!(tree(&world.path("lake")), expected);
}

#[test]
fn no_path_is_in_any_file() {
    let world = odd_world();
    world.built();
    let root = world.root().to_str().expect("UTF-8").as_bytes().to_vec();
    for (name, bytes) in tree(&world.path("lake")) {
        assert!(!bytes.windows(root.len()).any(|window| window == root), "{name} knows where it was built");
    }
}
