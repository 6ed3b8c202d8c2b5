//! How fast each stage of a build is, by itself and on one thread: `cargo bench --workspace --features benches --bench stages`.
//!
//! The input is a synthetic dump, made anew. What matters of a figure is how it compares with the one before a change, on
//! the same machine; docs/performance.md has what the stages cost together.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flowlake_ingest::{Catalogue, Chunk, Decoder, Dump, DumpReader, RawBatch, discover};
use flowlake_partition::layout::Month;
use flowlake_partition::split::split_by_month;
use flowlake_partition::table::{Encoding, TableColumn, TableSchema};
use flowlake_partition::writer::{DatasetWriter, WriterOptions};
use flowlake_partition::{EncodedRowGroup, RowGroup, manifest::ColumnType};
use flowlake_store::LakeStore;
use flowlake_transform::{FLOW_START, OutputType, Recipe, Transformer};
use polars::prelude::DataFrame;

const RECIPE: &str = include_str!("../config/recipes/flows.toml");
/// Name in the lake; any will do.
const DEVICE: &str = "hub";

/// A dump and what each stage makes of it.
struct Stages {
    catalogue: Catalogue,
    dump: Dump,
    decoder: Decoder,
    transformer: Transformer,
    table: Arc<TableSchema>,
}

impl Stages {
    fn new(directory: &Path) -> Self {
        let dumps = directory.join("dumps");
        let sampled = Command::new(env!("CARGO_BIN_EXE_flowlake"))
            .args(["sample", "--scale", "0.02", "--output"])
            .arg(&dumps)
            .output()
            .expect("the program runs");
        assert!(sampled.status.success(), "{}", String::from_utf8_lossy(&sampled.stderr));
        let catalogue = Catalogue::read(&dumps.join("catalogue.toml")).expect("a catalogue");
        let found = discover(&LakeStore::Directory(dumps.clone()), &catalogue).expect("dumps");
        let (dump, device) =
            found.matched.into_iter().max_by_key(|(dump, _)| dump.bytes()).expect("a dump of a device");
        let recipe = Recipe::parse(RECIPE, "flows.toml").expect("a recipe");
        let transformer = Transformer::new(&recipe, &device, &dump.name);
        let decoder =
            Decoder::new(&dump.name, &catalogue.limits).for_device(device.mac, transformer.left_out());
        let columns = Transformer::columns(&recipe).into_iter().map(|column| TableColumn {
            data_type: match column.data_type {
                OutputType::Text => ColumnType::String,
                OutputType::Int32 => ColumnType::Int32,
                OutputType::Int64 => ColumnType::Int64,
                OutputType::Float64 => ColumnType::Float64,
                OutputType::Date => ColumnType::Date,
                OutputType::TimestampMillis => ColumnType::TimestampMillis,
            },
            encoding: if column.distinct_text { Encoding::DeltaText } else { Encoding::Auto },
            name: column.name,
            nullable: column.nullable,
        });
        let table = Arc::new(TableSchema::new(columns.collect(), FLOW_START).expect("a schema"));
        Self { catalogue, dump, decoder, transformer, table }
    }

    fn read(&self) -> Vec<Chunk> {
        let mut reader = DumpReader::open(&self.dump, &self.catalogue.limits).expect("it opens");
        std::iter::from_fn(|| reader.next_chunk(Vec::new()).expect("it is whole")).collect()
    }

    fn transform(&self, raw: RawBatch) -> DataFrame {
        let screened = self.transformer.screen(raw.flows, raw.directions).expect("it fits");
        self.transformer.finish(screened, &[]).expect("it fits").rows
    }

    fn row_groups(&self, root: &Path, frames: &[Vec<(Month, DataFrame)>]) -> (DatasetWriter, Vec<RowGroup>) {
        let options = WriterOptions::default();
        let mut writer = DatasetWriter::new(root, DEVICE, "smartSpeaker", Arc::clone(&self.table), &options)
            .expect("valid options");
        let mut groups = Vec::new();
        for parts in frames {
            groups.extend(writer.append(parts.clone()).expect("it fits"));
        }
        groups.extend(writer.drain(usize::MAX));
        (writer, groups)
    }
}

fn stages(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let stages = Stages::new(directory.path());
    let chunks = stages.read();
    let bytes: usize = chunks.iter().map(|chunk| chunk.bytes().len()).sum();
    let raw: Vec<RawBatch> =
        chunks.iter().map(|chunk| stages.decoder.decode(chunk).expect("it decodes")).collect();
    let frames: Vec<_> = raw
        .iter()
        .map(|batch| split_by_month(stages.transform(batch.clone()), FLOW_START).expect("it splits"))
        .collect();
    let rows: usize = frames.iter().flatten().map(|(_, rows)| rows.height()).sum();

    let mut group = criterion.benchmark_group("bytes of JSON");
    group.throughput(Throughput::Bytes(bytes as u64)).sample_size(20);
    group.bench_function("read: decompress, tar, hash, lines", |bencher| {
        bencher.iter(|| {
            let mut reader = DumpReader::open(&stages.dump, &stages.catalogue.limits).expect("it opens");
            let mut buffer = Vec::new();
            while let Some(chunk) = reader.next_chunk(buffer).expect("it is whole") {
                buffer = chunk.into_buffer();
            }
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for chunk in &chunks {
                black_box(stages.decoder.decode(chunk).expect("it decodes"));
            }
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("rows of the lake");
    group.throughput(Throughput::Elements(rows as u64)).sample_size(20);
    group.bench_function("transform", |bencher| {
        bencher.iter_batched(
            || raw.clone(),
            |raw| raw.into_iter().map(|batch| stages.transform(batch)).collect::<Vec<_>>(),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("gather into row groups", |bencher| {
        bencher.iter_with_large_drop(|| stages.row_groups(directory.path(), &frames));
    });
    group.bench_function("encode: digest, Parquet, Zstandard", |bencher| {
        bencher.iter_batched(
            || stages.row_groups(directory.path(), &frames).1,
            |groups| groups.into_iter().map(|group| group.encode().expect("it encodes")).collect::<Vec<_>>(),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("store: write files, hash, make durable", |bencher| {
        bencher.iter_batched(
            || {
                let root = tempfile::tempdir_in(directory.path()).expect("a directory");
                let (writer, groups) = stages.row_groups(root.path(), &frames);
                let encoded: Vec<EncodedRowGroup> =
                    groups.into_iter().map(|group| group.encode().expect("it encodes")).collect();
                (root, writer, encoded)
            },
            |(root, mut writer, encoded)| {
                for group in encoded {
                    writer.store(group).expect("it is written");
                }
                (writer.finish().expect("it is closed"), root)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
