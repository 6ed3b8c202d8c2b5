//! Compares this crate's writer with Polars' own on a synthetic table of the `flows` recipe: time and size.
//!
//! Why it exists: docs/DESIGN.md says which Parquet writer a lake is made with, and this is where the figures come
//! from. Run it on one core, so that neither writer uses more than the other:
//!
//! ```text
//! taskset -c 0 cargo run --release -p flowlake-partition --features compare-writers --example compare_writers
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowlake_partition::layout::timestamp_text;
use flowlake_partition::manifest::ColumnType;
use flowlake_partition::split::split_by_month;
use flowlake_partition::table::{Encoding, TableColumn, TableSchema};
use flowlake_partition::writer::{DatasetWriter, WriterOptions};
use polars::prelude::{
    Column, DataFrame, DataType, IntoColumn, NamedFrom, ParquetCompression, ParquetWriter, Series,
    StatisticsOptions, TimeUnit, TimeZone,
};

const ROWS: usize = 600_000;
/// Rows of a frame as the decoder might deliver them: not a whole row group.
const BATCH: usize = 50_000;
const RUNS: usize = 5;
const ROW_GROUP: usize = 65_536;

/// A contender: it writes the batches below a directory and says how many bytes that took.
type Writer<'a> = Box<dyn Fn(&[DataFrame], &Path) -> Result<u64, Box<dyn Error>> + 'a>;

