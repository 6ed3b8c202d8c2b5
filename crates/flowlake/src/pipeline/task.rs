//! What becomes of one dump: the ordered end of the work on it.
//!
//! Chunks are decoded and transformed anywhere ([`Stages`]); here their results arrive in the order of the dump
//! ([`TaskSink`]) and are counted, written and summed up.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use flowlake_ingest::{
    Chunk, ControlTotals, Decoder, Directions, IngestError, Limits, PartDigest, RawBatch, RecordCounts,
    Rejection, UnknownFields,
};
use flowlake_partition::layout::Month;
use flowlake_partition::manifest::{
    self, DataFile, Part, Records, RejectedLines, RemovedRows, Source, Trailer, UnknownField,
};
use flowlake_partition::rejected::{RejectedLine, RejectedLinesWriter};
use flowlake_partition::split::split_by_month;
use flowlake_partition::table::TableSchema;
use flowlake_partition::writer::{DatasetWriter, WriterOptions};
use flowlake_partition::{EncodedRowGroup, RowGroup};
use flowlake_transform::{ColumnEvidence, FlowBatch, Labels, Recipe, Screened, SeenFlows, Transformer};
use polars::prelude::DataFrame;

use super::fragment::Fragment;
use super::plan::Task;
use crate::exit::{Exit, Failure};

/// The stages that need no order, ready for one dump.
pub(crate) struct Stages {
    decoder: Decoder,
    transformer: Transformer,
    flow_start: String,
}

/// What the stages make of a chunk.
pub(crate) struct Processed {
    parts: Vec<(Month, DataFrame)>,
    /// What else the decoder found; without rows.
    raw: RawBatch,
    /// What the recipe counted; without rows.
    flows: FlowBatch,
}

/// A chunk of which it is not known yet which rows are duplicates: that takes the chunks before it.
pub(crate) struct Undecided {
    raw: RawBatch,
    screened: Screened,
}

/// The same with the answer.
pub(crate) struct Decided {
    undecided: Undecided,
    first: Vec<bool>,
}

/// What becomes of a chunk in the first step.
pub(crate) enum Step {
    Processed(Box<Processed>),
    Undecided(Box<Undecided>),
}

impl Undecided {
    /// Tells duplicates. Chunks must come in order.
    pub(crate) fn decide(self, seen: &mut SeenFlows) -> Result<Decided, Failure> {
        let first =
            seen.take(&self.screened.fingerprints).map_err(|error| Failure::new(Exit::Output, error))?;
        Ok(Decided { undecided: self, first })
    }
}

impl Stages {
    pub(crate) fn new(task: &Task, recipe: &Recipe, limits: &Limits, table: &TableSchema) -> Self {
        let labels =
            Labels { device: &task.device.name, device_class: &task.device.class, dump: &task.dump.name };
        let transformer = Transformer::new(recipe, labels);
        Self {
            decoder: Decoder::new(&task.dump.name, limits)
                .for_device(task.device.mac, transformer.left_out()),
            transformer,
            flow_start: table.flow_start().to_owned(),
        }
    }

    /// What tells the duplicates of the dump, where the recipe wants that; it may use temporary files below `root`.
    pub(crate) fn seen(&self, root: &Path) -> Option<SeenFlows> {
        self.transformer.removes_duplicates().then(|| SeenFlows::new(root))
    }

    /// Decodes a chunk, and transforms it as far as it can be without knowing those before.
    pub(crate) fn process(&self, chunk: &Chunk) -> Result<Step, Failure> {
        let mut raw = self.decoder.decode(chunk)?;
        let flows = std::mem::take(&mut raw.flows);
        let screened = self.transformer.screen(flows, raw.directions).map_err(defect)?;
        if self.transformer.removes_duplicates() {
            return Ok(Step::Undecided(Box::new(Undecided { raw, screened })));
        }
        Ok(Step::Processed(Box::new(self.finish(raw, screened, &[])?)))
    }

    /// The rest of a chunk whose duplicates are known.
    pub(crate) fn derive(&self, decided: Decided) -> Result<Processed, Failure> {
        let Decided { undecided: Undecided { raw, screened }, first } = decided;
        self.finish(raw, screened, &first)
    }

    /// Finishes the transformation of a chunk and splits its rows by month.
    fn finish(&self, raw: RawBatch, screened: Screened, first: &[bool]) -> Result<Processed, Failure> {
        let mut flows = self.transformer.finish(screened, first).map_err(defect)?;
        let rows = std::mem::take(&mut flows.rows);
        // A time outside the months a path can name is no defect of ours: the dump says so.
        let parts =
            split_by_month(rows, &self.flow_start).map_err(|error| Failure::new(Exit::Input, error))?;
        Ok(Processed { parts, raw, flows })
    }
}

