//! `flowlake export`: rows of a lake as CSV, NDJSON and Arrow. That other programs read them alike is what
//! `tests/interop` is for.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Command;

use fs_err as fs;
use serde_json::{Value, json};

use super::support::exported::{Row, csv_rows, ndjson_rows, spelled, types};
use super::support::{
    DEVICE_MAC, DumpText, Flow, Lake, OTHER_MAC, Program, ROUTER_MAC, World, catalogue, device, pack,
    skipped, tree, wait_for, without_digests,
};

/// The recipe that ships.
const FLOWS: &str = include_str!("../../config/recipes/flows.toml");

impl World {
    /// `flowlake export` of the lake here to `out`.
    fn export(&self, format: &str) -> Program {
        self.about_lake("export").args(["--format", format, "--jobs", "2", "--output"]).arg(self.path("out"))
    }

    /// Exports, gives the files and takes them away.
    #[track_caller]
    fn exported(&self, format: &str, options: &[&str]) -> BTreeMap<String, Vec<u8>> {
        self.export(format).args(options).run().expect_code(0);
        self.expect_no_staging();
        let files = tree(&self.path("out"));
        fs::remove_dir_all(self.path("out")).expect("it goes");
        files
    }

    /// An export that must be refused with this exit code, and leave nothing.
    #[track_caller]
    fn refused_export(&self, format: &str, code: i32, options: &[&str]) -> String {
        let outcome = self.export(format).args(options).run().expect_code(code);
        assert_eq!(outcome.stdout, "");
        assert!(!self.path("out").exists(), "there is an export");
        self.expect_no_staging();
        without_digests(&outcome.stderr)
    }
}

/// A lake of two devices in three months.
fn world() -> World {
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    world.set_catalogue(&catalogue("", &devices));
    let flow = |number: u64, months: u64| {
        Flow::numbered(number).starting(&format!(
            "2019-{:02}-{:02} 10:00:{:02}.123",
            7 + number % months,
            1 + number % 28,
            number % 60
        ))
    };
    let hub = (0..900).map(|i| if i % 5 == 0 { flow(i, 3).unanswered() } else { flow(i, 3) });
    let lamp = (0..100).map(|i| flow(i, 2).between(OTHER_MAC, ROUTER_MAC).without_statistics());
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", DumpText::of(hub).bytes()));
    world.add_dump("lamp.tar.gz", &pack::tar_gz("lamp", DumpText::of(lamp).bytes()));
    world.built();
    world
}

/// The recipe that ships without two repairs, so that there is empty text and a column of floats, and with a column of
/// any text.
fn odd_recipe() -> String {
    let recipe = FLOWS.replace("\"durationMilliseconds\",", "").replace("\"flowEndReasonClosed\",", "");
    let dropped =
        "[[dropped]]\nname = \"collectorName\"\nreason = \"constant\"\ndetail = \"One collector\"\n";
    let column =
        "[[column]]\nname = \"collectorName\"\nrole = \"feature\"\ndescription = \"The collector\"\n";
    assert!(recipe.contains(dropped), "the recipe is another one by now");
    recipe.replace(dropped, column)
}

/// A lake of these flows with [`odd_recipe`].
fn odd_world(flows: impl IntoIterator<Item = Flow>) -> World {
    let world = World::with_hub(&DumpText::of(flows));
    fs::write(world.path("recipe.toml"), odd_recipe()).expect("it is written");
    world.build().arg("--recipe").arg(world.path("recipe.toml")).run().expect_code(0);
    world
}

