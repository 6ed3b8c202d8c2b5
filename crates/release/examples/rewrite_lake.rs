//! Writes every data file of a lake again as it is, and compares the bytes: what a build wrote must come out. Then does it
//! with pseudonyms, to see what those cost.
//!
//! `cargo run --release --example rewrite_lake -- LAKE [JOBS]`

use std::error::Error;
use std::io::{self, Write};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use flowlake_partition::manifest::Manifest;
use flowlake_partition::publish::{Publication, PublishMode};
use flowlake_partition::read::read_manifest;
use flowlake_release::privacy::{
    IpTreatment, Key, MacTreatment, PrivacyOptions, PrivacyPlan, Pseudonymised, pseudonymise,
};
use flowlake_store::LakeStore;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let lake = LakeStore::Directory(arguments.next().ok_or("which lake?")?.into());
    let jobs = arguments.next().map_or(Ok(1), |jobs| jobs.parse())?;
    let manifest = read_manifest(&lake)?;

    let (same, seconds) = rewrite(&lake, &manifest, &PrivacyOptions::default(), jobs)?;
    let others: Vec<&str> = (manifest.files.iter().zip(&same.manifest.files))
        .filter(|(old, new)| old != new)
        .map(|(old, _)| old.path.as_str())
        .collect();
    writeln!(
        io::stdout(),
        "as it is:        {seconds:.2?}, {} files, {} with other bytes",
        manifest.files.len(),
        others.len()
    )?;
    if !others.is_empty() || manifest.schema != same.manifest.schema {
        return Err(format!("other bytes: {others:?}").into());
    }

    let has_mac = manifest.schema.columns.iter().any(|column| column.name.ends_with("MacAddress"));
    let options = PrivacyOptions {
        mac: if has_mac { MacTreatment::Hmac } else { MacTreatment::Keep },
        ip: IpTreatment::IpcryptPfx,
        drop: Vec::new(),
        key: Some(Key::from_file_bytes(b"a key that nobody keeps secret")?),
    };
    let (_, seconds) = rewrite(&lake, &manifest, &options, jobs)?;
    writeln!(io::stdout(), "with pseudonyms: {seconds:.2?}")?;
    Ok(())
}

fn rewrite(
    lake: &LakeStore,
    manifest: &Manifest,
    options: &PrivacyOptions,
    jobs: usize,
) -> Result<(Pseudonymised, Duration), Box<dyn Error>> {
    let plan = PrivacyPlan::new(options, manifest)?;
    let directory = tempfile::tempdir()?;
    let target = LakeStore::Directory(directory.path().join("release"));
    let publication = Publication::begin(&target, PublishMode::Fresh)?;
    let begin = Instant::now();
    let made = pseudonymise(lake, manifest, &plan, &publication, jobs, &INTERRUPTED)?;
    Ok((made, begin.elapsed()))
}
