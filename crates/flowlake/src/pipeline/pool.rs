//! The worker pool: runs the tasks of a plan on this machine.
//!
//! Every worker asks the lanes, in the order of the plan, for the most useful thing to do, does it, and puts the result back. So one
//! large dump keeps all threads busy as well as many small ones do, and what is in memory is bounded by the chunks and row
//! groups a lane may have in flight. A new dump is opened only when no open one has work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use flowlake_ingest::{DumpReader, Limits};
use flowlake_partition::publish::Outlet;
use flowlake_partition::table::TableSchema;
use flowlake_partition::writer::WriterOptions;
use flowlake_partition::{EncodedRowGroup, RowGroup};
use flowlake_transform::Recipe;

use super::fragment::Fragment;
use super::lane::{Lane, Room, Work};
use super::memory::MemoryPlan;
use super::plan::Task;
use super::task::{Stages, Step, TaskSink};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;

/// Everything the tasks of a build have in common.
pub(crate) struct Build<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) recipe: &'a Recipe,
    pub(crate) table: Arc<TableSchema>,
    pub(crate) writer: WriterOptions,
    /// Where files are made, and who takes them when they are complete.
    pub(crate) outlet: &'a dyn Outlet,
    pub(crate) jobs: usize,
    pub(crate) memory: MemoryPlan,
    pub(crate) interrupted: &'static AtomicBool,
    pub(crate) progress: &'a Progress,
}

struct State {
    /// Indices of tasks that were not begun, the next one last.
    waiting: Vec<usize>,
    /// One a task, when it was begun.
    lanes: Vec<Option<Lane>>,
    /// Tasks being begun or in work.
    open: usize,
    /// Memory of chunks that were processed, to be used again.
    buffers: Vec<Vec<u8>>,
    fragments: Vec<Option<Fragment>>,
    failure: Option<Failure>,
}

struct Pool<'a> {
    build: &'a Build<'a>,
    tasks: &'a [Task],
    stages: Vec<Stages>,
    state: Mutex<State>,
    changed: Condvar,
}

/// What a worker does next.
enum Next {
    Work(usize, Work),
    Open(usize),
    Stop,
}

/// Runs all tasks; their fragments are in the order of the tasks.
pub(crate) fn run(build: &Build<'_>, tasks: &[Task]) -> Result<Vec<Fragment>, Failure> {
    let stages =
        tasks.iter().map(|task| Stages::new(task, build.recipe, build.limits, &build.table)).collect();
    // The largest dump first: it takes longest. `waiting` is taken from its end.
    let mut waiting: Vec<usize> = (0..tasks.len()).collect();
    waiting.sort_by_key(|&i| (tasks[i].dump.bytes(), std::cmp::Reverse(i)));
    let pool = Pool {
        build,
        tasks,
        stages,
        state: Mutex::new(State {
            waiting,
            lanes: tasks.iter().map(|_| None).collect(),
            open: 0,
            buffers: Vec::new(),
            fragments: tasks.iter().map(|_| None).collect(),
            failure: None,
        }),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 0..build.jobs {
            scope.spawn(|| pool.work());
        }
    });
    let state = pool.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Whoever interrupts a build that waits for a store is told so, and not what the waiting ended with.
    if build.interrupted.load(Ordering::Relaxed) {
        return Err(Failure::interrupted());
    }
    if let Some(failure) = state.failure {
        return Err(failure);
    }
    let fragments: Option<Vec<Fragment>> = state.fragments.into_iter().collect();
    // Workers stop early only with a failure or an interruption, or by a panic that has been printed.
    fragments.ok_or_else(|| Failure::message(Exit::Defect, "a worker stopped unexpectedly; this is a defect"))
}

