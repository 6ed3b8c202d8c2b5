//! What is built in: catalogues, recipes, and how samples behave. A name stands for a built-in file, anything else is a
//! path.

use std::path::Path;

use flowlake_ingest::{Catalogue, ConfigError, read_config};
use flowlake_sample::Profiles;
use flowlake_transform::Recipe;

use crate::exit::{Exit, Failure};

const CATALOGUES: [(&str, &str); 1] = [("kddi-iot-2019", include_str!("../../../config/kddi-iot-2019.toml"))];

const RECIPES: [(&str, &str); 3] = [
    ("flows", include_str!("../../../config/recipes/flows.toml")),
    ("encoded", include_str!("../../../config/recipes/encoded.toml")),
    ("full", include_str!("../../../config/recipes/full.toml")),
];

const SAMPLE: &str = include_str!("../../../config/sample.toml");

/// The catalogue of a name or file.
pub(crate) fn catalogue(name: &str) -> Result<Catalogue, Failure> {
    match built_in(&CATALOGUES, name) {
        Some(text) => Ok(Catalogue::parse(text, name)?),
        None => Catalogue::read(Path::new(name))
            .map_err(|error| with_names(error, name, "catalogues", &CATALOGUES)),
    }
}

/// The recipe of a name or file.
pub(crate) fn recipe(name: &str) -> Result<Recipe, Failure> {
    match built_in(&RECIPES, name) {
        Some(text) => Ok(Recipe::parse(text, name)?),
        None => Recipe::read(Path::new(name)).map_err(|error| with_names(error, name, "recipes", &RECIPES)),
    }
}

/// The built-in recipes, each with its name.
pub(crate) fn recipes() -> Result<Vec<Recipe>, Failure> {
    RECIPES.iter().map(|(name, text)| Ok(Recipe::parse(text, name)?)).collect()
}

/// The text of the recipe of a name or file.
pub(crate) fn recipe_text(name: &str) -> Result<String, Failure> {
    match built_in(&RECIPES, name) {
        Some(text) => Ok(text.to_owned()),
        None => read_config(Path::new(name)).map_err(|error| with_names(error, name, "recipes", &RECIPES)),
    }
}

/// How devices behave in samples.
pub(crate) fn sample_profiles() -> Result<Profiles, Failure> {
    Ok(flowlake_sample::parse_profiles(SAMPLE, "sample.toml")?)
}

fn built_in(files: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    files.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A file that is not there may have been meant as a name.
fn with_names(error: ConfigError, name: &str, what: &str, files: &[(&str, &str)]) -> Failure {
    let missing = !Path::new(name).exists();
    let failure = Failure::new(Exit::Usage, error);
    if missing {
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        failure.hint(format!("give the path of a file; built-in {what}: {}", names.join(", ")))
    } else {
        failure
    }
}
