//! `flowlake diff`: what changed between two lakes.

mod release;

use fs_err as fs;
use serde_json::{Value, json};

use super::support::{
    DEVICE_MAC, DumpText, Flow, OTHER_MAC, Outcome, Program, ROUTER_MAC, World, catalogue, device, pack,
    section, without_digests,
};

/// The recipe that ships.
const FLOWS: &str = include_str!("../../config/recipes/flows.toml");

/// Dumps of two devices in two months, one of which has a damaged line, and `lake/` of them.
fn world() -> World {
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    world.set_catalogue(&catalogue("[limits]\nmax_rejected_share = 0.5\n", &devices));
    add_hub(&world, 1);
    let lamp = (0..1200).map(|i| Flow::numbered(i).between(OTHER_MAC, ROUTER_MAC));
    world.add_dump("lamp.tar.gz", &pack::tar_gz("lamp", DumpText::of(lamp).bytes()));
    world.built();
    world
}

/// The dump of the hub with so many flows in August.
fn add_hub(world: &World, in_august: u64) {
    let dump = DumpText::default().flow(&Flow::new()).flow(&Flow::inbound());
    let august = |i| Flow::numbered(i).starting("2019-08-01 00:00:00.000");
    let dump = (0..in_august).fold(dump, |dump, i| dump.flow(&august(i)));
    let dump = dump.spelled(&Flow::new(), "damaged").trailer();
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()));
}

/// `flowlake diff` of `lake/` and another one here.
fn diff(world: &World, other: &str, options: &[&str]) -> Outcome {
    world.about_lake("diff").arg(world.path(other)).args(options).run()
}

/// The whole of a comparison that finds something, as text and as JSON.
#[track_caller]
fn differences(world: &World, other: &str) -> (String, Value) {
    let text = diff(world, other, &[]).expect_code(1).stdout;
    assert!(text.lines().all(|line| line == line.trim_end()), "no spaces at line ends");
    let json = diff(world, other, &["--json"]).expect_code(1).stdout;
    (text, serde_json::from_str(&json).expect("JSON"))
}

/// Titles of the sections of a text, its first line first: all else is indented.
fn titles(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with(char::is_alphabetic)).collect()
}

