//! `flowlake build`: dumps in, lake out.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytesize::ByteSize;
use flowlake_ingest::Catalogue;
use flowlake_partition::manifest::{Manifest, Selection, Warning};
use flowlake_partition::publish::{Publication, PublishMode};
use flowlake_partition::table::TableSchema;
use flowlake_partition::writer::WriterOptions;
use flowlake_store::LakeStore;
use flowlake_transform::{
    FLOW_START, FLOW_START_HELPER, OutputColumn, OutputType, Recipe, Role, Transformer,
};

use crate::cli::{BuildArgs, ProgressMode, threads};
use crate::exit::{Exit, Failure};
use crate::instant::Instant;
use crate::open_files::enough_for;
use crate::pipeline::memory::MemoryPlan;
use crate::pipeline::plan::{Plan, plan};
use crate::pipeline::{commit, pool};
use crate::places::open;
use crate::printable::{self, ForPeople};
use crate::progress::Progress;
use crate::{resources, table};

/// What a build needs to know.
pub(crate) struct Request<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) recipe: &'a Recipe,
    pub(crate) input: &'a LakeStore,
    pub(crate) output: &'a LakeStore,
    /// What of the input to build.
    pub(crate) selection: &'a Selection,
    pub(crate) jobs: usize,
    pub(crate) memory_limit: Option<ByteSize>,
    pub(crate) mode: PublishMode,
    pub(crate) strict: bool,
    pub(crate) progress: ProgressMode,
}

pub(crate) fn run(args: &BuildArgs) -> Result<Exit, Failure> {
    let catalogue = resources::catalogue(&args.config)?;
    let mut recipe = resources::recipe(&args.recipe)?;
    let selection = selection(args, &mut recipe)?;
    let (input, output) = (open(&args.input, Exit::Input)?, open(&args.output, Exit::Output)?);
    let request = Request {
        catalogue: &catalogue,
        recipe: &recipe,
        input: &input,
        output: &output,
        selection: &selection,
        jobs: threads(args.jobs),
        memory_limit: args.memory_limit,
        mode: if args.replace { PublishMode::Replace } else { PublishMode::Fresh },
        strict: args.strict,
        progress: args.progress,
    };
    if args.dry_run {
        super::dry_run::run(&request)?;
    } else {
        let lake = args.output.to_string();
        build(&request)?.print(&lake).map_err(|failure| failure.hint(there("lake", &lake)))?;
    }
    Ok(Exit::Success)
}

/// What of the input is asked for. Rows outside of the times are removed by rules of their own, behind those of the recipe.
fn selection(args: &BuildArgs, recipe: &mut Recipe) -> Result<Selection, Failure> {
    if let (Some(from), Some(to)) = (&args.from, &args.to)
        && from.millis >= to.millis
    {
        let message = format!("no flow starts from {} and before {}", from.text(), to.text());
        return Err(Failure::message(Exit::Usage, message).hint("--from is the earlier of the two"));
    }
    keep_starts(recipe, args.from, args.to);
    // The order in which they are named, and how often, makes no difference to what is built.
    let set = |names: &[String]| BTreeSet::from_iter(names.iter().cloned()).into_iter().collect();
    Ok(Selection {
        devices: set(&args.device),
        classes: set(&args.class),
        from: args.from.map(Instant::text),
        to: args.to.map(Instant::text),
    })
}

/// Has a recipe remove the rows outside of the times.
pub(crate) fn keep_starts(recipe: &mut Recipe, from: Option<Instant>, to: Option<Instant>) {
    recipe.keep_starts(
        from.map(|from| (from.millis, format!("before --from {}", from.text()))),
        to.map(|to| (to.millis, format!("not before --to {}", to.text()))),
    );
}

/// What a build has to say at its end.
pub(crate) struct Summary {
    manifest: Manifest,
    json_bytes: u64,
    seconds: f64,
}

/// Builds and publishes a lake.
pub(crate) fn build(request: &Request<'_>) -> Result<Summary, Failure> {
    enough_for(request.jobs)?;
    let interrupted = interruption()?;
    let memory = MemoryPlan::new(request.memory_limit, request.jobs, request.recipe.removes_duplicates())?;
    let recipe = request.recipe;
    let columns = Transformer::columns(recipe);
    let table = if recipe.has_flow_start() {
        TableSchema::new(commit::table_columns(&columns), FLOW_START)
    } else {
        TableSchema::without_flow_start(commit::table_columns(&columns), FLOW_START_HELPER)
    };
    let table = table.map_err(|error| Failure::new(Exit::Defect, error))?;
    let selection = request.selection;
    let plan = plan(request.catalogue, request.input, selection)?;
    show_warnings(&plan.warnings);
    if request.strict
        && let Some(failure) = commit::strict_violation(&plan.warnings)
    {
        return Err(failure);
    }

    let publication = Publication::begin(request.output, request.mode)?;
    warn_of_races(&publication, request.output);
    let built = run_plan(request, &plan, &columns, table, &publication, memory, interrupted);
    let (manifest, progress) = match built {
        Ok(built) => built,
        Err(failure) => {
            for left in publication.abandon() {
                warn(&with_causes(&left));
            }
            return Err(failure);
        }
    };
    for left in publication.publish(&manifest)? {
        warn(&format!("the lake is published, but {}", with_causes(&left)));
    }
    Ok(Summary { manifest, json_bytes: progress.bytes_decompressed(), seconds: progress.seconds() })
}