fn main() -> Result<(), Box<dyn Error>> {
    let (frame, schema) = table();
    println!(
        "{} rows, {} columns, {RUNS} runs each, one after the other in turn",
        frame.height(),
        frame.width()
    );
    let batches: Vec<DataFrame> =
        (0..ROWS).step_by(BATCH).map(|start| frame.slice(start as i64, BATCH)).collect();
    let hinted = Arc::new(schema);
    let plain = Arc::new(without_hints(&hinted)?);

    let mut contenders: Vec<(String, Writer<'_>)> = Vec::new();
    for level in [1, 3] {
        for (name, schema) in [("flowlake", &hinted), ("flowlake, no hints", &plain)] {
            let options = WriterOptions { compression_level: level, ..WriterOptions::default() };
            let schema = Arc::clone(schema);
            contenders.push((
                format!("{name}, zstd {level}"),
                Box::new(move |batches, root| ours(batches, root, &schema, &options)),
            ));
        }
    }
    // The level is a type of another crate; 3 is what Polars takes by itself.
    contenders.push(("Polars, zstd 3".to_owned(), Box::new(polars)));

    let mut times = vec![Vec::new(); contenders.len()];
    let mut bytes = vec![0; contenders.len()];
    for _ in 0..RUNS {
        for (index, (_, write)) in contenders.iter().enumerate() {
            let place = tempfile::tempdir()?;
            let start = Instant::now();
            bytes[index] = write(&batches, place.path())?;
            times[index].push(start.elapsed());
        }
    }
    println!("{:<28} {:>10} {:>12} {:>12} {:>8}", "", "seconds", "rows/s", "bytes", "B/row");
    for (index, (name, _)) in contenders.iter().enumerate() {
        let median = median(&mut times[index]).as_secs_f64();
        let rate = ROWS as f64 / median;
        let per_row = bytes[index] as f64 / ROWS as f64;
        println!("{name:<28} {median:>10.3} {rate:>12.0} {:>12} {per_row:>8.2}", bytes[index]);
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ours(
    batches: &[DataFrame],
    root: &Path,
    schema: &Arc<TableSchema>,
    options: &WriterOptions,
) -> Result<u64, Box<dyn Error>> {
    let mut writer = DatasetWriter::new(root, "echo", "smartSpeaker", Arc::clone(schema), options)?;
    for batch in batches {
        for group in writer.append(split_by_month(batch.clone(), schema.flow_start())?)? {
            writer.store(group.encode()?)?;
        }
    }
    for group in writer.drain(usize::MAX) {
        writer.store(group.encode()?)?;
    }
    Ok(writer.finish()?.iter().map(|file| file.bytes).sum())
}

fn polars(batches: &[DataFrame], root: &Path) -> Result<u64, Box<dyn Error>> {
    let path = root.join("polars.parquet");
    let mut whole = DataFrame::empty();
    for batch in batches {
        whole = if whole.width() == 0 { batch.clone() } else { whole.vstack(batch)? };
    }
    let file = fs_err::File::create(&path)?;
    ParquetWriter::new(&file)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::full())
        .with_row_group_size(Some(ROW_GROUP))
        .set_parallel(false)
        .finish(&mut whole)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

fn without_hints(schema: &TableSchema) -> Result<TableSchema, Box<dyn Error>> {
    let columns =
        schema.columns().iter().map(|c| TableColumn { encoding: Encoding::Auto, ..c.clone() }).collect();
    Ok(TableSchema::new(columns, schema.flow_start())?)
}

/// A stream of numbers that looks random and is the same every time (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Small values often, large ones seldom.
    fn skewed(&mut self, limit: u64) -> u64 {
        let power = self.below(64 - u64::from(limit.leading_zeros())) + 1;
        self.below(1 << power).min(limit)
    }
}

/// One device's flows: a few services it talks to, times nearly in order, statistics that belong together.
fn flows() -> Vec<Flow> {
    let mut random = Random(7);
    let mut clock = 1_561_939_200_000i64; // 2019-07-01
    (0..ROWS)
        .map(|_| {
            clock += random.below(8_000) as i64;
            let service = random.skewed(7) as usize;
            let (protocol, port, name) = [
                (17, 53, "DNS"),
                (6, 443, "HTTP/S"),
                (6, 80, "HTTP/S"),
                (17, 123, "NTP"),
                (17, 1900, "SSDP"),
                (6, 8883, "MQTT"),
                (17, 137, "NetBIOS"),
                (1, 0, "Other"),
            ][service];
            let packets = 1 + random.skewed(2_000);
            let data = random.below(packets + 1);
            let back = random.below(5) != 0;
            let duration = if packets == 1 { 0 } else { random.skewed(1_800_000) };
            Flow {
                start: clock - random.below(120_000) as i64,
                duration: duration as i64,
                delta: random.skewed(duration.max(1)).min(2_000) as i64,
                protocol,
                port,
                name,
                server: (service as u64 * 40 + random.skewed(39)) as u32,
                own_port: if protocol == 17 && port == 123 {
                    123
                } else {
                    32_768 + random.below(28_000) as i32
                },
                forward: Statistics::new(&mut random, packets, data, duration),
                backward: back.then(|| {
                    let packets = 1 + random.skewed(packets * 2);
                    let data = random.below(packets + 1);
                    Statistics::new(&mut random, packets, data, duration)
                }),
                reason: ["idle", "active", "closed", "eof"][random.skewed(3) as usize],
                flags: ["0", "S", "SA", "A", "AP"]
                    [if protocol == 6 { 1 + random.skewed(3) as usize } else { 0 }],
                union: ["0", "A", "APF", "APSF", "APR"]
                    [if protocol == 6 { 1 + random.skewed(3) as usize } else { 0 }],
                attributes: random.skewed(3) as i32,
            }
        })
        .collect()
}

struct Flow {
    start: i64,
    duration: i64,
    delta: i64,
    protocol: i32,
    port: i32,
    name: &'static str,
    server: u32,
    own_port: i32,
    forward: Statistics,
    backward: Option<Statistics>,
    reason: &'static str,
    flags: &'static str,
    union: &'static str,
    attributes: i32,
}

struct Statistics {
    packets: i64,
    octets: i64,
    small: i64,
    large: i64,
    non_empty: i64,
    first: i32,
    max: i32,
    data: i64,
    mean_gap: i64,
    gap_deviation: i64,
}

impl Statistics {
    fn new(random: &mut Random, packets: u64, non_empty: u64, duration: u64) -> Self {
        let max = if non_empty == 0 { 0 } else { 20 + random.below(1_440) };
        let data = if non_empty == 0 { 0 } else { max + (non_empty - 1) * random.below(max) };
        let small = random.below(non_empty + 1);
        Self {
            packets: packets as i64,
            octets: (packets * 40 + data) as i64,
            small: small as i64,
            large: random.below(non_empty - small + 1) as i64,
            non_empty: non_empty as i64,
            first: (max.min(30 + random.skewed(500))) as i32,
            max: max as i32,
            data: data as i64,
            mean_gap: (duration / packets) as i64,
            gap_deviation: random.skewed(duration.max(1)) as i64,
        }
    }
}

/// Gathers columns and their description side by side.
#[derive(Default)]
struct Builder {
    values: Vec<Column>,
    columns: Vec<TableColumn>,
}

impl Builder {
    fn add(&mut self, name: &str, data_type: ColumnType, encoding: Encoding, values: Series) {
        let values = match data_type {
            ColumnType::Date => values.cast(&DataType::Date),
            ColumnType::TimestampMillis => {
                values.cast(&DataType::Datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC)))
            }
            _ => Ok(values),
        }
        .expect("integers of the right width");
        let nullable = values.null_count() > 0;
        self.values.push(values.with_name(name.into()).into_column());
        self.columns.push(TableColumn { name: name.to_owned(), data_type, nullable, encoding });
    }

    fn text(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let values: Vec<String> = values.collect();
        self.add(name, ColumnType::String, Encoding::Auto, Series::new(name.into(), values));
    }

    fn int32(&mut self, name: &str, values: impl Iterator<Item = Option<i32>>) {
        let values: Vec<Option<i32>> = values.collect();
        self.add(name, ColumnType::Int32, Encoding::Auto, Series::new(name.into(), values));
    }

    fn int64(&mut self, name: &str, values: impl Iterator<Item = Option<i64>>) {
        let values: Vec<Option<i64>> = values.collect();
        self.add(name, ColumnType::Int64, Encoding::Auto, Series::new(name.into(), values));
    }
}

