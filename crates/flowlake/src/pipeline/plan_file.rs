//! A plan as a file, so that its tasks can be run by other processes, on other machines.
//!
//! It holds all that a task has to know: where dumps are, how they are packed and which version of them was found, the whole
//! configuration, and the target. The same input and options give the same bytes. Its digest names the workspace in which its
//! tasks leave what they made.

use std::path::Path;

use flowlake_ingest::{Catalogue, Dump, DumpFormat, Limits, MacAddress};
use flowlake_partition::manifest::{ConfigurationFile, Selection, Tool, Warning};
use flowlake_partition::publish::{PublishMode, Workspace};
use flowlake_store::{Entry, EntryKind, LakeStore, Location, Version};
use flowlake_transform::Recipe;
use fs_err as fs;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::job::Orders;
use super::plan::{Plan, Task, TaskDevice};
use crate::commands::build::keep_starts;
use crate::exit::{Exit, Failure};
use crate::instant::Instant;
use crate::places::open;

/// The version of this form.
const PLAN_VERSION: u32 = 1;

/// Digits of a plan's digest that name its workspace.
const ID_DIGITS: usize = 16;

/// The wire form. Tasks hold what they need of the catalogue, which is the larger half of a large plan and is read by the commit
/// alone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlanFile<C> {
    plan_version: u32,
    tool: Tool,
    input: String,
    output: String,
    replace: bool,
    strict: bool,
    #[serde(default, skip_serializing_if = "is_everything")]
    selection: Selection,
    dataset: String,
    limits: Limits,
    catalogue: C,
    recipe: ConfigurationFile,
    warnings: Vec<Warning>,
    tasks: Vec<PlannedTask>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlannedTask {
    dump: String,
    device: String,
    device_class: String,
    mac: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published_records: Option<u64>,
    format: DumpFormat,
    bytes: u64,
    parts: Vec<PlannedPart>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlannedPart {
    name: String,
    bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
}

fn is_everything(selection: &Selection) -> bool {
    *selection == Selection::default()
}

/// What a build is asked for, to be planned.
pub(crate) struct Request<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) recipe: &'a Recipe,
    pub(crate) input: &'a Location,
    pub(crate) output: &'a Location,
    pub(crate) selection: &'a Selection,
    pub(crate) mode: PublishMode,
    pub(crate) strict: bool,
}

/// The bytes of a plan. Tasks are numbered in the order in which they are best begun: the largest dump takes longest.
pub(crate) fn text(request: &Request<'_>, plan: &Plan) -> Result<Vec<u8>, Failure> {
    let mut tasks: Vec<PlannedTask> = plan.tasks.iter().map(planned).collect();
    tasks.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.dump.cmp(&b.dump)));
    let file = PlanFile {
        plan_version: PLAN_VERSION,
        tool: this_tool(),
        input: absolute(request.input)?,
        output: absolute(request.output)?,
        replace: request.mode == PublishMode::Replace,
        strict: request.strict,
        selection: request.selection.clone(),
        dataset: request.catalogue.dataset.name.clone(),
        limits: request.catalogue.limits.clone(),
        catalogue: ConfigurationFile::of(&request.catalogue.text),
        recipe: ConfigurationFile::of(&request.recipe.text),
        warnings: plan.warnings.clone(),
        tasks,
    };
    let mut text = serde_json::to_vec_pretty(&file).map_err(|error| Failure::new(Exit::Defect, error))?;
    text.push(b'\n');
    Ok(text)
}

/// A plan that was read, with all that its tasks need.
pub(crate) struct Read {
    /// Name of the data set.
    pub(crate) dataset: String,
    pub(crate) limits: Limits,
    pub(crate) recipe: Recipe,
    pub(crate) selection: Selection,
    pub(crate) output: LakeStore,
    pub(crate) mode: PublishMode,
    pub(crate) strict: bool,
    /// The tasks, by their numbers, and what is odd about the input.
    pub(crate) plan: Plan,
    /// SHA-256 of the file, hexadecimal.
    pub(crate) digest: String,
}

/// Reads a plan, but for the catalogue.
pub(crate) fn read(path: &Path) -> Result<Read, Failure> {
    understood(path, parse::<IgnoredAny>(path)?).map(|(read, _)| read)
}

/// Reads a plan with the catalogue.
pub(crate) fn read_with_catalogue(path: &Path) -> Result<(Read, Catalogue), Failure> {
    let (read, catalogue) = understood(path, parse::<ConfigurationFile>(path)?)?;
    let catalogue = Catalogue::parse(&held(&catalogue, path, "catalogue")?, &name(path, "catalogue"))?;
    Ok((read, catalogue))
}

