//! What the documents of a release are made of.

use flowlake_partition::manifest::{Manifest, Release};

/// Everything there is to say about a release. The documents are made of this and nothing else: no clock, no path, no host.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The manifest of the release; its `release.documents` are not known yet.
    pub manifest: &'a Manifest,
    /// `manifest.release`, which a release has.
    pub release: &'a Release,
    /// What the data set is, in a few sentences, as the catalogue says.
    pub description: Option<&'a str>,
    /// Where the text of its licence is, as the catalogue says.
    pub licence_url: Option<&'a str>,
    /// Who made the data set, each as `Family, Given` or the name of an organisation; may be empty.
    pub creators: &'a [String],
    /// The devices of the catalogue, in its order, those without rows too.
    pub devices: &'a [DeviceFacts<'a>],
}

/// A device, as the catalogue describes it.
#[derive(Debug, Clone, Copy)]
pub struct DeviceFacts<'a> {
    /// Name in the lake, `deviceName`.
    pub name: &'a str,
    /// Name for people.
    pub title: &'a str,
    /// Class in the lake, `deviceClass`.
    pub class: &'a str,
    /// Class for people.
    pub class_title: &'a str,
}