fn defect(error: flowlake_transform::TransformError) -> Failure {
    Failure::new(Exit::Defect, error)
}

/// Takes what was made of a dump's chunks, in order.
pub(crate) struct TaskSink {
    task: Task,
    writer: DatasetWriter,
    rejected: RejectedLinesWriter,
    totals: Totals,
    limits: Limits,
    months: BTreeSet<Month>,
    /// Names of the rules that remove rows.
    rules: Vec<String>,
    /// Paths of the complete files that were given out.
    given_out: BTreeSet<String>,
}

/// Counts of a dump.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) records: RecordCounts,
    pub(crate) rejected: u64,
    /// Length of the rejected lines, in bytes.
    pub(crate) rejected_bytes: u64,
    /// The first rejected lines, for error messages.
    pub(crate) first_rejections: Vec<String>,
    pub(crate) kept: u64,
    pub(crate) packets: u64,
    pub(crate) control_totals: Option<ControlTotals>,
    pub(crate) unknown_fields: UnknownFields,
    pub(crate) directions: Directions,
    pub(crate) removed: Vec<u64>,
    pub(crate) repairs: Vec<u64>,
    pub(crate) not_encoded: Vec<u64>,
    pub(crate) evidence: Vec<ColumnEvidence>,
}

impl TaskSink {
    pub(crate) fn new(
        task: &Task,
        recipe: &Recipe,
        limits: &Limits,
        root: &Path,
        table: &Arc<TableSchema>,
        options: &WriterOptions,
    ) -> Result<Self, Failure> {
        let device = &task.device;
        let writer = DatasetWriter::new(root, &device.name, &device.class, Arc::clone(table), options)?;
        let totals = Totals {
            removed: vec![0; recipe.filters.len()],
            repairs: vec![0; recipe.repairs.len()],
            not_encoded: vec![0; recipe.ipv4_columns().len()],
            evidence: recipe.dropped.iter().map(|field| ColumnEvidence::new(&field.name)).collect(),
            ..Totals::default()
        };
        let rejected = RejectedLinesWriter::new(root, &task.dump.name)?;
        Ok(Self {
            task: task.clone(),
            writer,
            rejected,
            totals,
            limits: limits.clone(),
            months: BTreeSet::new(),
            rules: recipe.filters.iter().map(|filter| filter.rule.clone()).collect(),
            given_out: BTreeSet::new(),
        })
    }

    /// Takes the next chunk's rows; gives the row groups that are complete now.
    pub(crate) fn accept(&mut self, processed: Processed) -> Result<Vec<RowGroup>, Failure> {
        let totals = &mut self.totals;
        let Processed { parts, raw, flows } = processed;
        totals.records.flows += raw.records.flows;
        totals.records.stats += raw.records.stats;
        totals.records.tombstone += raw.records.tombstone;
        totals.records.other += raw.records.other;
        totals.rejected += raw.rejections.len() as u64;
        totals.rejected_bytes +=
            raw.rejections.iter().map(|rejection| rejection.text.len() as u64).sum::<u64>();
        for rejection in &raw.rejections {
            if totals.first_rejections.len() < 3 {
                totals.first_rejections.push(rejection.summary());
            }
        }
        totals.packets = totals.packets.saturating_add(raw.packets);
        totals.control_totals = raw.control_totals.or(totals.control_totals);
        totals.unknown_fields.merge(&raw.unknown_fields);
        totals.directions.add(raw.directions);
        for (sums, counts) in [
            (&mut totals.removed, &flows.removed),
            (&mut totals.repairs, &flows.repairs),
            (&mut totals.not_encoded, &flows.not_encoded),
        ] {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        for (sum, evidence) in totals.evidence.iter_mut().zip(&flows.evidence) {
            sum.merge(evidence);
        }
        totals.kept += parts.iter().map(|(_, rows)| rows.height() as u64).sum::<u64>();
        let (dump, Limits { max_rejected_lines, max_rejected_bytes, .. }) =
            (&self.task.dump.name, &self.limits);
        let first = totals.first_rejections.first().map(String::as_str).unwrap_or_default();
        if totals.rejected > *max_rejected_lines {
            return Err(IngestError::too_many_rejected(dump, *max_rejected_lines, first).into());
        }
        if totals.rejected_bytes > *max_rejected_bytes {
            return Err(IngestError::too_many_rejected_bytes(dump, *max_rejected_bytes, first).into());
        }
        for Rejection { line, offset, reason, text } in &raw.rejections {
            self.rejected.write(RejectedLine { line: *line, offset: *offset, reason, text })?;
        }
        self.months.extend(parts.iter().map(|(month, _)| *month));
        if self.months.len() as u64 > self.limits.max_months {
            let message = format!(
                "dump {}: its flows lie in more than {} months, the limit, from {} to {}",
                self.task.dump.name,
                self.limits.max_months,
                self.months.first().map(Month::to_string).unwrap_or_default(),
                self.months.last().map(Month::to_string).unwrap_or_default(),
            );
            return Err(Failure::message(Exit::Input, message)
                .hint("if the times are genuine, raise `max_months` under [limits] in the catalogue"));
        }
        Ok(self.writer.append(parts)?)
    }

    /// The row groups that are not full, once every chunk was taken: as many as take up to `room_bytes`; none when none
    /// is left.
    pub(crate) fn drain(&mut self, room_bytes: usize) -> Vec<RowGroup> {
        self.writer.drain(room_bytes)
    }

    /// Memory of the rows taken that are in no row group yet, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.writer.memory_bytes()
    }