/// The lines that changed in catalogue or recipe, as they are shown.
fn changed_lines(text: &str, title: &str) -> String {
    let begin = format!("\n{title}: lines that changed\n");
    let lines = text.split_once(&begin).expect("there are such lines").1.lines();
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// The manifest of `lake/`, edited, as that of a lake of its own.
fn edited(world: &World, name: &str, edit: impl FnOnce(&mut Value)) {
    let mut manifest = world.lake().manifest;
    edit(&mut manifest);
    fs::create_dir(world.path(name)).expect("a directory");
    fs::write(world.path(name).join("manifest.json"), manifest.to_string()).expect("it is written");
}

#[test]
fn a_lake_that_is_built_again_does_not_differ() {
    let world = world();
    world.build_to("again").with("--jobs", "1").run().expect_code(0);
    for other in ["again", "lake"] {
        assert_eq!(diff(&world, other, &[]).expect_code(0).stdout, "no difference\n");
    }
    let json = diff(&world, "again", &["--json"]).expect_code(0).stdout;
    insta::assert_snapshot!(json, @r#"
    {
      "verdict": "same",
      "origin": [],
      "release": {
        "reference": [],
        "treatments": [],
        "documents": []
      },
      "configuration": {
        "catalogue": null,
        "recipe": null
      },
      "recipe": {
        "reference": [],
        "selection": null,
        "rules": [],
        "repairs": [],
        "notEncoded": []
      },
      "sources": [],
      "schema": {
        "columns": [],
        "droppedColumns": [],
        "profiles": [],
        "evidence": []
      },
      "rows": {
        "partitions": [],
        "totals": [],
        "contentDigest": null
      },
      "files": {
        "unchanged": 3,
        "sameBytes": [],
        "otherEncoding": [],
        "otherContent": [],
        "rolled": [],
        "onlyInA": [],
        "onlyInB": []
      },
      "rowAccounting": [],
      "warnings": [],
      "order": []
    }
    "#);
}

#[test]
fn a_part_of_the_input_is_told_by_what_is_missing() {
    let world = world();
    let options = ["--device", "hub", "--from", "2019-08"];
    world.build_to("august").args(options).run().expect_code(0);
    let (text, json) = differences(&world, "august");
    insta::assert_snapshot!(titles(&text).join("\n"), @r"
    they differ: selection, 1 dump, what became of 1 dump, 1,201 rows fewer in B, 2 files, row accounting
    Recipe
    Rows removed by rules
    Repairs
    Sources
    Statistics
    Rows
    Totals
    Files
    Files: only in A
    Row accounting
    ");
    insta::assert_snapshot!(section(&text, "Recipe"), @r"
    what          A  B
    only devices  -  hub
    only from     -  2019-08-01T00:00:00.000Z
    ");
    insta::assert_snapshot!(section(&text, "Rows removed by rules"), @r"
    rule                                    A  B  difference
    before --from 2019-08-01T00:00:00.000Z  -  1          +1
    ");
    insta::assert_snapshot!(section(&text, "Sources"), @r"
    dump              device  what differs                   read A  read B  kept A  kept B
    hub   same bytes  hub     kept, removed, firstFlowStart       4       4       2       1
    lamp  removed     lamp                                    1,200       -   1,200       -
    ");
    insta::assert_snapshot!(section(&text, "Rows"), @r"
    month    deviceClass    device      A  B  difference
    2019-07  iotGatewayHub  hub         1  -          -1
    2019-07  lighting       lamp    1,200  -      -1,200
    ");
    insta::assert_snapshot!(section(&text, "Files"), @r"
    what       A  B
    unchanged  1  1
    only in A  2  0
    ");
    insta::assert_snapshot!(without_digests(&section(&text, "Files: only in A")), @r"
    path                                                                              rows
    data/month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet      1
    data/month=2019-07/deviceClass=lighting/lamp-00000-[digest].parquet      1,200
    ");
    insta::assert_snapshot!(section(&text, "Row accounting"), @r"
    what         A  B  difference
    read     1,204  4      -1,200
    kept     1,202  1      -1,201
    removed      1  2          +1
    ");
    assert_eq!(json["verdict"], "different");
    let selection = json!({"a": null, "b": {"devices": ["hub"], "from": "2019-08-01T00:00:00.000Z"}});
    assert_eq!(json["recipe"]["selection"], selection);
    assert_eq!(json["files"]["unchanged"], 1);
    assert_eq!(json["files"]["onlyInA"], Value::from(&world.lake().list("files")[..2]));

    // From the other side it is the other way round.
    let there = Program::new(["diff"]).arg(world.path("august")).arg(world.path("lake")).run().expect_code(1);
    insta::assert_snapshot!(titles(&there.stdout)[0], @"they differ: selection, 1 dump, what became of 1 dump, 1,201 rows more in B, 2 files, row accounting");
}

#[test]
fn another_recipe_is_told_by_rules_repairs_and_columns() {
    let world = world();
    let column = |name: &str| {
        let begin = FLOWS.find(&format!("[[column]]\nname = \"{name}\"")).expect("a column");
        let length = FLOWS[begin + 1..].find("\n[[").expect("another one behind it");
        &FLOWS[begin..begin + length + 2]
    };
    // One column less, one that moved, one that is described otherwise; another rule; a repair less.
    let average = column("averageInterarrivalTime");
    let recipe = FLOWS
        .replace("name = \"flows\"", "name = \"mine\"")
        .replace("rule = \"toDevice\"", "rule = \"fromOutside\"")
        .replace("    \"flowEndReasonClosed\",    # empty -> closed\n", "")
        .replace(average, "")
        .replace(column("bytesPerPacket"), average)
        .replace(
            "name = \"octetTotalCount\"\nrole = \"feature\"\nunit = \"B\"",
            "name = \"octetTotalCount\"\nrole = \"target\"",
        )
        .replace("No VLAN tags in the capture", "No VLANs");
    let recipe = format!(
        "{recipe}\n[[dropped]]\nname = \"bytesPerPacket\"\nreason = \"notInProduct\"\ndetail = \"Not used\"\n"
    );
    fs::write(world.path("mine.toml"), recipe).expect("it is written");
    world.build_to("mine").arg("--recipe").arg(world.path("mine.toml")).run().expect_code(0);
    let (text, json) = differences(&world, "mine");
    insta::assert_snapshot!(titles(&text).join("\n"), @r"
    they differ: recipe, what became of 2 dumps, 4 columns, 2 dropped columns, 3 files, row accounting
    Recipe
    Recipe: lines that changed
    Rows removed by rules
    Repairs
    Sources
    Columns
    Dropped columns
    Totals
    Files
    Files: as many rows, other content
    ");
    insta::assert_snapshot!(section(&text, "Rows removed by rules"), @r"
    rule         A  B  difference
    fromOutside  -  1          +1
    toDevice     1  -          -1
    ");
    insta::assert_snapshot!(section(&text, "Repairs"), @r"
    repair               A  B  difference
    flowEndReasonClosed  0  -           0
    ");
    insta::assert_snapshot!(section(&text, "Columns"), @r"
    name                              what
    averageInterarrivalTime  moved    position 19 -> 36
    bytesPerPacket           removed  int32
    flowEndReason            changed  derivation
    octetTotalCount          changed  unit B -> -, role feature -> target
    ");
    insta::assert_snapshot!(section(&text, "Dropped columns"), @r"
    name            A                                      B
    bytesPerPacket  -                                      notInProduct
    vlanId          constant: No VLAN tags in the capture  constant: No VLANs
    ");
    insta::assert_snapshot!(section(&text, "Files"), @r"
    what                         A  B
    unchanged                    0  0
    as many rows, other content  3  3
    ");
    insta::assert_snapshot!(without_digests(&section(&text, "Files: as many rows, other content")), @r"
    A                                                                                B                                    rows A  rows B
    data/month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet  hub-00000-[digest].parquet        1       1
    data/month=2019-07/deviceClass=lighting/lamp-00000-[digest].parquet      lamp-00000-[digest].parquet   1,200   1,200
    data/month=2019-08/deviceClass=iotGatewayHub/hub-00000-[digest].parquet  hub-00000-[digest].parquet        1       1
    ");
    let [name, digest] = [0, 1].map(|i| &json["recipe"]["reference"][i]);
    assert_eq!(*name, json!({"what": "name", "a": "flows", "b": "mine"}));
    let recipe = section(&text, "Recipe");
    for side in ["a", "b"] {
        let digest = digest[side].as_str().expect("a digest");
        assert!(digest.len() == 64 && recipe.contains(&digest[..16]) && !recipe.contains(digest), "{recipe}");
    }
    assert_eq!(json["rows"]["partitions"], json!([]));
}

#[test]
fn other_dumps_are_told_apart_from_others_made_of_the_same() {
    let world = world();
    add_hub(&world, 3);
    fs::rename(world.dumps().join("lamp.tar.gz"), world.dumps().join("bulb.tar.gz")).expect("it moves");
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("bulb", "lighting", OTHER_MAC)];
    world.set_catalogue(
        &catalogue("[limits]\nmax_rejected_share = 0.5\n", &devices).replace("CC0-1.0", "CC-BY-4.0"),
    );
    world.build_to("later").run().expect_code(0);
    let (text, json) = differences(&world, "later");
    insta::assert_snapshot!(titles(&text).join("\n"), @r"
    they differ: data set, catalogue, 3 dumps, 2 rows more in B, 4 files, row accounting, warnings
    Origin
    Catalogue
    Catalogue: lines that changed
    Repairs
    Sources
    Statistics
    Rows
    Totals
    Files
    Files: only in A
    Files: only in B
    Row accounting
    Warnings
    ");
    insta::assert_snapshot!(section(&text, "Origin"), @r"
    what             A        B
    dataset.licence  CC0-1.0  CC-BY-4.0
    ");
    insta::assert_snapshot!(section(&text, "Sources"), @r"
    dump               device  what differs                                                    read A  read B  kept A  kept B
    bulb  added        bulb                                                                         -   1,200       -   1,200
    hub   other bytes  hub     parts, records, trailer, read, kept, rejectedLines, directions       4       6       2       4
    lamp  removed      lamp                                                                     1,200       -   1,200       -
    ");
    insta::assert_snapshot!(section(&text, "Rows"), @r"
    month    deviceClass    device      A      B  difference
    2019-07  lighting       bulb        -  1,200      +1,200
    2019-07  lighting       lamp    1,200      -      -1,200
    2019-08  iotGatewayHub  hub         1      3          +2
    ");
    insta::assert_snapshot!(without_digests(&section(&text, "Warnings")), @r"
    in  kind             message
    A   linesRejected    dump hub: 1 lines rejected, kept in rejected/hub-[digest].ndjson
    B   linesRejected    dump hub: 1 lines rejected, kept in rejected/hub-[digest].ndjson
    A   trailerMismatch  dump hub: its trailer says 4 flows and 48 packets, read were 4 and 36
    B   trailerMismatch  dump hub: its trailer says 6 flows and 72 packets, read were 6 and 60
    ");
    assert_eq!(
        json["sources"][1]["differs"],
        json!(["parts", "records", "trailer", "read", "kept", "rejectedLines", "directions"])
    );
    assert_eq!(json["sources"][1]["a"], world.lake().list("sources")[0]);
    let sum: i64 = json["rows"]["partitions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|partition| partition["difference"].as_i64().expect("a number"))
        .sum();
    let total =
        json["rows"]["totals"].as_array().expect("a list").iter().find(|total| total["name"] == "rows");
    assert_eq!((sum, total.map(|total| &total["difference"])), (2, Some(&json!(2))));
}

#[test]
fn the_same_rows_in_other_bytes_are_said_to_be_that() {
    let world = world();
    edited(&world, "encoded", |manifest| {
        manifest["tool"]["version"] = json!("9.9.9");
        for file in manifest["files"].as_array_mut().expect("files") {
            file["sha256"] = json!("0".repeat(64));
            file["bytes"] = json!(1);
            let path = file["path"].as_str().expect("a path").rsplit_once('-').expect("a digest").0;
            file["path"] = json!(format!("{path}-{}.parquet", "0".repeat(16)));
        }
        manifest["totals"]["bytes"] = json!(3);
    });
    let (text, json) = differences(&world, "encoded");
    insta::assert_snapshot!(titles(&text).join("\n"), @r"
    same rows, other encoding
    Origin
    Totals
    Files
    Files: same rows, other encoding
    ");
    insta::assert_snapshot!(without_digests(&section(&text, "Files: same rows, other encoding")), @r"
    A                                                                                B                                    rows A  rows B
    data/month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet  hub-00000-[digest].parquet        1       1
    data/month=2019-07/deviceClass=lighting/lamp-00000-[digest].parquet      lamp-00000-[digest].parquet   1,200   1,200
    data/month=2019-08/deviceClass=iotGatewayHub/hub-00000-[digest].parquet  hub-00000-[digest].parquet        1       1
    ");
    assert_eq!(json["verdict"], "sameRows");
    assert_eq!(json["files"]["otherEncoding"].as_array().expect("a list").len(), 3);
}

#[test]
fn files_of_a_lake_made_before_names_had_digests_are_the_same_under_other_names() {
    let world = world();
    edited(&world, "old", |manifest| {
        for file in manifest["files"].as_array_mut().expect("files") {
            let path = file["path"].as_str().expect("a path").rsplit_once('-').expect("a digest").0;
            file["path"] = json!(format!("{path}.parquet"));
        }
        let hub = manifest["sources"][0].as_object_mut().expect("a source");
        hub.remove("rejectedLines").expect("there are some");
        manifest["warnings"][0]["message"] = json!("dump hub: 1 lines rejected, kept in rejected/hub.ndjson");
    });
    let (text, json) = differences(&world, "old");
    insta::assert_snapshot!(without_digests(&text), @r"
    same rows, other names of files

    Sources
     dump              device  what differs        read A  read B  kept A  kept B
     hub   same bytes  hub     rejectedLines.path       4       4       2       2

    Files
     what                             A  B
     unchanged                        0  0
     same bytes, other name or entry  3  3

    Files: same bytes, other name or entry
     A                                                                                B                   rows A  rows B
     data/month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet  hub-00000.parquet        1       1
     data/month=2019-07/deviceClass=lighting/lamp-00000-[digest].parquet      lamp-00000.parquet   1,200   1,200
     data/month=2019-08/deviceClass=iotGatewayHub/hub-00000-[digest].parquet  hub-00000.parquet        1       1

    Warnings
     in  kind           message
     A   linesRejected  dump hub: 1 lines rejected, kept in rejected/hub-[digest].ndjson
     B   linesRejected  dump hub: 1 lines rejected, kept in rejected/hub.ndjson
    ");
    assert_eq!(json["verdict"], "sameRows");
}

#[test]
fn long_lists_are_cut_in_text_and_whole_in_json() {
    let world = World::new();
    let months = (0..24).map(|month| {
        let start = format!("{}-{:02}-03 10:00:00.000", 2018 + month / 12, month % 12 + 1);
        Flow::new().starting(&start)
    });
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", DumpText::of(months).bytes()));
    world.built();
    world.build_to("none").args(["--from", "2021"]).run().expect_code(2);
    world.build_to("none").args(["--from", "2021-01"]).run().expect_code(0);
    let (text, json) = differences(&world, "none");
    let rows = section(&text, "Rows");
    assert_eq!(rows.lines().count(), 1 + 20 + 1, "{rows}");
    assert_eq!(rows.lines().last(), Some("… and 4 more; --json has all"));
    assert_eq!(json["rows"]["partitions"].as_array().expect("a list").len(), 24);
    assert_eq!(json["files"]["onlyInA"].as_array().expect("a list").len(), 24);
}

#[test]
fn manifests_are_all_that_is_read() {
    let world = world();
    world.build_to("full").args(["--recipe", "full"]).run().expect_code(0);
    let before = differences(&world, "full");
    for lake in ["lake", "full"] {
        fs::remove_dir_all(world.path(lake).join("data")).expect("it goes");
        fs::remove_dir_all(world.path(lake).join("rejected")).expect("it goes");
    }
    assert_eq!(differences(&world, "full"), before);
}

#[test]
fn what_is_no_lake_cannot_be_compared_on_either_side() {
    let world = world();
    let outcome = diff(&world, "nothing", &[]).expect_code(3);
    assert_eq!(outcome.stdout, "");
    insta::assert_snapshot!(outcome.stderr, @"error: [dir]/nothing is not a lake: it has no manifest.json");
    let other_way = World::new().about_lake("diff").arg(world.path("lake")).run().expect_code(3);
    insta::assert_snapshot!(other_way.stderr, @"error: [dir]/lake is not a lake: it has no manifest.json");
    edited(&world, "newer", |manifest| manifest["formatVersion"] = json!(3));
    diff(&world, "newer", &["--json"]).expect_code(3).expect_says(["a newer one is needed"]);
}
