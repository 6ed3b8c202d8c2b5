//! Python with PySpark.

use std::fmt::Write;

use flowlake_store::Scheme;

use super::{Lake, Place, ViewError, named, python_text};

pub(super) fn code(lake: &Lake<'_>) -> Result<String, ViewError> {
    let mut code =
        String::from("# Python with PySpark 4\nimport json\n\nfrom pyspark.sql import SparkSession\n\n");
    let root = match &lake.place {
        // Without a scheme it would be a path of whatever file system the cluster has for its default.
        Place::Directory(path) => format!("file://{path}"),
        Place::Objects(url) => {
            if url.scheme() == Scheme::Az {
                // It wants the account in the URL, which a location does not have.
                return Err(ViewError::Unreachable { engine: "Spark", url: url.to_string() });
            }
            code.push_str("# Needs the package hadoop-aws (s3a://) or the connector of Google (gs://).\n");
            lake.place.root(|scheme| if scheme == Scheme::S3 { "s3a" } else { scheme.name() })
        }
    };
    code.push_str("spark = SparkSession.builder.getOrCreate()\n");
    if let (Place::Objects(_), Some(endpoint)) = (&lake.place, &lake.surroundings.s3_endpoint) {
        let _ = writeln!(
            code,
            "hadoop = spark.sparkContext._jsc.hadoopConfiguration()\nhadoop.set(\"fs.s3a.endpoint\", {})\nhadoop.set(\"fs.s3a.path.style.access\", \"true\")",
            python_text(endpoint)
        );
    }
    let _ = write!(
        code,
        "\
spark.conf.set(\"spark.sql.session.timeZone\", \"UTC\")
lake = {}
# Exactly the files that the manifest lists.
manifest = json.loads(spark.read.text(f\"{{lake}}/manifest.json\", wholetext=True).first()[0])
schema = \"\"\"
",
        python_text(&root)
    );
    let columns = lake.columns().map(|column| {
        let data_type = named(column.data_type, ["STRING", "INT", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP"]);
        format!("    `{}` {data_type}", column.name)
    });
    code.push_str(&columns.collect::<Vec<_>>().join(",\n"));
    code.push_str(
        "
\"\"\"
files = [f\"{lake}/{file['path']}\" for file in manifest[\"files\"]]
flows = spark.read.schema(schema).option(\"basePath\", f\"{lake}/data\").parquet(*files)
flows.createOrReplaceTempView(\"flows\")
",
    );
    Ok(code)
}