/// What an export of the whole lake has to hold: rows by device and month, dates and times spelled.
fn expected(lake: &Lake) -> BTreeMap<(String, String), Vec<Row>> {
    let types: BTreeMap<String, String> = types(lake).into_iter().collect();
    let mut expected: BTreeMap<_, Vec<Row>> = BTreeMap::new();
    for file in lake.list("files") {
        let text = |key: &str| file[key].as_str().expect("text").to_owned();
        let rows = expected.entry((text("deviceName"), text("month"))).or_default();
        for mut row in super::support::frame_rows(&lake.frame(&text("path"))) {
            for (name, value) in &mut row {
                if let (kind @ ("date" | "timestamp[ms, UTC]"), Some(number)) =
                    (&*types[name], value.as_i64())
                {
                    *value = json!(spelled(number, kind));
                }
            }
            row.insert("month".to_owned(), json!(text("month")));
            row.insert("deviceClass".to_owned(), json!(text("deviceClass")));
            rows.push(row);
        }
    }
    expected
}

/// Compares every value of an export with the lake.
#[track_caller]
fn expect_whole_lake(
    lake: &Lake,
    files: &BTreeMap<String, Vec<u8>>,
    extension: &str,
    read: fn(&Lake, &str, &[u8]) -> Vec<Row>,
) {
    let expected = expected(lake);
    let names: Vec<String> =
        expected.keys().map(|(device, month)| format!("{device}_{month}{extension}")).collect();
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), names);
    for ((name, bytes), rows) in files.iter().zip(expected.values()) {
        let found = read(lake, name, bytes);
        assert_eq!(found.len(), rows.len(), "{name}");
        for (place, (found, row)) in found.iter().zip(rows).enumerate() {
            assert_eq!(found, row, "{name}, row {place}");
        }
    }
}

#[test]
fn every_value_of_a_lake_is_in_its_csv_and_ndjson_in_every_compression() {
    let world = world();
    let lake = world.lake();
    assert_eq!(lake.files().len(), 5);
    for (compression, suffix) in [("none", ""), ("gzip", ".gz"), ("zstd", ".zst")] {
        let files = world.exported("csv", &["--compression", compression]);
        expect_whole_lake(&lake, &files, &format!(".csv{suffix}"), csv_rows);
        let files = world.exported("ndjson", &["--compression", compression]);
        expect_whole_lake(&lake, &files, &format!(".ndjson{suffix}"), ndjson_rows);
    }
}

#[test]
fn null_and_empty_text_and_text_with_everything_in_it_are_told_apart() {
    let odd = [
        "a,b",
        "\"q\"",
        "line\nfeed",
        "carriage\rreturn",
        "ü😀\u{7f}",
        "back\\slash",
        "\t\u{1}",
        " ",
        "NULL",
    ];
    let flows = odd.iter().map(|text| Flow::new().text("collectorName", text));
    let flows = flows.chain([
        Flow::new().text("collectorName", ""),
        Flow::new().without("collectorName"),
        Flow::new().text("flowEndReason", ""),
        Flow::new().without("flowEndReason"),
        Flow::new().unanswered().without_statistics(),
        Flow::new().times("2019-07-01 10:00:00.000", "2019-07-01 10:29:59.999", 1_799_999),
    ]);
    let world = odd_world(flows);
    let lake = world.lake();
    let values = lake.column("collectorName");
    assert!(values.contains(&json!("")) && values.contains(&Value::Null) && values.contains(&json!("a,b")));
    assert!(lake.column("flowDurationMilliseconds").contains(&json!(1799.999)));
    expect_whole_lake(&lake, &world.exported("csv", &[]), ".csv", csv_rows);
    expect_whole_lake(&lake, &world.exported("ndjson", &[]), ".ndjson", ndjson_rows);
}

