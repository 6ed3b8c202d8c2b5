//! `flowlake plan`, `task` and `commit`: the steps of a build, each of its own, to be run by whoever schedules work on many
//! machines.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flowlake_partition::manifest::Manifest;
use flowlake_partition::publish::{PublishMode, Workspace, look};
use flowlake_partition::read::read_manifest;
use flowlake_store::LakeStore;
use serde::{Deserialize, Serialize};

use super::build::{
    Summary, interruption, judged, refuse_if_strict, selection, show_warnings, there, warn, with_causes,
};
use crate::cli::{CommitArgs, PlanArgs, TaskArgs, threads};
use crate::exit::{Exit, Failure};
use crate::pipeline::fragment::Fragment;
use crate::pipeline::job::Job;
use crate::pipeline::plan::plan as plan_tasks;
use crate::pipeline::plan_file;
use crate::places::open;
use crate::printable::ForPeople;
use crate::progress::Progress;
use crate::{resources, table};

/// Most bytes that a fragment may have once it is decompressed: of one dump, whatever it holds.
const MAX_FRAGMENT_BYTES: u64 = 1 << 30;

pub(crate) fn plan(args: &PlanArgs) -> Result<Exit, Failure> {
    let build = &args.lake;
    let catalogue = resources::catalogue(&build.config)?;
    let mut recipe = resources::recipe(&build.recipe)?;
    let selection = selection(build, &mut recipe)?;
    let (input, output) = (open(&build.input, Exit::Input)?, open(&build.output, Exit::Output)?);
    let plan = plan_tasks(&catalogue, &input, &selection)?;
    show_warnings(&plan.warnings);
    refuse_if_strict(build.strict, &plan.warnings)?;
    let mode = build.mode();
    look(&output, mode)?;
    let text = plan_file::text(
        &plan_file::Request {
            catalogue: &catalogue,
            recipe: &recipe,
            input: &build.input,
            output: &build.output,
            selection: &selection,
            mode,
            strict: build.strict,
        },
        &plan,
    )?;
    write(&args.output_plan, &text)?;
    let bytes = plan.tasks.iter().map(|task| task.dump.bytes()).sum();
    let rows = vec![
        vec!["tasks".to_owned(), table::count(plan.tasks.len() as u64)],
        vec!["bytes to read".to_owned(), table::bytes(bytes)],
    ];
    let plan = args.output_plan.display().to_string();
    writeln!(ForPeople(io::stdout().lock()), "{}", table::table(&["plan", &plan], 1, rows))?;
    Ok(Exit::Success)
}

/// Whole or not at all: somebody may be waiting for it.
fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Exit::Output,
            anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
        )
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".flowlake-plan-").tempfile_in(parent).map_err(failed)?;
    file.write_all(text).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let file = file.persist(path).map_err(|error| failed(error.error))?;
    // As of any other file: temporary ones are for their owner alone.
    let shared = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.set_permissions(shared).map_err(failed)
}

