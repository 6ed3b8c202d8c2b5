//! The texts a lake was built by: which of their lines changed.

use serde::Serialize;
use similar::{Algorithm, DiffTag, capture_diff_slices, group_diff_ops};

use crate::manifest::{Configuration, ConfigurationFile, Manifest};

/// Lines around those that changed.
const CONTEXT: usize = 2;

/// Lines of both texts together that are compared. The time it takes grows with the square of what differs, and a manifest
/// may come from anywhere; configurations that people write have some hundred.
const MOST_LINES: usize = 20_000;

/// Catalogue and recipe as they were written. What they did is compared elsewhere, so a difference here alone leaves the rows
/// as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationDiff {
    /// The catalogue; absent when it is the same.
    pub catalogue: Option<ConfigurationChange>,
    /// The recipe; absent when it is the same.
    pub recipe: Option<ConfigurationChange>,
}

/// A file of the configuration that is not the same, or not kept alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationChange {
    /// That of A; absent when its manifest has no configuration.
    pub a: Option<ConfigurationSide>,
    /// That of B; absent when its manifest has no configuration.
    pub b: Option<ConfigurationSide>,
    /// What changed in it, from its beginning to its end; absent when a text is not there, or they are too long.
    pub hunks: Option<Vec<Hunk>>,
}

/// A file of the configuration on one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationSide {
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: Option<String>,
    /// Whether the text is left out.
    pub withheld: bool,
}

/// Changed lines that are close together, with lines around them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hunk {
    /// Where it begins in A: a line, from 1.
    pub a: usize,
    /// Where it begins in B: a line, from 1.
    pub b: usize,
    /// Its lines.
    pub parts: Vec<HunkPart>,
}

/// Lines of a hunk, without the line breaks at their ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HunkPart {
    /// First those that both have.
    pub both: Vec<String>,
    /// Then those that A has.
    pub a: Vec<String>,
    /// And B has these in their place.
    pub b: Vec<String>,
}

impl ConfigurationDiff {
    pub(super) fn is_empty(&self) -> bool {
        let Self { catalogue, recipe } = self;
        catalogue.is_none() && recipe.is_none()
    }
}

impl ConfigurationChange {
    /// Whether it is another file, and not only kept in one manifest and not in the other.
    #[must_use]
    pub fn is_another_file(&self) -> bool {
        let other_digest = self.a.as_ref().zip(self.b.as_ref()).is_some_and(|(a, b)| a.sha256 != b.sha256);
        other_digest || self.hunks.as_ref().is_some_and(|hunks| !hunks.is_empty())
    }
}

/// Compares the configurations of two lakes.
pub(super) fn changes(a: &Manifest, b: &Manifest) -> ConfigurationDiff {
    // Taken apart by name: a file that is new cannot be forgotten here.
    let [a, b] = [a, b].map(|manifest| {
        manifest.configuration.as_ref().map(|Configuration { catalogue, recipe }| (catalogue, recipe))
    });
    let of = |file: for<'a> fn((&'a ConfigurationFile, &'a ConfigurationFile)) -> &'a ConfigurationFile| {
        change(a.map(file), b.map(file))
    };
    ConfigurationDiff { catalogue: of(|(catalogue, _)| catalogue), recipe: of(|(_, recipe)| recipe) }
}

fn change(a: Option<&ConfigurationFile>, b: Option<&ConfigurationFile>) -> Option<ConfigurationChange> {
    let text = |file: Option<&ConfigurationFile>| file.and_then(|file| file.text.clone());
    let side = |file: &ConfigurationFile| {
        let ConfigurationFile { sha256, text } = file;
        ConfigurationSide { sha256: sha256.clone(), withheld: text.is_none() }
    };
    (a != b).then(|| ConfigurationChange {
        a: a.map(side),
        b: b.map(side),
        hunks: text(a).zip(text(b)).and_then(|(a, b)| hunks(&a, &b)),
    })
}

