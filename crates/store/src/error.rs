//! What can go wrong with a store, told so that a person knows what to do.
//!
//! Stores answer with documents that repeat what they were asked: a refused signature comes back with the key's id, the
//! string that was signed and the signature. So nothing of an answer is shown but its status, its code and its message,
//! and nothing of a URL behind its path.

use std::error::Error;
use std::fmt;
use std::io;

/// An operation that a store did not carry out.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {url}")]
pub struct StoreError {
    /// What was to be done.
    pub operation: &'static str,
    /// To what: a URL without credentials, or a path.
    pub url: String,
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// Whether the store itself has answered, rather than nobody, or somebody on the way.
    pub answered: bool,
    /// What the store or the system said.
    pub source: Cause,
}

/// What was said about a failure, cleared of anything secret.
#[derive(Debug)]
pub struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Cause {}

/// Kinds of failures, by what is to be done about them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// There is no such bucket.
    NoBucket,
    /// The credentials are good, but not for this.
    Permission,
    /// No credentials were found, or those there are could not be fetched.
    NoCredentials,
    /// The store does not know or accept the credentials.
    BadCredentials,
    /// The bucket lies in another region.
    WrongRegion {
        /// Which, where the store says so.
        region: Option<String>,
    },
    /// This machine's clock is wrong.
    ClockSkew,
    /// No trusted connection could be made.
    Tls,
    /// Nobody answers there.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The store failed, or asked for patience, for longer than we have.
    Unavailable,
    /// The object is not what it was: a condition was not met.
    Changed,
    /// There is such an object already.
    Exists,
    /// The store cannot do this at all.
    NotSupported,
    /// A configuration that cannot be used.
    Configuration,
    /// Somebody asked for it to stop.
    Interrupted,
    /// Anything else.
    Other,
}

impl StoreError {
    pub(crate) fn new(operation: &'static str, url: impl Into<String>, error: &object_store::Error) -> Self {
        let (kind, text, answered) = understand(error);
        Self { operation, url: url.into(), kind, answered, source: Cause(text) }
    }

    pub(crate) fn from_io(operation: &'static str, url: impl Into<String>, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            _ => ErrorKind::Other,
        };
        Self { operation, url: url.into(), kind, answered: false, source: Cause(error.to_string()) }
    }

    pub(crate) fn of_kind(
        operation: &'static str,
        url: impl Into<String>,
        kind: ErrorKind,
        text: impl Into<String>,
    ) -> Self {
        Self { operation, url: url.into(), kind, answered: false, source: Cause(text.into()) }
    }

    /// Whether trying again may help, and whether the operation may have been carried out although it failed.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Unreachable | ErrorKind::Other
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.kind.hint()
    }

    /// As an error of reading, for whoever reads bytes without knowing from where.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        // None of the kinds with which decoders report damage: see `describe` in the archive reader of dumps.
        let kind = match self.kind {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::Permission => io::ErrorKind::PermissionDenied,
            ErrorKind::Timeout => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::ConnectionAborted,
        };
        io::Error::new(kind, self)
    }

    /// The error of a store inside an error of reading, if it is one.
    #[must_use]
    pub fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl ErrorKind {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoBucket => "make the bucket first, or look for a slip in its name",
            Self::Permission => {
                "the credentials do not allow this; docs/object-stores.md lists the permissions needed"
            }
            Self::NoCredentials => {
                "give credentials the way other tools of this store take them: in the environment (AWS_ACCESS_KEY_ID, \
                 AWS_PROFILE, …), in a shared profile file, or from the machine's role"
            }
            Self::BadCredentials => {
                "look at the credentials in the environment or the profile: key, secret and token"
            }
            Self::WrongRegion { region: Some(region) } => return Some(format!("set AWS_REGION={region}")),
            Self::WrongRegion { region: None } => "set AWS_REGION to the region of the bucket",
            Self::ClockSkew => "set the clock of this machine; stores refuse requests that are minutes old",
            Self::Tls => {
                "for a certificate of your own authority give its file as AWS_CA_BUNDLE or SSL_CERT_FILE; for an \
                 endpoint without TLS begin its URL with http://"
            }
            Self::Unreachable => "look at the endpoint (AWS_ENDPOINT_URL) and the network",
            Self::Timeout | Self::Unavailable => {
                "try again later; FLOWLAKE_STORE_RETRIES and FLOWLAKE_STORE_TIMEOUT make it more patient"
            }
            Self::Changed => "somebody else wrote it meanwhile; try again when nobody does",
            Self::Configuration => "docs/object-stores.md lists what is read from the environment",
            Self::NotFound | Self::Exists | Self::NotSupported | Self::Interrupted | Self::Other => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}

/// Kind and text of an error of the library, and whether it is an answer of the store.
fn understand(error: &object_store::Error) -> (ErrorKind, String, bool) {
    let chain = chain(error);
    let answer = Answer::find(&chain);
    let kind = answer
        .kind()
        .or_else(|| kind_of(error))
        .or_else(|| answer.kind_of_status())
        .unwrap_or_else(|| kind_of_text(&chain));
    let text = match answer.text() {
        Some(text) => text,
        // The last cause is the one that says what happened; those above repeat it with more around it.
        None => clear(chain.last().map_or("", String::as_str)),
    };
    (kind, text, answer.status.is_some())
}

fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

/// Whether the library has tried it several times and given up. It does not say so otherwise, and it tries some again,
/// but neither answers that began well nor whatever it takes for something that must not be done twice.
pub(crate) fn was_tried_again(error: &object_store::Error) -> bool {
    chain(error).iter().any(|text| text.contains(", max_retries: "))
}

/// What a store answered, as far as it is in the text of an error.
#[derive(Debug, Default)]
struct Answer {
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    region: Option<String>,
}

impl Answer {
    fn find(chain: &[String]) -> Self {
        let all = |find: &dyn Fn(&str) -> Option<String>| chain.iter().find_map(|text| find(text));
        Self {
            status: all(&|text| {
                let digits = text.split_once("status code: ")?.1;
                Some(digits.chars().take_while(char::is_ascii_digit).collect())
            })
            .and_then(|digits| digits.parse().ok()),
            code: all(&|text| element(text, "Code")),
            message: all(&|text| element(text, "Message")),
            region: all(&|text| element(text, "Region")),
        }
    }

    fn kind(&self) -> Option<ErrorKind> {
        let by_code = match self.code.as_deref()? {
            "NoSuchBucket" | "ContainerNotFound" => ErrorKind::NoBucket,
            "NoSuchKey" | "BlobNotFound" => ErrorKind::NotFound,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "AuthorizationPermissionMismatch" => {
                ErrorKind::Permission
            }
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "TokenRefreshRequired"
            | "AuthenticationFailed"
            | "InvalidSecurity" => ErrorKind::BadCredentials,
            "RequestTimeTooSkewed" => ErrorKind::ClockSkew,
            "AuthorizationHeaderMalformed" if self.region.is_none() => ErrorKind::BadCredentials,
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException" => ErrorKind::WrongRegion { region: self.region.clone() },
            "SlowDown" | "InternalError" | "ServiceUnavailable" | "ServerBusy" => ErrorKind::Unavailable,
            "PreconditionFailed" | "ConditionalRequestConflict" => ErrorKind::Changed,
            "NotImplemented" => ErrorKind::NotSupported,
            _ => return None,
        };
        Some(by_code)
    }

    /// Where there is nothing but a status.
    fn kind_of_status(&self) -> Option<ErrorKind> {
        let status = self.status?;
        (status >= 500 || status == 429 || status == 408).then_some(ErrorKind::Unavailable)
    }

    fn text(&self) -> Option<String> {
        let status = self.status.map(|status| format!("status {status}"));
        let parts = [status, self.code.clone(), self.message.as_deref().map(clear)];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// The text of an XML element that has neither attributes nor elements below it.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once("</")?;
    Some(value.trim().to_owned())
}

fn kind_of(error: &object_store::Error) -> Option<ErrorKind> {
    Some(match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::AlreadyExists { .. } => ErrorKind::Exists,
        object_store::Error::Precondition { .. } | object_store::Error::NotModified { .. } => {
            ErrorKind::Changed
        }
        object_store::Error::PermissionDenied { .. } => ErrorKind::Permission,
        object_store::Error::Unauthenticated { .. } => ErrorKind::BadCredentials,
        object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. } => {
            ErrorKind::NotSupported
        }
        object_store::Error::UnknownConfigurationKey { .. } => ErrorKind::Configuration,
        // A key that no path here can have: it will not change by asking again.
        object_store::Error::InvalidPath { .. } => ErrorKind::NotSupported,
        _ => return None,
    })
}

/// Where neither the store nor the library has a word for it, the text of the causes has.
fn kind_of_text(chain: &[String]) -> ErrorKind {
    let says = |words: &[&str]| {
        chain.iter().any(|text| {
            // Neither what the user named nor the limits of the library say what happened.
            let text: Vec<&str> = text
                .split_whitespace()
                .filter(|word| !word.contains("://") && *word != "retry_timeout:")
                .collect();
            let text = text.join(" ").to_ascii_lowercase();
            words.iter().any(|word| text.contains(word))
        })
    };
    // A connection that breaks off is no matter of trust, though the library for TLS reports it.
    if says(&["close_notify", "unexpected eof"]) {
        ErrorKind::Unavailable
    } else if says(&[
        "certificate",
        "handshake",
        "corrupt message",
        "invalidcontenttype",
        "scheme is not http",
    ]) {
        ErrorKind::Tls
    } else if says(&["no credentials", "credentials provider", "not loaded", "credential"]) {
        ErrorKind::NoCredentials
    } else if says(&["non-partial response", "empty path segment", "illegal character sequence"]) {
        ErrorKind::NotSupported
    } else if says(&["without location"]) {
        ErrorKind::WrongRegion { region: None }
    } else if says(&["connection refused", "dns error", "failed to lookup", "no route", "unreachable"]) {
        ErrorKind::Unreachable
    } else if says(&["timed out", "timeout"]) {
        ErrorKind::Timeout
    } else if says(&[
        "status code: 5",
        "status code: 429",
        "connection",
        "error sending request",
        "incomplete",
        "body",
    ]) {
        ErrorKind::Unavailable
    } else {
        ErrorKind::Other
    }
}

