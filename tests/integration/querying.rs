//! `flowlake query`: what a lake says without any other engine. That answers are those of DuckDB is what `tests/interop` is for.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fs_err as fs;
use serde_json::{Value, json};

use super::support::exported::spelled;
use super::support::{
    DEVICE_MAC, DumpText, Flow, OTHER_MAC, Outcome, Program, ROUTER_MAC, World, catalogue, device,
    frame_rows, pack, read_frame, tree, without_digests,
};

/// A lake of two devices in two months.
pub(crate) fn world() -> World {
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    world.set_catalogue(&catalogue("", &devices));
    let flow = |number: u64| {
        Flow::numbered(number).starting(&format!("2019-{:02}-03 10:00:{number:02}.123", 7 + number % 2))
    };
    let hub = (0..40).map(|i| if i % 5 == 0 { flow(i).unanswered() } else { flow(i) });
    let lamp = (0..8).map(|i| flow(i).between(OTHER_MAC, ROUTER_MAC).without_statistics());
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", DumpText::of(hub).bytes()));
    world.add_dump("lamp.tar.gz", &pack::tar_gz("lamp", DumpText::of(lamp).bytes()));
    world.built();
    world
}

impl World {
    fn query(&self, sql: &str) -> Program {
        self.about_lake("query").arg(sql)
    }

    /// The answer in a form.
    #[track_caller]
    fn answer(&self, sql: &str, format: &str) -> String {
        self.query(sql).args(["--format", format]).run().expect_code(0).stdout
    }

    /// What is said to a query that must be refused.
    #[track_caller]
    fn refused_query(&self, code: i32, sql: &str) -> String {
        let Outcome { stdout, stderr, .. } = self.query(sql).run().expect_code(code);
        assert_eq!(stdout, "");
        without_digests(&stderr)
    }
}

#[test]
fn all_rows_are_those_of_an_export_in_the_same_letters() {
    let world = world();
    for format in ["csv", "ndjson"] {
        let out = world.path(format);
        world.about_lake("export").args(["--format", format, "--output"]).arg(&out).run().expect_code(0);
        for (name, bytes) in tree(&out) {
            let (device, month) = name.split_once('_').expect("a device and a month");
            let month = month.split('.').next().expect("a month");
            let sql = format!("SELECT * FROM flows WHERE deviceName = '{device}' AND month = '{month}'");
            assert_eq!(world.answer(&sql, format).as_bytes(), bytes, "{name}");
        }
    }
}

#[test]
fn every_form_has_the_same_rows() {
    let world = world();
    let sql = "SELECT deviceName, flowStartMilliseconds, averageInterarrivalTime, flowStartMillisecondsDate \
               FROM flows ORDER BY deviceName, flowStartMilliseconds";
    let ndjson = world.answer(sql, "ndjson");
    let rows: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 48);
    assert!(rows.iter().any(|row| row["averageInterarrivalTime"].is_null()));
    assert_eq!(serde_json::from_str::<Vec<Value>>(&world.answer(sql, "json")).expect("JSON"), rows);

    let file = world.path("answer.parquet");
    let outcome = world.query(sql).arg("--output").arg(&file).run().expect_code(0);
    assert!(outcome.stdout.is_empty() && outcome.stderr.starts_with("48 rows in "), "{outcome:?}");
    let mut in_parquet = frame_rows(&read_frame(&file));
    for row in &mut in_parquet {
        for (column, kind) in [("flowStartMilliseconds", "time"), ("flowStartMillisecondsDate", "date")] {
            row[column] = json!(spelled(row[column].as_i64().expect("a number"), kind));
        }
    }
    assert_eq!(in_parquet.into_iter().map(Value::Object).collect::<Vec<_>>(), rows);
}