#[test]
fn a_line_of_csv_and_of_ndjson() {
    let flow = Flow::new().without_statistics().text("flowEndReason", "").text("collectorName", "C \"1\"");
    let world = odd_world([flow]);
    let text = |format| {
        let files = world.exported(format, &[]);
        assert_eq!(files.len(), 1);
        String::from_utf8(files.into_values().next().expect("a file")).expect("UTF-8")
    };
    insta::assert_snapshot!(text("csv"), @r#"
    deviceName,IoTMacAddress,IoTIPAddress,serverMacAddress,serverIPAddress,IoTTransportPort,serverTransportPort,protocolIdentifier,protocolName,serviceType,flowStartMilliseconds,flowEndMilliseconds,flowStartMillisecondsDate,flowEndMillisecondsDate,flowStartMillisecondsTime,flowEndMillisecondsTime,flowDurationMilliseconds,reverseFlowDeltaMilliseconds,averageInterarrivalTime,standardDeviationInterarrivalTime,reverseAverageInterarrivalTime,reverseStandardDeviationInterarrivalTime,flowAttributes,reverseFlowAttributes,flowEndReason,initialTCPFlags,unionTCPFlags,reverseInitialTCPFlags,packetTotalCount,octetTotalCount,smallPacketCount,largePacketCount,nonEmptyPacketCount,firstNonEmptyPacketSize,maxPacketSize,dataByteCount,bytesPerPacket,reversePacketTotalCount,reverseOctetTotalCount,reverseSmallPacketCount,reverseLargePacketCount,reverseNonEmptyPacketCount,reverseFirstNonEmptyPacketSize,reverseMaxPacketSize,reverseDataByteCount,reverseBytesPerPacket,collectorName,month,deviceClass
    hub,02:00:00:00:00:01,192.0.2.10,02:00:00:00:00:fe,198.51.100.7,50000,443,6,TCP,HTTP/S,2019-07-01T10:00:00.000Z,2019-07-01T10:00:01.500Z,2019-07-01,2019-07-01,10:00:00.000,10:00:01.500,1.5,0.02,,,300,90,0,2,"",S,APF,AS,7,900,,,,,,,,5,4000,1,2,3,1400,1448,3700,1233,"C ""1""",2019-07,iotGatewayHub
    "#);
    insta::assert_snapshot!(text("ndjson"), @r#"{"deviceName":"hub","IoTMacAddress":"02:00:00:00:00:01","IoTIPAddress":"192.0.2.10","serverMacAddress":"02:00:00:00:00:fe","serverIPAddress":"198.51.100.7","IoTTransportPort":50000,"serverTransportPort":443,"protocolIdentifier":6,"protocolName":"TCP","serviceType":"HTTP/S","flowStartMilliseconds":"2019-07-01T10:00:00.000Z","flowEndMilliseconds":"2019-07-01T10:00:01.500Z","flowStartMillisecondsDate":"2019-07-01","flowEndMillisecondsDate":"2019-07-01","flowStartMillisecondsTime":"10:00:00.000","flowEndMillisecondsTime":"10:00:01.500","flowDurationMilliseconds":1.5,"reverseFlowDeltaMilliseconds":0.02,"averageInterarrivalTime":null,"standardDeviationInterarrivalTime":null,"reverseAverageInterarrivalTime":300,"reverseStandardDeviationInterarrivalTime":90,"flowAttributes":0,"reverseFlowAttributes":2,"flowEndReason":"","initialTCPFlags":"S","unionTCPFlags":"APF","reverseInitialTCPFlags":"AS","packetTotalCount":7,"octetTotalCount":900,"smallPacketCount":null,"largePacketCount":null,"nonEmptyPacketCount":null,"firstNonEmptyPacketSize":null,"maxPacketSize":null,"dataByteCount":null,"bytesPerPacket":null,"reversePacketTotalCount":5,"reverseOctetTotalCount":4000,"reverseSmallPacketCount":1,"reverseLargePacketCount":2,"reverseNonEmptyPacketCount":3,"reverseFirstNonEmptyPacketSize":1400,"reverseMaxPacketSize":1448,"reverseDataByteCount":3700,"reverseBytesPerPacket":1233,"collectorName":"C \"1\"","month":"2019-07","deviceClass":"iotGatewayHub"}"#);
}

#[test]
fn several_data_files_of_a_device_and_month_become_one_file_in_order() {
    // A data file ends at 152 row groups, too many for a test: split one by hand, as the manifest allows.
    let world = world();
    let lake = world.lake();
    let (first, other) = (lake.file("hub", "2019-07"), lake.file("hub", "2019-08"));
    // Digests are in no order, and the least of all comes second here.
    let second = "data/month=2019-07/deviceClass=iotGatewayHub/hub-00001-0000000000000000.parquet";
    fs::copy(world.path("lake").join(&other), world.path("lake").join(second)).expect("it is copied");
    let mut manifest = lake.manifest.clone();
    let files = manifest["files"].as_array_mut().expect("a list");
    let mut copy = files.iter().find(|file| file["path"] == other.as_str()).expect("an entry").clone();
    let rows = copy["rows"].as_u64().expect("a number");
    copy["path"] = json!(second);
    copy["month"] = json!("2019-07");
    // In another order than that of their names.
    files.insert(0, copy);
    manifest["totals"]["rows"] = json!(manifest["totals"]["rows"].as_u64().expect("a number") + rows);
    fs::write(world.path("lake/manifest.json"), manifest.to_string()).expect("it is written");

    let files = world.exported("ndjson", &["--device", "hub", "--month", "2019-07"]);
    let found = ndjson_rows(&lake, "x", &files["hub_2019-07.ndjson"]);
    let parts = [first, other].map(|path| lake.frame(&path).height());
    assert_eq!(found.len(), parts[0] + parts[1]);
    assert!(
        found[..parts[0]].iter().all(|row| row["flowStartMillisecondsDate"].to_string().contains("2019-07"))
    );
    assert!(
        found[parts[0]..].iter().all(|row| row["flowStartMillisecondsDate"].to_string().contains("2019-08"))
    );
}

#[test]
fn an_arrow_file_is_what_its_name_says_and_zstd_makes_it_smaller() {
    let world = world();
    let plain = world.exported("arrow", &[]);
    let packed = world.exported("arrow", &["--compression", "zstd"]);
    assert!(plain.keys().eq(packed.keys()), "the compression is inside");
    for (name, bytes) in &plain {
        assert!(name.ends_with(".arrow"));
        assert!(bytes.starts_with(b"ARROW1\0\0") && bytes.ends_with(b"ARROW1"), "{name}");
        // Schema and footer are not compressed.
        assert!(packed[name].len() < bytes.len() * 3 / 4, "{name}");
    }
}

#[test]
fn gzip_is_nothing_that_arrow_knows() {
    let stderr = world().refused_export("arrow", 2, &["--compression", "gzip"]);
    insta::assert_snapshot!(stderr, @r"
    error: Arrow files cannot be compressed with gzip
    hint: --compression zstd is part of the format, and its readers know it
    ");
}

#[test]
fn filters_of_one_kind_are_alternatives_and_kinds_must_all_hold() {
    let world = world();
    let names = |options: &[&str]| -> String {
        world
            .exported("csv", options)
            .into_keys()
            .map(|name| name.replace(".csv", ""))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(&[]), "hub_2019-07 hub_2019-08 hub_2019-09 lamp_2019-07 lamp_2019-08");
    assert_eq!(names(&["--device", "lamp"]), "lamp_2019-07 lamp_2019-08");
    assert_eq!(names(&["--class", "iotGatewayHub"]), "hub_2019-07 hub_2019-08 hub_2019-09");
    assert_eq!(names(&["--month", "2019-08"]), "hub_2019-08 lamp_2019-08");
    assert_eq!(names(&["--month", "2019-08", "--month", "2019-09"]), "hub_2019-08 hub_2019-09 lamp_2019-08");
    assert_eq!(names(&["--month", "2019-08", "--device", "hub", "--class", "iotGatewayHub"]), "hub_2019-08");
    let both = ["--device", "hub", "--device", "lamp", "--month", "2019-07", "--month", "2019-07"];
    assert_eq!(names(&both), "hub_2019-07 lamp_2019-07");
}

#[test]
fn a_filter_that_matches_nothing_is_an_error_that_names_what_there_is() {
    let world = world();
    insta::assert_snapshot!(world.refused_export("csv", 2, &["--device", "lmap"]), @r"
    error: the lake has no device `lmap`
    hint: devices are: hub, lamp
    ");
    insta::assert_snapshot!(world.refused_export("csv", 2, &["--class", "lighting", "--class", "Lighting"]), @r"
    error: the lake has no class `Lighting`
    hint: classes are: iotGatewayHub, lighting
    ");
    insta::assert_snapshot!(world.refused_export("csv", 2, &["--month", "2019-7"]), @r"
    error: the lake has no month `2019-7`
    hint: months are: 2019-07, 2019-08, 2019-09
    ");
    let nothing =
        ["--month", "2019-09", "--device", "lamp", "--class", "lighting", "--class", "iotGatewayHub"];
    insta::assert_snapshot!(world.refused_export("csv", 2, &nothing), @r"
    error: the lake has no rows of class lighting or iotGatewayHub, month 2019-09, device lamp together
    hint: there are such rows in these months: 2019-07, 2019-08
    ");
}

#[test]
fn an_export_says_what_was_written_and_under_which_licence() {
    let world = world();
    let outcome = world.export("csv").run().expect_code(0);
    assert_eq!(outcome.stderr, "");
    let bytes: usize = tree(&world.path("out")).values().map(Vec::len).sum();
    assert!(bytes > 100_000);
    let kept = |line: &&str| !line.contains("seconds") && !line.contains("bytes");
    let text = outcome.stdout.lines().filter(kept).map(str::trim).collect::<Vec<_>>().join("\n");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    insta::assert_snapshot!(text, @"export [dir]/out files 5 rows 1,000 licence of test-set: CC0-1.0");
}

#[test]
fn the_number_of_jobs_changes_no_byte_and_neither_does_another_run() {
    let world = world();
    for format in ["csv", "ndjson", "arrow"] {
        for compression in ["none", "gzip", "zstd"] {
            if (format, compression) == ("arrow", "gzip") {
                continue;
            }
            let export = |jobs: &str| {
                let output = world.path(&format!("out{jobs}"));
                let program = world.export(format).args(["--compression", compression]).with("--jobs", jobs);
                program.with("--output", output.to_str().expect("UTF-8")).run().expect_code(0);
                let files = tree(&output);
                fs::remove_dir_all(output).expect("it goes");
                files
            };
            let first = export("1");
            assert!(first == export("4") && first == export("1"), "{format} {compression}");
        }
    }
}

#[test]
fn a_lake_without_rows_is_exported_as_no_files() {
    let world = World::with_hub(&DumpText::of([Flow::inbound()]));
    assert_eq!(world.built().files().len(), 0);
    assert_eq!(world.exported("csv", &[]).len(), 0);
    insta::assert_snapshot!(world.refused_export("csv", 2, &["--device", "hub"]), @r"
    error: the lake has no device `hub`
    hint: the lake has no rows at all
    ");
}

#[test]
fn the_output_may_be_empty_or_missing_and_nothing_else() {
    let world = world();
    fs::create_dir(world.path("out")).expect("a directory");
    world.exported("csv", &[]);
    fs::create_dir(world.path("out")).expect("a directory");
    fs::write(world.path("out/thesis.tex"), "years of work").expect("it is written");
    insta::assert_snapshot!(world.export("csv").run().expect_code(4).stderr, @r"
    error: [dir]/out is not empty
    hint: give an --output that is empty or does not exist
    ");
    assert_eq!(tree(&world.path("out")).len(), 1);
    world
        .export("csv")
        .with("--output", world.path("catalogue.toml").to_str().expect("UTF-8"))
        .run()
        .expect_code(4);
    let lake = world.export("csv").with("--output", world.path("lake").to_str().expect("UTF-8"));
    lake.run().expect_code(2).expect_says(["lies inside the lake"]);
    world.expect_no_staging();
    // Parents are made, and an old export is never replaced.
    let deep = world.export("csv").with("--output", world.path("a/b/c").to_str().expect("UTF-8"));
    deep.run().expect_code(0);
    let before = tree(&world.path("a"));
    deep.run().expect_code(4).expect_says(["is not empty"]);
    assert_eq!(tree(&world.path("a")), before);
}

#[test]
fn an_export_inside_the_lake_would_be_a_stray_and_is_refused() {
    let world = world();
    let before = tree(&world.path("lake"));
    for output in ["lake/export", "lake/data/../export/deep", "lake"] {
        let program = world.export("csv").with("--output", world.path(output).to_str().expect("UTF-8"));
        program.run().expect_code(2).expect_says(["lies inside the lake"]);
    }
    std::os::unix::fs::symlink(world.path("lake/data"), world.path("link")).expect("a link");
    let program = world.export("csv").with("--output", world.path("link/export").to_str().expect("UTF-8"));
    program.run().expect_code(2).expect_says(["lies inside the lake"]);
    assert_eq!(tree(&world.path("lake")), before);
    world.lake();
}

#[test]
fn what_is_no_lake_cannot_be_exported() {
    insta::assert_snapshot!(World::new().refused_export("csv", 3, &[]), @"error: [dir]/lake is not a lake: it has no manifest.json");
}

/// Exports a lake after something was done to one of its data files; the export must fail and leave nothing.
#[track_caller]
fn damaged(damage: impl Fn(&Lake, &str)) -> String {
    let world = world();
    let lake = world.lake();
    damage(&lake, &lake.file("hub", "2019-08"));
    world.refused_export("csv", 3, &[])
}

#[test]
fn a_data_file_that_is_missing_damaged_or_another_one_ends_the_export() {
    let stderr = damaged(|lake, file| fs::remove_file(lake.path(file)).expect("it goes"));
    assert!(stderr.contains("error: cannot export device hub, month 2019-08"), "{stderr}");
    let stderr = damaged(|lake, file| {
        let bytes = fs::read(lake.path(file)).expect("a file");
        fs::write(lake.path(file), &bytes[..bytes.len() / 2]).expect("it is written");
    });
    assert!(stderr.contains("month=2019-08/deviceClass=iotGatewayHub/hub-00000-"), "{stderr}");
    let stderr = damaged(|lake, file| {
        fs::copy(lake.path(&lake.file("hub", "2019-09")), lake.path(file)).expect("it is copied");
    });
    insta::assert_snapshot!(stderr, @r"
    error: cannot export device hub, month 2019-08
    caused by: [dir]/lake/data/month=2019-08/deviceClass=iotGatewayHub/hub-00000-[digest].parquet holds other rows than the manifest says: their content digest differs
    hint: `flowlake verify` tells what else differs from the manifest
    ");
}

/// Exports a lake after its manifest was changed; the export must fail and leave nothing.
#[track_caller]
fn changed(change: impl Fn(&mut Value)) -> String {
    let world = world();
    let mut manifest = world.lake().manifest;
    change(&mut manifest);
    fs::write(world.path("lake/manifest.json"), manifest.to_string()).expect("it is written");
    world.refused_export("csv", 3, &[])
}

#[test]
fn rows_that_are_not_those_of_the_manifest_end_the_export() {
    insta::assert_snapshot!(changed(|manifest| {
        manifest["files"][0]["rows"] = json!(7);
        manifest["totals"]["rows"] = json!(707);
    }), @r"
    error: cannot export device hub, month 2019-07
    caused by: [dir]/lake/data/month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet has 300 rows, but the manifest says 7
    hint: `flowlake verify` tells what else differs from the manifest
    ");
    insta::assert_snapshot!(changed(|manifest| manifest["totals"]["rows"] = json!(1001)), @"error: the manifest is damaged: its total is 1001 rows, its data files have 1000");
    insta::assert_snapshot!(changed(|manifest| {
        let first = manifest["files"][0].clone();
        manifest["files"].as_array_mut().expect("a list").push(first);
    }), @"error: the manifest is damaged: it lists data/month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet twice");
}

#[test]
fn no_name_in_a_manifest_leads_out_of_the_lake_or_the_export() {
    let stderr = changed(|manifest| manifest["files"][0]["path"] = json!("../../secret.parquet"));
    assert!(
        stderr.contains("is not data/month=YYYY-MM/deviceClass=CLASS/DEVICE-NNNNN-DIGEST.parquet"),
        "{stderr}"
    );
    let stderr = changed(|manifest| manifest["files"][0]["deviceName"] = json!("../../secret"));
    assert!(stderr.contains("the manifest says deviceName ../../secret"), "{stderr}");
}

#[test]
fn an_output_that_cannot_be_written_to_its_end_leaves_nothing() {
    let world = world();
    for (format, extension) in [("csv", ".csv"), ("ndjson", ".ndjson"), ("arrow", ".arrow")] {
        // 8 blocks are 4 or 8 KiB, depending on the shell. The signal is ignored, as the error is what is to be seen.
        let script = format!(
            "trap '' XFSZ; ulimit -f 8 || exit 125
            exec \"$FLOWLAKE\" export lake --format {format} --output out"
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("FLOWLAKE", env!("CARGO_BIN_EXE_flowlake"))
            .current_dir(world.root())
            .output()
            .expect("a shell");
        if output.status.code() == Some(125) {
            return skipped("no `ulimit -f` here");
        }
        let outcome = world.export(format).outcome(&output).expect_code(4);
        outcome.expect_says(["error: cannot write ", extension, "File too large"]);
        assert!(!world.path("out").exists(), "there is an export");
        world.expect_no_staging();
    }
}

/// A lake that takes a while to export as compressed NDJSON.
fn large() -> World {
    let world = World::new();
    let flows = (0..1000).map(Flow::numbered).fold(DumpText::default(), |dump, flow| dump.flow(&flow));
    world.add_dump("hub.json.gz", &pack::gzip(flows.bytes()).repeat(2500));
    world.built();
    world
}

#[test]
fn ctrl_c_stops_an_export_and_leaves_nothing() {
    let world = large();
    let program = world.export("ndjson").args(["--compression", "gzip"]);
    for signal in ["INT", "TERM"] {
        let mut child = program.start();
        let begun = || {
            let names = world.staging();
            names.iter().any(|name| !tree(&world.path(name)).is_empty())
        };
        assert!(wait_for(&mut child, begun), "it was over before it began");
        let script = format!("kill -{signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().expect("a shell").success());
        let output = child.wait_with_output().expect("it ends");
        let outcome = program.outcome(&output).expect_code(130);
        assert_eq!(outcome.stderr, "error: interrupted; nothing was exported\n");
        assert_eq!(outcome.stdout, "");
        assert!(!world.path("out").exists(), "there is an export");
        world.expect_no_staging();
    }
    // Killed, it leaves its staging directory, which the next export removes.
    let mut child = program.start();
    assert!(wait_for(&mut child, || !world.staging().is_empty()), "it was over before it began");
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    assert!(!world.path("out").exists(), "there is an export");
    assert_eq!(world.staging().len(), 1);
    world.export("csv").args(["--compression", "zstd"]).run().expect_code(0);
    world.expect_no_staging();
    let packed = fs::File::open(world.path("out/hub_2019-07.csv.zst")).expect("a file");
    let text = BufReader::new(zstd::Decoder::new(packed).expect("zstd"));
    assert_eq!(text.split(b'\n').count(), 1 + 2_500_000, "rows of many blocks, and a header");
}