/// A text without what stands behind a `?` in its URLs, cut where it becomes a document.
fn clear(text: &str) -> String {
    let text = text.split_once("<?xml").map_or(text, |(before, _)| before);
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| match word.contains("://") {
            true => word.split_once('?').map_or(word, |(url, _)| url),
            false => word,
        })
        .collect();
    let mut text = words.join(" ").trim_end_matches([':', ' ', '-']).to_owned();
    const MOST: usize = 600;
    if let Some((end, _)) = text.char_indices().nth(MOST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: &str, body: &str) -> StoreError {
        let text = format!(
            "Error performing PUT http://127.0.0.1/b/o?X-Amz-Signature=abc in 1ms - Server returned non-2xx status code: \
             {status}: {body}"
        );
        let error = object_store::Error::Generic { store: "S3", source: text.into() };
        StoreError::new("write", "s3://b/o", &error)
    }

    #[test]
    fn documents_of_a_store_are_told_without_their_secrets() {
        let error = answered(
            "403 Forbidden",
            "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated \
             does not match.</Message><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId><StringToSign>AWS4-HMAC</StringToSign>\
             <SignatureProvided>deadbeef</SignatureProvided></Error>",
        );
        assert_eq!(error.kind, ErrorKind::BadCredentials);
        assert_eq!(error.to_string(), "cannot write s3://b/o");
        assert_eq!(
            error.source.to_string(),
            "status 403, SignatureDoesNotMatch, The request signature we calculated does not match."
        );
        assert!(error.hint().is_some_and(|hint| hint.contains("credentials")));
    }

    #[test]
    fn what_a_person_has_to_do_follows_from_the_code() {
        let document = |code: &str, more: &str| format!("<Error><Code>{code}</Code>{more}</Error>");
        for (status, body, kind) in [
            ("404 Not Found", document("NoSuchBucket", ""), ErrorKind::NoBucket),
            ("403 Forbidden", document("AccessDenied", ""), ErrorKind::Permission),
            ("403 Forbidden", document("RequestTimeTooSkewed", ""), ErrorKind::ClockSkew),
            ("403 Forbidden", document("InvalidAccessKeyId", ""), ErrorKind::BadCredentials),
            (
                "400 Bad Request",
                document("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
                ErrorKind::WrongRegion { region: Some("eu-west-1".to_owned()) },
            ),
            (
                "301 Moved Permanently",
                document("PermanentRedirect", ""),
                ErrorKind::WrongRegion { region: None },
            ),
            ("503 Slow Down", document("SlowDown", ""), ErrorKind::Unavailable),
            ("500 Internal Server Error", String::new(), ErrorKind::Unavailable),
        ] {
            let error = answered(status, &body);
            assert_eq!(error.kind, kind, "{body}");
            assert!(error.hint().is_some(), "{body}");
        }
    }

    /// The library adds its limits, and the URL is the user's: neither is what happened.
    #[test]
    fn only_what_happened_decides_about_the_kind() {
        for (source, kind) in [
            (
                "Error performing GET http://h/b/x in 2s, after 1 retries, max_retries: 1, retry_timeout: 180s  - Server \
                 returned non-2xx status code: 503 Service Unavailable: ",
                ErrorKind::Unavailable,
            ),
            (
                "Error performing GET http://h/b/x in 2s, after 1 retries, max_retries: 1, retry_timeout: 180s  - HTTP \
                 error: error sending request",
                ErrorKind::Unavailable,
            ),
            (
                "Error performing GET http://h/certificates/tls/x in 2s - connection reset",
                ErrorKind::Unavailable,
            ),
            ("Error performing GET http://h/timeouts/x in 2s - connection refused", ErrorKind::Unreachable),
            (
                "peer closed connection without sending TLS close_notify: https://docs.rs/rustls",
                ErrorKind::Unavailable,
            ),
            ("invalid peer certificate: UnknownIssuer", ErrorKind::Tls),
        ] {
            let error = object_store::Error::Generic { store: "S3", source: source.into() };
            assert_eq!(StoreError::new("read", "s3://b/x", &error).kind, kind, "{source}");
        }
    }

    #[test]
    fn queries_of_urls_and_long_documents_are_cut() {
        let source = format!("GET https://a.blob/x?sig=SECRET failed {}", "y".repeat(2000));
        let error = object_store::Error::Generic { store: "Az", source: source.into() };
        let text = StoreError::new("read", "az://c/x", &error).source.to_string();
        assert!(text.starts_with("GET https://a.blob/x failed yyy"), "{text}");
        assert!(text.ends_with('…') && !text.contains("SECRET"), "{text}");
    }
}
