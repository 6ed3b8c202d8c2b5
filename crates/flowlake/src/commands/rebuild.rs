//! Builds a lake or a release once more, from the dumps and what its manifest keeps, and compares: the proof that it is what it
//! says.

use flowlake_partition::diff::{Diff, Verdict, diff};
use flowlake_partition::manifest::Manifest;
use flowlake_partition::publish::{PublishMode, Scratch};
use flowlake_partition::read::read_manifest;
use flowlake_release::privacy::{Key, PrivacyOptions};
use flowlake_store::{LakeStore, Location};

use super::build::{self, keep_starts};
use super::release;
use crate::cli::ProgressMode;
use crate::configuration;
use crate::exit::{Exit, Failure};
use crate::instant::Instant;
use crate::places::open;
use crate::resources;

/// How to build it again.
pub(crate) struct Request<'a> {
    /// The lake or release.
    pub(crate) lake: &'a LakeStore,
    /// The dumps it was made of.
    pub(crate) dumps: &'a Location,
    /// Name or file of the catalogue, where the lake does not hold it.
    pub(crate) catalogue: Option<&'a str>,
    /// Name or file of the recipe, where the lake does not hold it.
    pub(crate) recipe: Option<&'a str>,
    /// The key of its pseudonyms, if it has any.
    pub(crate) key: Option<Key>,
    pub(crate) jobs: usize,
    pub(crate) progress: ProgressMode,
}

/// What came of it.
pub(crate) struct Rebuilt {
    /// A is the lake that was there, B the one that was rebuilt.
    pub(crate) diff: Diff,
    /// Whether it was rebuilt: the same bytes, or the same rows if another version of the program rebuilt it.
    pub(crate) is_the_same: bool,
}

/// Rebuilds in a directory for temporary files, which is gone afterwards.
pub(crate) fn rebuild(request: &Request<'_>) -> Result<Rebuilt, Failure> {
    let Request { lake, dumps, jobs, progress, .. } = request;
    let (manifest, name) = (read_manifest(lake)?, lake.name(""));
    let catalogue = match request.catalogue {
        Some(given) => resources::catalogue(given)?,
        None => configuration::catalogue(&manifest, &name)?,
    };
    let mut recipe = match request.recipe {
        Some(given) => resources::recipe(given)?,
        None => configuration::recipe(&manifest, &name)?,
    };
    let privacy = privacy(&manifest, &name, request.key.as_ref())?;
    let selection = manifest.selection.clone().unwrap_or_default();
    let contradicts = || configuration::contradiction(&name, "times that were asked for");
    let [from, to] = [&selection.from, &selection.to]
        .map(|time| time.as_ref().map(|time| time.parse::<Instant>().map_err(|_| contradicts())).transpose());
    keep_starts(&mut recipe, from?, to?);

    let scratch = Scratch::create("flowlake-rebuild")
        .map_err(|error| Failure::from(error).hint("TMPDIR names another directory for temporary files"))?;
    let [built, released] = ["lake", "release"].map(|name| LakeStore::Directory(scratch.root().join(name)));
    build::build(&build::Request {
        catalogue: &catalogue,
        recipe: &recipe,
        input: &open(dumps, Exit::Input)?,
        output: &built,
        selection: &selection,
        jobs: *jobs,
        memory_limit: None,
        mode: PublishMode::Fresh,
        strict: false,
        progress: *progress,
    })
    .map_err(|failure| Failure {
        // What a build is told with `--input` is told here otherwise.
        hint: failure.hint.map(|hint| hint.replace("--input", "--rebuild-from")),
        ..failure
    })?;
    let rebuilt = match &manifest.release {
        None => read_manifest(&built)?,
        Some(found) => release::release(release::Request {
            lake: &built,
            manifest: read_manifest(&built)?,
            catalogue: &catalogue,
            output: &released,
            version: found.version.clone(),
            date: found.date.clone(),
            privacy,
            jobs: *jobs,
        })?,
    };
    let diff = diff(&manifest, &rebuilt);
    let is_the_same = match diff.verdict {
        Verdict::Same => true,
        // Another version may encode the same rows otherwise; this one may not.
        Verdict::SameRows => made_by(&manifest) != made_by(&rebuilt) && !has_other_words(&diff),
        Verdict::Different => false,
    };
    Ok(Rebuilt { diff, is_the_same })
}

/// What was hidden when the release was made.
fn privacy(manifest: &Manifest, name: &str, key: Option<&Key>) -> Result<PrivacyOptions, Failure> {
    let recorded = manifest.release.as_ref().and_then(|release| release.privacy.as_ref());
    let check = recorded.and_then(|privacy| privacy.key_check.as_deref());
    let refuse = |message: String, hint: &str| Err(Failure::message(Exit::Usage, message).hint(hint));
    match (check, key) {
        (Some(_), None) => {
            refuse(format!("{name} has pseudonyms"), "give --key-file with the key they were made with")
        }
        (Some(check), Some(key)) if key.check() != check => refuse(
            "the key is not the one that the pseudonyms were made with".to_owned(),
            "give the right --key-file",
        ),
        (None, Some(_)) => refuse(format!("{name} has no pseudonyms"), "leave out --key-file"),
        _ => {
            let options = match recorded {
                Some(privacy) => PrivacyOptions::of(privacy, key.cloned()),
                None => Some(PrivacyOptions::default()),
            };
            options.ok_or_else(|| configuration::contradiction(name, "addresses that are hidden"))
        }
    }
}

/// Whether documents differ that no version of the program writes otherwise, the licence and the configuration, or there is one
/// that none writes.
fn has_other_words(diff: &Diff) -> bool {
    let mut documents = diff.release.documents.iter();
    documents.any(|document| {
        document.b.is_none() || document.path == "LICENSE" || document.path.starts_with("config/")
    })
}

/// Versions of the programs that made it.
fn made_by(manifest: &Manifest) -> (&str, Option<&str>) {
    (&manifest.tool.version, manifest.release.as_ref().map(|release| release.tool.version.as_str()))
}
