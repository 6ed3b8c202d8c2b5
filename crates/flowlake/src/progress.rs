//! Progress on standard error: bars on a terminal, a line a dump otherwise, or nothing.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::ProgressMode;
use crate::pipeline::fragment::Fragment;

/// Progress of a build. Shared by all workers.
pub(crate) struct Progress {
    view: View,
    dumps: Vec<Dump>,
    begun: Instant,
}

#[derive(Default)]
struct Dump {
    name: Mutex<String>,
    bytes_read: AtomicU64,
    bytes_decompressed: AtomicU64,
    flows: AtomicU64,
    bar: Mutex<Option<ProgressBar>>,
}

enum View {
    Bars { all: MultiProgress, total: ProgressBar },
    Lines { finished: AtomicU64 },
    Nothing,
}

impl Progress {
    /// Progress of so many dumps with so many bytes in all.
    pub(crate) fn new(mode: ProgressMode, dumps: usize, bytes: u64) -> Self {
        let bars = mode == ProgressMode::Auto && io::stderr().is_terminal();
        let view = if bars {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let total = all.add(ProgressBar::new(bytes).with_style(style(
                "{prefix:>28} {bar:30.green} {bytes:>11}/{total_bytes:<11} {msg} {bytes_per_sec:>12} {eta:>5} left",
            )));
            total.set_prefix(format!("all {dumps} dumps"));
            View::Bars { all, total }
        } else if mode == ProgressMode::None {
            View::Nothing
        } else {
            View::Lines { finished: AtomicU64::new(0) }
        };
        Self { view, dumps: (0..dumps).map(|_| Dump::default()).collect(), begun: Instant::now() }
    }

    /// A dump was opened.
    pub(crate) fn begin(&self, i: usize, name: &str, bytes: u64) {
        let dump = &self.dumps[i];
        name.clone_into(&mut dump.name.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if let View::Bars { all, total } = &self.view {
            let bar = all.insert_before(
                total,
                ProgressBar::new(bytes)
                    .with_style(style("{prefix:>28} {bar:30} {bytes:>11}/{total_bytes:<11} {msg}"))
                    .with_prefix(shortened(name, 28)),
            );
            *dump.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(bar);
        }
    }

    /// So much of a dump was read, compressed and decompressed.
    pub(crate) fn read(&self, i: usize, bytes_read: u64, bytes_decompressed: u64) {
        let dump = &self.dumps[i];
        let before = dump.bytes_read.swap(bytes_read, Ordering::Relaxed);
        dump.bytes_decompressed.store(bytes_decompressed, Ordering::Relaxed);
        if let View::Bars { total, .. } = &self.view {
            total.inc(bytes_read.saturating_sub(before));
            if let Some(bar) = &*dump.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
                bar.set_position(bytes_read);
            }
        }
    }

    /// So many flows of a dump were read.
    pub(crate) fn flows(&self, i: usize, flows: u64) {
        let dump = &self.dumps[i];
        dump.flows.store(flows, Ordering::Relaxed);
        if let View::Bars { total, .. } = &self.view {
            if let Some(bar) = &*dump.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
                bar.set_message(format!("{} flows", HumanCount(flows)));
            }
            let all: u64 = self.dumps.iter().map(|dump| dump.flows.load(Ordering::Relaxed)).sum();
            let rate = all as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
            total.set_message(format!("{} flows, {}/s", HumanCount(all), HumanCount(rate as u64)));
        }
    }

    /// A dump is done.
    pub(crate) fn end(&self, i: usize, fragment: &Fragment) {
        match &self.view {
            View::Bars { .. } => {
                if let Some(bar) =
                    &*self.dumps[i].bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
                {
                    bar.finish_and_clear();
                }
            }
            View::Lines { finished } => {
                let number = finished.fetch_add(1, Ordering::Relaxed) + 1;
                let source = &fragment.source;
                // Progress that nobody can see is no reason to stop.
                let _ = writeln!(
                    io::stderr().lock(),
                    "[{number}/{}] {}: {} flows read, {} kept, {} rejected, {} of JSON; {:.1} s since the start",
                    self.dumps.len(),
                    source.dump,
                    HumanCount(source.read),
                    HumanCount(source.kept),
                    HumanCount(source.rejected),
                    HumanBytes(self.dumps[i].bytes_decompressed.load(Ordering::Relaxed)),
                    self.begun.elapsed().as_secs_f64(),
                );
            }
            View::Nothing => {}
        }
    }

    /// Takes the bars away.
    pub(crate) fn clear(&self) {
        if let View::Bars { all, total } = &self.view {
            total.finish_and_clear();
            let _ = all.clear();
        }
    }

    /// Bytes of JSON read so far.
    pub(crate) fn bytes_decompressed(&self) -> u64 {
        self.dumps.iter().map(|dump| dump.bytes_decompressed.load(Ordering::Relaxed)).sum()
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn shortened(name: &str, longest: usize) -> String {
    if name.chars().count() <= longest {
        name.to_owned()
    } else {
        format!("{}…", name.chars().take(longest - 1).collect::<String>())
    }
}