/// The file, with its digest.
fn parse<C: DeserializeOwned>(path: &Path) -> Result<(PlanFile<C>, String), Failure> {
    let text = fs::read(path).map_err(|error| refused(path, error.into()))?;
    let file: PlanFile<C> = serde_json::from_slice(&text).map_err(|error| refused(path, error.into()))?;
    if file.plan_version != PLAN_VERSION || file.tool != this_tool() {
        let Tool { name, version } = &file.tool;
        let message =
            format!("{} is of version {}, made by {name} {version}", path.display(), file.plan_version);
        // Another version may read a line otherwise, and one lake must not hold the work of two.
        return Err(Failure::message(Exit::Usage, message).hint(format!(
            "this is {}, for plans of version {PLAN_VERSION}: plan again, or run the tasks with the program that made it",
            env!("CARGO_PKG_VERSION")
        )));
    }
    Ok((file, Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn understood<C>(path: &Path, (file, digest): (PlanFile<C>, String)) -> Result<(Read, C), Failure> {
    let mut recipe = Recipe::parse(&held(&file.recipe, path, "recipe")?, &name(path, "recipe"))?;
    let instant = |time: &Option<String>| {
        let parsed = time.as_deref().map(str::parse::<Instant>).transpose();
        parsed.map_err(|error| refused(path, anyhow::Error::msg(error)))
    };
    let (from, to) = (instant(&file.selection.from)?, instant(&file.selection.to)?);
    keep_starts(&mut recipe, from, to);
    let place = |text: &str, exit| {
        let location = Location::parse(text.as_ref()).map_err(|error| refused(path, error.into()))?;
        open(&location, exit)
    };
    let (input, output) = (place(&file.input, Exit::Input)?, place(&file.output, Exit::Output)?);
    let tasks = file.tasks.into_iter().map(|task| to_do(task, path, &input));
    let read = Read {
        dataset: file.dataset,
        limits: file.limits,
        recipe,
        selection: file.selection,
        output,
        mode: if file.replace { PublishMode::Replace } else { PublishMode::Fresh },
        strict: file.strict,
        plan: Plan { tasks: tasks.collect::<Result<_, _>>()?, warnings: file.warnings },
        digest,
    };
    Ok((read, file.catalogue))
}

fn refused(path: &Path, error: anyhow::Error) -> Failure {
    Failure::new(Exit::Usage, error.context(format!("cannot read the plan {}", path.display())))
}

fn name(path: &Path, what: &str) -> String {
    format!("the {what} of {}", path.display())
}

/// The text of a file that a plan holds.
fn held(file: &ConfigurationFile, path: &Path, what: &str) -> Result<String, Failure> {
    let text = file.text.clone().filter(|text| ConfigurationFile::of(text).sha256 == file.sha256);
    text.ok_or_else(|| {
        Failure::message(Exit::Usage, format!("{} was changed", name(path, what))).hint("plan again")
    })
}

impl Read {
    pub(crate) fn orders(&self) -> Orders<'_> {
        Orders { dataset: &self.dataset, limits: &self.limits, recipe: &self.recipe }
    }

    /// Where its tasks leave what they made.
    pub(crate) fn workspace(&self) -> Result<Workspace, Failure> {
        Ok(Workspace::of(&self.output, &self.digest[..ID_DIGITS])?)
    }
}

fn this_tool() -> Tool {
    Tool { name: "flowlake".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// A place as other machines understand it that share its file system, if it is a path.
fn absolute(location: &Location) -> Result<String, Failure> {
    let Location::Directory(path) = location else { return Ok(location.to_string()) };
    let absolute = std::path::absolute(path).map_err(|error| Failure::new(Exit::Usage, error))?;
    absolute.into_os_string().into_string().map_err(|path| {
        let message = format!("a plan can only hold paths that are UTF-8: {}", Path::new(&path).display());
        Failure::message(Exit::Usage, message)
    })
}

fn planned(task: &Task) -> PlannedTask {
    let part = |part: &Entry| PlannedPart {
        name: part.path.clone(),
        bytes: part.bytes,
        version: part.version.clone(),
    };
    PlannedTask {
        dump: task.dump.name.clone(),
        device: task.device.name.clone(),
        device_class: task.device.class.clone(),
        mac: task.device.mac.to_string(),
        published_records: task.device.published_records,
        format: task.dump.format,
        bytes: task.dump.bytes(),
        parts: task.dump.parts.iter().map(part).collect(),
    }
}

fn to_do(task: PlannedTask, path: &Path, input: &LakeStore) -> Result<Task, Failure> {
    let Some(mac) = MacAddress::parse(&task.mac) else {
        let message = format!("dump {}: {:?} is no MAC address", task.dump, task.mac);
        return Err(refused(path, anyhow::Error::msg(message)));
    };
    // Dumps lie in the input itself, and no name leads elsewhere.
    if let Some(part) =
        task.parts.iter().find(|part| part.name.contains('/') || [".", ".."].contains(&&*part.name))
    {
        let message = format!("dump {}: {:?} is no name of a file", task.dump, part.name);
        return Err(refused(path, anyhow::Error::msg(message)));
    }
    let part =
        |PlannedPart { name, bytes, version }| Entry { path: name, kind: EntryKind::File, bytes, version };
    let device = TaskDevice {
        name: task.device,
        class: task.device_class,
        mac,
        published_records: task.published_records,
    };
    let dump = Dump {
        name: task.dump,
        input: input.clone(),
        format: task.format,
        parts: task.parts.into_iter().map(part).collect(),
    };
    Ok(Task { dump, device })
}
