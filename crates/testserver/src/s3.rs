//! As much of S3 as flowlake makes use of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::Behaviour;
use crate::http::{Answer, Request};

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its entity tag, with quotes. The same bytes have the same.
    pub tag: String,
    /// User metadata by name, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// When it was written, in seconds since 1970 by the clock of the server.
    pub written: u64,
}

#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: String,
    metadata: BTreeMap<String, String>,
    parts: BTreeMap<u32, Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) objects: BTreeMap<String, Object>,
    /// By number.
    pub(crate) uploads: BTreeMap<String, Upload>,
    begun_uploads: u32,
    pub(crate) clock: u64,
}

impl Default for Store {
    fn default() -> Self {
        // 2026-01-01 00:00 UTC.
        Self { objects: BTreeMap::new(), uploads: BTreeMap::new(), begun_uploads: 0, clock: 1_767_225_600 }
    }
}

impl Store {
    pub(crate) fn write(&mut self, key: &str, bytes: Vec<u8>, metadata: BTreeMap<String, String>) -> String {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let tag = format!("\"{:032x}\"", hasher.finish());
        let object = Object { bytes, tag: tag.clone(), metadata, written: self.clock };
        self.objects.insert(key.to_owned(), object);
        tag
    }

    pub(crate) fn carry_out(&mut self, request: &Request, behaviour: Behaviour) -> Answer {
        let key = request.key.as_str();
        let upload = request.query.get("uploadId").map(String::as_str);
        match (request.method.as_str(), key.is_empty(), upload) {
            ("GET", true, _) if request.query.contains_key("uploads") => self.list_uploads(request),
            ("GET", true, _) => self.list(request, behaviour),
            ("POST", true, _) => self.delete_several(request),
            ("GET" | "HEAD", false, _) => self.get(request),
            ("PUT", false, Some(upload)) => self.put_part(request, upload),
            ("PUT", false, None) => self.put(request, behaviour.conditions),
            ("DELETE", false, Some(upload)) => match self.uploads.remove(upload) {
                Some(_) => Answer::new(204, ""),
                None => Answer::error(404, "NoSuchUpload"),
            },
            ("DELETE", false, None) => {
                self.objects.remove(key);
                Answer::new(204, "")
            }
            ("POST", false, Some(upload)) => self.complete(upload),
            ("POST", false, None) => self.begin_upload(request),
            _ => Answer::error(501, "NotImplemented"),
        }
    }

    fn get(&self, request: &Request) -> Answer {
        let Some(object) = self.objects.get(&request.key) else { return Answer::error(404, "NoSuchKey") };
        if request.header("if-match").is_some_and(|tag| tag != object.tag) {
            return Answer::error(412, "PreconditionFailed");
        }
        let size = object.bytes.len();
        let mut answer = match request.range() {
            Some((first, end)) if first < size => {
                let end = end.min(size);
                let mut answer = Answer::new(206, &object.bytes[first..end]);
                answer.headers.insert("Content-Range", format!("bytes {first}-{}/{size}", end - 1));
                answer
            }
            Some(_) => return Answer::error(416, "InvalidRange"),
            None => Answer::new(200, object.bytes.as_slice()),
        };
        if request.method == "HEAD" {
            answer.unsent = Some(answer.body.len());
            answer.body.clear();
        }
        answer.headers.insert("ETag", object.tag.clone());
        answer.headers.insert("Last-Modified", as_in_headers(object.written));
        // Only these are known to anybody.
        for (name, header) in
            [("flowlakesha256", "x-amz-meta-flowlakesha256"), ("flowlakemark", "x-amz-meta-flowlakemark")]
        {
            if let Some(value) = object.metadata.get(name) {
                answer.headers.insert(header, value.clone());
            }
        }
        answer
    }

    fn put(&mut self, request: &Request, conditions: bool) -> Answer {
        let found = self.objects.get(&request.key);
        if conditions {
            if request.header("if-none-match") == Some("*") && found.is_some() {
                return Answer::error(412, "PreconditionFailed");
            }
            match (request.header("if-match"), found) {
                (Some(_), None) => return Answer::error(404, "NoSuchKey"),
                (Some(tag), Some(object)) if tag != object.tag => {
                    return Answer::error(412, "PreconditionFailed");
                }
                _ => {}
            }
        }
        let tag = self.write(&request.key, request.body.clone(), metadata(request));
        let mut answer = Answer::new(200, "");
        answer.headers.insert("ETag", tag);
        answer
    }

