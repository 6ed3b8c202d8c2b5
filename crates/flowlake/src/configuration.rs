//! The configuration of a lake that was built before: what its manifest keeps of it, understood again.

use flowlake_ingest::Catalogue;
use flowlake_partition::manifest::{ConfigurationFile, Manifest};
use flowlake_transform::Recipe;

use crate::exit::{Exit, Failure};

/// The recipe a lake was built with. `lake` is its name in errors.
pub(crate) fn recipe(manifest: &Manifest, lake: &str) -> Result<Recipe, Failure> {
    let Some(configuration) = &manifest.configuration else { return Err(too_old(lake)) };
    let text = text(&configuration.recipe, "recipe", lake)?;
    let recipe = Recipe::parse(text, &format!("the recipe of {lake}"))?;
    if (&recipe.name, &recipe.digest) != (&manifest.recipe.name, &manifest.recipe.digest) {
        return Err(contradiction(lake, "recipe"));
    }
    Ok(recipe)
}

/// The catalogue a lake was built with.
pub(crate) fn catalogue(manifest: &Manifest, lake: &str) -> Result<Catalogue, Failure> {
    let Some(configuration) = &manifest.configuration else { return Err(too_old(lake)) };
    let text = text(&configuration.catalogue, "catalogue", lake)?;
    let catalogue = Catalogue::parse(text, &format!("the catalogue of {lake}"))?;
    if catalogue.dataset.name != manifest.dataset.name {
        return Err(contradiction(lake, "catalogue"));
    }
    Ok(catalogue)
}

fn text<'a>(file: &'a ConfigurationFile, what: &str, lake: &str) -> Result<&'a str, Failure> {
    let Some(text) = &file.text else {
        let message = format!("{lake} does not hold its {what}: it was withheld");
        return Err(Failure::message(Exit::Usage, message).hint(format!(
            "give --{} with it; whoever made the release has it",
            if what == "recipe" { what } else { "config" }
        )));
    };
    if ConfigurationFile::of(text).sha256 != file.sha256 {
        return Err(contradiction(lake, what));
    }
    Ok(text)
}

fn too_old(lake: &str) -> Failure {
    let message = format!("{lake} does not hold its configuration: it was built before lakes kept it");
    Failure::message(Exit::Usage, message).hint("build it again with this version of flowlake")
}

pub(crate) fn contradiction(lake: &str, what: &str) -> Failure {
    let message = format!("the manifest of {lake} contradicts itself about the {what}");
    Failure::message(Exit::Input, message).hint("its manifest was changed; get the lake again, or build it")
}
