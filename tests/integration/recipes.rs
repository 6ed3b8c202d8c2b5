//! Recipes: a user's own, and those that cannot be used (exit 2, naming file and line).

use fs_err as fs;

use super::support::{DumpText, Flow, Program, World};

/// The recipe that ships.
const FLOWS: &str = include_str!("../../config/recipes/flows.toml");

impl World {
    fn build_with_recipe(&self, text: &str) -> Program {
        self.build().args(self.recipe(text).each_ref().map(String::as_str))
    }

    /// Options that name a recipe of this text.
    fn recipe(&self, text: &str) -> [String; 2] {
        fs::write(self.path("recipe.toml"), text).expect("it is written");
        ["--recipe".to_owned(), self.path("recipe.toml").to_str().expect("UTF-8").to_owned()]
    }
}

/// What a build with this recipe says. With `line`, the last line of this text must be named.
#[track_caller]
fn refuse(text: &str, line: Option<&str>) -> String {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    let outcome = world.refused(2, &world.recipe(text).each_ref().map(String::as_str));
    let (place, message) =
        outcome.stderr.split_once(": ").and_then(|(_, rest)| rest.split_once(": ")).expect("a place");
    let expected = line.map_or("[dir]/recipe.toml".to_owned(), |line| {
        let number =
            text.lines().collect::<Vec<_>>().iter().rposition(|found| *found == line).expect("a line of it")
                + 1;
        format!("[dir]/recipe.toml:{number}")
    });
    assert_eq!(place, expected, "{}", outcome.stderr);
    message.trim_end().to_owned()
}

/// The shipped recipe with one text replaced.
#[track_caller]
fn changed(from: &str, to: &str) -> String {
    assert!(FLOWS.contains(from), "{from:?} is not in the recipe");
    FLOWS.replacen(from, to, 1)
}

#[test]
fn a_recipe_is_known_by_its_digest_not_by_where_it_is() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    let built_in = world.built();
    world.build_with_recipe(FLOWS).arg("--replace").run().expect_code(0);
    assert_eq!(world.lake().manifest, built_in.manifest);
    world.build_with_recipe(&format!("# mine\n{FLOWS}")).arg("--replace").run().expect_code(0);
    assert_ne!(world.lake().manifest["recipe"]["digest"], built_in.manifest["recipe"]["digest"]);
}

#[test]
fn a_users_own_recipe_decides_rows_columns_tables_and_repairs() {
    // Every flow, two tables of its own, no repair of addresses, and everything else dropped.
    let used = [
        "flowStartMilliseconds",
        "flowDurationMilliseconds",
        "protocolIdentifier",
        "sourceIPv4Address",
        "destinationTransportPort",
        "flowEndReason",
        "octetTotalCount",
    ];
    let mut recipe = r#"
        name = "mine"
        title = "A recipe of my own"
        repairs = ["durationMilliseconds"]

        [[filter]]
        rule = "noIdle"
        remove = { column = "flowEndReason", in = ["idle", "eof"] }

        [tables.transport]
        keys = ["protocolIdentifier"]
        default = "?"
        rows = [["tcp", 6], ["udp", 17]]

        [tables.service]
        keys = ["protocolIdentifier", "destinationTransportPort"]
        default = "none"
        rows = [["web", 6, 443]]
    "#
    .to_owned();
    let mut column = |name: &str, rest: &str| {
        recipe += &format!("[[column]]\nname = \"{name}\"\n{rest}\ndescription = \"A column\"\n");
    };
    column("device", "from = \"deviceName\"\nrole = \"target\"");
    column("way", "from = \"direction\"\nrole = \"feature\"");
    column("flowStartMilliseconds", "role = \"time\"");
    column("day", "derive = { date = \"flowStartMilliseconds\" }\nrole = \"time\"");
    column("clock", "derive = { time_of_day = \"flowStartMilliseconds\" }\nrole = \"time\"");
    column("source", "from = \"sourceIPv4Address\"\nrole = \"identifier\"");
    column("transport", "derive = { lookup = \"transport\" }\nrole = \"feature\"");
    column("service", "derive = { lookup = \"service\" }\nrole = \"feature\"");
    column("millis", "from = \"flowDurationMilliseconds\"\nrole = \"feature\"\nunit = \"ms\"");
    column("flowEndReason", "role = \"feature\"");
    column("bytes", "from = \"octetTotalCount\"\nrole = \"feature\"\nunit = \"B\"");
    for field in flowlake_ingest::schema::FIELDS.iter().filter(|field| !used.contains(&field.name)) {
        recipe += &format!(
            "[[dropped]]\nname = \"{}\"\nreason = \"notInProduct\"\ndetail = \"Not asked for\"\n",
            field.name
        );
    }
    let flows = [
        Flow::inbound().text("flowEndReason", "active").text("sourceIPv4Address", "ff02::0016"),
        Flow::new(),
        Flow::new().text("flowEndReason", "").number("protocolIdentifier", 17),
    ];
    let world = World::with_hub(&DumpText::of(flows));
    world.build_with_recipe(&recipe).run().expect_code(0);
    let lake = world.lake();
    let rows: Vec<String> =
        lake.rows().into_iter().map(|row| serde_json::Value::from(row).to_string()).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    {"bytes":900,"clock":"10:00:00.000","day":18078,"device":"hub","flowEndReason":"active","flowStartMilliseconds":1561975200000,"millis":1500,"service":"web","source":"ff02::0016","transport":"tcp","way":"toDevice"}
    {"bytes":900,"clock":"10:00:00.000","day":18078,"device":"hub","flowEndReason":"","flowStartMilliseconds":1561975200000,"millis":1500,"service":"none","source":"192.0.2.10","transport":"udp","way":"fromDevice"}
    "#);
    let expected = serde_json::json!({"read": 3, "kept": 2, "removed": {"noIdle": 1}, "rejected": 0});
    assert_eq!(lake.accounting(), expected);
    assert_eq!(lake.manifest["recipe"]["name"], "mine");
    assert_eq!(lake.list("repairs").len(), 1);
    assert_eq!(lake.list("droppedColumns").len(), 54 - used.len());
}

