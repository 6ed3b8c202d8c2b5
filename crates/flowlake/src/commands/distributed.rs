//! `flowlake plan`, `task` and `commit`: the steps of a build, each of its own, to be run by whoever schedules work on many
//! machines.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use flowlake_partition::publish::{PublishMode, look};
use flowlake_store::LakeStore;

use super::build::{Summary, interruption, judged, selection, show_warnings, there, warn, with_causes};
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
        && let Some(fragment) = decoded(&bytes, &name)
    {
        return told(&fragment, "done before");
    }

    // Begun after somebody has committed, it would make a workspace that nobody takes away.
    if plan.mode == PublishMode::Fresh && workspace.holds_lake()? {
        return Err(committed(&plan.output));
    }
    let interrupted = interruption()?;
    let job = Job::new(&plan.catalogue, &plan.recipe, threads(args.jobs), args.memory_limit, interrupted)?;
    let attempt = workspace.attempt()?;
    let progress = Progress::new(args.progress, 1, task.dump.bytes());
    let made = job.run(std::slice::from_ref(task), &attempt, &progress)?;
    let fragment = made
        .into_iter()
        .next()
        .ok_or_else(|| Failure::message(Exit::Defect, "a task has nothing to say; this is a defect"))?;
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::interrupted());
    }
    attempt.finish(&workspace, index, &encoded(&fragment)?)?;
    told(&fragment, "done")
}

pub(crate) fn commit(args: &CommitArgs) -> Result<Exit, Failure> {
    let begun = std::time::Instant::now();
    let plan = plan_file::read(&args.plan)?;
    let workspace = plan.workspace()?;
    let interrupted = interruption()?;
    if args.abandon {
        workspace.remove()?;
        return Ok(Exit::Success);
    }
    let done = workspace.done()?;
    // Whoever comes second finds a lake, and not that nothing is done.
    if (done.is_empty() || plan.mode == PublishMode::Fresh) && workspace.holds_lake()? {
        return Err(committed(&plan.output));
    }
    let all = plan.plan.tasks.len();
    let missing: Vec<usize> = (0..all).filter(|index| done.binary_search(index).is_err()).collect();
    if !missing.is_empty() {
        return Err(not_done(&missing, all));
    }
    let present = workspace.files()?;
    let is_there = |path: &str, bytes: u64| present.get(path) == Some(&bytes);
    let mut undone = Vec::new();
    let job = Job::new(&plan.catalogue, &plan.recipe, 1, None, interrupted)?;
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by(|&a, &b| plan.plan.tasks[a].dump.name.cmp(&plan.plan.tasks[b].dump.name));
    let mut merge = job.merge();
    in_order(
        &order,
        |index| {
            let bytes = workspace.fragment(index)?;
            Ok(bytes.and_then(|bytes| decoded(&bytes, &plan.plan.tasks[index].dump.name)))
        },
        |index, fragment| {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Failure::interrupted());
            }
            // Damaged, or somebody has tidied up among its files.
            let whole = fragment.filter(|fragment| {
                let rejected = fragment.source.rejected_lines.as_ref();
                fragment.files.iter().all(|file| is_there(&file.path, file.bytes))
                    && rejected.is_none_or(|lines| is_there(&lines.path, lines.bytes))
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
    drop(present);
    if !undone.is_empty() {
        undone.sort_unstable();
        return Err(not_done(&undone, all));
    }
    let manifest = judged(merge, &plan.plan, &plan.selection, plan.strict)?;
    for left in workspace.commit(plan.mode, &manifest)? {
        warn(&format!("the lake is published, but {}", with_causes(&left)));
    }
    let lake = plan.output.name("");
    Summary::of(manifest, begun.elapsed())
        .print(&lake)
        .map_err(|failure| failure.hint(there("lake", &lake)))?;
    Ok(Exit::Success)
}

/// Threads that read what tasks have left: of a store most of the time is waiting.
const READERS: usize = 64;
/// Fragments that each of them may be ahead.
const READ_AHEAD: usize = 2;

/// Gets something for each index, many at a time, and takes it in the order of the indices.
fn in_order<T: Send>(
    order: &[usize],
    get: impl Fn(usize) -> Result<T, Failure> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let readers = READERS.min(order.len());
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

fn encoded(fragment: &Fragment) -> Result<Vec<u8>, Failure> {
    let text = serde_json::to_vec(fragment).map_err(|error| Failure::new(Exit::Defect, error))?;
    zstd::encode_all(text.as_slice(), 3).map_err(|error| Failure::new(Exit::Defect, error))
}

/// The fragment of a dump, or `None` if it is damaged.
fn decoded(bytes: &[u8], dump: &str) -> Option<Fragment> {
    let mut text = Vec::new();
    Read::take(zstd::Decoder::new(bytes).ok()?, MAX_FRAGMENT_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok().filter(|fragment: &Fragment| fragment.source.dump == dump)
}
