//! `flowlake build`: dumps in, lake out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytesize::ByteSize;
use flowlake_ingest::Catalogue;
use flowlake_partition::manifest::{Manifest, Selection, Warning};
use flowlake_partition::publish::{Publication, PublishMode};
use flowlake_store::LakeStore;
use flowlake_transform::Recipe;

use crate::cli::{BuildArgs, LakeArgs, ProgressMode, threads};
use crate::exit::{Exit, Failure};
use crate::instant::Instant;
use crate::pipeline::commit;
use crate::pipeline::commit::Merge;
use crate::pipeline::job::{Job, Orders};
use crate::pipeline::plan::{Plan, plan};
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
    let BuildArgs { lake, .. } = args;
    let catalogue = resources::catalogue(&lake.config)?;
    let mut recipe = resources::recipe(&lake.recipe)?;
    let selection = selection(lake, &mut recipe)?;
    let (input, output) = (open(&lake.input, Exit::Input)?, open(&lake.output, Exit::Output)?);
    let request = Request {
        catalogue: &catalogue,
        recipe: &recipe,
        input: &input,
        output: &output,
        selection: &selection,
        jobs: threads(args.jobs),
        memory_limit: args.memory_limit,
        mode: lake.mode(),
        strict: lake.strict,
        progress: args.progress,
    };
    if args.dry_run {
        super::dry_run::run(&request)?;
    } else {
        let name = lake.output.to_string();
        build(&request)?.print(&name).map_err(|failure| failure.hint(there("lake", &name)))?;
    }
    Ok(Exit::Success)
}

/// What of the input is asked for. Rows outside of the times are removed by rules of their own, behind those of the recipe.
pub(crate) fn selection(args: &LakeArgs, recipe: &mut Recipe) -> Result<Selection, Failure> {
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
    /// Where it is known.
    json_bytes: Option<u64>,
    seconds: f64,
}

impl LakeArgs {
    pub(crate) fn mode(&self) -> PublishMode {
        if self.replace { PublishMode::Replace } else { PublishMode::Fresh }
    }
}

/// Builds and publishes a lake.
pub(crate) fn build(request: &Request<'_>) -> Result<Summary, Failure> {
    let interrupted = interruption()?;
    let (catalogue, recipe) = (request.catalogue, request.recipe);
    let orders = Orders { dataset: &catalogue.dataset.name, limits: &catalogue.limits, recipe };
    let job = Job::new(orders, request.jobs, request.memory_limit, interrupted)?;
    let plan = plan(catalogue, request.input, request.selection)?;
    show_warnings(&plan.warnings);
    refuse_if_strict(request.strict, &plan.warnings)?;

    let publication = Publication::begin(request.output, request.mode)?;
    warn_of_races(publication.decides_races(), request.output);
    let bytes = plan.tasks.iter().map(|task| task.dump.bytes()).sum();
    let progress = Progress::new(request.progress, plan.tasks.len(), bytes);
    let made = job.run(&plan.tasks, &publication, &progress).and_then(|fragments| {
        let mut merge = job.merge(catalogue);
        fragments.into_iter().for_each(|fragment| merge.add(fragment));
        judged(merge, &plan, request.selection, request.strict)
    });
    let manifest = match made {
        Ok(_) if interrupted.load(Ordering::Relaxed) => Err(Failure::interrupted()),
        made => made,
    };
    let manifest = match manifest {
        Ok(manifest) => manifest,
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
    let json_bytes = Some(progress.bytes_decompressed());
    Ok(Summary { manifest, json_bytes, seconds: progress.seconds() })
}

/// The manifest of all dumps, if they are fit to be published; says what there is to say of them.
pub(crate) fn judged(
    merge: Merge<'_>,
    plan: &Plan,
    selection: &Selection,
    strict: bool,
) -> Result<Manifest, Failure> {
    let manifest = merge.finish(selection, &plan.warnings)?;
    let told: BTreeSet<&Warning> = plan.warnings.iter().collect();
    let found: Vec<Warning> =
        manifest.warnings.iter().filter(|warning| !told.contains(warning)).cloned().collect();
    show_warnings(&found);
    refuse_if_strict(strict, &manifest.warnings)?;
    Ok(manifest)
}

pub(crate) fn refuse_if_strict(strict: bool, warnings: &[Warning]) -> Result<(), Failure> {
    match commit::strict_violation(warnings) {
        Some(failure) if strict => Err(failure),
        _ => Ok(()),
    }
}

impl Summary {
    /// Of a lake whose dumps were read elsewhere.
    pub(crate) fn of(manifest: Manifest, took: Duration) -> Self {
        Self { manifest, json_bytes: None, seconds: took.as_secs_f64() }
    }

    /// The table at the end.
    pub(crate) fn print(&self, lake: &str) -> Result<(), Failure> {
        let accounting = &self.manifest.row_accounting;
        let totals = &self.manifest.totals;
        let removed: u64 = accounting.removed.iter().map(|rule| rule.rows).sum();
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
        ]);
        if let Some(bytes) = self.json_bytes {
            rows.push(vec!["JSON read".to_owned(), table::bytes(bytes)]);
        }
        rows.push(vec!["seconds".to_owned(), format!("{:.2}", self.seconds)]);
        if let Some(bytes) = self.json_bytes {
            let rate = bytes as f64 / 1e6 / self.seconds.max(0.001);
            rows.push(vec!["MB/s of JSON".to_owned(), format!("{rate:.0}")]);
        }
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
pub(crate) fn warn_of_races(decided: bool, output: &LakeStore) {
    if !decided {
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

/// Most warnings of a kind that are shown one by one.
const WARNINGS_SHOWN: usize = 50;

/// Shows warnings. They are in the manifest too: that nobody can see them here is no reason to stop.
pub(crate) fn show_warnings(warnings: &[Warning]) {
    let mut stderr = io::stderr().lock();
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for warning in warnings {
        let number = shown.entry(&warning.kind).or_default();
        *number += 1;
        if *number <= WARNINGS_SHOWN {
            let _ = writeln!(stderr, "warning: {}", printable::line(&warning.message));
        }
    }
    for (kind, number) in shown.into_iter().filter(|(_, number)| *number > WARNINGS_SHOWN) {
        let more = table::count((number - WARNINGS_SHOWN) as u64);
        let _ = writeln!(
            stderr,
            "warning: and {more} more of this kind ({kind}); the manifest of the lake lists all"
        );
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
