//! `flowlake inspect`: what a lake holds and how it was made.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::Value;

use super::support::{
    DEVICE_MAC, DumpText, Flow, OTHER_MAC, ROUTER_MAC, World, catalogue, device, pack, section, skipped,
    without_digests,
};

fn world() -> World {
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    world.set_catalogue(&catalogue("[limits]\nmax_rejected_share = 0.5\n", &devices));
    let hub = DumpText::default()
        .flow(&Flow::new())
        .flow(&Flow::inbound())
        .spelled(&Flow::new(), "damaged")
        .trailer();
    let lamp = (0..1200).map(|i| Flow::numbered(i).between(OTHER_MAC, ROUTER_MAC).text("flowEndReason", ""));
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", hub.bytes()));
    world.add_dump("lamp.tar.gz", &pack::tar_gz("lamp", DumpText::of(lamp).bytes()));
    world.built();
    world
}

#[test]
fn inspect_says_what_is_in_a_lake_and_why() {
    let text = world().about_lake("inspect").run().expect_code(0).stdout;
    assert!(text.starts_with("test-set: Flows of a test\n"), "{text}");
    for line in [
        "  licence   CC0-1.0",
        "  citation  Nobody: Nothing. Nowhere, 2019",
        "  source    https://example.org/",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in {text}");
    }
    assert!(text.contains("\n  holds     1,201 rows in 2 files, "), "{text}");
    insta::assert_snapshot!(section(&text, "Row accounting"), @r"
    what                  rows
    read                 1,203
    removed by toDevice      1
    removed by neither       0
    rejected                 1
    kept                 1,201
    ");
    insta::assert_snapshot!(section(&text, "Repairs"), @r"
    repair                values
    macTrailingColon       2,402
    ipv6Canonical              0
    ipv4Unspecified            0
    durationMilliseconds   2,402
    flowEndReasonClosed    1,200
    ");
    insta::assert_snapshot!(section(&text, "Sources"), @r"
    dump  device  class          trailer   read   kept  removed  rejected
    hub   hub     iotGatewayHub  DIFFERS      3      1        1         1
    lamp  lamp    lighting       matches  1,200  1,200        0         0
    ");
    insta::assert_snapshot!(without_digests(&section(&text, "Warnings")), @r"
    dump hub: 1 lines rejected, kept in rejected/hub-[digest].ndjson
    dump hub: its trailer says 3 flows and 36 packets, read were 3 and 24
    ");
    let dropped = section(&text, "Dropped columns");
    assert_eq!(dropped.lines().count(), 1 + 15, "{dropped}");
    let columns = section(&text, "Columns");
    assert!(
        columns.lines().any(|line| line.starts_with("flowDurationMilliseconds") && line.contains("ms")),
        "{columns}"
    );
    assert_eq!(columns.lines().filter(|line| line.contains("directory")).count(), 2, "{columns}");
    let values = section(&text, "Values");
    let shown = [
        "name",
        "flowStartMilliseconds",
        "flowEndMillisecondsDate",
        "averageInterarrivalTime",
        "octetTotalCount",
    ];
    let shown = |line: &&str| shown.iter().any(|name| line.split(' ').next() == Some(name));
    insta::assert_snapshot!(values.lines().filter(shown).collect::<Vec<_>>().join("\n"), @r"
    name                                      nulls                       min        mean                       max
    flowStartMilliseconds                         0  2019-07-01T10:00:00.000Z              2019-07-01T10:00:00.000Z
    flowEndMillisecondsDate                       0                2019-07-01                            2019-07-01
    averageInterarrivalTime                       0                       250     250.000                       250
    octetTotalCount                               0                       900   1,499.001                     2,099
    ");
    let texts = section(&text, "Values of text");
    insta::assert_snapshot!(texts, @r"
    name                       most frequent                                      nulls  distinct
    deviceName                 lamp 99.9 %, hub 0.1 %                                 0         2
    IoTMacAddress              02:00:00:00:00:77 99.9 %, 02:00:00:00:00:01 0.1 %      0         2
    IoTIPAddress               192.0.2.10 100.0 %                                     0         1
    serverMacAddress           02:00:00:00:00:fe 100.0 %                              0         1
    serverIPAddress            198.51.100.7 100.0 %                                   0         1
    protocolName               TCP 100.0 %                                            0         1
    serviceType                HTTP/S 100.0 %                                         0         1
    flowStartMillisecondsTime  10:00:00.000 100.0 %                                   0         1
    flowEndMillisecondsTime    10:00:01.500 100.0 %                                   0         1
    flowEndReason              closed 99.9 %, idle 0.1 %                              0         2
    initialTCPFlags            S 100.0 %                                              0         1
    unionTCPFlags              APF 100.0 %                                            0         1
    reverseInitialTCPFlags     AS 100.0 %                                             0         1
    month                      2019-07 100.0 %                                        0         1
    deviceClass                lighting 99.9 %, iotGatewayHub 0.1 %                   0         2
    ");
    let partitions = section(&text, "Partitions");
    assert_eq!(partitions.lines().count(), 3, "{partitions}");
    assert!(text.lines().all(|line| line == line.trim_end()), "no spaces at line ends");
}

#[test]
fn inspect_as_json_is_the_manifest() {
    let world = world();
    let outcome = world.about_lake("inspect").arg("--json").run().expect_code(0);
    let found: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(found, world.lake().manifest);
    let manifest = fs_err::read_to_string(world.path("lake/manifest.json")).expect("a manifest");
    assert_eq!(outcome.stdout, manifest, "in the same words");
}

#[test]
fn inspect_needs_the_manifest_alone() {
    let world = world();
    let before = world.about_lake("inspect").run().stdout;
    fs_err::remove_dir_all(world.path("lake/data")).expect("it goes");
    assert_eq!(world.about_lake("inspect").run().expect_code(0).stdout, before);
}

#[test]
fn what_is_no_lake_cannot_be_inspected() {
    let outcome = World::new().about_lake("inspect").run().expect_code(3);
    insta::assert_snapshot!(outcome.stderr, @"error: [dir]/lake is not a lake: it has no manifest.json");
}

#[test]
fn a_manifest_that_is_no_file_is_neither_waited_for_nor_read_without_an_end() {
    let world = World::new();
    fs_err::create_dir(world.path("lake")).expect("it is made");
    let manifest = world.path("lake/manifest.json");
    let told = || world.about_lake("inspect").run().expect_code(3).stderr;
    symlink("/dev/zero", &manifest).expect("a link");
    insta::assert_snapshot!(told(), @r"
    error: cannot read [dir]/lake/manifest.json
    caused by: it is no regular file
    ");
    fs_err::remove_file(&manifest).expect("it goes");
    // More than any manifest has, and nothing on disk.
    fs_err::File::create(&manifest).and_then(|file| file.set_len(1 << 40)).expect("it is made");
    insta::assert_snapshot!(told(), @r"
    error: cannot read [dir]/lake/manifest.json
    caused by: it takes 1099511627776 bytes, and what is read as a whole at most 1073741824
    ");
    fs_err::remove_file(&manifest).expect("it goes");
    match Command::new("mkfifo").arg(&manifest).status() {
        Ok(made) if made.success() => assert!(told().contains("it is no regular file")),
        _ => skipped("no named pipes here"),
    }
}
