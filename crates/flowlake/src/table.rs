//! Tables and numbers for people.

use comfy_table::{Cell, CellAlignment, Table, presets};

/// A table whose columns after the first `left` are numbers, aligned right.
pub(crate) fn table(header: &[&str], left: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let right: Vec<bool> = (0..header.len()).map(|position| position >= left).collect();
    aligned_table(header, &right, rows)
}

/// A table whose columns are aligned right as told, and left where nothing is told.
pub(crate) fn aligned_table(
    header: &[&str],
    right: &[bool],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let cell = |(i, text): (usize, &str)| aligned(text, right.get(i).copied().unwrap_or_default());
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().copied().enumerate().map(cell));
    for row in rows {
        table.add_row(row.iter().map(String::as_str).enumerate().map(cell).collect::<Vec<_>>());
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

/// A whole number that may be negative, as [`count`].
pub(crate) fn integer(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", count(number.unsigned_abs()))
}

/// How many more or fewer: `+1,234`, `-5`, `0`.
pub(crate) fn difference(number: i128) -> String {
    let sign = match number {
        ..0 => "-",
        0 => "",
        _ => "+",
    };
    format!("{sign}{}", count(u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX)))
}

/// A number with a fraction: three digits of it, more for those that would vanish.
pub(crate) fn fraction(number: f64) -> String {
    if number == 0.0 || (1e-2..1e15).contains(&number.abs()) {
        let thousandths = format!("{:.3}", number.abs());
        let (whole, digits) = thousandths.split_once('.').unwrap_or((&thousandths, "000"));
        let sign = if number < 0.0 { "-" } else { "" };
        format!("{sign}{}.{digits}", count(whole.parse().unwrap_or_default()))
    } else {
        format!("{number:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(integer(-1_234_567), "-1,234,567");
        assert_eq!(integer(i64::MIN), "-9,223,372,036,854,775,808");
        assert_eq!([0, 1_234, -5].map(difference), ["0", "+1,234", "-5"]);
        let shown = [0.0, -0.25, 1234.5678, 999.9996, 0.001, -2.5e-7, 1e300];
        let shown: Vec<String> = shown.into_iter().map(fraction).collect();
        assert_eq!(
            shown,
            ["0.000", "-0.250", "1,234.568", "1,000.000", "1.000e-3", "-2.500e-7", "1.000e300"]
        );
    }
}
