//! Tables and numbers for people.

use comfy_table::{Cell, CellAlignment, Table, presets};

/// A table whose columns after the first `left` are numbers, aligned right.
pub(crate) fn table(header: &[&str], left: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().enumerate().map(|(i, text)| aligned(text, i >= left)));
    for row in rows {
        table.add_row(row.iter().enumerate().map(|(i, text)| aligned(text, i >= left)).collect::<Vec<_>>());
    }
    // Trailing spaces would show up in every diff of an output.
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn aligned(text: &str, right: bool) -> Cell {
    let cell = Cell::new(text);
    if right { cell.set_alignment(CellAlignment::Right) } else { cell }
}

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// A size in binary units.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}
