//! What a manifest says about the configuration of its build, and about the release it is part of.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Tool;
use crate::digest::hex;

/// The configuration of a build: with it, the dumps and the same version of the program, anybody can build the lake again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The catalogue of devices.
    pub catalogue: ConfigurationFile,
    /// The recipe.
    pub recipe: ConfigurationFile,
}

/// A file of the configuration. Where it lay says nothing about the lake, so that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationFile {
    /// SHA-256 of its bytes, hexadecimal; absent when that would confirm a guess of what a release hides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The file itself; absent when it was withheld because it names what a release hides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl ConfigurationFile {
    /// The file of this text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self { sha256: Some(hex(&Sha256::digest(text))), text: Some(text.to_owned()) }
    }
}

/// What documents of a release are called that are not in `config/`, ordered.
pub const RELEASE_DOCUMENTS: [&str; 8] = [
    "CITATION.cff",
    "LICENSE",
    "README.md",
    super::SUMS_FILE,
    "croissant.json",
    "datapackage.json",
    "rebuild.md",
    "tableschema.json",
];

/// What a release is, beside the lake that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Its version, as <https://semver.org> has them.
    pub version: String,
    /// The day it was released on, `YYYY-MM-DD`; absent when nobody said. The clock is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The program that made the release; the one that built the lake stands in the manifest's own `tool`.
    pub tool: Tool,
    /// Whether the licence lets it be handed on, as the catalogue says.
    pub redistribution: bool,
    /// What was done to identifiers; absent when all of them are as they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// The files that are no data, but for `manifest.json` and `SHA256SUMS`, ordered by path.
    pub documents: Vec<Document>,
}

/// What was done to identifiers. The key is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Privacy {
    /// What was asked for columns that hold MAC addresses; absent when they were to stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Treatment>,
    /// What was asked for columns that hold IP addresses; absent when they were to stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Treatment>,
    /// Columns that were asked to be left out, whatever they hold, as they were named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Columns that are not as the lake had them, in the order of the lake.
    pub columns: Vec<PrivateColumn>,
    /// Tells one key from another without giving it away: the beginning of a keyed digest of a constant. Absent when no key
    /// was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_check: Option<String>,
    /// Whether rejected lines are left out. They are raw flows, so they are whenever a column was treated.
    pub rejected_lines_withheld: bool,
}

/// A column and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivateColumn {
    /// The column's name.
    pub name: String,
    /// What was done.
    pub treatment: Treatment,
}

/// What can be done to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Treatment {
    /// It is left out.
    #[serde(rename = "dropped")]
    Dropped,
    /// Each value is a keyed digest of what it was (HMAC-SHA-256, its first 16 bytes in hexadecimal).
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// Each address is another address of the same family, and two addresses share as long a prefix as they did
    /// (`ipcrypt-pfx`).
    #[serde(rename = "ipcrypt-pfx")]
    IpcryptPfx,
}

impl Treatment {
    /// What it is called in the manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::HmacSha256 => "hmac-sha256",
            Self::IpcryptPfx => "ipcrypt-pfx",
        }
    }
}

/// A file of a release that is no data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Path below the root, with `/`.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}
