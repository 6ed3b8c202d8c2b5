//! What a user names: a path, or the URL of a place in an object store.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use object_store::path::{Path as ObjectPath, PathPart};

/// A directory, or a prefix of an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A prefix in a bucket.
    Objects(ObjectUrl),
}

/// A prefix in a bucket of an object store. Shown as a URL without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectUrl {
    scheme: Scheme,
    bucket: String,
    /// Empty for the whole bucket.
    prefix: ObjectPath,
}

/// Kinds of object stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Amazon S3 and everything that speaks its protocol: `s3://`
    S3,
    /// Google Cloud Storage: `gs://`
    Gs,
    /// Azure Blob Storage: `az://`, the bucket being a container
    Az,
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }
}

/// Why a text names no place. Never quotes more than the scheme: what follows might hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// A URL of something else.
    #[error("no store has URLs that begin with {scheme}://; known are s3://, gs:// and az://")]
    Scheme {
        /// What it begins with.
        scheme: String,
    },
    /// Nothing behind the scheme.
    #[error("the URL names no bucket: expected {scheme}://BUCKET/PREFIX")]
    NoBucket {
        /// What it begins with.
        scheme: &'static str,
    },
    /// A name that no bucket has.
    #[error("the URL's bucket has other characters than letters, digits, `.`, `_` and `-`")]
    Bucket,
    /// A user name, password, port, query or fragment.
    #[error(
        "the URL holds more than a bucket and a prefix: expected {scheme}://BUCKET/PREFIX; credentials, regions and \
         endpoints come from the environment"
    )]
    MoreThanAPlace {
        /// What it begins with.
        scheme: &'static str,
    },
    /// A prefix with empty segments, `.` or `..`, which stores take for ordinary names and people do not.
    #[error("the URL's prefix has an empty segment, `.` or `..`, or a control character")]
    Prefix,
    /// A URL has to be text.
    #[error("the URL is not UTF-8")]
    NotText,
}

impl Location {
    /// Understands what a user gave. A text without `://` is a path, whatever it is.
    ///
    /// # Errors
    /// [`LocationError`] when it is a URL that names no place in a store.
    pub fn parse(text: &OsStr) -> Result<Self, LocationError> {
        let Some(url) = text.to_str() else {
            let is_url = text.as_encoded_bytes().windows(3).any(|window| window == b"://");
            return if is_url { Err(LocationError::NotText) } else { Ok(Self::Directory(text.into())) };
        };
        match url.split_once("://") {
            None => Ok(Self::Directory(text.into())),
            Some((scheme, rest)) => ObjectUrl::parse(scheme, rest).map(Self::Objects),
        }
    }

    /// The place `below` this one.
    #[must_use]
    pub fn join(&self, below: &str) -> Self {
        match self {
            Self::Directory(path) => Self::Directory(path.join(below)),
            Self::Objects(url) => Self::Objects(url.join(below)),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Objects(url) => url.fmt(f),
        }
    }
}

impl ObjectUrl {
    fn parse(scheme: &str, rest: &str) -> Result<Self, LocationError> {
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            // Hadoop's name for it.
            "s3" | "s3a" => Scheme::S3,
            "gs" => Scheme::Gs,
            "az" => Scheme::Az,
            other => return Err(LocationError::Scheme { scheme: other.to_owned() }),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(LocationError::NoBucket { scheme: scheme.name() });
        }
        if bucket.contains(['@', ':', '?', '#']) || prefix.contains(['?', '#']) {
            return Err(LocationError::MoreThanAPlace { scheme: scheme.name() });
        }
        if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
            return Err(LocationError::Bucket);
        }
        let prefix = ObjectPath::parse(prefix).map_err(|_| LocationError::Prefix)?;
        Ok(Self { scheme, bucket: bucket.to_owned(), prefix })
    }

    /// The kind of store.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The bucket, or container.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The prefix, without slashes at its ends.
    pub(crate) fn prefix(&self) -> &ObjectPath {
        &self.prefix
    }

    /// The place `below` this one; itself when that is empty.
    #[must_use]
    pub fn join(&self, below: &str) -> Self {
        Self { prefix: self.object(below), ..self.clone() }
    }

    /// The key of an object given by its path below this place.
    pub(crate) fn object(&self, below: &str) -> ObjectPath {
        below.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), |path, part| {
            // As it is: a name that was listed has to be found again. Only what no key can hold is written otherwise.
            let part = PathPart::parse(part).unwrap_or_else(|_| PathPart::from(part));
            path.join(part)
        })
    }

    /// The path of an object below this place; `None` when it lies elsewhere.
    pub(crate) fn below(&self, object: &ObjectPath) -> Option<String> {
        let rest = object.as_ref().strip_prefix(self.prefix.as_ref())?;
        match self.prefix.as_ref().is_empty() {
            true => Some(rest.to_owned()),
            false => rest.strip_prefix('/').map(str::to_owned),
        }
    }

    pub(crate) fn of_memory() -> Self {
        Self { scheme: Scheme::S3, bucket: "memory".to_owned(), prefix: ObjectPath::from("lake") }
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.bucket)?;
        match self.prefix.as_ref() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, LocationError> {
        Location::parse(OsStr::new(text)).map(|location| location.to_string())
    }

    #[test]
    fn urls_and_paths_are_told_apart() {
        assert_eq!(parse("s3://bucket/raw/").as_deref(), Ok("s3://bucket/raw"));
        assert_eq!(parse("S3A://bucket").as_deref(), Ok("s3://bucket"));
        assert_eq!(parse("gs://bucket/a/b").as_deref(), Ok("gs://bucket/a/b"));
        assert_eq!(parse("az://container/x=y").as_deref(), Ok("az://container/x=y"));
        assert_eq!(parse("./s3:/odd").as_deref(), Ok("./s3:/odd"));
        let Ok(Location::Directory(path)) = Location::parse(OsStr::new("lake")) else { panic!("a path") };
        assert_eq!(path, PathBuf::from("lake"));
    }

    #[test]
    fn what_is_no_place_is_refused_without_being_quoted() {
        for (text, error) in [
            ("http://host/bucket", LocationError::Scheme { scheme: "http".to_owned() }),
            ("s3://", LocationError::NoBucket { scheme: "s3" }),
            ("s3:///prefix", LocationError::NoBucket { scheme: "s3" }),
            ("s3://key:secret@bucket/x", LocationError::MoreThanAPlace { scheme: "s3" }),
            ("gs://bucket/x?token=1", LocationError::MoreThanAPlace { scheme: "gs" }),
            ("s3://a b/x", LocationError::Bucket),
            ("s3://bucket/a//b", LocationError::Prefix),
            ("s3://bucket/../b", LocationError::Prefix),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn objects_are_named_below_their_place() {
        let Ok(Location::Objects(url)) = Location::parse(OsStr::new("s3://b/lake")) else { panic!("a URL") };
        let object = url.object("data/month=2019-06/x.parquet");
        assert_eq!(object.as_ref(), "lake/data/month=2019-06/x.parquet");
        assert_eq!(url.below(&object).as_deref(), Some("data/month=2019-06/x.parquet"));
        assert_eq!(url.below(&ObjectPath::from("lakes/x")), None);
        let Ok(Location::Objects(root)) = Location::parse(OsStr::new("s3://b")) else { panic!("a URL") };
        assert_eq!(root.below(&root.object("x/y")).as_deref(), Some("x/y"));
        // Names that were listed are found again.
        assert_eq!(root.object("résumé [1] 100%.json").as_ref(), "résumé [1] 100%.json");
        assert_eq!(root.object("../x").as_ref(), "%2E%2E/x");
    }
}
