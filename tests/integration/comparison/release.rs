//! What is told of the texts a lake was built by, and of releases.

use fs_err as fs;
use serde_json::{Value, json};

use super::super::support::{DEVICE_MAC, OTHER_MAC, Program, World, catalogue, device, section};
use super::{FLOWS, changed_lines, differences, edited, titles, world};

/// A lake of the recipe that ships, edited.
fn build_with(world: &World, name: &str, recipe: &str) {
    fs::write(world.path("mine.toml"), recipe).expect("it is written");
    world.build_to(name).arg("--recipe").arg(world.path("mine.toml")).run().expect_code(0);
}

#[test]
fn a_rule_of_the_recipe_that_changed_is_shown() {
    let world = world();
    build_with(&world, "mine", &FLOWS.replace("in = [\"toDevice\"]", "in = [\"fromDevice\"]"));
    let (text, json) = differences(&world, "mine");
    insta::assert_snapshot!(titles(&text)[..5].join("\n"), @r"
    they differ: recipe, what became of 2 dumps, 1,201 rows fewer in B, 3 files, row accounting
    Recipe
    Recipe: lines that changed
    Rows removed by rules
    Repairs
    ");
    insta::assert_snapshot!(changed_lines(&text, "Recipe"), @r#"
    --- A
    +++ B
    @@ -20,5 +20,5 @@
     [[filter]]
     rule = "toDevice"
    -remove = { column = "direction", in = ["toDevice"] }
    +remove = { column = "direction", in = ["fromDevice"] }
     description = "Somebody else started the flow: only the destination is the device"
    "#);
    insta::assert_snapshot!(section(&text, "Rows removed by rules"), @r"
    rule      A      B  difference
    toDevice  1  1,202      +1,201
    ");
    assert_eq!(json["configuration"]["catalogue"], Value::Null);
    let change = &json["configuration"]["recipe"];
    assert_eq!(change["a"]["sha256"], json["recipe"]["reference"][0]["a"]);
    assert_eq!(change["a"]["withheld"], false);
    insta::assert_snapshot!(change["hunks"][0]["parts"][0], @r#"{"a":["remove = { column = \"direction\", in = [\"toDevice\"] }"],"b":["remove = { column = \"direction\", in = [\"fromDevice\"] }"],"both":["[[filter]]","rule = \"toDevice\""]}"#);
}

#[test]
fn a_recipe_in_other_words_keeps_the_same_rows() {
    let world = world();
    let recipe = FLOWS.replace("# docs/recipes.md explains the language.\n", "# As published. \n\n");
    build_with(&world, "mine", &recipe);
    let (text, json) = differences(&world, "mine");
    insta::assert_snapshot!(titles(&text).join("\n"), @r"
    same rows, other encoding, other recipe
    Recipe
    Recipe: lines that changed
    Files
    Files: same rows, other encoding
    ");
    insta::assert_snapshot!(changed_lines(&text, "Recipe"), @r#"
    --- A
    +++ B
    @@ -4,5 +4,6 @@
     # 0. Times are UTC. deviceClass, the 45th feature, and month are partition columns: directory names, not in the file
     …s.
     #
    -# docs/recipes.md explains the language.
    +# As published.·
    +
     name = "flows"
     title = "Device-initiated flows: the 45 published features"
    "#);
    assert_eq!(json["verdict"], "sameRows");
}

#[test]
fn a_comment_of_the_catalogue_changes_no_rows() {
    let world = world();
    let devices = [device("lamp", "lighting", OTHER_MAC), device("hub", "iotGatewayHub", DEVICE_MAC)];
    let limits = "# Of the laboratory\n[limits]\nmax_rejected_share = 0.5\n";
    world.set_catalogue(&catalogue(limits, &devices));
    world.build_to("mine").run().expect_code(0);
    let (text, json) = differences(&world, "mine");
    let digests = json["configuration"]["catalogue"].clone();
    let digest = |side: &str| digests[side]["sha256"].as_str().expect("a digest")[..16].to_owned();
    let text = text.replace(&digest("a"), "[digest of A]   ").replace(&digest("b"), "[digest of B]");
    insta::assert_snapshot!(text, @r#"
    same rows, other catalogue

    Catalogue
     what    A                 B
     digest  [digest of A]     [digest of B]

    Catalogue: lines that changed
     --- A
     +++ B
     @@ -6,15 +6,16 @@
      url = "https://example.org/"

     +# Of the laboratory
      [limits]
      max_rejected_share = 0.5

      [[device]]
     +name = "lamp"
     +class = "lighting"
     +mac = "02:00:00:00:00:77"
     +archive = "lamp"
     +[[device]]
      name = "hub"
      class = "iotGatewayHub"
      mac = "02:00:00:00:00:01"
      archive = "hub"
     -[[device]]
     -name = "lamp"
     -class = "lighting"
     -mac = "02:00:00:00:00:77"
     -archive = "lamp"
    "#);
    assert_eq!(json["verdict"], "sameRows");
}

#[test]
fn of_texts_that_changed_everywhere_the_beginning_is_shown() {
    let world = world();
    let recipe: Vec<String> = FLOWS.lines().map(|line| format!("{line} ")).collect();
    build_with(&world, "mine", &recipe.join("\n"));
    let (text, json) = differences(&world, "mine");
    let lines = changed_lines(&text, "Recipe");
    assert_eq!(lines.lines().count(), 2 + 40 + 1, "{lines}");
    assert!(lines.ends_with(" more; --json has all"), "{lines}");
    let parts = json["configuration"]["recipe"]["hunks"][0]["parts"].as_array().expect("a list");
    let of_b = parts.iter().flat_map(|part| part["b"].as_array().expect("lines"));
    assert_eq!(of_b.count(), FLOWS.lines().count());
}

/// What a manifest says of a release.
fn release(version: &str) -> Value {
    json!({
        "version": version,
        "tool": {"name": "flowlake", "version": "0.1.0"},
        "redistribution": true,
        "documents": [
            {"path": "LICENSE", "bytes": 3, "sha256": "1".repeat(64)},
            {"path": "README.md", "bytes": 3, "sha256": version.replace('.', "a").repeat(13)},
        ],
    })
}

#[test]
fn a_release_is_compared_with_its_lake_and_with_another_release() {
    let world = world();
    edited(&world, "first", |manifest| manifest["release"] = release("1.0.0"));
    edited(&world, "second", |manifest| {
        manifest["release"] = release("1.0.1");
        manifest["release"]["date"] = json!("2025-01-02");
    });
    let (text, json) = differences(&world, "first");
    insta::assert_snapshot!(text, @r"
    same rows, only B is a release

    Release
     what            A  B
     version         -  1.0.0
     tool.name       -  flowlake
     tool.version    -  0.1.0
     redistribution  -  true

    Release: documents
     path       A  B
     LICENSE    -  1111111111111111
     README.md  -  1a0a01a0a01a0a01
    ");
    assert_eq!(json["verdict"], "sameRows");

    let between = Program::new(["diff"]).arg(world.path("second")).arg(world.path("first"));
    insta::assert_snapshot!(between.run().expect_code(1).stdout, @r"
    same rows, other release

    Release
     what     A           B
     version  1.0.1       1.0.0
     date     2025-01-02  -

    Release: documents
     path       A                 B
     README.md  1a0a11a0a11a0a11  1a0a01a0a01a0a01
    ");
}

#[test]
fn what_a_release_hides_is_told() {
    let world = world();
    edited(&world, "released", |manifest| {
        manifest["release"] = release("1.0.0");
        manifest["release"]["privacy"] = json!({
            "columns": [
                {"name": "sourceMacAddress", "treatment": "hmac-sha256"},
                {"name": "destinationIPv4Address", "treatment": "ipcrypt-pfx"},
                {"name": "vlanId", "treatment": "dropped"},
            ],
            "mac": "hmac-sha256",
            "ip": "ipcrypt-pfx",
            "drop": ["vlanId"],
            "keyCheck": "0123456789abcdef",
            "rejectedLinesWithheld": true,
        });
        manifest["release"]["documents"] = json!([]);
        let hub = manifest["sources"][0].as_object_mut().expect("a source");
        hub.remove("rejectedLines").expect("there are some");
        let catalogue = manifest["configuration"]["catalogue"].as_object_mut().expect("a catalogue");
        catalogue.remove("text").expect("it is kept");
        manifest["totals"]["contentDigest"] = json!("0".repeat(64));
        for file in manifest["files"].as_array_mut().expect("files") {
            file["contentDigest"] = json!("0".repeat(64));
            file["sha256"] = json!("0".repeat(64));
        }
    });
    let (text, json) = differences(&world, "released");
    assert!(
        text.lines().take_while(|line| *line != "Files").all(|line| line.chars().count() < 120),
        "{text}"
    );
    insta::assert_snapshot!(titles(&text).join("\n"), @r"
    they differ: release, privacy, 3 files
    Release
    Release: what was done to columns
    Catalogue
    Sources
    Totals
    Files
    Files: as many rows, other content
    ");
    insta::assert_snapshot!(section(&text, "Release"), @r#"
    what             A     B
    version          -     1.0.0
    tool.name        -     flowlake
    tool.version     -     0.1.0
    redistribution   -     true
    MAC addresses    -     hmac-sha256
    IP addresses     -     ipcrypt-pfx
    columns to drop  -     ["vlanId"]
    key check        -     0123456789abcdef
    rejected lines   kept  withheld
    "#);
    insta::assert_snapshot!(section(&text, "Release: what was done to columns"), @r"
    column                  A        B
    destinationIPv4Address  as read  ipcrypt-pfx
    sourceMacAddress        as read  hmac-sha256
    vlanId                  as read  dropped
    ");
    insta::assert_snapshot!(section(&text, "Catalogue"), @r"
    what  A                B
    text  in the manifest  withheld
    ");
    insta::assert_snapshot!(section(&text, "Sources"), @r"
    dump              device  what differs            read A  read B  kept A  kept B
    hub   same bytes  hub     rejectedLines.withheld       4       4       2       2
    ");
    assert_eq!(json["verdict"], "different");
    assert_eq!(json["configuration"]["catalogue"]["hunks"], Value::Null);
}