    fn begin_upload(&mut self, request: &Request) -> Answer {
        self.begun_uploads += 1;
        let id = format!("upload-{}", self.begun_uploads);
        let upload = Upload { key: request.key.clone(), metadata: metadata(request), parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), upload);
        let text = format!(
            "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
             </InitiateMultipartUploadResult>",
            request.key
        );
        Answer::new(200, text)
    }

    fn put_part(&mut self, request: &Request, upload: &str) -> Answer {
        let number = request.query.get("partNumber").and_then(|number| number.parse().ok());
        let (Some(upload), Some(number)) = (self.uploads.get_mut(upload), number) else {
            return Answer::error(404, "NoSuchUpload");
        };
        upload.parts.insert(number, request.body.clone());
        let mut answer = Answer::new(200, "");
        answer.headers.insert("ETag", format!("\"part-{number}\""));
        answer
    }

    fn complete(&mut self, upload: &str) -> Answer {
        let Some(upload) = self.uploads.remove(upload) else { return Answer::error(404, "NoSuchUpload") };
        let bytes = upload.parts.into_values().flatten().collect();
        let tag = self.write(&upload.key, bytes, upload.metadata);
        let text = format!(
            "<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>{}</Key><ETag>{tag}</ETag>\
             </CompleteMultipartUploadResult>",
            upload.key
        );
        Answer::new(200, text)
    }

    fn list_uploads(&self, request: &Request) -> Answer {
        let prefix = request.query.get("prefix").map_or("", String::as_str);
        let mut text = "<ListMultipartUploadsResult><Bucket>b</Bucket>".to_owned();
        for (id, upload) in self.uploads.iter().filter(|(_, upload)| upload.key.starts_with(prefix)) {
            let _ = write!(text, "<Upload><Key>{}</Key><UploadId>{id}</UploadId></Upload>", upload.key);
        }
        Answer::new(200, text + "</ListMultipartUploadsResult>")
    }

    fn list(&self, request: &Request, behaviour: Behaviour) -> Answer {
        let parameter = |name: &str| request.query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (parameter("prefix"), parameter("delimiter"));
        // The token is the last key of the page before.
        let after = parameter("continuation-token");
        let mut directories = BTreeSet::new();
        let mut text = "<ListBucketResult><Name>b</Name>".to_owned();
        let mut objects = 0;
        let (mut truncated, mut last) = (false, "");
        for (key, object) in self.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
            if key.as_str() <= after {
                continue;
            }
            if objects == behaviour.page {
                truncated = true;
                break;
            }
            last = key;
            let below = &key[prefix.len()..];
            if let Some((directory, _)) = below.split_once(delimiter).filter(|_| !delimiter.is_empty()) {
                directories.insert(format!("{prefix}{directory}/"));
                continue;
            }
            objects += 1;
            for _ in 0..behaviour.told {
                let _ = write!(
                    text,
                    "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                    escaped(key),
                    as_in_lists(object.written),
                    object.tag.replace('"', "&quot;"),
                    object.bytes.len()
                );
            }
        }
        for directory in directories {
            let _ = write!(text, "<CommonPrefixes><Prefix>{directory}</Prefix></CommonPrefixes>");
        }
        if truncated {
            let _ = write!(text, "<NextContinuationToken>{}</NextContinuationToken>", escaped(last));
        }
        let _ = write!(text, "<IsTruncated>{truncated}</IsTruncated></ListBucketResult>");
        Answer::new(200, text)
    }

    fn delete_several(&mut self, request: &Request) -> Answer {
        let text = String::from_utf8_lossy(&request.body);
        let mut deleted = "<DeleteResult>".to_owned();
        for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
            self.objects.remove(&key.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"));
            let _ = write!(deleted, "<Deleted><Key>{key}</Key></Deleted>");
        }
        Answer::new(200, deleted + "</DeleteResult>")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn metadata(request: &Request) -> BTreeMap<String, String> {
    let named = |(name, value): (&String, &String)| {
        Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone()))
    };
    request.headers.iter().filter_map(named).collect()
}

/// Year, month, day, and the seconds of the day.
fn date(seconds: u64) -> (u64, u64, u64, u64) {
    // Years from March, so that the day that is not in every year is the last one; four hundred years are 146,097 days.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day, seconds % 86_400)
}

fn as_in_lists(seconds: u64) -> String {
    let (year, month, day, second) = date(seconds);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

fn as_in_headers(seconds: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (year, month, day, second) = date(seconds);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let weekday = WEEKDAYS[(seconds / 86_400 % 7) as usize];
    let month = MONTHS[(month - 1) as usize];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(as_in_headers(1_767_225_600), "Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(as_in_headers(951_827_696), "Tue, 29 Feb 2000 12:34:56 GMT");
        assert_eq!(as_in_lists(951_827_696), "2000-02-29T12:34:56.000Z");
    }
}
