//! `flowlake head`, `files` and `sql`: what is in a lake, for people and for other engines. That these understand the code is what
//! `tests/interop` is for.

use fs_err as fs;
use serde_json::Value;

use super::querying::world;
use super::support::{Program, without_digests};

#[test]
fn the_help_of_the_commands_that_ask() {
    let help = |command: &str| {
        let text = Program::new([command, "--help"]).run().expect_code(0).stdout;
        text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    };
    insta::assert_snapshot!(help("query"), @r#"
    Ask a lake something in SQL

    Usage: flowlake query [OPTIONS] <LAKE> <SQL>

    Arguments:
      <LAKE>
              The lake: a directory, or a URL such as s3://BUCKET/PREFIX

      <SQL>
              The query; `-` reads it from standard input

    Options:
          --format <FORMAT>
              Form of the answer [default: table on a terminal, else csv; by the name of --output]

              Possible values:
              - table:   For people; at most 1,000 rows
              - csv:     Comma-separated text with a header line
              - json:    A list of JSON objects
              - ndjson:  A JSON object a line
              - parquet: A Parquet file

          --output <FILE>
              File to write the answer to, all at once, instead of standard output

          --memory-limit <SIZE>
              Memory for rows that have to be kept, as 512MiB or 4GB [default: 1GiB]

              An order, a grouping or a join that needs more waits in temporary files in TMPDIR.

          --jobs <N>
              Number of threads [default: one a core]

      -h, --help
              Print help (see a summary with '-h')

    The table is `flows`, with the columns that `flowlake head` shows, `month` and `deviceClass` among
    them. The SQL is that of DataFusion; names are as they are written, with their capital letters. Only
    the files, row groups and columns that a query needs are read: filter on month and deviceClass where
    you can. On a terminal the answer is a table, elsewhere CSV.

    Examples:
      flowlake query lake "SELECT deviceClass, COUNT(*) AS flows FROM flows GROUP BY deviceClass ORDER
      BY flows DESC"
      flowlake query lake "SELECT * FROM flows WHERE month = '2019-07' AND deviceClass = 'tv'" --output
      tv.parquet
      flowlake query s3://bucket/lake - --format ndjson < question.sql
    "#);
    insta::assert_snapshot!(help("head"), @r"
    Show the first rows of a lake

    Usage: flowlake head [OPTIONS] <LAKE>

    Arguments:
      <LAKE>
              The lake: a directory, or a URL such as s3://BUCKET/PREFIX

    Options:
          --rows <N>
              How many rows

              [default: 3]

          --columns <NAME,…>
              Only these columns

          --class <CLASS>
              Only devices of this class; may be given several times

          --month <YYYY-MM>
              Only this month of flow starts in UTC; may be given several times

          --device <NAME>
              Only this device; may be given several times

          --format <FORMAT>
              Form of the answer

              Possible values:
              - table:   For people; at most 1,000 rows
              - csv:     Comma-separated text with a header line
              - json:    A list of JSON objects
              - ndjson:  A JSON object a line
              - parquet: A Parquet file

              [default: table]

      -h, --help
              Print help (see a summary with '-h')

    As a table, columns go down and rows across; in the other forms a row is a row.

    Examples:
      flowlake head lake
      flowlake head lake --class smartSpeaker --month 2019-07 --columns serviceType,octetTotalCount
      --rows 10
      flowlake head s3://bucket/lake --format csv
    ");
    insta::assert_snapshot!(help("files"), @r"
    List the data files of a lake, for other engines

    Usage: flowlake files [OPTIONS] <LAKE>

    Arguments:
      <LAKE>  The lake: a directory, or a URL such as s3://BUCKET/PREFIX

    Options:
          --url              Print URLs: file:///… or s3://…
          --class <CLASS>    Only devices of this class; may be given several times
          --month <YYYY-MM>  Only this month of flow starts in UTC; may be given several times
          --device <NAME>    Only this device; may be given several times
      -0, --null             End names with a zero byte instead of a line end
      -h, --help             Print help

    Exactly the data files that the manifest lists, in its order: what an engine should read while the
    lake may be replaced, or where strays lie about. Nothing is listed or opened but the manifest.

    Examples:
      flowlake files lake --month 2019-07 --class tv
      flowlake files s3://bucket/lake --url
      flowlake files lake --null | xargs -0 sha256sum
    ");
    insta::assert_snapshot!(help("sql"), @r"
    Print code that makes a view of a lake in another engine

    Usage: flowlake sql --engine <ENGINE> <LAKE>

    Arguments:
      <LAKE>
              The lake: a directory, or a URL such as s3://BUCKET/PREFIX

    Options:
          --engine <ENGINE>
              The engine that the code is for

              Possible values:
              - duckdb:     SQL
              - spark:      Python (PySpark)
              - clickhouse: SQL
              - polars:     Python

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      flowlake sql lake --engine duckdb > lake.sql && duckdb -init lake.sql
      flowlake sql s3://bucket/lake --engine spark
    ");
}

#[test]
fn head_shows_the_first_rows() {
    let world = world();
    let head = |options: &[&str]| world.about_lake("head").args(options).run();
    let columns =
        ["--columns", "deviceName,flowStartMilliseconds,octetTotalCount,averageInterarrivalTime,month"];
    insta::assert_snapshot!(head(&columns).expect_code(0).stdout, @r"
    column                   type                row 1                     row 2                     row 3
    deviceName               string              hub                       hub                       hub
    flowStartMilliseconds    timestamp[ms, UTC]  2019-07-03T10:00:00.123Z  2019-07-03T10:00:02.123Z  2019-07-03T10:00:04.123Z
    octetTotalCount          int64               900                       902                       904
    averageInterarrivalTime  int64               250                       250                       250
    month                    string              2019-07                   2019-07                   2019-07
    ");
    let lamp = [&columns[..], &["--device", "lamp", "--month", "2019-08", "--rows", "1", "--format", "csv"]]
        .concat();
    insta::assert_snapshot!(head(&lamp).expect_code(0).stdout, @r"
    deviceName,flowStartMilliseconds,octetTotalCount,averageInterarrivalTime,month
    lamp,2019-08-03T10:00:01.123Z,901,,2019-08
    ");
    // All columns, in the order of the lake.
    let all = head(&["--rows", "1"]).expect_code(0).stdout;
    let shown: Vec<&str> = all.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let lake = world.lake();
    let schema = &lake.manifest["schema"];
    let columns =
        [&schema["columns"], &schema["partitionBy"]].into_iter().filter_map(Value::as_array).flatten();
    let names: Vec<&str> = columns.filter_map(|column| column["name"].as_str()).collect();
    assert_eq!(shown, names);
    insta::assert_snapshot!(head(&["--columns", "month,colour"]).expect_code(2).stderr, @r"
    error: there is no column `colour`
    hint: `flowlake head LAKE` lists the columns
    ");
    insta::assert_snapshot!(head(&["--columns", "deviceName,month,deviceName"]).expect_code(2).stderr, @r"
    error: column `deviceName` is asked for twice
    hint: give each name of --columns once
    ");
    insta::assert_snapshot!(head(&["--class", "fridge"]).expect_code(2).stderr, @r"
    error: the lake has no class `fridge`
    hint: classes are: iotGatewayHub, lighting
    ");
}

#[test]
fn files_are_those_of_the_manifest() {
    let world = world();
    let lake = world.lake();
    fs::write(world.path("lake/data/month=2019-07/stray.parquet"), "").expect("it is written");
    let root = world.path("lake");
    let printed = |options: &[&str]| world.about_lake("files").args(options).run().expect_code(0).stdout;
    let listed: Vec<String> = lake
        .list("files")
        .iter()
        .filter_map(|file| file["path"].as_str())
        .map(|path| root.join(path).to_str().expect("UTF-8").to_owned())
        .collect();
    assert_eq!(listed.len(), 4);
    let shown = |paths: &[String]| paths.iter().map(|path| format!("{path}\n")).collect::<String>();
    let redacted = |text: String| text.replace(world.root().to_str().expect("UTF-8"), "[dir]");
    assert_eq!(redacted(printed(&[])), redacted(shown(&listed)));
    assert_eq!(redacted(printed(&["--null"])), redacted(shown(&listed)).replace('\n', "\0"));
    let urls: Vec<String> = listed.iter().map(|path| format!("file://{path}")).collect();
    assert_eq!(redacted(printed(&["--url"])), redacted(shown(&urls)));
    let august: Vec<String> = listed
        .iter()
        .filter(|path| path.contains("month=2019-08") && path.contains("/lamp-"))
        .cloned()
        .collect();
    assert_eq!(redacted(printed(&["--month", "2019-08", "--class", "lighting"])), redacted(shown(&august)));
    // Relative, as it was given.
    let relative = Program::new(["files", "lake"]).within(world.root()).run().expect_code(0).stdout;
    assert!(relative.lines().all(|path| path.starts_with("lake/data/month=")), "{relative}");
    world
        .about_lake("files")
        .args(["--month", "2020-01"])
        .run()
        .expect_code(2)
        .expect_says(["2019-07, 2019-08"]);
}

#[test]
fn code_for_engines_names_the_lake() {
    let world = world();
    let code = |engine: &str| {
        let outcome = world.about_lake("sql").args(["--engine", engine]).run().expect_code(0);
        without_digests(&outcome.stdout)
    };
    insta::assert_snapshot!(code("duckdb"), @r#"
    -- DuckDB: paste into its shell, or give to connection.execute(…)
    SET TimeZone = 'UTC';
    -- Exactly the files that the manifest lists. Set it again when the lake was replaced.
    SET VARIABLE flowlake_files = (
        SELECT list('[dir]/lake/' || file.path ORDER BY file.path)
        FROM (SELECT unnest(files) AS file FROM read_json('[dir]/lake/manifest.json', maximum_object_size = 2000000000))
    );
    CREATE OR REPLACE VIEW flows AS
    SELECT
        "deviceName",
        "IoTMacAddress",
        "IoTIPAddress",
        "serverMacAddress",
        "serverIPAddress",
        "IoTTransportPort",
        "serverTransportPort",
        "protocolIdentifier",
        "protocolName",
        "serviceType",
        "flowStartMilliseconds",
        "flowEndMilliseconds",
        "flowStartMillisecondsDate",
        "flowEndMillisecondsDate",
        "flowStartMillisecondsTime",
        "flowEndMillisecondsTime",
        "flowDurationMilliseconds",
        "reverseFlowDeltaMilliseconds",
        "averageInterarrivalTime",
        "standardDeviationInterarrivalTime",
        "reverseAverageInterarrivalTime",
        "reverseStandardDeviationInterarrivalTime",
        "flowAttributes",
        "reverseFlowAttributes",
        "flowEndReason",
        "initialTCPFlags",
        "unionTCPFlags",
        "reverseInitialTCPFlags",
        "packetTotalCount",
        "octetTotalCount",
        "smallPacketCount",
        "largePacketCount",
        "nonEmptyPacketCount",
        "firstNonEmptyPacketSize",
        "maxPacketSize",
        "dataByteCount",
        "bytesPerPacket",
        "reversePacketTotalCount",
        "reverseOctetTotalCount",
        "reverseSmallPacketCount",
        "reverseLargePacketCount",
        "reverseNonEmptyPacketCount",
        "reverseFirstNonEmptyPacketSize",
        "reverseMaxPacketSize",
        "reverseDataByteCount",
        "reverseBytesPerPacket",
        "month",
        "deviceClass"
    FROM read_parquet(
        getvariable('flowlake_files'), hive_partitioning = true, hive_types = {'month': VARCHAR, 'deviceClass': VARCHAR}
    );
    "#);
    for (engine, texts) in [
        (
            "spark",
            ["`flowStartMilliseconds` TIMESTAMP,", "`deviceClass` STRING\n", "lake = \"file://[dir]/lake\""],
        ),
        (
            "clickhouse",
            [
                "    `flowStartMilliseconds` DateTime64(3, \\'UTC\\'),",
                "    `averageInterarrivalTime` Nullable(Int64),",
                "file('[dir]/lake/data/{month=2019-07/deviceClass=iotGatewayHub/hub-00000-[digest].parquet,",
            ],
        ),
        (
            "polars",
            [
                "        \"flowStartMilliseconds\": pl.Datetime(\"ms\", \"UTC\"),",
                "hive_schema={\"month\": pl.String, \"deviceClass\": pl.String}",
                "lake = Path(\"[dir]/lake\")",
            ],
        ),
    ] {
        let code = code(engine);
        for text in texts {
            assert!(code.contains(text), "no {text} in\n{code}");
        }
    }
}

/// Code is pasted and run: what a manifest says must not become part of it, nor lead anywhere else.
#[test]
fn code_is_made_of_no_names_that_would_lead_astray() {
    let world = world();
    let lake = world.lake();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut manifest = lake.manifest.clone();
        change(&mut manifest);
        fs::write(lake.path("manifest.json"), manifest.to_string()).expect("it is written");
    };
    let engines = ["duckdb", "spark", "clickhouse", "polars"];
    let refused = |engine: &str, code: i32| {
        let outcome = world.about_lake("sql").args(["--engine", engine]).run().expect_code(code);
        assert_eq!(outcome.stdout, "");
        outcome.stderr
    };
    changed(&|manifest: &mut Value| manifest["files"][1]["path"] = "../../../etc/passwd".into());
    for engine in engines {
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused(engine, 3), @r#"
            error: the manifest is damaged
            caused by: the manifest lists a data file that cannot be one
            caused by: "../../../etc/passwd" is not data/month=YYYY-MM/deviceClass=CLASS/DEVICE-NNNNN-DIGEST.parquet
            "#);
        }
    }
    for name in ["a\"b", "a'b", "a`b", "a\\b", "a\nb", "a\u{1b}b", "a\"\"\"b", ""] {
        for list in ["columns", "partitionBy"] {
            changed(&|manifest: &mut Value| manifest["schema"][list][1]["name"] = name.into());
            for engine in engines {
                let told = refused(engine, 2);
                assert!(
                    told.starts_with(&format!("error: the name of column {name:?} has letters")),
                    "{told}"
                );
            }
        }
    }
    // What needs no more than quotes is named.
    changed(&|manifest: &mut Value| manifest["schema"]["columns"][1]["name"] = "a b-c.d_é".into());
    for engine in engines {
        let code = world.about_lake("sql").args(["--engine", engine]).run().expect_code(0).stdout;
        // DuckDB, Spark, ClickHouse and Polars have columns in quotes of one kind or another.
        assert!(["\"a b-c.d_é\"", "`a b-c.d_é`"].iter().any(|name| code.contains(name)), "{code}");
    }
}
