//! All documents of a release together.

use flowlake_partition::manifest::{Document, Manifest};
use sha2::{Digest, Sha256};

use crate::card::card;
use crate::citation::citation;
use crate::croissant::croissant;
use crate::data_package::{SCHEMA_FILE, data_package, table_schema};
use crate::facts::Facts;
use crate::licence::licence;
use crate::rebuild::rebuild;

/// A document with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFile {
    /// Path below the root of the release.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl DocumentFile {
    fn new(path: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: text.into() }
    }

    /// Its entry in the manifest.
    #[must_use]
    pub fn entry(&self) -> Document {
        let sha256 = Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Document { path: self.path.clone(), bytes: self.bytes.len() as u64, sha256 }
    }
}

/// The documents of a release, ordered by path: all but the manifest and the list of digests, which follow from these.
///
/// # Errors
/// When a text cannot be written as JSON.
pub fn documents(facts: &Facts<'_>) -> Result<Vec<DocumentFile>, serde_json::Error> {
    let mut documents = configuration(facts.manifest);
    documents.extend([
        DocumentFile::new("CITATION.cff", citation(facts)),
        DocumentFile::new("LICENSE", licence(facts)),
        DocumentFile::new("README.md", card(facts)),
        DocumentFile::new("croissant.json", croissant(facts)?),
        DocumentFile::new("datapackage.json", data_package(facts)?),
        DocumentFile::new(SCHEMA_FILE, table_schema(facts)?),
        DocumentFile::new("rebuild.md", rebuild(facts)),
    ]);
    documents.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(documents)
}

/// Catalogue and recipe, as far as they are not withheld.
fn configuration(manifest: &Manifest) -> Vec<DocumentFile> {
    let Some(configuration) = &manifest.configuration else { return Vec::new() };
    // Both are slugs.
    let catalogue = format!("config/{}.toml", manifest.dataset.name);
    let recipe = format!("config/recipes/{}.toml", manifest.recipe.name);
    let files = [(catalogue, &configuration.catalogue), (recipe, &configuration.recipe)];
    files.into_iter().filter_map(|(path, file)| Some(DocumentFile::new(path, file.text.clone()?))).collect()
}