/// The 46 columns of the `flows` recipe.
fn table() -> (DataFrame, TableSchema) {
    let flows = flows();
    let rows = || flows.iter();
    let end = |flow: &Flow| flow.start + flow.duration;
    let mac = |number: u32| format!("aa:1e:84:06:1c:{:02x}", number % 256);
    let mut b = Builder::default();
    b.text("deviceName", rows().map(|_| "amazon_echo_gen2".to_owned()));
    b.text("IoTMacAddress", rows().map(|_| mac(180)));
    b.text("IoTIPAddress", rows().map(|f| format!("192.168.1.{}", if f.start % 50 == 0 { 7 } else { 6 })));
    b.text("serverMacAddress", rows().map(|f| mac(u32::from(f.server % 10 == 0))));
    b.text(
        "serverIPAddress",
        rows().map(|f| format!("52.{}.{}.{}", f.server % 90, f.server % 256, f.server * 7 % 256)),
    );
    b.int32("IoTTransportPort", rows().map(|f| Some(f.own_port)));
    b.int32("serverTransportPort", rows().map(|f| Some(f.port)));
    b.int32("protocolIdentifier", rows().map(|f| Some(f.protocol)));
    let protocol = |f: &Flow| {
        [(6, "TCP"), (17, "UDP"), (1, "ICMP")].iter().find(|p| p.0 == f.protocol).map_or("Other", |p| p.1)
    };
    b.text("protocolName", rows().map(|f| protocol(f).to_owned()));
    b.text("serviceType", rows().map(|f| f.name.to_owned()));
    for (name, at) in [("flowStart", &(|f: &Flow| f.start) as &dyn Fn(&Flow) -> i64), ("flowEnd", &end)] {
        let days: Vec<i32> = rows().map(|f| (at(f) / 86_400_000) as i32).collect();
        b.add(
            &format!("{name}MillisecondsDate"),
            ColumnType::Date,
            Encoding::Auto,
            Series::new("".into(), days),
        );
        let times: Vec<String> = rows().map(|f| timestamp_text(at(f))[11..23].to_owned()).collect();
        let name = format!("{name}MillisecondsTime");
        b.add(&name, ColumnType::String, Encoding::DeltaText, Series::new("".into(), times));
    }
    b.int64("flowDurationMilliseconds", rows().map(|f| Some(f.duration)));
    b.int64("reverseFlowDeltaMilliseconds", rows().map(|f| f.backward.as_ref().map(|_| f.delta)));
    b.int32("flowAttributes", rows().map(|f| Some(f.attributes)));
    b.int32("reverseFlowAttributes", rows().map(|f| f.backward.as_ref().map(|_| f.attributes)));
    b.text("flowEndReason", rows().map(|f| f.reason.to_owned()));
    b.text("initialTCPFlags", rows().map(|f| f.flags.to_owned()));
    b.text("unionTCPFlags", rows().map(|f| f.union.to_owned()));
    b.text("reverseInitialTCPFlags", rows().map(|f| f.flags.to_owned()));
    statistics(&mut b, "", &|row| Some(&flows[row].forward));
    statistics(&mut b, "reverse", &|row| flows[row].backward.as_ref());
    for (name, at) in [("flowStart", &(|f: &Flow| f.start) as &dyn Fn(&Flow) -> i64), ("flowEnd", &end)] {
        let values: Vec<i64> = rows().map(at).collect();
        let name = format!("{name}Milliseconds");
        b.add(&name, ColumnType::TimestampMillis, Encoding::Auto, Series::new("".into(), values));
    }
    let frame = DataFrame::new_infer_height(b.values).expect("same heights");
    let schema = TableSchema::new(b.columns, "flowStartMilliseconds").expect("a valid schema");
    schema.check(&frame).expect("the frame fits it");
    (frame, schema)
}

fn statistics<'a>(b: &mut Builder, direction: &str, of: &dyn Fn(usize) -> Option<&'a Statistics>) {
    let named = |name: &str| {
        if direction.is_empty() {
            return name.to_owned();
        }
        let mut letters = name.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        format!("{direction}{}{}", first.map(String::from).unwrap_or_default(), letters.as_str())
    };
    let long = |b: &mut Builder, name: &str, value: &dyn Fn(&Statistics) -> i64| {
        b.int64(&named(name), (0..ROWS).map(|row| of(row).map(value)));
    };
    let short = |b: &mut Builder, name: &str, value: &dyn Fn(&Statistics) -> i32| {
        b.int32(&named(name), (0..ROWS).map(|row| of(row).map(value)));
    };
    long(b, "averageInterarrivalTime", &|s| s.mean_gap);
    long(b, "standardDeviationInterarrivalTime", &|s| s.gap_deviation);
    long(b, "packetTotalCount", &|s| s.packets);
    long(b, "octetTotalCount", &|s| s.octets);
    long(b, "smallPacketCount", &|s| s.small);
    long(b, "largePacketCount", &|s| s.large);
    long(b, "nonEmptyPacketCount", &|s| s.non_empty);
    short(b, "firstNonEmptyPacketSize", &|s| s.first);
    short(b, "maxPacketSize", &|s| s.max);
    long(b, "dataByteCount", &|s| s.data);
    short(b, "bytesPerPacket", &|s| (s.data / s.non_empty.max(1)) as i32);
}
