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
    insta::assert_snapshot!(message, @"unknown field `version`, expected one of `name`, `title`, `repairs`, `ip_encoding`, `filter`, `tables`, `column`, `dropped`");
    let message =
        refuse(&changed("role = \"target\"", "role = \"target\"\ntype = \"text\""), Some("type = \"text\""));
    insta::assert_snapshot!(message, @"unknown field `type`, expected one of `name`, `from`, `derive`, `fill`, `role`, `unit`, `description`");
}

#[test]
fn unknown_names_in_a_recipe_are_refused_with_those_that_are_known() {
    let line = "    \"makeItShine\",";
    insta::assert_snapshot!(refuse(&changed("repairs = [", &format!("repairs = [\n{line}")), Some(line)), @"unknown repair `makeItShine`, expected one of macTrailingColon, ipv6Canonical, ipv4Unspecified, durationMilliseconds, flowEndReasonClosed");
    let message = refuse(&changed("reason = \"noise\"", "reason = \"boring\""), Some("reason = \"boring\""));
    insta::assert_snapshot!(message, @"unknown reason `boring`, expected one of constant, nearConstant, noise, notInProduct");
    let line = "from = \"sourceMac\"";
    insta::assert_snapshot!(refuse(&changed("from = \"sourceMacAddress\"", line), Some(line)), @"`sourceMac` is no raw field, nor one of deviceName, deviceClass, dump, line, direction");
    let line = "derive = { lookup = \"colours\" }";
    insta::assert_snapshot!(refuse(&changed("derive = { lookup = \"protocolName\" }", line), Some(line)), @"there is no [tables.colours]");
    let line = "remove = { column = \"colour\", in = [\"toDevice\"] }";
    let message =
        refuse(&changed("remove = { column = \"direction\", in = [\"toDevice\"] }", line), Some(line));
    insta::assert_snapshot!(message, @"`colour` is no raw field, nor direction");
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
fn a_rule_cannot_have_the_name_of_one_of_the_command_line() {
    for name in ["before --from 2019-08-01T00:00:00.000Z", "", "two\\nlines"] {
        let rule = format!("rule = \"{name}\"");
        let message = refuse(&changed("rule = \"neither\"", &rule), Some(&rule));
        assert!(message.contains("is no slug: letters, digits, `-` and `_`"), "{message}");
    }
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
    hint: give the path of a file; built-in recipes: flows, encoded, full
    ");
}

/// A recipe of the flow start and these columns, with all other fields dropped; `before` is put before the columns.
fn small(before: &str, columns: &str) -> String {
    let mut recipe = format!("name = \"small\"\ntitle = \"A small recipe\"\n{before}\n");
    recipe += "[[column]]\nname = \"flowStartMilliseconds\"\nrole = \"time\"\ndescription = \"Start\"\n";
    recipe += columns;
    for field in flowlake_ingest::schema::FIELDS.iter().map(|field| field.name) {
        let used = columns.contains(&format!("\"{field}\"")) || field == "flowStartMilliseconds";
        if !used {
            recipe += &format!(
                "[[dropped]]\nname = \"{field}\"\nreason = \"notInProduct\"\ndetail = \"Not asked for\"\n"
            );
        }
    }
    recipe
}

/// A column in one line of keys.
fn column(name: &str, keys: &str) -> String {
    format!("[[column]]\nname = \"{name}\"\n{keys}\nrole = \"feature\"\ndescription = \"A column\"\n")
}

#[test]
fn every_operation_gives_what_it_says() {
    let columns = [
        column("year", "derive = { year = \"flowStartMilliseconds\" }"),
        column("class", "from = \"deviceClass\""),
        column("dump", ""),
        column("line", ""),
        column("web", "derive = { in_list = { column = \"destinationTransportPort\", values = [80, 443] } }"),
        column("https", "derive = { one_hot = { column = \"destinationTransportPort\", value = 443 } }"),
        column("outgoing", "derive = { one_hot = { column = \"direction\", value = \"fromDevice\" } }"),
        column("cut", "derive = { in_list = { column = \"flowEndReason\", values = [\"eof\", \"force\"] } }"),
        column("urgent", "derive = { flag = { column = \"unionTCPFlags\", letter = \"U\" } }"),
        column("address", "derive = { ipv4_integer = \"sourceIPv4Address\" }\nfill = -1"),
        column(
            "answered",
            "derive = { ratio = { of = \"reversePacketTotalCount\", to = \"packetTotalCount\" } }",
        ),
        column(
            "share",
            "derive = { ratio = { of = \"smallPacketCount\", to = \"nonEmptyPacketCount\" } }\nfill = 0.5",
        ),
        column("largePacketCount", "fill = 7"),
        column("collectorName", "fill = \"nobody\""),
        column("maxPacketSize", ""),
    ];
    let flows = [
        Flow::new().text("unionTCPFlags", "PU"),
        Flow::inbound()
            .number("destinationTransportPort", 8080)
            .number("packetTotalCount", 0)
            .number("nonEmptyPacketCount", 0)
            .text("flowEndReason", "eof")
            .text("sourceIPv4Address", "2001:db8::1"),
        Flow::new()
            .without_statistics()
            .without("destinationTransportPort")
            .without("flowEndReason")
            .without("unionTCPFlags")
            .without("collectorName"),
    ];
    let world = World::with_hub(&DumpText::of(flows));
    world.build_with_recipe(&small("", &columns.concat())).run().expect_code(0);
    let lake = world.lake();
    let rows: Vec<String> =
        lake.rows().into_iter().map(|row| serde_json::Value::from(row).to_string()).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    {"address":3221225994,"answered":0.7142857142857143,"class":"iotGatewayHub","collectorName":"C1","cut":0,"dump":"hub","flowStartMilliseconds":1561975200000,"https":1,"largePacketCount":1,"line":1,"maxPacketSize":230,"outgoing":1,"share":0.5,"urgent":1,"web":1,"year":2019}
    {"address":-1,"answered":null,"class":"iotGatewayHub","collectorName":"C1","cut":1,"dump":"hub","flowStartMilliseconds":1561975200000,"https":0,"largePacketCount":1,"line":2,"maxPacketSize":230,"outgoing":0,"share":0.5,"urgent":0,"web":0,"year":2019}
    {"address":3221225994,"answered":0.7142857142857143,"class":"iotGatewayHub","collectorName":"nobody","cut":null,"dump":"hub","flowStartMilliseconds":1561975200000,"https":null,"largePacketCount":7,"line":3,"maxPacketSize":null,"outgoing":1,"share":0.5,"urgent":null,"web":null,"year":2019}
    "#);
    assert_eq!(lake.manifest["notEncoded"][0]["values"], 1, "also where it is filled");
    let nullable: Vec<&str> = lake.manifest["schema"]["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .filter(|column| column["nullable"] == true)
        .map(|column| column["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(nullable, ["web", "https", "cut", "urgent", "answered", "maxPacketSize"]);
}

#[test]
fn every_condition_removes_what_it_says() {
    let rule =
        |name: &str, condition: &str| format!("[[filter]]\nrule = \"{name}\"\nremove = {{ {condition} }}\n");
    let rules = [
        rule("port", "column = \"destinationTransportPort\", in = [53, 123]"),
        rule("small", "column = \"octetTotalCount\", below = 100"),
        rule("large", "column = \"octetTotalCount\", above = 2000"),
        rule("long", "column = \"flowDurationMilliseconds\", above = 60000"),
        rule("reasonless", "column = \"flowEndReason\", missing = true"),
        rule("uncounted", "missing_any = [\"smallPacketCount\", \"largePacketCount\"]"),
        rule("ipv6", "column = \"sourceIPv4Address\", ip = \"v6\""),
        rule("ipv4", "column = \"destinationIPv4Address\", ip = \"v4\""),
        rule("again", "duplicates = \"raw\""),
    ];
    let before = format!("repairs = [\"durationMilliseconds\"]\n{}", rules.concat());
    let columns = ["flowEndMilliseconds", "flowDurationMilliseconds", "smallPacketCount", "largePacketCount"]
        .map(|name| column(name, ""));
    let stays = Flow::new().text("destinationIPv4Address", "2001:db8::1");
    let flows = [
        stays.clone(),
        stays.clone(),
        stays.clone().number("destinationTransportPort", 53),
        stays.clone().number("octetTotalCount", 100),
        stays.clone().number("octetTotalCount", 99),
        stays.clone().number("octetTotalCount", 2000),
        stays.clone().number("octetTotalCount", 2001),
        stays.clone().times("2019-07-01 10:00:00.000", "2019-07-01 10:01:00.000", 60_000),
        stays.clone().times("2019-07-01 10:00:00.000", "2019-07-01 10:01:00.001", 60_001),
        stays.clone().without("flowEndReason"),
        stays.clone().without("largePacketCount"),
        stays.clone().text("sourceIPv4Address", "::1"),
        Flow::new(),
        // None of the rules: what is missing is neither in a list nor below or above anything.
        stays.without("destinationTransportPort"),
    ];
    let world = World::with_hub(&DumpText::of(flows));
    world.build_with_recipe(&small(&before, &columns.concat())).run().expect_code(0);
    let lake = world.lake();
    let expected = serde_json::json!({
        "port": 1, "small": 1, "large": 1, "long": 1, "reasonless": 1, "uncounted": 1, "ipv6": 1, "ipv4": 1, "again": 1,
    });
    assert_eq!(lake.accounting()["removed"], expected);
    assert_eq!(lake.accounting()["kept"], 5);
    let columns = lake.manifest["schema"]["columns"].as_array().expect("columns");
    assert!(columns.iter().all(|column| column["nullable"] == false), "rules removed what is missing");
}

/// What a recipe with this rule's condition says.
#[track_caller]
fn refuse_condition(condition: &str) -> String {
    let line = "remove = { column = \"direction\", in = [\"toDevice\"] }";
    let wrong = format!("remove = {{ {condition} }}");
    // The rule or its condition is to blame: they stand one below the other.
    let text = changed(line, &wrong);
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    let outcome = world.refused(2, &world.recipe(&text).each_ref().map(String::as_str));
    let (place, message) = outcome
        .stderr
        .split_once("recipe.toml:")
        .and_then(|(_, rest)| rest.split_once(": "))
        .expect("a line");
    let number = text.lines().position(|found| found == wrong).expect("the line") + 1;
    let place: usize = place.parse().expect("a number");
    assert!(place == number || place == number - 1, "{place}, not {number}: {message}");
    message.trim_end().to_owned()
}

#[test]
fn conditions_that_make_no_sense_are_refused() {
    let says = refuse_condition;
    insta::assert_snapshot!(says("column = \"direction\""), @"`remove` needs exactly one of `in`, `above`, `below`, `missing` or `ip` with a `column`, or `missing_any`, or `duplicates`; it has 0");
    insta::assert_snapshot!(says("column = \"packetTotalCount\", above = 5, below = 3"), @"`remove` needs exactly one of `in`, `above`, `below`, `missing` or `ip` with a `column`, or `missing_any`, or `duplicates`; it has 2");
    insta::assert_snapshot!(says("above = 5"), @"`remove` needs a `column`, unless it is `missing_any` or `duplicates`");
    insta::assert_snapshot!(says("column = \"direction\", over = 5"), @"unknown field `over`, expected one of `column`, `in`, `above`, `below`, `missing`, `missing_any`, `ip`, `duplicates`");
    insta::assert_snapshot!(says("column = \"flowEndReason\", above = 5"), @"`flowEndReason` is no number to compare with a threshold");
    insta::assert_snapshot!(says("column = \"packetTotalCount\", above = \"many\""), @r#"invalid type: string "many", expected i64"#);
    insta::assert_snapshot!(says("column = \"packetTotalCount\", in = [\"many\"]"), @r#"`packetTotalCount` holds integers, not "many""#);
    insta::assert_snapshot!(says("column = \"flowEndReason\", in = [3]"), @"`flowEndReason` holds text, not 3");
    insta::assert_snapshot!(says("column = \"unionTCPFlags\", in = [\"S\"]"), @"`unionTCPFlags` is neither text nor integer: it cannot be compared with a list");
    insta::assert_snapshot!(says("column = \"direction\", in = [\"sideways\"]"), @"`sideways` is no direction, expected one of fromDevice, toDevice, both, neither");
    insta::assert_snapshot!(says("column = \"direction\", missing = true"), @"`direction` is never missing");
    insta::assert_snapshot!(says("column = \"vlanId\", missing = false"), @"`missing` can only be true");
    insta::assert_snapshot!(says("missing_any = []"), @"`missing_any` names no fields");
    insta::assert_snapshot!(says("missing_any = [\"vlan\"]"), @"`vlan` is no raw field");
    insta::assert_snapshot!(says("column = \"vlanId\", missing_any = [\"vlanId\"]"), @"`missing_any` goes without a `column`");
    insta::assert_snapshot!(says("column = \"vlanId\", ip = \"v6\""), @"`vlanId` is no IP address");
    insta::assert_snapshot!(says("column = \"sourceIPv4Address\", ip = \"v5\""), @"unknown family `v5`, expected v4 or v6");
    insta::assert_snapshot!(says("duplicates = \"nearly\""), @"unknown duplicates `nearly`, expected `raw`: all raw fields are equal");
    insta::assert_snapshot!(says("column = \"vlanId\", duplicates = \"raw\""), @"`duplicates` goes without a `column`");
}

#[test]
fn derivations_that_make_no_sense_are_refused() {
    let says = |keys: &str| {
        let derive = "derive = { lookup = \"protocolName\" }";
        refuse(&changed(derive, keys), Some(keys.lines().last().expect("a line")))
    };
    insta::assert_snapshot!(says("derive = { week = \"flowStartMilliseconds\" }"), @"unknown variant `week`, expected one of `date`, `time_of_day`, `year`, `month`, `day`, `hour`, `minute`, `second`, `millisecond`, `lookup`, `one_hot`, `in_list`, `flag`, `ipv4_integer`, `ratio`");
    insta::assert_snapshot!(says("derive = { hour = \"packetTotalCount\" }"), @"`packetTotalCount` is no timestamp");
    insta::assert_snapshot!(says("derive = { one_hot = { column = \"flowEndReason\" } }"), @"missing field `value`");
    insta::assert_snapshot!(says("derive = { one_hot = { column = \"flowEndReason\", value = 1 } }"), @"`flowEndReason` holds text, not 1");
    insta::assert_snapshot!(says("derive = { one_hot = { column = \"colour\", value = \"red\" } }"), @"`colour` is no raw field, nor direction");
    insta::assert_snapshot!(says("derive = { in_list = { column = \"flowEndReason\", values = [] } }"), @"`values` is empty");
    insta::assert_snapshot!(says("derive = { flag = { column = \"flowEndReason\", letter = \"A\" } }"), @"`flowEndReason` holds no TCP flags");
    insta::assert_snapshot!(says("derive = { flag = { column = \"unionTCPFlags\", letter = \"X\" } }"), @"unknown TCP flag `X`, expected one letter of ECUAPRSF");
    insta::assert_snapshot!(says("derive = { ipv4_integer = \"sourceMacAddress\" }"), @"`sourceMacAddress` is no IP address");
    insta::assert_snapshot!(says("derive = { ratio = { of = \"packetTotalCount\", to = \"flowEndReason\" } }"), @"`flowEndReason` is no number");
    insta::assert_snapshot!(says("derive = { lookup = \"protocolName\" }\nfill = 0"), @"`0` cannot stand in a column of string");
    insta::assert_snapshot!(says("from = \"packetTotalCount\"\nfill = \"none\""), @r#"`"none"` cannot stand in a column of int64"#);
    insta::assert_snapshot!(says("from = \"sourceTransportPort\"\nfill = 4294967296"), @"`4294967296` cannot stand in a column of int32");
}

#[test]
fn what_is_to_become_of_ipv6_addresses_must_be_known_and_needed() {
    let line = "ip_encoding = \"null\"";
    let says = |line: &str| refuse(&changed("repairs = [", &format!("{line}\nrepairs = [")), Some(line));
    insta::assert_snapshot!(says(line), @"`ip_encoding` has no meaning without a column made by `ipv4_integer`");
    let encoded = include_str!("../../config/recipes/encoded.toml");
    let wrong = "ip_encoding = \"zero\"";
    insta::assert_snapshot!(refuse(&encoded.replace(line, wrong), Some(wrong)), @"unknown `ip_encoding` `zero`, expected null or drop");
    let drop = "ip_encoding = \"drop\"";
    let taken = encoded.replace(line, drop).replace("rule = \"outlier\"", "rule = \"ipv6\"");
    insta::assert_snapshot!(refuse(&taken, Some(drop)), @r#"`ip_encoding = "drop"` is the rule `ipv6`: there is one already"#);
    let twice = encoded.replacen(
        "[[filter]]",
        "[[filter]]\nrule = \"first\"\nremove = { duplicates = \"raw\" }\n\n[[filter]]",
        1,
    );
    insta::assert_snapshot!(refuse(&twice, Some("rule = \"duplicate\"")), @"duplicates are removed by an earlier rule already");
}

#[test]
fn recipes_can_be_listed_shown_and_checked() {
    let recipe = |arguments: &[&str]| Program::new(["recipe"]).args(arguments).run();
    insta::assert_snapshot!(recipe(&["list"]).expect_code(0).stdout, @r"
    recipe   what                                               columns
    flows    Device-initiated flows: the 45 published features       46
    encoded  Model-ready numbers: the 66 published columns           67
    full     All flows of both directions, every raw field           58
    ");
    assert_eq!(recipe(&["show", "flows"]).expect_code(0).stdout, FLOWS);
    for name in ["flows", "encoded", "full"] {
        let text = recipe(&["check", name]).expect_code(0).stdout;
        let json: serde_json::Value =
            serde_json::from_str(&recipe(&["check", name, "--json"]).expect_code(0).stdout).expect("JSON");
        assert_eq!(json["name"], name);
        assert_eq!(json["fields"].as_array().map(Vec::len), Some(54));
        for column in json["columns"].as_array().expect("columns") {
            for key in ["name", "type", "derivation", "description"] {
                assert!(text.contains(column[key].as_str().expect("text")), "{} of {column}", key);
            }
        }
    }
    let json = recipe(&["check", "encoded", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["rules"][4]["removes"], "with packetTotalCount above 200000");
    assert_eq!(json["dropped"][0]["name"], "sourceMacAddress");

    let small = small(
        "repairs = [\"flowEndReasonClosed\"]\n[[filter]]\nrule = \"cut\"\nremove = { column = \"flowEndReason\", in = [\"eof\"] }\n",
        &column("end", "from = \"flowEndReason\""),
    );
    let world = World::new();
    let path = world.recipe(&small)[1].clone();
    let text = recipe(&["check", &path]).expect_code(0).stdout;
    let told: Vec<&str> = text.lines().filter(|line| !line.contains("digest")).collect();
    let fields = told.iter().position(|line| *line == "Columns in").expect("a heading");
    let columns = told.iter().position(|line| *line == "Columns out").expect("a heading");
    let dropped = told.iter().position(|line| *line == "Dropped fields").expect("a heading");
    insta::assert_snapshot!([&told[..fields], &told[columns..dropped]].concat().join("\n"), @r#"
    small: A small recipe
      makes     2 columns of 2 raw fields, leaves out 52

    Repairs, counted over the rows kept
     flowEndReasonClosed

    Rules, each row removed by the first that holds
     rule  removes                           why
     cut   rows with flowEndReason in "eof"

    Columns out
     name                   type                unit  role            made                           description
     flowStartMilliseconds  timestamp[ms, UTC]        time            as written                     Start
     end                    string                    feature  nulls  repaired: flowEndReasonClosed  A column
    "#);
    let wrong = world.recipe("name = \"x\"")[1].clone();
    recipe(&["check", &wrong]).expect_code(2);
}
