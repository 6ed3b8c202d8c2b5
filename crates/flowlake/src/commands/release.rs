//! `flowlake release`: a lake, frozen under a version.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use flowlake_ingest::Catalogue;
use flowlake_partition::manifest::{Manifest, Release, SUMS_FILE, Tool};
use flowlake_partition::publish::{Publication, PublishError, PublishMode};
use flowlake_partition::read::read_manifest;
use flowlake_partition::sums::sha256sums;
use flowlake_partition::verify::{VerifyOptions, verify};
use flowlake_release::copy::copy;
use flowlake_release::privacy::{
    IpTreatment, Key, MacTreatment, PrivacyOptions, PrivacyPlan, Pseudonymised, pseudonymise,
};
use flowlake_release::{DeviceFacts, DocumentFile, Facts, documents};
use flowlake_store::{LakeStore, Location};

use super::build::{interruption, there, warn, warn_of_races, with_causes};
use crate::cli::{IpOption, MacOption, ReleaseArgs, threads};
use crate::configuration;
use crate::exit::{Exit, Failure};
use crate::places::open;
use crate::printable::ForPeople;
use crate::table;

/// Bytes of a file with a key at most: what is longer was not made to be one.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// What a release is to be.
pub(crate) struct Request<'a> {
    pub(crate) lake: &'a LakeStore,
    pub(crate) manifest: Manifest,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) output: &'a LakeStore,
    pub(crate) version: String,
    pub(crate) date: Option<String>,
    pub(crate) privacy: PrivacyOptions,
    pub(crate) jobs: usize,
}

pub(crate) fn run(args: &ReleaseArgs) -> Result<Exit, Failure> {
    // Before Ctrl-C is listened for: a key may come out of a pipe that nobody writes to.
    let privacy = privacy(args)?;
    let lake = open(&args.lake, Exit::Input)?;
    let output = open(&args.output, Exit::Output)?;
    let manifest = read_manifest(&lake)?;
    let name = lake.name("");
    if let Some(release) = &manifest.release {
        let message = format!("{name} is release {} already", release.version);
        return Err(
            Failure::message(Exit::Usage, message).hint("make a release of the lake that it was made of")
        );
    }
    if let (LakeStore::Directory(lake), LakeStore::Directory(output)) = (&lake, &output) {
        super::export::refuse_inside_lake(lake, output)?;
    }
    if args.output.to_string().starts_with(&format!("{}/", args.lake))
        && matches!(lake, LakeStore::Objects(_))
    {
        let message = format!("{} lies inside the lake", args.output);
        return Err(Failure::message(Exit::Usage, message).hint("give an --output outside of it"));
    }
    // Its name becomes a path.
    configuration::recipe(&manifest, &name)?;
    let catalogue = configuration::catalogue(&manifest, &name)?;
    if !catalogue.dataset.redistribution && !args.acknowledge_licence {
        let message = format!(
            "the licence of {} does not allow handing it on, as its catalogue says: {}",
            catalogue.dataset.name, catalogue.dataset.licence
        );
        return Err(Failure::message(Exit::Usage, message).hint(
            "for a release that stays where it is, give --acknowledge-licence; it will be stamped so",
        ));
    }
    let request = Request {
        lake: &lake,
        manifest,
        catalogue: &catalogue,
        output: &output,
        version: args.version.to_string(),
        date: args.date.clone(),
        privacy,
        jobs: threads(args.jobs),
    };
    let manifest = release(request)?;
    print(&args.output, &manifest)
        .map_err(|failure| failure.hint(there("release", &args.output.to_string())))?;
    Ok(Exit::Success)
}

/// Makes a release, and gives its manifest.
pub(crate) fn release(request: Request<'_>) -> Result<Manifest, Failure> {
    let interrupted = interruption()?;
    let Request { lake, manifest, catalogue, output, version, date, privacy, jobs } = request;
    let plan = match privacy.asks_for_nothing() && privacy.key.is_none() {
        true => None,
        false => Some(PrivacyPlan::new(&privacy, &manifest)?),
    };
    for warning in plan.iter().flat_map(PrivacyPlan::warnings) {
        warn(warning);
    }
    check(lake, jobs)?;
    let publication = Publication::begin(output, PublishMode::Fresh).map_err(refused)?;
    warn_of_races(publication.decides_races(), output);
    let (manifest, privacy) = match &plan {
        None => {
            copy(lake, &manifest, &publication, jobs, interrupted)?;
            (manifest, None)
        }
        Some(plan) => {
            let Pseudonymised { manifest, privacy } =
                pseudonymise(lake, &manifest, plan, &publication, jobs, interrupted)?;
            (manifest, Some(privacy))
        }
    };
    let release = Release {
        version,
        date,
        tool: Tool { name: "flowlake".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        redistribution: catalogue.dataset.redistribution,
        privacy,
        documents: Vec::new(),
    };
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::interrupted());
    }
    publish(manifest, release, catalogue, plan.as_ref(), publication)
}

/// What was asked to be hidden.
fn privacy(args: &ReleaseArgs) -> Result<PrivacyOptions, Failure> {
    Ok(PrivacyOptions {
        mac: match args.mac {
            MacOption::Keep => MacTreatment::Keep,
            MacOption::Drop => MacTreatment::Drop,
            MacOption::Hmac => MacTreatment::Hmac,
        },
        ip: match args.ip {
            IpOption::Keep => IpTreatment::Keep,
            IpOption::Drop => IpTreatment::Drop,
            IpOption::Hmac => IpTreatment::Hmac,
            IpOption::IpcryptPfx => IpTreatment::IpcryptPfx,
        },
        drop: args.drop.clone(),
        key: args.key_file.as_deref().map(read_key).transpose()?,
    })
}

