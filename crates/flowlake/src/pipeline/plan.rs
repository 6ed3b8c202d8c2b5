//! The plan of a build: which dumps are read, for which devices, and what is odd about the input.

use std::collections::BTreeSet;

use flowlake_ingest::{Catalogue, Device, Discovery, Dump, IngestError, MacAddress, discover};
use flowlake_partition::manifest::{Selection, Warning};
use flowlake_store::{ErrorKind, LakeStore, StoreError};

use crate::exit::{Exit, Failure};

/// What a build will do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Ordered by dump name.
    pub(crate) tasks: Vec<Task>,
    /// What is odd about the input directory.
    pub(crate) warnings: Vec<Warning>,
}

/// One dump of one device.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) dump: Dump,
    pub(crate) device: TaskDevice,
}

/// What a task knows of its device.
#[derive(Debug, Clone)]
pub(crate) struct TaskDevice {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) mac: MacAddress,
    /// Record count its publisher states.
    pub(crate) published_records: Option<u64>,
}

impl From<Device> for TaskDevice {
    fn from(Device { name, class, mac, published_records, .. }: Device) -> Self {
        Self { name, class, mac, published_records }
    }
}

/// Plans a build of the dumps in `input`, of all devices or of those asked for by name and class.
pub(crate) fn plan(catalogue: &Catalogue, input: &LakeStore, selection: &Selection) -> Result<Plan, Failure> {
    let Selection { devices, classes, .. } = selection;
    for name in devices {
        if !catalogue.devices.iter().any(|device| device.name == *name) {
            let names: Vec<&str> = catalogue.devices.iter().map(|device| device.name.as_str()).collect();
            return Err(Failure::message(Exit::Usage, format!("the catalogue has no device `{name}`"))
                .hint(format!("devices are: {}", names.join(", "))));
        }
    }
    for class in classes {
        if !catalogue.devices.iter().any(|device| device.class == *class) {
            let known: BTreeSet<&str> =
                catalogue.devices.iter().map(|device| device.class.as_str()).collect();
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Failure::message(Exit::Usage, format!("the catalogue has no class `{class}`"))
                .hint(format!("classes are: {}", known.join(", "))));
        }
    }
    // Devices that are not asked for might as well not be there: what is wrong with their dumps is no concern of this build.
    let mut asked_for = catalogue.clone();
    asked_for.devices.retain(|device| {
        (devices.is_empty() || devices.contains(&device.name))
            && (classes.is_empty() || classes.contains(&device.class))
    });
    if asked_for.devices.is_empty() {
        return Err(Failure::message(Exit::Usage, "no device asked for is of a class asked for"));
    }
    let Discovery { matched, without_device, without_dump, unused_files } = discover(input, &asked_for)
        .map_err(|error| match error {
            IngestError::Store(StoreError { kind: ErrorKind::NotFound | ErrorKind::Other, .. }) => {
                Failure::from(error).hint("--input is the directory or prefix that holds the dumps")
            }
            _ => Failure::from(error),
        })?;
    let tasks: Vec<Task> =
        matched.into_iter().map(|(dump, device)| Task { dump, device: device.into() }).collect();

    let mut warnings = Vec::new();
    // Whoever asks for single devices knows that there are others.
    if devices.is_empty() && classes.is_empty() {
        for dump in &without_device {
            warnings.push(Warning {
                kind: "dumpWithoutDevice".to_owned(),
                subject: dump.clone(),
                message: format!("dump {} belongs to no device of the catalogue and is not built", dump),
            });
        }
    }
    for device in &without_dump {
        warnings.push(Warning {
            kind: "deviceWithoutDump".to_owned(),
            subject: device.name.clone(),
            message: format!("device {} has no dump: no {}.tar.gz or the like", device.name, device.archive),
        });
    }
    for name in unused_files {
        warnings.push(Warning {
            kind: "fileNotUsed".to_owned(),
            message: format!("file {name} looks like part of a dump, but parts are numbered with two digits or more: 00, 01, …"),
            subject: name,
        });
    }
    if tasks.is_empty() {
        let message = format!("no dump of a device of the catalogue is in {}", input.name(""));
        return Err(Failure::message(Exit::Input, message)
            .hint("dumps are matched to devices by file name: <archive>.tar.gz, .tar.gz00…, .json, .json.gz, .json.zst"));
    }
    Ok(Plan { tasks, warnings })
}