pub(crate) fn task(args: &TaskArgs) -> Result<Exit, Failure> {
    let plan = plan_file::read(&args.plan)?;
    let workspace = plan.workspace()?;
    let all = plan.plan.tasks.len();
    if args.missing {
        let done = workspace.done()?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        for index in (0..all).filter(|index| done.binary_search(index).is_err()) {
            writeln!(out, "{index}")?;
        }
        out.flush()?;
        return Ok(Exit::Success);
    }
    let index = args.index.unwrap_or_default();
    let Some(task) = plan.plan.tasks.get(index) else {
        let message = format!("the plan has no task {index}");
        return Err(
            Failure::message(Exit::Usage, message).hint(format!("tasks are 0 to {}", all.saturating_sub(1)))
        );
    };
    let name = task.dump.name.clone();
    let told = |fragment: &Fragment, how: &str| -> Result<Exit, Failure> {
        let source = &fragment.source;
        writeln!(
            ForPeople(io::stdout().lock()),
            "task {index} of {all}, dump {name}, {how}: {} rows read, {} kept, {} rejected, {} files",
            source.read,
            source.kept,
            source.rejected,
            fragment.files.len()
        )?;
        Ok(Exit::Success)
    };
    if let Some(bytes) = workspace.fragment(index)?
        && let Some(fragment) = decoded(&bytes, &plan, index)
    {
        return told(&fragment, "done before");
    }

    // Begun after somebody has committed, it would make a workspace that nobody takes away.
    if plan.mode == PublishMode::Fresh && workspace.holds_lake()? {
        return Err(committed(&plan.output));
    }
    let interrupted = interruption()?;
    let job = Job::new(plan.orders(), threads(args.jobs), args.memory_limit, interrupted)?;
    let attempt = workspace.attempt()?;
    let progress = Progress::new(args.progress, 1, task.dump.bytes());
    let made = job.run(std::slice::from_ref(task), &attempt, &progress)?;
    let fragment = made
        .into_iter()
        .next()
        .ok_or_else(|| Failure::message(Exit::Defect, "a task has nothing to say; this is a defect"))?;
    let to_tell = Told { plan: plan.digest.clone(), task: index, fragment };
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::interrupted());
    }
    attempt.finish(&workspace, index, &encoded(&to_tell)?)?;
    let fragment = to_tell.fragment;
    // In a store its files lie where somebody else's lake is by now. On disk they are apart.
    if plan.mode == PublishMode::Fresh && !workspace.holds_files() && workspace.holds_lake()? {
        workspace.take_back(index, &files_of(fragment))?;
        return Err(committed(&plan.output));
    }
    told(&fragment, "done")
}

pub(crate) fn commit(args: &CommitArgs) -> Result<Exit, Failure> {
    let begun = std::time::Instant::now();
    let (plan, catalogue) = plan_file::read_with_catalogue(&args.plan)?;
    let workspace = plan.workspace()?;
    let interrupted = interruption()?;
    let commit = workspace.begin_commit()?;
    if args.abandon {
        commit.abandon(&files_outside(&plan, &workspace)?)?;
        return Ok(Exit::Success);
    }
    let lake = plan.output.name("");
    if commit.is_published()? {
        let manifest = read_manifest(&plan.output)?;
        if let Err(left) = commit.finish() {
            warn(&format!("the lake is published, but {}", with_causes(&left)));
        }
        return shown(manifest, begun.elapsed(), &lake);
    }
    // Whoever comes second finds a lake, and not that nothing is done.
    if plan.mode == PublishMode::Fresh && workspace.holds_lake()? {
        return Err(committed(&plan.output));
    }
    let done = workspace.done()?;
    let all = plan.plan.tasks.len();
    let missing: Vec<usize> = (0..all).filter(|index| done.binary_search(index).is_err()).collect();
    if !missing.is_empty() {
        return Err(not_done(&missing, all));
    }
    let present = workspace.present()?;
    let mut undone = Vec::new();
    let job = Job::new(plan.orders(), 1, None, interrupted)?;
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by(|&a, &b| plan.plan.tasks[a].dump.name.cmp(&plan.plan.tasks[b].dump.name));
    let mut merge = job.merge(&catalogue);
    in_order(
        (&order, workspace.readers()),
        |index| {
            let bytes = workspace.fragment(index)?;
            Ok(bytes.and_then(|bytes| decoded(&bytes, &plan, index)))
        },
        |index, fragment| {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Failure::interrupted());
            }
            // Damaged, or somebody has tidied up among its files.
            let whole = fragment.filter(|fragment| {
                let rejected = fragment.source.rejected_lines.as_ref();
                fragment.files.iter().all(|file| present.holds(&file.path, file.bytes))
                    && rejected.is_none_or(|lines| present.holds(&lines.path, lines.bytes))
            });
            match whole {
                Some(fragment) => merge.add(fragment),
                None => {
                    workspace.forget(index)?;
                    undone.push(index);
                }
            }
            Ok(())
        },
    )?;
    if !undone.is_empty() {
        undone.sort_unstable();
        return Err(not_done(&undone, all));
    }
    let manifest = judged(merge, &plan.plan, &plan.selection, plan.strict)?;
    for left in commit.publish(plan.mode, &manifest, &present)? {
        warn(&format!("the lake is published, but {}", with_causes(&left)));
    }
    shown(manifest, begun.elapsed(), &lake)
}

