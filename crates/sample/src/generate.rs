//! A whole sample: one dump per device and the catalogue, in a directory of their own.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use fs_err as fs;

use crate::catalogue;
use crate::device::Device;
use crate::dump::{self, DumpWritten};
use crate::error::SampleError;
use crate::profiles::Profiles;

/// The fewest flows of a dump, however small the scale.
const FEWEST_RECORDS: u64 = 20;
/// The largest scale: about 29 TB of JSON from the published counts.
const LARGEST_SCALE: f64 = 1_000.0;
/// Part numbers have two digits.
const MOST_PARTS: u32 = 100;
const CATALOGUE: &str = "catalogue.toml";

/// A device to write a dump for, as a catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleDevice {
    /// Its name, as in a lake.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The slug of its class, which picks its profile.
    pub device_class: String,
    /// The class's name for people.
    pub class_title: String,
    /// Its MAC, `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
    /// The stem of its archive.
    pub archive: String,
    /// Published flows, which the scale multiplies.
    pub records: u64,
    /// Files its archive is split into.
    pub parts: u32,
}

/// How much to write, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleOptions {
    /// Flows per published flow; each device gets at least 20.
    pub scale: f64,
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Dumps written at the same time; changes no byte.
    pub jobs: usize,
}

/// Writes a dump for every device and `catalogue.toml` into `output`, a new or empty directory.
///
/// `on_dump` hears of every finished dump, from the threads that write them and in the order they finish. The
/// catalogue is written last, so a directory without one is unfinished. What was written is in the order of
/// `devices`. Memory does not grow with the scale: about 1 MiB per job.
///
/// # Errors
///
/// [`SampleError`]; nothing is written before the options and all devices are checked, and what was written before a
/// failure is removed.
pub fn generate(
    devices: &[SampleDevice],
    profiles: &Profiles,
    options: &SampleOptions,
    output: &Path,
    on_dump: &(dyn Fn(&DumpWritten) + Sync),
) -> Result<Vec<DumpWritten>, SampleError> {
    if !(options.scale > 0.0 && options.scale <= LARGEST_SCALE) {
        return Err(SampleError::Scale { scale: options.scale, max: LARGEST_SCALE });
    }
    check(devices, profiles)?;
    let failed = |source| SampleError::Write { path: output.to_owned(), source };
    fs::create_dir_all(output).map_err(failed)?;
    if fs::read_dir(output).map_err(failed)?.next().is_some() {
        return Err(SampleError::OutputNotEmpty { path: output.to_owned() });
    }
    let written = write_all(devices, profiles, options, output, on_dump).and_then(|dumps| {
        let text = catalogue::text(devices, &dumps)?;
        fs::write(output.join(CATALOGUE), text).map_err(failed)?;
        Ok(dumps)
    });
    if written.is_err() {
        clear(devices, output);
    }
    written
}

/// The flows of a device at a scale.
fn scaled(records: u64, scale: f64) -> u64 {
    ((records as f64 * scale).round() as u64).max(FEWEST_RECORDS)
}

/// Makes sure that every dump can be written, and under a name of its own inside the output directory.
fn check(devices: &[SampleDevice], profiles: &Profiles) -> Result<(), SampleError> {
    let mut archives = BTreeSet::new();
    for device in devices {
        let refuse = |reason: String| Err(SampleError::Device { device: device.name.clone(), reason });
        let archive = device.archive.as_str();
        let plain = !archive.is_empty()
            && archive.len() < 90
            && !archive.starts_with('.')
            && !archive.contains(|letter: char| matches!(letter, '/' | '\\' | ':') || letter.is_control());
        if !plain {
            return refuse(format!("'{archive}' cannot be the stem of a file name"));
        }
        if !archives.insert(archive) {
            return refuse(format!("the archive '{archive}' is another device's, too"));
        }
        if !(1..=MOST_PARTS).contains(&device.parts) {
            return refuse(format!("{} parts are not within 1 to {MOST_PARTS}", device.parts));
        }
        Device::new(device, profiles, 0, 0)?;
    }
    Ok(())
}

/// Writes all dumps on `jobs` threads, the largest first so that none is left over at the end.
fn write_all(
    devices: &[SampleDevice],
    profiles: &Profiles,
    options: &SampleOptions,
    output: &Path,
    on_dump: &(dyn Fn(&DumpWritten) + Sync),
) -> Result<Vec<DumpWritten>, SampleError> {
    let mut order: Vec<usize> = (0..devices.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(devices[*place].records));
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let results = Mutex::new(Vec::with_capacity(devices.len()));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let Some(place) = order.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let result = write_one(&devices[*place], profiles, options, output);
            match &result {
                Ok(dump) => on_dump(dump),
                Err(_) => stop.store(true, Ordering::Relaxed),
            }
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((*place, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..options.jobs.clamp(1, devices.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

fn write_one(
    device: &SampleDevice,
    profiles: &Profiles,
    options: &SampleOptions,
    output: &Path,
) -> Result<DumpWritten, SampleError> {
    let flows = scaled(device.records, options.scale);
    dump::write(&device.archive, &device.name, device.parts, output, || {
        Device::new(device, profiles, options.seed, flows).map_err(Failure::Sample)
    })
    .map_err(|failure| match failure {
        Failure::Sample(error) => error,
        Failure::Io(source) => SampleError::Write { path: output.to_owned(), source },
    })
}

/// Either way a dump can fail, before the output directory is named.
enum Failure {
    Sample(SampleError),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Removes whatever a failed run wrote into what was an empty directory. Failing to do so changes nothing: the
/// error that is reported is the first one.
fn clear(devices: &[SampleDevice], output: &Path) {
    for device in devices {
        let mut names = dump::part_names(&device.archive, device.parts);
        names.push(dump::unsplit_name(&device.archive));
        for name in names {
            let _ = fs::remove_file(output.join(name));
        }
    }
    let _ = fs::remove_file(output.join(CATALOGUE));
}