#[test]
fn values_of_every_type_are_spelled() {
    let world = world();
    let sql = "SELECT 1 AS whole, 0.1 + 0.2 AS part, 7 > 3 AS yes, NULL AS nothing, '' AS empty, 'a,\"b\"' AS quoted, \
               flowStartMilliseconds AS instant, flowStartMillisecondsDate AS day, \
               flowEndMilliseconds - flowStartMilliseconds AS lasted, \
               CAST(flowStartMilliseconds AS TIME) AS clock, ARRAY['x', 'y'] AS list \
               FROM flows WHERE deviceName = 'hub' ORDER BY flowStartMilliseconds LIMIT 1";
    insta::assert_snapshot!(world.answer(sql, "csv"), @r#"
    whole,part,yes,nothing,empty,quoted,instant,day,lasted,clock,list
    1,0.30000000000000004,true,,"","a,""b""",2019-07-03T10:00:00.123Z,2019-07-03,PT0.001S,10:00:00.123,"[""x"",""y""]"
    "#);
    insta::assert_snapshot!(world.answer(sql, "ndjson"), @r#"{"whole":1,"part":0.30000000000000004,"yes":true,"nothing":null,"empty":"","quoted":"a,\"b\"","instant":"2019-07-03T10:00:00.123Z","day":"2019-07-03","lasted":"PT0.001S","clock":"10:00:00.123","list":["x","y"]}"#);
    insta::assert_snapshot!(world.answer(sql, "json"), @r#"[{"whole":1,"part":0.30000000000000004,"yes":true,"nothing":null,"empty":"","quoted":"a,\"b\"","instant":"2019-07-03T10:00:00.123Z","day":"2019-07-03","lasted":"PT0.001S","clock":"10:00:00.123","list":["x","y"]}]"#);
    insta::assert_snapshot!(world.answer(sql, "table"), @r#"
    whole  part  yes   nothing  empty  quoted  instant                   day         lasted    clock         list
        1   0.3  true  null            a,"b"   2019-07-03T10:00:00.123Z  2019-07-03  PT0.001S  10:00:00.123  ["x","y"]
    "#);
}

#[test]
fn numbers_do_not_wrap_around() {
    let world = world();
    let sql = "SELECT SUM(CASE WHEN octetTotalCount >= 0 THEN 2000000000 ELSE 0 END) AS a, 1000000000 * COUNT(*) AS b, \
               SUM(serverTransportPort * 100000000) / 100000000 - SUM(serverTransportPort) AS c FROM flows";
    let answer: Value = serde_json::from_str(&world.answer(sql, "ndjson")).expect("JSON");
    assert_eq!(answer["a"], json!(48 * 2_000_000_000_u64));
    assert_eq!(answer["b"], json!(48 * 1_000_000_000_u64));
    assert_eq!(answer["c"].as_f64(), Some(0.0));
}

#[test]
fn answers_are_in_the_order_asked_for() {
    let world = world();
    let by_count = "SELECT deviceName, COUNT(*) FROM flows GROUP BY deviceName ORDER BY COUNT(*)";
    insta::assert_snapshot!(world.answer(&format!("{by_count} DESC"), "csv"), @r"
    deviceName,count(*)
    hub,40
    lamp,8
    ");
    insta::assert_snapshot!(world.answer(by_count, "csv"), @r"
    deviceName,count(*)
    lamp,8
    hub,40
    ");
    insta::assert_snapshot!(world.answer("SELECT DISTINCT month FROM flows ORDER BY month DESC", "table"), @r"
    month
    2019-08
    2019-07
    ");
}

#[test]
fn times_can_be_written_in_the_usual_ways() {
    let world = world();
    let count = |condition: &str| {
        let sql = format!("SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds {condition}");
        world.answer(&sql, "csv").trim_start_matches("n\n").trim().to_owned()
    };
    let august = count(">= '2019-08-01'");
    assert_eq!(august, "24");
    for condition in [
        ">= DATE '2019-08-01'",
        ">= TIMESTAMP '2019-08-01 00:00:00'",
        ">= '2019-08-01T00:00:00Z'",
        "BETWEEN TIMESTAMP '2019-08-01T00:00:00.000' AND '2020-01-01'",
    ] {
        assert_eq!(count(condition), august, "{condition}");
    }
    assert_eq!(count("> '2019-08-01T09:00:00+09:00'"), august);
}

#[test]
fn errors_quote_the_sql() {
    let world = world();
    let refused = |sql: &str| world.refused_query(2, sql);
    insta::assert_snapshot!(refused("SELECT month,\n  FROM flows GROUP BY month ORDER month"), @r"
    error: the SQL cannot be understood: expected end of statement, found ORDER
      2 |   FROM flows GROUP BY month ORDER month
        |                             ^^^^^
    ");
    insta::assert_snapshot!(refused("SELECT month FROM flows WHERE"), @r"
    error: the SQL cannot be understood: expected an expression, but it ends there
      1 | SELECT month FROM flows WHERE
        |                              ^
    ");
    insta::assert_snapshot!(refused("SELECT 'month FROM flows"), @r"
    error: the SQL cannot be understood: unterminated string literal
      1 | SELECT 'month FROM flows
        |        ^
    ");
    insta::assert_snapshot!(refused("SELECT devicename FROM flows"), @r"
    error: there is no column `devicename`
      1 | SELECT devicename FROM flows
        |        ^^^^^^^^^^
    hint: did you mean deviceName?
    ");
    insta::assert_snapshot!(refused("SELECT month, color FROM flows"), @r"
    error: there is no column `color`
      1 | SELECT month, color FROM flows
        |               ^^^^^
    hint: `flowlake head LAKE` lists the columns
    ");
    insta::assert_snapshot!(refused("SELECT * FROM flows WHERE month = \"2019-07\""), @r#"
    error: there is no column `2019-07`
      1 | SELECT * FROM flows WHERE month = "2019-07"
        |                                   ^
    hint: text goes in single quotes: '2019-07'
    "#);
    insta::assert_snapshot!(refused("SELECT * FROM flow"), @r"
    error: there is no table `flow`
      1 | SELECT * FROM flow
        |               ^^^^
    hint: the table is `flows`
    ");
    insta::assert_snapshot!(refused("SELECT nosuch(month) FROM flows"), @r"
    error: the SQL cannot be carried out: invalid function 'nosuch'
      1 | SELECT nosuch(month) FROM flows
        |        ^^^^^^
    ");
    insta::assert_snapshot!(refused("SELECT month + 1 FROM flows"), @r"
    error: the SQL cannot be carried out: cannot coerce arithmetic expression Utf8 + Int64 to valid types
      1 | SELECT month + 1 FROM flows
        |        ^^^^^
    ");
    insta::assert_snapshot!(refused("DELETE FROM flows WHERE month = '2019-07'"), @r"
    error: this is no question but `DELETE FROM flows`: a lake is only read
    hint: begin with SELECT, WITH, EXPLAIN or DESCRIBE
    ");
    insta::assert_snapshot!(refused("SELECT 1; SELECT 2"), @"error: one statement can be answered at a time; there are 2");
    insta::assert_snapshot!(refused(""), @"error: one statement can be answered at a time; there are 0");
    // Nothing was deleted.
    assert_eq!(world.answer("SELECT COUNT(*) AS n FROM flows", "csv"), "n\n48\n");
}

#[test]
fn what_would_be_answered_wrongly_is_refused() {
    let world = world();
    let refused = |sql: &str| world.refused_query(2, sql);
    let right = "SELECT d FROM (SELECT 'hub' AS d) AS a RIGHT JOIN (SELECT deviceName AS d FROM flows) AS b USING (d)";
    insta::assert_snapshot!(refused(right), @r"
    error: the SQL cannot be carried out: RIGHT and FULL joins with USING or NATURAL are not supported
      1 | SELECT d FROM (SELECT 'hub' AS d) AS a RIGHT JOIN (SELECT deviceName AS d FROM flows) AS b USING (d)
        |                                                    ^^^^^^
    hint: ON a.x = b.x is; COALESCE(a.x, b.x) is then the column of both
    ");
    insta::assert_snapshot!(refused("SELECT month FROM flows EXCEPT ALL SELECT month FROM flows WHERE deviceName = 'hub'"), @r"
    error: the SQL cannot be carried out: EXCEPT ALL is not supported
      1 | SELECT month FROM flows EXCEPT ALL SELECT month FROM flows WHERE deviceName = 'hub'
        |                                    ^^^^^^
    hint: without ALL, each row comes once; ROW_NUMBER() OVER (PARTITION BY …) tells equal rows apart
    ");
    insta::assert_snapshot!(refused("SELECT month FROM flows WHERE octetTotalCount > ALL (SELECT 1)"), @r"
    error: the SQL cannot be carried out: ALL is not supported
      1 | SELECT month FROM flows WHERE octetTotalCount > ALL (SELECT 1)
        |                               ^^^^^^^^^^^^^^^
    hint: NOT EXISTS (SELECT …) is, and a comparison with (SELECT MAX(…) …)
    ");
    insta::assert_snapshot!(refused("SELECT month FROM flows TABLESAMPLE (5 PERCENT)"), @r"
    error: the SQL cannot be carried out: TABLESAMPLE is not supported
      1 | SELECT month FROM flows TABLESAMPLE (5 PERCENT)
        |                   ^^^^^
    hint: RANDOM() < 0.01 in WHERE keeps about one row in a hundred; `flowlake sample` makes sample dumps
    ");
    insta::assert_snapshot!(
        refused("SELECT month FROM flows WHERE month = 'x' OR month NOT IN (SELECT month FROM flows)"), @r"
        error: the SQL cannot be carried out: IN (SELECT …) is supported in WHERE, beside AND and OR; NOT IN (SELECT …) beside AND
          1 | SELECT month FROM flows WHERE month = 'x' OR month NOT IN (SELECT month FROM flows)
        hint: EXISTS (SELECT … WHERE a.x = b.x) can stand anywhere in WHERE
        ");
    insta::assert_snapshot!(
        refused("SELECT EXTRACT(MINUTE FROM flowEndMilliseconds - flowStartMilliseconds) AS m FROM flows"), @r"
        error: the SQL cannot be carried out: no MINUTE can be extracted from a duration, only EPOCH, which is all of it in seconds
          1 | SELECT EXTRACT(MINUTE FROM flowEndMilliseconds - flowStartMilliseconds) AS m FROM flows
        ");
    // Of which row it is said depends on which file is read first.
    let told = refused("SELECT month FROM flows WHERE deviceName = 5");
    let told = told.replace("'lamp'", "'hub'");
    insta::assert_snapshot!(told, @r"
    error: the SQL cannot be carried out: cannot cast string 'hub' to value of Int64 type
      1 | SELECT month FROM flows WHERE deviceName = 5
    ");
    let told = refused("SELECT month FROM flows WHERE octetTotalCount + 9223372036854775807 > 1");
    assert!(told.starts_with("error: the SQL cannot be carried out: overflow happened on: "), "{told}");
    insta::assert_snapshot!(refused("SELECT month FROM flows FETCH FIRST 3 ROWS ONLY"), @r"
    error: the SQL cannot be carried out: FETCH FIRST is not supported
      1 | SELECT month FROM flows FETCH FIRST 3 ROWS ONLY
    hint: LIMIT does the same
    ");
}

#[test]
fn what_is_computed_is_what_the_sql_says() {
    let world = world();
    let sql = "SELECT MIN(flowStartMillisecondsDate + INTERVAL '90 minutes') AS hours, \
               MIN(flowStartMillisecondsDate + INTERVAL '1 day') AS days, \
               MAX(7 / (octetTotalCount - octetTotalCount)) AS nothing, \
               MAX(EXTRACT(EPOCH FROM flowEndMilliseconds - flowStartMilliseconds)) AS seconds, \
               MAX(CAST(serverTransportPort AS INTEGER) * CAST(1000000000 AS INTEGER)) > 0 AS wide, \
               MIN(LENGTH(deviceName) * CAST(2000000000 AS INTEGER)) AS long FROM flows";
    insta::assert_snapshot!(world.answer(sql, "ndjson"), @r#"{"hours":"2019-07-03T01:30:00","days":"2019-07-04","nothing":null,"seconds":0.001,"wide":true,"long":6000000000}"#);
    let ranked =
        "SELECT -1 * RANK() OVER (ORDER BY deviceName) AS r, COUNT(*) AS n FROM flows GROUP BY deviceName";
    insta::assert_snapshot!(world.answer(ranked, "csv"), @r"
    r,n
    -1,40
    -2,8
    ");
}

#[test]
fn rows_that_do_not_fit_into_memory_wait_in_files_without_names() {
    let world = world();
    let waiting = world.path("waiting");
    fs::create_dir(&waiting).expect("it can be made");
    // Rows that the order does not tell apart are alike.
    let sql = "SELECT a.*, b.octetTotalCount + c.octetTotalCount AS s FROM flows a CROSS JOIN flows b \
               CROSS JOIN (SELECT octetTotalCount FROM flows ORDER BY octetTotalCount, deviceName LIMIT 20) AS c \
               ORDER BY s, a.flowStartMilliseconds, a.deviceName";
    let grouped = "SELECT key, COUNT(*) AS n, SUM(octets) AS s FROM (\
                   SELECT REPEAT(CONCAT(a.deviceName, '-', b.deviceName, '-', CAST(a.octetTotalCount AS VARCHAR), '-', \
                   CAST(b.octetTotalCount AS VARCHAR), '-', CAST(c.part AS VARCHAR), '/'), 20) AS key, \
                   a.octetTotalCount AS octets FROM flows a CROSS JOIN flows b \
                   CROSS JOIN (SELECT ROW_NUMBER() OVER (ORDER BY flowStartMilliseconds, deviceName) AS part \
                   FROM flows ORDER BY part LIMIT 20) AS c) AS keyed GROUP BY key ORDER BY key";
    let answer = |sql: &str, memory: &str, directory: &Path| {
        let query = world.query(sql).args(["--format", "csv", "--jobs", "1", "--memory-limit", memory]);
        query.outcome(&query.command().env("TMPDIR", directory).output().expect("it runs"))
    };
    for sql in [sql, grouped] {
        let in_memory = answer(sql, "2GiB", &world.path("nowhere")).expect_code(0);
        assert_eq!(in_memory.stdout.lines().count(), 48 * 48 * 20 + 1);
        let in_files = answer(sql, "16MiB", &waiting).expect_code(0);
        assert!(in_files.stdout == in_memory.stdout, "other rows, or in another order: {sql}");
        assert_eq!(fs::read_dir(&waiting).expect("it is there").count(), 0);
        // They had to wait, or there would be nothing to be shown here.
        answer(sql, "16MiB", &world.path("nowhere")).expect_code(4);
    }
    let refused = answer(sql, "16MiB", &world.path("nowhere")).expect_code(4);
    insta::assert_snapshot!(refused.stderr, @r"
    error: rows that do not fit into memory cannot wait in [dir]/nowhere
    caused by: No such file or directory (os error 2)
    hint: set TMPDIR to a directory with more room, or give a larger --memory-limit
    ");
}

#[test]
fn a_query_can_come_from_standard_input() {
    let world = world();
    let mut child =
        world.query("-").command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(b"-- how many\nSELECT COUNT(*) AS n\nFROM flows\n").expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "n\n48\n");
}

#[test]
fn a_file_appears_when_the_answer_is_whole() {
    let world = world();
    let output = |sql: &str, name: &str| world.query(sql).arg("--output").arg(world.path(name)).run();
    output("SELECT MIN(month) AS month FROM flows", "a.csv").expect_code(0);
    assert_eq!(fs::read_to_string(world.path("a.csv")).expect("a file"), "month\n2019-07\n");
    // A later answer takes its place, a failed one does not.
    output("SELECT MIN(deviceClass) AS deviceClass FROM flows", "a.csv").expect_code(0);
    output("SELECT colour FROM flows", "a.csv").expect_code(2);
    assert_eq!(fs::read_to_string(world.path("a.csv")).expect("a file"), "deviceClass\niotGatewayHub\n");
    output("SELECT octetTotalCount * 0.0 / 0.0 AS x FROM flows", "a.ndjson")
        .expect_code(2)
        .expect_says(["NaN"]);
    let names: Vec<String> = tree(world.root()).into_keys().collect();
    assert!(!names.iter().any(|name| name.contains("flowlake-query") || name == "a.ndjson"), "{names:?}");

    let stderr = |outcome: Outcome, code: i32| without_digests(&outcome.expect_code(code).stderr);
    insta::assert_snapshot!(stderr(output("SELECT 1", "answer"), 2), @r"
    error: the name [dir]/answer does not tell the form of the answer
    hint: give --format csv, json, ndjson, parquet or table
    ");
    insta::assert_snapshot!(stderr(output("SELECT 1 AS x", "lake/x.csv"), 2), @r"
    error: [dir]/lake/x.csv lies inside the lake
    hint: give an --output outside of it
    ");
    insta::assert_snapshot!(stderr(output("SELECT 1 AS x", "no/such/x.csv"), 4), @"error: cannot write [dir]/no/such/x.csv: there is no directory [dir]/no/such");
    insta::assert_snapshot!(stderr(world.query("SELECT 1 AS x").args(["--output", "s3://b/x.csv"]).run(), 2), @r"
    error: invalid value 's3://b/x.csv' for '--output <FILE>': this has to be a file of this machine, not a URL

    For more information, try '--help'.
    ");
}

#[test]
fn what_a_terminal_obeys_is_spelled_out_in_errors() {
    let world = world();
    let refused = |sql: &str| world.refused_query(2, sql);
    let told = refused("SELECT \"a\u{1b}[31m\u{202e}b\" FROM flows");
    assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told:?}");
    assert!(told.starts_with("error: there is no column `a\\u{1b}[31m\\u{202e}b`\n"), "{told}");
    let told = refused("SELECT CAST('\u{1b}]0;x\u{7}' AS BIGINT) FROM flows");
    assert!(!told.contains(['\u{1b}', '\u{7}']), "{told:?}");
    let lake = world.path("a\u{1b}[2J\u{2066}");
    let told = Program::new(["head"]).arg(lake).run().expect_code(3).stderr;
    assert!(told.contains("a\\u{1b}[2J\\u{2066}") && !told.contains('\u{1b}'), "{told:?}");
    let table = world.answer("SELECT 'a\u{202e}b\u{1b}' AS x", "table");
    insta::assert_snapshot!(table, @r"
    x
    a\u{202e}b\u{1b}
    ");
}

#[test]
fn sql_may_begin_with_a_comment() {
    let world = world();
    let sql = "-- how many = all\n--\nSELECT COUNT(*) AS n FROM flows";
    for arguments in [[sql, "--format", "csv"], ["--format", "csv", sql], ["--format=csv", "--", sql]] {
        assert_eq!(world.about_lake("query").args(arguments).run().expect_code(0).stdout, "n\n48\n");
    }
    let misspelt = world.about_lake("query").args(["--fromat", "csv", sql]).run().expect_code(2);
    misspelt.expect_says(["--fromat", "a similar argument exists: '--format'"]);
}

#[test]
fn a_lake_that_is_replaced_meanwhile_is_not_called_damaged() {
    let world = world();
    let lake = world.lake();
    let manifest = lake.path("manifest.json");
    let old = fs::read_to_string(&manifest).expect("a manifest");
    fs::remove_file(lake.path(&lake.file("hub", "2019-07"))).expect("it goes");
    let new = |number: u32| old.replace("Flows of a test", &format!("Flows of test {number}"));
    assert_ne!(new(1), old);
    for program in [world.query("SELECT COUNT(*) AS n FROM flows"), world.about_lake("head")] {
        // Another manifest every few moments: between the first look of a command and its second there is nearly always one,
        // and a command that meets none is run once more.
        let ended = AtomicBool::new(false);
        let outcome = thread::scope(|scope| {
            scope.spawn(|| {
                for number in (1..).take_while(|_| !ended.load(Ordering::Relaxed)) {
                    fs::write(world.path("new.json"), new(number)).expect("it is written");
                    fs::rename(world.path("new.json"), &manifest).expect("it is renamed");
                }
            });
            let outcome = (0..100).map(|_| program.run()).find(|outcome| outcome.code == Some(5));
            ended.store(true, Ordering::Relaxed);
            outcome.expect("one is told")
        });
        insta::allow_duplicates! {
            insta::assert_snapshot!(outcome.stderr, @r"
            error: [dir]/lake was replaced while it was read
            hint: ask again
            ");
        }
    }
    // Nothing is hidden of a lake that is as it was.
    fs::write(&manifest, old).expect("it is written");
    world.query("SELECT COUNT(*) AS n FROM flows").run().expect_code(3).expect_says(["is not there"]);
}

#[test]
fn a_manifest_that_contradicts_itself_gives_no_answer() {
    let world = world();
    let lake = world.lake();
    let manifest = lake.path("manifest.json");
    let whole: Value = serde_json::from_slice(&fs::read(&manifest).expect("a manifest")).expect("JSON");
    let told = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut changed = whole.clone();
        change(changed["files"].as_array_mut().expect("files"));
        fs::write(&manifest, changed.to_string()).expect("it is written");
        let told = world.refused_query(3, "SELECT COUNT(*) AS n FROM flows");
        let code = world.about_lake("sql").args(["--engine", "duckdb"]).run().expect_code(3);
        assert_eq!((code.stdout.as_str(), without_digests(&code.stderr)), ("", told.clone()));
        told
    };
    insta::assert_snapshot!(told(&|files| files.truncate(1)), @"error: the manifest is damaged: its total is 48 rows, its data files have 20");
    insta::assert_snapshot!(told(&Vec::clear), @"error: the manifest is damaged: its total is 48 rows, its data files have 0");
    insta::assert_snapshot!(told(&|files| files.push(files[0].clone())), @"error: the manifest is damaged: it lists data/month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet twice");
}

#[test]
fn sql_reads_no_other_file_and_writes_none() {
    let world = world();
    fs::write(world.path("secret.csv"), "word\nof somebody else\n").expect("it is written");
    let secret = world.path("secret.csv").display().to_string();
    let before = tree(&world.path(""));
    for sql in [
        "SELECT * FROM 'FILE'",
        "SELECT * FROM \"FILE\"",
        "SELECT * FROM read_csv('FILE')",
        "SELECT * FROM read_parquet('FILE')",
        "SELECT pg_read_file('FILE')",
        "CREATE EXTERNAL TABLE other STORED AS CSV LOCATION 'FILE'",
        "CREATE TABLE other AS SELECT * FROM flows",
        "CREATE VIEW other AS SELECT * FROM flows",
        "COPY flows TO 'FILE'",
        "COPY (SELECT 1 AS n) TO 'FILE.new' STORED AS CSV",
        "COPY flows FROM 'FILE'",
        "INSERT INTO flows SELECT * FROM flows",
        "DELETE FROM flows",
        "UPDATE flows SET deviceName = 'x'",
        "DROP TABLE flows",
        "SET datafusion.execution.batch_size = 1",
        "SELECT 1 AS n; COPY flows TO 'FILE.new'",
        "WITH gone AS (DELETE FROM flows) SELECT 1 AS n",
        "EXPLAIN ANALYZE COPY flows TO 'FILE.new'",
    ] {
        let sql = sql.replace("FILE", &secret);
        let told = world.refused_query(2, &sql);
        assert!(told.starts_with("error: ") && !told.contains("of somebody else"), "{sql}\n{told}");
        assert_eq!(tree(&world.path("")), before, "{sql}");
    }
}

#[test]
fn a_query_that_needs_more_memory_than_it_may_take_is_no_wrong_usage() {
    let world = world();
    // A text that grows cannot wait elsewhere.
    let sql = "SELECT LENGTH(STRING_AGG(REPEAT(a.deviceName, 1000), ',')) AS n \
               FROM flows a CROSS JOIN flows b CROSS JOIN flows c";
    let told = world.query(sql).args(["--jobs", "1", "--memory-limit", "16MiB"]).run().expect_code(3).stderr;
    insta::assert_snapshot!(told, @r"
    error: the query needs more memory than it may take
    hint: give a larger --memory-limit, or ask for less at a time
    ");
}

#[test]
fn a_damaged_lake_gives_no_answer_that_looks_like_one() {
    let world = world();
    let lake = world.lake();
    let july = lake.path(&lake.file("hub", "2019-07"));
    let bytes = fs::read(&july).expect("a file");
    let count = "SELECT COUNT(*) AS n, SUM(octetTotalCount) AS o FROM flows";
    fs::write(&july, vec![0; bytes.len()]).expect("it is written");
    let refused = world.refused_query(3, count);
    assert!(refused.starts_with("error: the query failed while it ran\ncaused by: "), "{refused}");
    assert!(refused.contains("hint: `flowlake verify` tells"), "{refused}");
    // What no query needs is not read.
    let august = format!("{count} WHERE month = '2019-08'");
    assert!(world.answer(&august, "csv").starts_with("n,o\n24,"));
    fs::write(&july, &bytes[1..]).expect("it is written");
    insta::assert_snapshot!(world.refused_query(3, count), @r"
    error: [dir]/lake/data/month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet has 12013 bytes, but the manifest says 12014
    hint: `flowlake verify` tells whether the lake is damaged
    ");
    fs::remove_file(&july).expect("it goes");
    insta::assert_snapshot!(world.refused_query(3, count), @r"
    error: [dir]/lake/data/month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet is not there, but the manifest lists it
    hint: `flowlake verify` tells whether the lake is damaged
    ");
    fs::remove_dir_all(lake.path("")).expect("it goes");
    insta::assert_snapshot!(world.refused_query(3, count), @"error: [dir]/lake is not a lake: it has no manifest.json");
}

#[test]
fn where_the_lake_lies_makes_no_difference() {
    let world = world();
    let rows = world.answer("SELECT * FROM flows ORDER BY deviceName, flowStartMilliseconds", "csv");
    // To many readers of partitioned data these are partitions, patterns and URLs.
    for name in ["env=prod/lake", "with *? and [1]/{a}", "month=2001-01/x", "100%41/é", "a:b"] {
        let root = world.path(name);
        fs::create_dir_all(root.parent().expect("a parent")).expect("it is made");
        fs::rename(world.path("lake"), &root).expect("it is moved");
        let sql = "SELECT * FROM flows ORDER BY deviceName, flowStartMilliseconds";
        let moved = Program::new(["query"]).arg(&root).args([sql, "--format", "csv"]).run().expect_code(0);
        assert_eq!(moved.stdout, rows, "{name}");
        fs::rename(&root, world.path("lake")).expect("it is moved back");
    }
}

#[test]
fn a_lake_without_rows_answers_too() {
    let world = World::with_hub(&DumpText::of([Flow::inbound()]));
    world.built();
    assert_eq!(
        world.answer("SELECT month, serverTransportPort FROM flows", "csv"),
        "month,serverTransportPort\n"
    );
    assert_eq!(world.answer("SELECT COUNT(*) AS n FROM flows", "ndjson"), "{\"n\":0}\n");
    assert_eq!(world.answer("SELECT month FROM flows", "json"), "[]\n");
    assert_eq!(world.about_lake("files").run().expect_code(0).stdout, "");
    world.about_lake("head").run().expect_code(0);
    let refused = world.about_lake("sql").args(["--engine", "duckdb"]).run().expect_code(2);
    insta::assert_snapshot!(refused.stderr, @"error: the lake has no rows, so there is nothing to make a view of");
}

#[test]
fn whoever_has_read_enough_ends_a_query() {
    let world = world();
    let mut child = world
        .query("SELECT a.* FROM flows a CROSS JOIN flows b CROSS JOIN flows c")
        .args(["--format", "csv"])
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
