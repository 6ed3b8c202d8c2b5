//! NDJSON: an object a line, columns in the order of the lake, nulls as `null`, integers with all their digits.

use std::io;

use crate::text::Dialect;

/// NDJSON.
#[derive(Debug)]
pub struct Ndjson;

impl Dialect for Ndjson {
    const NULL: &'static [u8] = b"null";
    const ROW_END: &'static [u8] = b"}\n";

    fn header(_names: &[&str], _out: &mut Vec<u8>) {}

    fn before(position: usize, name: &str, out: &mut Vec<u8>) {
        out.push(if position == 0 { b'{' } else { b',' });
        Self::text(name, out);
        out.push(b':');
    }

    fn text(text: &str, out: &mut Vec<u8>) {
        out.push(b'"');
        // Nearly all text is an address or a word, with nothing to escape.
        if !text.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
            out.extend_from_slice(text.as_bytes());
        } else {
            for char in text.chars() {
                escape(char, out);
            }
        }
        out.push(b'"');
    }

    fn time(text: &[u8], out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    }

    fn float(value: f64, out: &mut Vec<u8>) -> io::Result<()> {
        if !value.is_finite() {
            // `null` would be another value, and a lake tells the two apart.
            let message = format!("JSON has no number {value}; CSV and Arrow have");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        Ok(())
    }

    fn json(json: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(json.as_bytes());
    }
}

fn escape(char: char, out: &mut Vec<u8>) {
    match char {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\0'..='\x1f' => out.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes()),
        _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_read_back_by_a_json_parser() {
        let every_control: String = (0..0x21u8).map(char::from).collect();
        for text in ["", "a", "\"\\\"", "ü 😀 \u{7f} \u{2028}", "a\u{0}b", &every_control] {
            let mut out = Vec::new();
            Ndjson::text(text, &mut out);
            let read: String = serde_json::from_slice(&out).expect("JSON");
            assert_eq!(read, text);
        }
    }

    #[test]
    fn floats_are_exact_and_what_json_cannot_say_is_an_error() {
        for value in [0.0, -0.0, 1.0, 0.1, 1799.999, 1e300, -1.5e-7, f64::MIN_POSITIVE, f64::MAX] {
            let mut out = Vec::new();
            Ndjson::float(value, &mut out).expect("a number");
            let read: f64 = serde_json::from_slice(&out).expect("JSON");
            assert_eq!(read.to_bits(), value.to_bits(), "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Ndjson::float(value, &mut Vec::new()).is_err());
        }
    }
}