/// Runs the tasks of a plan and puts together the manifest of what they made; publishes nothing.
fn run_plan(
    request: &Request<'_>,
    plan: &Plan,
    columns: &[OutputColumn],
    table: TableSchema,
    publication: &Publication,
    memory: MemoryPlan,
    interrupted: &'static AtomicBool,
) -> Result<(Manifest, Progress), Failure> {
    let (recipe, selection) = (request.recipe, request.selection);
    let bytes = plan.tasks.iter().map(|task| task.dump.bytes()).sum();
    let progress = Progress::new(request.progress, plan.tasks.len(), bytes);
    let writer = WriterOptions {
        key_value_metadata: vec![
            ("flowlake.formatVersion".to_owned(), flowlake_partition::manifest::FORMAT_VERSION.to_string()),
            ("flowlake.dataset".to_owned(), request.catalogue.dataset.name.clone()),
            ("flowlake.recipe".to_owned(), recipe.name.clone()),
            ("flowlake.recipeDigest".to_owned(), recipe.digest.clone()),
        ],
        // Addresses are what people look flows up by, and nearly every row group spans them all: minimum and maximum
        // rule nothing out. What is made of no field, such as the dump, is the same in a whole file.
        bloom_filter_columns: columns
            .iter()
            .filter(|column| column.role == Role::Identifier && column.data_type == OutputType::Text)
            .filter(|column| !column.source.is_empty())
            .map(|column| column.name.clone())
            .collect(),
        ..WriterOptions::default()
    };
    let fragments = pool::run(
        &pool::Build {
            catalogue: request.catalogue,
            recipe,
            table: Arc::new(table),
            writer,
            publication,
            jobs: request.jobs,
            memory,
            interrupted,
            progress: &progress,
        },
        &plan.tasks,
    );
    progress.clear();
    let fragments = fragments?;
    commit::check_rejected(request.catalogue, &fragments)?;
    let manifest = commit::merge(request.catalogue, recipe, selection, columns, &fragments, &plan.warnings);
    commit::check_accounting(&manifest)?;
    let found: Vec<Warning> =
        manifest.warnings.iter().filter(|warning| !plan.warnings.contains(warning)).cloned().collect();
    show_warnings(&found);
    if request.strict
        && let Some(failure) = commit::strict_violation(&manifest.warnings)
    {
        return Err(failure);
    }
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::interrupted());
    }
    Ok((manifest, progress))
}

impl Summary {
    /// The table at the end.
    pub(crate) fn print(&self, lake: &str) -> Result<(), Failure> {
        let accounting = &self.manifest.row_accounting;
        let totals = &self.manifest.totals;
        let removed: u64 = accounting.removed.iter().map(|rule| rule.rows).sum();
        let rate = self.json_bytes as f64 / 1e6 / self.seconds.max(0.001);
        let mut rows = vec![
            vec!["dumps".to_owned(), table::count(totals.dumps)],
            vec!["rows read".to_owned(), table::count(accounting.read)],
            vec!["rows kept".to_owned(), table::count(accounting.kept)],
            vec!["rows removed".to_owned(), table::count(removed)],
        ];
        for rule in &accounting.removed {
            rows.push(vec![format!("  by {}", rule.rule), table::count(rule.rows)]);
        }
        rows.extend([
            vec!["rows rejected".to_owned(), table::count(accounting.rejected)],
            vec!["files".to_owned(), table::count(totals.files)],
            vec!["bytes".to_owned(), table::bytes(totals.bytes)],
            vec!["JSON read".to_owned(), table::bytes(self.json_bytes)],
            vec!["seconds".to_owned(), format!("{:.2}", self.seconds)],
            vec!["MB/s of JSON".to_owned(), format!("{rate:.0}")],
        ]);
        if !self.manifest.warnings.is_empty() {
            rows.push(vec!["warnings".to_owned(), table::count(self.manifest.warnings.len() as u64)]);
        }
        writeln!(ForPeople(io::stdout().lock()), "{}", table::table(&["lake", lake], 1, rows))?;
        Ok(())
    }
}

/// The hint where only the table at the end could not be shown.
pub(crate) fn there(what: &str, place: &str) -> String {
    format!("the {what} is in its place all the same: {place}")
}

/// Says so where a store leaves it to us who of two wins.
pub(crate) fn warn_of_races(publication: &Publication, output: &LakeStore) {
    if !publication.decides_races() {
        warn(&format!(
            "{} does not honour conditional writes: of two builds that publish there at the same time the store would keep \
             the last one; flowlake guards against its own kind only, see docs/object-stores.md",
            output.name("")
        ));
    }
}

/// Shows a warning that is about this run and nothing that stays.
pub(crate) fn warn(message: &str) {
    let _ = writeln!(io::stderr().lock(), "warning: {}", printable::line(message));
}

/// An error and what led to it, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Shows warnings. They are in the manifest too: that nobody can see them here is no reason to stop.
pub(crate) fn show_warnings(warnings: &[Warning]) {
    let mut stderr = io::stderr().lock();
    for warning in warnings {
        let _ = writeln!(stderr, "warning: {}", printable::line(&warning.message));
    }
}

/// The flag that Ctrl-C and a termination request set; workers look at it between pieces of work.
pub(crate) fn interruption() -> Result<&'static AtomicBool, Failure> {
    static FLAG: AtomicBool = AtomicBool::new(false);
    static HANDLER: OnceLock<Result<(), String>> = OnceLock::new();
    let handler = HANDLER.get_or_init(|| {
        ctrlc::set_handler(|| FLAG.store(true, Ordering::Relaxed)).map_err(|error| error.to_string())
    });
    match handler {
        Ok(()) => Ok(&FLAG),
        Err(error) => Err(Failure::message(Exit::Defect, format!("cannot listen for Ctrl-C: {error}"))),
    }
}