/// What changed between two texts; `None` when they are too long.
fn hunks(a: &str, b: &str) -> Option<Vec<Hunk>> {
    if a == b {
        return Some(Vec::new());
    }
    let (a, b) = lines(a, b);
    if a.len() + b.len() > MOST_LINES {
        return None;
    }
    // Of several ways to come from one text to the other, the one that is found depends on where it begins. It always begins
    // with the same text, so that exchanging the sides exchanges the sides alone.
    let turned = a > b;
    let (from, to) = if turned { (&b, &a) } else { (&a, &b) };
    let groups = group_diff_ops(capture_diff_slices(Algorithm::Patience, from, to), CONTEXT);
    let hunks = groups.into_iter().filter_map(|group| {
        let first = group.first()?;
        let begins = [first.old_range().start + 1, first.new_range().start + 1];
        let mut parts = vec![HunkPart::default()];
        for op in &group {
            let old = from[op.old_range()].iter().map(|&line| line.to_owned());
            let new = to[op.new_range()].iter().map(|&line| line.to_owned());
            match (op.tag(), parts.last_mut()) {
                (DiffTag::Equal, Some(part)) if part.a.is_empty() && part.b.is_empty() => {
                    part.both.extend(old);
                }
                (DiffTag::Equal, _) => {
                    parts.push(HunkPart { both: old.collect(), ..HunkPart::default() });
                }
                (_, Some(part)) => {
                    let (in_a, in_b) =
                        if turned { (&mut part.b, &mut part.a) } else { (&mut part.a, &mut part.b) };
                    in_a.extend(old);
                    in_b.extend(new);
                }
                (_, None) => {}
            }
        }
        let [a, b] = if turned { [begins[1], begins[0]] } else { begins };
        Some(Hunk { a, b, parts })
    });
    Some(hunks.collect())
}

/// The lines of two texts, which are equal only if the texts are: where one alone has a line break at its end, it has an empty
/// line more.
fn lines<'a>(a: &'a str, b: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let ended = a.strip_suffix('\n').zip(b.strip_suffix('\n'));
    let (a, b) = ended.unwrap_or((a, b));
    (a.split('\n').collect(), b.split('\n').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hunk as `patch` has it, in short.
    fn written(a: &str, b: &str) -> Vec<String> {
        let hunks = hunks(a, b).expect("short enough");
        let lines = hunks.iter().flat_map(|hunk| {
            let parts = hunk.parts.iter().flat_map(|part| {
                let marked = [(' ', &part.both), ('-', &part.a), ('+', &part.b)].into_iter();
                marked.flat_map(|(mark, lines)| lines.iter().map(move |line| format!("{mark}{line}")))
            });
            [format!("@{},{}", hunk.a, hunk.b)].into_iter().chain(parts)
        });
        lines.collect()
    }

    #[test]
    fn changed_lines_are_told_with_two_around_them() {
        let a = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let b = "1\n2\n3\nvier\n5\n6\n7\n8\n9\n11\n12\n13\n";
        let expected =
            ["@2,2", " 2", " 3", "-4", "+vier", " 5", " 6", "@8,8", " 8", " 9", "-10", " 11", " 12", "+13"];
        assert_eq!(written(a, b), expected);
    }

    #[test]
    fn from_the_other_side_a_hunk_is_the_same_with_the_sides_exchanged() {
        // Either of the two equal lines can be said to have gone.
        let texts = ["x\ny\nx\n", "y\nx\n", "x\ny\n", "", "y\ny\nx\nx\nz"];
        for a in texts {
            for b in texts {
                let exchanged = |hunk: Hunk| Hunk {
                    a: hunk.b,
                    b: hunk.a,
                    parts: hunk
                        .parts
                        .into_iter()
                        .map(|HunkPart { both, a, b }| HunkPart { both, a: b, b: a })
                        .collect(),
                };
                let back = hunks(b, a).map(|hunks| hunks.into_iter().map(exchanged).collect());
                assert_eq!(hunks(a, b), back, "{a:?} {b:?}");
                assert_eq!(hunks(a, b).is_some_and(|hunks| hunks.is_empty()), a == b);
            }
        }
    }

    #[test]
    fn line_breaks_are_compared_too() {
        assert_eq!(written("a\n", "a"), ["@1,1", " a", "-"]);
        assert_eq!(written("a\n", "a\r\n"), ["@1,1", "-a", "+a\r"]);
        assert_eq!(written("", "a\n"), ["@1,1", "+a", " "]);
    }

    #[test]
    fn texts_that_nobody_writes_are_not_compared_line_by_line() {
        let lines = |line: &str| format!("{line}\n").repeat(MOST_LINES / 2);
        assert_eq!(hunks(&lines("a"), &lines("b")).map(|hunks| hunks.len()), Some(1));
        assert_eq!(hunks(&(lines("a") + "c\n"), &lines("b")), None);
    }
}
