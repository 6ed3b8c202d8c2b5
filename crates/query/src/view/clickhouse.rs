//! SQL of ClickHouse.

use std::fmt::Write;

use flowlake_store::Scheme;

use super::{Lake, Place, ViewError, named, percent_encoded};

pub(super) fn code(lake: &Lake<'_>) -> Result<String, ViewError> {
    let mut code = String::from("-- ClickHouse: clickhouse-local, chdb, or a server that may read there\n");
    // All paths begin so, and braces hold what differs.
    let differing: Vec<&str> = lake.paths().map(|path| path.strip_prefix("data/").unwrap_or(path)).collect();
    let pattern = match &differing[..] {
        [single] => (*single).to_owned(),
        several => format!("{{{}}}", several.join(",")),
    };
    let source = match &lake.place {
        Place::Directory(root) => {
            format!("file({}", text(&format!("{root}/data/{pattern}")))
        }
        Place::Objects(url) => {
            let url_text = url.to_string();
            let place = url_text.split_once("://").map_or("", |(_, rest)| rest);
            let (bucket, prefix) = place
                .split_once('/')
                .map_or((place, String::new()), |(bucket, prefix)| (bucket, format!("{prefix}/")));
            let base = match (url.scheme(), &lake.surroundings.s3_endpoint) {
                (Scheme::S3, Some(endpoint)) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
                (Scheme::S3, None) => format!("https://{bucket}.s3.amazonaws.com"),
                (Scheme::Gs, _) => format!("https://storage.googleapis.com/{bucket}"),
                (Scheme::Az, _) => {
                    return Err(ViewError::Unreachable { engine: "ClickHouse", url: url_text });
                }
            };
            code.push_str(
                "-- With the credentials of its environment; others go behind the URL: 'KEY', 'SECRET'.\n",
            );
            format!("s3({}", text(&format!("{base}/{}data/{pattern}", percent_encoded(prefix.as_bytes()))))
        }
    };
    // The documents of older versions say that they stop at 1,000 names in braces.
    let names = match differing.len() {
        0..=1000 => String::new(),
        n => format!(", glob_expansion_max_elements = {n}"),
    };
    let columns = lake.columns().map(|column| {
        let data_type = named(
            column.data_type,
            ["String", "Int32", "Int64", "Float64", "Date32", "DateTime64(3, \\'UTC\\')"],
        );
        match column.nullable {
            true => format!("    `{}` Nullable({data_type})", column.name),
            false => format!("    `{}` {data_type}", column.name),
        }
    });
    let columns = columns.collect::<Vec<_>>().join(",\n");
    let _ = write!(
        code,
        "\
-- Exactly the files that the manifest lists, at the time this was printed.
CREATE OR REPLACE VIEW flows AS
SELECT * FROM {source}, 'Parquet', '
{columns}
')
SETTINGS use_hive_partitioning = 1{names};
"
    );
    Ok(code)
}

/// A text. A backslash begins an escape there, unlike in the SQL of others.
fn text(text: &str) -> String {
    super::sql_text(&text.replace('\\', "\\\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backslashes_are_no_escapes() {
        assert_eq!(text(r"/it's/a\b"), r"'/it''s/a\\b'");
    }
}
