//! The parser of recipes.

use flowlake_transform::{Recipe, Transformer};

/// A text is a recipe whose columns have names of their own, or is refused with the name of the file.
///
/// # Panics
/// When it is neither.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match Recipe::parse(text, "fuzz.toml") {
        Ok(recipe) => {
            let mut names: Vec<String> =
                Transformer::columns(&recipe).into_iter().map(|column| column.name.to_lowercase()).collect();
            let columns = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), columns, "two columns of one name");
        }
        Err(error) => assert!(error.to_string().contains("fuzz.toml"), "{error}"),
    }
}