impl Pool<'_> {
    fn work(&self) {
        // Polars would hand pieces of our work to a pool of its own; the threads of this pool are all there are to use.
        polars_async::executor::ALLOW_RAYON_THREADS.set(false);
        // If this thread dies, the others must not wait for what it took.
        let _guard = StopOnPanic(self);
        loop {
            let result = match self.next() {
                Next::Stop => return,
                Next::Open(i) => self.open(i),
                Next::Work(i, work) => self.perform(i, work),
            };
            if let Err(failure) = result {
                self.lock().failure.get_or_insert(failure);
            }
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do.
    fn next(&self) -> Next {
        let jobs = self.build.jobs;
        let mut guard = self.lock();
        loop {
            let state = &mut *guard;
            if state.failure.is_some() || self.build.interrupted.load(Ordering::Relaxed) {
                return Next::Stop;
            }
            let in_flight: usize = state.lanes.iter().flatten().map(|lane| lane.in_flight).sum();
            let room = Room {
                chunks: self.build.memory.chunks.saturating_sub(in_flight),
                row_bytes: self.build.memory.row_bytes / state.open.max(1),
            };
            for (i, lane) in state.lanes.iter_mut().enumerate() {
                if let Some(work) = lane.as_mut().and_then(|lane| lane.next_work(room, &mut state.buffers)) {
                    return Next::Work(i, work);
                }
            }
            if state.open < jobs
                && let Some(i) = state.waiting.pop()
            {
                state.open += 1;
                return Next::Open(i);
            }
            if state.open == 0 && state.waiting.is_empty() {
                return Next::Stop;
            }
            // A signal handler cannot notify: look up now and then.
            let (again, _) = self
                .changed
                .wait_timeout(guard, std::time::Duration::from_millis(100))
                .unwrap_or_else(PoisonError::into_inner);
            guard = again;
        }
    }

    fn open(&self, i: usize) -> Result<(), Failure> {
        let task = &self.tasks[i];
        let build = self.build;
        let reader = DumpReader::open(&task.dump, build.limits)?.interrupted_by(build.interrupted);
        let sink = TaskSink::new(
            task,
            build.recipe,
            build.limits,
            build.outlet.root(),
            &build.table,
            &build.writer,
        )?;
        build.progress.begin(i, &task.dump.name, task.dump.bytes());
        let seen = self.stages[i].seen(build.outlet.root());
        self.lock().lanes[i] = Some(Lane::new(reader, sink, seen));
        Ok(())
    }

    fn perform(&self, i: usize, work: Work) -> Result<(), Failure> {
        match work {
            Work::Read(mut reader, buffer) => {
                let chunk = reader.next_chunk(buffer)?;
                self.build.progress.read(i, reader.bytes_read(), reader.bytes_decompressed());
                self.with_lane(i, |lane| {
                    match chunk {
                        Some(chunk) => {
                            lane.chunks.push_back((lane.next_read, chunk));
                            lane.next_read += 1;
                            lane.in_flight += 1;
                        }
                        None => lane.read_to_end = true,
                    }
                    lane.reader = Some(reader);
                });
            }
            Work::Process(number, chunk) => {
                let step = self.stages[i].process(&chunk)?;
                let mut state = self.lock();
                state.buffers.push(chunk.into_buffer());
                if let Some(lane) = &mut state.lanes[i] {
                    match step {
                        Step::Processed(processed) => drop(lane.processed.insert(number, processed)),
                        Step::Undecided(undecided) => drop(lane.undecided.insert(number, undecided)),
                    }
                }
            }
            Work::Decide(mut seen, number, undecided) => {
                let decided = undecided.decide(&mut seen)?;
                self.with_lane(i, |lane| {
                    lane.decided.push_back((number, Box::new(decided)));
                    lane.seen = Some(seen);
                });
            }
            Work::Derive(number, decided) => {
                let processed = self.stages[i].derive(*decided)?;
                self.with_lane(i, |lane| lane.processed.insert(number, Box::new(processed)));
            }
            Work::Take(mut sink, processed, room_bytes) => {
                let groups = sink.accept(*processed)?;
                let given_out: usize = groups.iter().map(RowGroup::memory_bytes).sum();
                sink.spill(room_bytes.saturating_sub(given_out))?;
                self.build.progress.flows(i, sink.flows_read());
                self.with_lane(i, |lane| lane.give_out(groups, sink));
            }
            Work::Encode(group) => {
                let bytes = group.memory_bytes();
                let encoded = group.encode().map_err(|error| Failure::new(Exit::Output, error))?;
                self.with_lane(i, |lane| {
                    lane.given_out_bytes += encoded.memory_bytes();
                    lane.given_out_bytes -= bytes;
                    lane.encoded.push(encoded);
                });
            }
            Work::Store(mut sink, groups) => {
                let stored = groups.len();
                let bytes: usize = groups.iter().map(EncodedRowGroup::memory_bytes).sum();
                for group in groups {
                    for file in sink.store(group)? {
                        self.build.outlet.add(&file.path, file.bytes, &file.sha256)?;
                    }
                }
                self.with_lane(i, |lane| {
                    lane.unstored -= stored;
                    lane.given_out_bytes -= bytes;
                    lane.sink = Some(sink);
                });
            }
            Work::Drain(mut sink, room_bytes) => {
                let groups = sink.drain(room_bytes);
                self.with_lane(i, |lane| {
                    lane.drained = groups.is_empty();
                    lane.give_out(groups, sink);
                });
            }
            Work::Finish(sink) => {
                let reader = self.with_lane(i, |lane| lane.reader.take()).flatten();
                let digests = reader.map(|reader| reader.digests().to_vec()).unwrap_or_default();
                let (fragment, rest) = sink.finish(digests)?;
                for file in rest {
                    self.build.outlet.add(&file.path, file.bytes, &file.sha256)?;
                }
                if let Some(lines) = &fragment.source.rejected_lines {
                    self.build.outlet.add(&lines.path, lines.bytes, &lines.sha256)?;
                }
                self.build.progress.end(i, &fragment);
                let mut state = self.lock();
                state.fragments[i] = Some(fragment);
                state.lanes[i] = None;
                state.open -= 1;
            }
        }
        Ok(())
    }

    fn with_lane<T>(&self, i: usize, f: impl FnOnce(&mut Lane) -> T) -> Option<T> {
        self.lock().lanes[i].as_mut().map(f)
    }
}

/// Stops the pool when a worker panics.
struct StopOnPanic<'a, 'b>(&'a Pool<'b>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let failure = Failure::message(Exit::Defect, "a worker stopped unexpectedly; this is a defect");
            self.0.lock().failure.get_or_insert(failure);
            self.0.changed.notify_all();
        }
    }
}