    /// Moves rows to disk until those in memory take no more than this.
    pub(crate) fn spill(&mut self, room_bytes: usize) -> Result<(), Failure> {
        Ok(self.writer.spill(room_bytes)?)
    }

    /// Takes an encoded row group; gives the files that are complete now.
    pub(crate) fn store(&mut self, group: EncodedRowGroup) -> Result<Vec<DataFile>, Failure> {
        let complete = self.writer.store(group)?;
        self.given_out.extend(complete.iter().map(|file| file.path.clone()));
        Ok(complete)
    }

    /// Flows read so far, usable or not.
    pub(crate) fn flows_read(&self) -> u64 {
        self.totals.records.flows + self.totals.rejected
    }

    /// Closes the files; gives those too that were not complete before.
    pub(crate) fn finish(self, parts: Vec<PartDigest>) -> Result<(Fragment, Vec<DataFile>), Failure> {
        let profile = self.writer.profile().clone();
        let files = self.writer.finish()?;
        let rejected_lines = self.rejected.finish()?;
        let rest = files.iter().filter(|file| !self.given_out.contains(&file.path)).cloned().collect();
        let source = source(&self.task, &self.totals, &self.rules, parts, &files, rejected_lines);
        let Totals { packets, first_rejections, repairs, not_encoded, evidence, .. } = self.totals;
        let fragment =
            Fragment { source, files, packets, first_rejections, repairs, not_encoded, evidence, profile };
        Ok((fragment, rest))
    }
}

/// The dump's entry in the manifest.
fn source(
    task: &Task,
    totals: &Totals,
    rules: &[String],
    parts: Vec<PartDigest>,
    files: &[DataFile],
    rejected_lines: Option<RejectedLines>,
) -> Source {
    let flows = totals.records.flows + totals.rejected;
    Source {
        dump: task.dump.name.clone(),
        device: task.device.name.clone(),
        device_class: task.device.class.clone(),
        parts: parts
            .into_iter()
            .map(|PartDigest { name, bytes, sha256 }| Part { name, bytes, sha256 })
            .collect(),
        records: Records {
            flows,
            stats: totals.records.stats,
            tombstone: totals.records.tombstone,
            other: totals.records.other,
        },
        trailer: totals.control_totals.map(|ControlTotals { flows: exported, packets }| Trailer {
            flows: exported,
            packets,
            matches: exported == flows && packets == totals.packets,
        }),
        published_records: task.device.published_records,
        read: flows,
        kept: totals.kept,
        removed: rules
            .iter()
            .zip(&totals.removed)
            .map(|(rule, &rows)| RemovedRows { rule: rule.clone(), rows })
            .collect(),
        rejected: totals.rejected,
        rejected_lines,
        directions: manifest::Directions {
            from_device: totals.directions.from_device,
            to_device: totals.directions.to_device,
            both: totals.directions.both,
            neither: totals.directions.neither,
        },
        unknown_fields: totals
            .unknown_fields
            .iter()
            .map(|(name, rows)| UnknownField { name: name.to_owned(), rows })
            .collect(),
        // Times of one form sort as text.
        first_flow_start: files.iter().map(|file| file.min_flow_start.to_string()).min(),
        last_flow_start: files.iter().map(|file| file.max_flow_start.to_string()).max(),
    }
}