fn shown(manifest: Manifest, took: Duration, lake: &str) -> Result<Exit, Failure> {
    Summary::of(manifest, took).print(lake).map_err(|failure| failure.hint(there("lake", lake)))?;
    Ok(Exit::Success)
}

/// What tasks that are done have put where the lake is to be.
fn files_outside(plan: &plan_file::Read, workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let mut files = Vec::new();
    if workspace.holds_files() {
        return Ok(files);
    }
    let mut done = workspace.done()?;
    done.retain(|&index| index < plan.plan.tasks.len());
    let fragment = |index: usize| {
        let bytes = workspace.fragment(index)?;
        Ok(bytes.and_then(|bytes| decoded(&bytes, plan, index)))
    };
    in_order((&done, workspace.readers()), fragment, |_, fragment| {
        files.extend(fragment.map(files_of).unwrap_or_default());
        Ok(())
    })?;
    Ok(files)
}

/// Paths of what a task made.
fn files_of(fragment: Fragment) -> Vec<String> {
    let rejected = fragment.source.rejected_lines.map(|lines| lines.path);
    fragment.files.into_iter().map(|file| file.path).chain(rejected).collect()
}

/// Fragments that each of the threads may be ahead that read them.
const READ_AHEAD: usize = 2;

/// Gets something for each index, many at a time, and takes it in the order of the indices.
fn in_order<T: Send>(
    (order, readers): (&[usize], usize),
    get: impl Fn(usize) -> Result<T, Failure> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let readers = readers.min(order.len());
    std::thread::scope(|scope| {
        let got: Vec<_> = (0..readers)
            .map(|reader| {
                let (sender, receiver) = std::sync::mpsc::sync_channel(READ_AHEAD);
                let get = &get;
                scope.spawn(move || {
                    for &index in order.iter().skip(reader).step_by(readers) {
                        // Nobody listens any more once something has gone wrong.
                        if sender.send(get(index)).is_err() {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        for (number, &index) in order.iter().enumerate() {
            let found = got[number % readers].recv().map_err(|_| {
                Failure::message(Exit::Defect, "a reader stopped unexpectedly; this is a defect")
            })?;
            take(index, found?)?;
        }
        Ok(())
    })
}

fn committed(output: &LakeStore) -> Failure {
    let message = format!("a lake is at {} already", output.name(""));
    Failure::message(Exit::Output, message)
        .hint(
            "if the plan was committed before, this is its lake; if not, `flowlake commit --abandon` takes away what its \
             tasks made, and a plan with --replace builds over the lake",
        )
}

fn not_done(missing: &[usize], all: usize) -> Failure {
    const SHOWN: usize = 10;
    let shown: Vec<String> = missing.iter().take(SHOWN).map(usize::to_string).collect();
    let more = if missing.len() > SHOWN { ", …" } else { "" };
    let message = format!("{} of {all} tasks are not done: {}{more}", missing.len(), shown.join(", "));
    Failure::message(Exit::Input, message)
        .hint("run `flowlake task --plan PLAN --index N` for each; `flowlake task --plan PLAN --missing` lists them")
}

/// A fragment as a task leaves it.
#[derive(Serialize, Deserialize)]
struct Told {
    /// Digest of the plan.
    plan: String,
    task: usize,
    fragment: Fragment,
}

fn encoded(told: &Told) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Defect, error);
    let mut encoder = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL).map_err(failed)?;
    // A disk that changes a bit must not change a manifest.
    encoder.include_checksum(true).map_err(failed)?;
    serde_json::to_writer(&mut encoder, told).map_err(|error| failed(error.into()))?;
    encoder.finish().map_err(failed)
}

/// The fragment of a task, or `None` if it is damaged, or is that of another one.
fn decoded(bytes: &[u8], plan: &plan_file::Read, index: usize) -> Option<Fragment> {
    let mut text = Vec::new();
    Read::take(zstd::Decoder::new(bytes).ok()?, MAX_FRAGMENT_BYTES).read_to_end(&mut text).ok()?;
    let told: Told = serde_json::from_slice(&text).ok()?;
    let fits = told.plan == plan.digest
        && told.task == index
        && told.fragment.fits(plan.plan.tasks.get(index)?, &plan.recipe);
    fits.then_some(told.fragment)
}