#[test]
fn a_recipe_without_repairs_publishes_values_as_written() {
    let recipe = changed("repairs = [", "repairs = []\n[unused]\nold = [").replace("[unused]\n", "");
    // The list that was there is cut out with its comments.
    let (head, tail) = recipe.split_once("old = [").expect("the old list");
    let (_, tail) = tail.split_once("\n]\n").expect("its end");
    let recipe = format!("{head}{tail}");
    let flow = Flow::new().text("destinationIPv4Address", "2001:0db8::0001").text("flowEndReason", "");
    let world = World::with_hub(&DumpText::of([flow]));
    world.build_with_recipe(&recipe).run().expect_code(0);
    let row = world.lake().row();
    assert_eq!(row["serverIPAddress"], "2001:0db8::0001");
    assert_eq!(row["IoTMacAddress"], "02:00:00:00:00:01:");
    assert_eq!(row["flowEndReason"], "");
    assert_eq!(row["flowDurationMilliseconds"], 1.5, "seconds, as written");
    assert_eq!(world.lake().list("repairs").len(), 0);
}

#[test]
fn an_unknown_key_in_a_recipe_is_refused_wherever_it_stands() {
    let message = refuse(&changed("[[filter]]\n", "[[filter]]\ncomment = \"x\"\n"), Some("comment = \"x\""));
    insta::assert_snapshot!(message, @"unknown field `comment`, expected one of `rule`, `remove`, `description`");
    let message = refuse(&changed("name = \"flows\"", "name = \"flows\"\nversion = 1"), Some("version = 1"));
    insta::assert_snapshot!(message, @"unknown field `version`, expected one of `name`, `title`, `repairs`, `filter`, `tables`, `column`, `dropped`");
    let message =
        refuse(&changed("role = \"target\"", "role = \"target\"\ntype = \"text\""), Some("type = \"text\""));
    insta::assert_snapshot!(message, @"unknown field `type`, expected one of `name`, `from`, `derive`, `role`, `unit`, `description`");
}

#[test]
fn unknown_names_in_a_recipe_are_refused_with_those_that_are_known() {
    let line = "    \"makeItShine\",";
    insta::assert_snapshot!(refuse(&changed("repairs = [", &format!("repairs = [\n{line}")), Some(line)), @"unknown repair `makeItShine`, expected one of macTrailingColon, ipv6Canonical, ipv4Unspecified, durationMilliseconds, flowEndReasonClosed");
    let message = refuse(&changed("reason = \"noise\"", "reason = \"boring\""), Some("reason = \"boring\""));
    insta::assert_snapshot!(message, @"unknown reason `boring`, expected one of constant, nearConstant, noise, notInProduct");
    let line = "from = \"sourceMac\"";
    insta::assert_snapshot!(refuse(&changed("from = \"sourceMacAddress\"", line), Some(line)), @"`sourceMac` is no raw field, nor deviceName or direction");
    let line = "derive = { lookup = \"colours\" }";
    insta::assert_snapshot!(refuse(&changed("derive = { lookup = \"protocolName\" }", line), Some(line)), @"there is no [tables.colours]");
    let line = "remove = { column = \"colour\", in = [\"toDevice\"] }";
    let message =
        refuse(&changed("remove = { column = \"direction\", in = [\"toDevice\"] }", line), Some(line));
    insta::assert_snapshot!(message, @"`colour` is no text column to filter by");
}

#[test]
fn a_raw_field_that_is_neither_used_nor_dropped_is_not_forgotten_silently() {
    let without = changed(
        "[[dropped]]\nname = \"vlanId\"\nreason = \"constant\"\ndetail = \"No VLAN tags in the capture\"\n",
        "",
    );
    insta::assert_snapshot!(refuse(&without, None), @"neither in a [[column]] nor [[dropped]] with a reason: vlanId");
}

#[test]
fn a_partition_column_cannot_be_a_column_of_the_files() {
    let line = "name = \"deviceClass\"";
    let recipe =
        changed("[[column]]\nname = \"deviceName\"", &format!("[[column]]\n{line}\nfrom = \"deviceName\""));
    insta::assert_snapshot!(refuse(&recipe, Some(line)), @"column `deviceClass` cannot be in the files: it is a partition column");
}

#[test]
fn a_recipe_without_the_flow_start_is_refused() {
    let recipe =
        changed("name = \"flowStartMilliseconds\"\n", "name = \"begin\"\nfrom = \"flowStartMilliseconds\"\n");
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    let outcome = world.refused(2, &world.recipe(&recipe).each_ref().map(String::as_str));
    insta::assert_snapshot!(outcome.stderr, @"error: [dir]/recipe.toml: the first timestamp column must be `flowStartMilliseconds`, copied from the field: it tells the month of a row");
}

#[test]
fn a_recipe_that_is_not_there_is_named_with_the_built_in_ones() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    let outcome = world.refused(2, &["--recipe", "flow"]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: failed to open file `flow`: No such file or directory (os error 2)
    hint: give the path of a file; built-in recipes: flows
    ");
}
