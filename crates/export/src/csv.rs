//! CSV: RFC 4180 with a header, but that lines end in a line feed alone, as every reader and tool of Unix has it.
//!
//! Null and empty text are two things in a lake, and most CSV writers make one of them. Here null is nothing at all
//! between two commas and empty text is a pair of quotes, which DuckDB, Polars and pyarrow can tell apart.

use std::io;

use crate::text::Dialect;

/// CSV.
#[derive(Debug)]
pub struct Csv;

impl Dialect for Csv {
    const NULL: &'static [u8] = b"";
    const ROW_END: &'static [u8] = b"\n";

    fn header(names: &[&str], out: &mut Vec<u8>) {
        for (position, name) in names.iter().enumerate() {
            Self::before(position, name, out);
            Self::text(name, out);
        }
        out.extend_from_slice(Self::ROW_END);
    }

    fn before(position: usize, _name: &str, out: &mut Vec<u8>) {
        if position > 0 {
            out.push(b',');
        }
    }

    fn text(text: &str, out: &mut Vec<u8>) {
        let special = |byte: &u8| matches!(byte, b'"' | b',' | b'\n' | b'\r');
        if !text.is_empty() && !text.as_bytes().iter().any(special) {
            out.extend_from_slice(text.as_bytes());
            return;
        }
        out.push(b'"');
        for (position, piece) in text.split('"').enumerate() {
            if position > 0 {
                out.extend_from_slice(b"\"\"");
            }
            out.extend_from_slice(piece.as_bytes());
        }
        out.push(b'"');
    }

    fn time(text: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(text);
    }

    fn float(value: f64, out: &mut Vec<u8>) -> io::Result<()> {
        // Also `NaN`, `inf` and `-inf`, which readers of CSV know.
        out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
        Ok(())
    }

    fn json(json: &str, out: &mut Vec<u8>) {
        Self::text(json, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        Csv::text(text, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn what_means_something_in_csv_is_quoted() {
        assert_eq!(written("192.0.2.1"), "192.0.2.1");
        assert_eq!(written(""), "\"\"");
        assert_eq!(written("a,b"), "\"a,b\"");
        assert_eq!(written("a\nb"), "\"a\nb\"");
        assert_eq!(written("a\rb"), "\"a\rb\"");
        assert_eq!(written("\"a\""), "\"\"\"a\"\"\"");
        assert_eq!(written("\""), "\"\"\"\"");
        assert_eq!(written(" ü "), " ü ");
    }
}
