//! Releases: what they call themselves, what was done to identifiers, and the documents beside the lake.

use serde::Serialize;

use super::{TextChange, optional_texts, paired};
use crate::manifest::{Document, Manifest, Privacy, PrivateColumn, Release, Tool, Treatment};

/// How two releases differ, or a release and a lake that is in none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseDiff {
    /// What is said of the release, each by its key in it. The version is among them wherever only one side is a release.
    pub reference: Vec<TextChange>,
    /// Columns to which not the same was done, by name.
    pub treatments: Vec<TreatmentChange>,
    /// Documents that only one has or that are not the same, by path.
    pub documents: Vec<DocumentChange>,
}

/// A column to which not the same was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TreatmentChange {
    /// The column.
    pub column: String,
    /// What was done to it in A; absent when nothing was.
    pub a: Option<Treatment>,
    /// What was done to it in B; absent when nothing was.
    pub b: Option<Treatment>,
}

/// A document that only one has, or that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentChange {
    /// Its path.
    pub path: String,
    /// Its entry in A; absent when A has no such document.
    pub a: Option<Document>,
    /// Its entry in B; absent when B has no such document.
    pub b: Option<Document>,
}

/// Keys that tell what was done to identifiers.
const PRIVACY: &str = "privacy.";

impl ReleaseDiff {
    pub(super) fn is_empty(&self) -> bool {
        let Self { reference, treatments, documents } = self;
        reference.is_empty() && treatments.is_empty() && documents.is_empty()
    }

    /// Whether the same rows may be handed on alike: versions and documents say nothing about that.
    pub(super) fn is_immaterial(&self) -> bool {
        let of_both = |change: &TextChange| change.a.is_some() && change.b.is_some();
        let allowed = |change: &TextChange| change.what == "redistribution" && of_both(change);
        !self.has_other_privacy() && !self.reference.iter().any(allowed)
    }

    /// Whether not the same was done to identifiers.
    #[must_use]
    pub fn has_other_privacy(&self) -> bool {
        !self.treatments.is_empty() || self.reference.iter().any(|change| change.what.starts_with(PRIVACY))
    }

    /// Whether A and B are releases, if only one of them is.
    #[must_use]
    pub fn only_one(&self) -> Option<[bool; 2]> {
        let version = self.reference.iter().find(|change| change.what == "version")?;
        let released = [version.a.is_some(), version.b.is_some()];
        (released[0] != released[1]).then_some(released)
    }
}

/// Compares what two lakes say of the releases they are in.
pub(super) fn changes(a: &Manifest, b: &Manifest) -> ReleaseDiff {
    let [a, b] = [a, b].map(|manifest| manifest.release.as_ref());
    let (of_a, of_b) = (reference(a), reference(b));
    let treatments = paired(treated(a), treated(b), |column| &column.name).into_iter();
    let treatments = treatments.map(|(name, a, b)| {
        let [a, b] = [a, b].map(|column| column.map(|PrivateColumn { name: _, treatment }| *treatment));
        TreatmentChange { column: name.clone(), a, b }
    });
    let documents = paired(documents(a), documents(b), |document| &document.path).into_iter();
    let documents = documents.filter(|(_, a, b)| a != b);
    ReleaseDiff {
        reference: optional_texts(of_a.into_iter().zip(of_b).map(|((what, a), (_, b))| (what, a, b))),
        treatments: treatments.filter(|change| change.a != change.b).collect(),
        documents: documents
            .map(|(path, a, b)| DocumentChange { path: path.clone(), a: a.cloned(), b: b.cloned() })
            .collect(),
    }
}

fn reference(release: Option<&Release>) -> [(&'static str, Option<String>); 10] {
    // Taken apart by name: a key that is new cannot be forgotten here.
    let of_release = release.map(|release| {
        let Release { version, date, tool, redistribution, privacy, documents: _ } = release;
        (version, date, tool, redistribution, privacy)
    });
    let of_tool = of_release.map(|(_, _, Tool { name, version }, _, _)| (name, version));
    let of_privacy = of_release.and_then(|(_, _, _, _, privacy)| privacy.as_ref()).map(|privacy| {
        let Privacy { mac, ip, drop, columns: _, key_check, rejected_lines_withheld } = privacy;
        (mac, ip, drop, key_check, rejected_lines_withheld)
    });
    let name = |treatment: Treatment| treatment.name().to_owned();
    [
        ("version", of_release.map(|(version, ..)| version.clone())),
        ("date", of_release.and_then(|(_, date, ..)| date.clone())),
        ("tool.name", of_tool.map(|(name, _)| name.clone())),
        ("tool.version", of_tool.map(|(_, version)| version.clone())),
        ("redistribution", of_release.map(|(_, _, _, redistribution, _)| redistribution.to_string())),
        ("privacy.mac", of_privacy.and_then(|(mac, ..)| mac.map(name))),
        ("privacy.ip", of_privacy.and_then(|(_, ip, ..)| ip.map(name))),
        (
            "privacy.drop",
            of_privacy.and_then(|(_, _, drop, ..)| (!drop.is_empty()).then(|| format!("{drop:?}"))),
        ),
        ("privacy.keyCheck", of_privacy.and_then(|(_, _, _, key_check, _)| key_check.clone())),
        ("privacy.rejectedLinesWithheld", of_privacy.map(|(.., withheld)| withheld.to_string())),
    ]
}

/// Columns of a release that are not as the lake had them.
pub(super) fn treated(release: Option<&Release>) -> &[PrivateColumn] {
    let privacy = release.and_then(|release| release.privacy.as_ref());
    privacy.map_or(&[], |privacy| &privacy.columns)
}

/// Documents of a release.
pub(super) fn documents(release: Option<&Release>) -> &[Document] {
    release.map_or(&[], |release| &release.documents)
}
