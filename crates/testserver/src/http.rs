//! As much of HTTP as a client of S3 makes use of.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` and the like.
    pub method: String,
    /// The key of the object; empty for the bucket.
    pub key: String,
    /// By name; a name without a value has an empty one.
    pub query: BTreeMap<String, String>,
    /// By name in small letters.
    pub headers: BTreeMap<String, String>,
    /// Whatever follows the headers.
    pub body: Vec<u8>,
}

impl Request {
    /// A header, by its name in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// First byte and the one behind the last of the range that is asked for.
    #[must_use]
    pub fn range(&self) -> Option<(usize, usize)> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse::<usize>().ok()? + 1))
    }

    /// Whether an object is asked for, or a range of one.
    #[must_use]
    pub fn reads_object(&self) -> bool {
        self.method == "GET" && !self.key.is_empty()
    }

    /// Whether an object is to be written in one request.
    #[must_use]
    pub fn writes_object(&self) -> bool {
        self.method == "PUT" && self.query.is_empty()
    }
}

/// What a server says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<&'static str, String>,
    pub(crate) body: Vec<u8>,
    /// For `HEAD`: the size of a body that is not sent.
    pub(crate) unsent: Option<usize>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: BTreeMap::new(), body: body.into(), unsent: None }
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        // Some servers say nothing but the status.
        let text = format!("<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>");
        Self::new(status, if code.is_empty() { String::new() } else { text })
    }

    pub(crate) fn send(self, stream: &mut TcpStream) -> io::Result<()> {
        self.send_some(stream, usize::MAX)
    }

    /// Sends the head, which promises the whole body, and not more than so many bytes of that.
    pub(crate) fn send_some(self, stream: &mut TcpStream, bytes: usize) -> io::Result<()> {
        let length = self.unsent.unwrap_or(self.body.len());
        let mut head = format!("HTTP/1.1 {} as it is\r\nContent-Length: {length}\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(&self.body[..bytes.min(self.body.len())])?;
        stream.flush()
    }
}

/// A request, once it is whole; `None` when there is none.
pub(crate) fn read(stream: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let bucket_and_key = path.trim_start_matches('/');
    let key = bucket_and_key.split_once('/').map_or("", |(_, key)| key);
    let query = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let mut request = Request {
        method: method.to_owned(),
        key: decoded(key),
        query,
        headers: BTreeMap::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// Without the percent signs of URLs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hexadecimal = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, hexadecimal.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = behind;
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
