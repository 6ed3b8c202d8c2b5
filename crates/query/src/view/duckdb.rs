//! SQL of DuckDB.

use std::fmt::Write;

use flowlake_store::Scheme;

use super::{Lake, Place, sql_text};

pub(super) fn code(lake: &Lake<'_>) -> String {
    let mut code = String::from("-- DuckDB: paste into its shell, or give to connection.execute(…)\n");
    let root = lake.place.root(|scheme| match scheme {
        Scheme::S3 => "s3",
        Scheme::Gs => "gs",
        Scheme::Az => "az",
    });
    if let Place::Objects(url) = &lake.place {
        let scope = sql_text(&format!("{}://{}", url.scheme().name(), url.bucket()));
        match url.scheme() {
            Scheme::S3 => {
                let endpoint = lake.surroundings.s3_endpoint.as_deref().map(|endpoint| {
                    let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
                    let host = sql_text(host.trim_end_matches('/'));
                    format!(", ENDPOINT {host}, URL_STYLE 'path', USE_SSL {}", scheme != "http")
                });
                let endpoint = endpoint.unwrap_or_default();
                code.push_str("INSTALL httpfs; LOAD httpfs;\nINSTALL aws; LOAD aws;\n");
                let _ = writeln!(
                    code,
                    "CREATE OR REPLACE SECRET flowlake (TYPE s3, PROVIDER credential_chain, SCOPE {scope}{endpoint});"
                );
            }
            Scheme::Gs => {
                code.push_str("INSTALL httpfs; LOAD httpfs;\n-- Put in an HMAC key of yours.\n");
                let _ = writeln!(
                    code,
                    "CREATE OR REPLACE SECRET flowlake (TYPE gcs, KEY_ID '…', SECRET '…', SCOPE {scope});"
                );
            }
            Scheme::Az => {
                code.push_str("INSTALL azure; LOAD azure;\n-- Put in the name of your account.\n");
                let _ = writeln!(
                    code,
                    "CREATE OR REPLACE SECRET flowlake (TYPE azure, PROVIDER credential_chain, ACCOUNT_NAME '…', SCOPE {scope});"
                );
            }
        }
    }
    let (manifest, prefix) = (sql_text(&format!("{root}/manifest.json")), sql_text(&format!("{root}/")));
    let columns: Vec<String> = lake.columns().map(|column| format!("\"{}\"", column.name)).collect();
    let types: Vec<String> =
        lake.partition_columns().map(|column| format!("'{}': VARCHAR", column.name)).collect();
    let _ = write!(
        code,
        "\
SET TimeZone = 'UTC';
-- Exactly the files that the manifest lists. Set it again when the lake was replaced.
SET VARIABLE flowlake_files = (
    SELECT list({prefix} || file.path ORDER BY file.path)
    FROM (SELECT unnest(files) AS file FROM read_json({manifest}, maximum_object_size = 2000000000))
);
CREATE OR REPLACE VIEW flows AS
SELECT
    {}
FROM read_parquet(
    getvariable('flowlake_files'), hive_partitioning = true, hive_types = {{{}}}
);
",
        columns.join(",\n    "),
        types.join(", ")
    );
    code
}