/// The key in a file.
pub(crate) fn read_key(path: &Path) -> Result<Key, Failure> {
    let file = fs_err::File::open(path).map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut bytes = Vec::new();
    file.take(MAX_KEY_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Failure::new(Exit::Usage, error))?;
    if bytes.len() as u64 > MAX_KEY_BYTES {
        let message = format!("{} is no key: it has more than {MAX_KEY_BYTES} bytes", path.display());
        return Err(Failure::message(Exit::Usage, message));
    }
    Key::from_file_bytes(&bytes).map_err(|error| {
        let failure = Failure::new(
            Exit::Usage,
            anyhow::Error::new(error).context(format!("{} is no key", path.display())),
        );
        failure.hint("`head -c 32 /dev/urandom` makes one; keep it where the release does not go")
    })
}

/// A release is for years: what is not as its manifest says, to the last row, does not become one. Bytes are looked at once more
/// when they are copied.
fn check(lake: &LakeStore, jobs: usize) -> Result<(), Failure> {
    let report = verify(lake, VerifyOptions { quick: false, jobs })?;
    let Some(first) = report.differences.first() else { return Ok(()) };
    let message = format!(
        "{} is not what its manifest says: {}: {}{}",
        lake.name(""),
        first.path,
        first.detail,
        match report.differences.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more differences"),
        }
    );
    Err(Failure::message(Exit::Differences, message).hint("`flowlake verify` tells all that differs"))
}

/// Adds the documents, and makes everything appear.
fn publish(
    mut manifest: Manifest,
    release: Release,
    catalogue: &Catalogue,
    plan: Option<&PrivacyPlan>,
    mut publication: Publication,
) -> Result<Manifest, Failure> {
    let defect = |error: serde_json::Error| Failure::new(Exit::Defect, error);
    manifest.release = Some(release.clone());
    let devices: Vec<DeviceFacts<'_>> = catalogue
        .devices
        .iter()
        .map(|device| DeviceFacts {
            name: &device.name,
            title: &device.title,
            class: &device.class,
            class_title: &device.class_title,
        })
        .collect();
    let files = documents(&Facts {
        manifest: &manifest,
        release: &release,
        description: catalogue.dataset.description.as_deref(),
        licence_url: catalogue.dataset.licence_url.as_deref(),
        creators: &catalogue.dataset.creators,
        devices: &devices,
    })
    .map_err(defect)?;
    if let Some(plan) = plan {
        warn_of_addresses(plan, &files);
    }
    let entries = files.iter().map(DocumentFile::entry).collect();
    manifest.release = Some(Release { documents: entries, ..release });
    let written = manifest.written().map_err(|error| Failure::new(Exit::Defect, error))?;
    let sums = sha256sums(&manifest, &written.lists, &written.sha256());
    let sums = DocumentFile { path: SUMS_FILE.to_owned(), bytes: sums.into_bytes() };
    for DocumentFile { path, bytes } in files.into_iter().chain([sums]) {
        publication.add_document(&path, bytes)?;
    }
    for left in publication.publish(&manifest).map_err(refused)? {
        warn(&format!("the release is published, but {}", with_causes(&left)));
    }
    Ok(manifest)
}

/// What was asked to be hidden may stand in what somebody wrote about the data.
fn warn_of_addresses(plan: &PrivacyPlan, documents: &[DocumentFile]) {
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for document in documents {
        for address in plan.addresses_in(&String::from_utf8_lossy(&document.bytes)) {
            found.entry(address).or_default().push(&document.path);
        }
    }
    for (address, documents) in found {
        warn(&format!(
            "{address} is in {}, and so in manifest.json: a text of the catalogue or of the recipe names it",
            documents.join(", ")
        ));
    }
}

/// A version that is there stays as it is, and so does anything else.
fn refused(error: PublishError) -> Failure {
    match error {
        PublishError::TargetHoldsLake { .. }
        | PublishError::TargetHoldsRelease { .. }
        | PublishError::CommitConflict { .. } => {
            Failure::new(Exit::Conflict, error).hint("what is there is left alone; give another --output")
        }
        _ => error.into(),
    }
}

fn print(output: &Location, manifest: &Manifest) -> Result<(), Failure> {
    let totals = &manifest.totals;
    let Some(release) = &manifest.release else { return Ok(()) };
    let rows = vec![
        vec!["version".to_owned(), release.version.clone()],
        vec!["rows".to_owned(), table::count(totals.rows)],
        vec!["data files".to_owned(), table::count(totals.files)],
        vec!["bytes of data".to_owned(), table::bytes(totals.bytes)],
        vec!["documents".to_owned(), table::count(release.documents.len() as u64 + 2)],
        vec!["digest of all rows".to_owned(), totals.content_digest.clone().unwrap_or_default()],
    ];
    let mut out = ForPeople(io::stdout().lock());
    writeln!(out, "{}", table::table(&["release", &output.to_string()], 1, rows))?;
    if !release.redistribution {
        writeln!(out, "\nNot for redistribution: {}", manifest.dataset.licence)?;
    }
    Ok(())
}
