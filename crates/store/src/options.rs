//! How patient and how eager to be with a store.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Limits of the work with object stores.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How long a request may go without a byte of an answer. Writing has four times as long for the whole of a request.
    pub timeout: Duration,
    /// How often a request is tried again.
    pub retries: usize,
    /// How long after the first try another one may begin.
    pub retry_timeout: Duration,
    /// Bytes of a part of an upload; files up to this size are uploaded in one request. Stores want 5 MiB at least.
    pub part_bytes: usize,
    /// Bytes asked for at a time of an object that is read from its beginning to its end.
    pub range_bytes: usize,
    /// Ranges asked for ahead of the one that is read.
    pub ranges_ahead: usize,
    /// Ends every waiting with [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) soon after it is set.
    pub interrupted: Option<&'static AtomicBool>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            retries: 10,
            retry_timeout: Duration::from_secs(180),
            part_bytes: 8 << 20,
            range_bytes: 2 << 20,
            ranges_ahead: 3,
            interrupted: None,
        }
    }
}

/// A variable of the environment that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value}: expected {expected}")]
pub struct OptionsError {
    variable: &'static str,
    value: String,
    expected: &'static str,
}

impl StoreOptions {
    /// The defaults, changed by `FLOWLAKE_STORE_TIMEOUT`, `…_RETRIES`, `…_RETRY_TIMEOUT` and `…_PART_BYTES`.
    ///
    /// # Errors
    /// When one of them is no duration or number.
    pub fn from_environment() -> Result<Self, OptionsError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        set(&get, "FLOWLAKE_STORE_TIMEOUT", SECONDS, duration, &mut options.timeout)?;
        set(&get, "FLOWLAKE_STORE_RETRY_TIMEOUT", SECONDS, duration, &mut options.retry_timeout)?;
        set(&get, "FLOWLAKE_STORE_RETRIES", "a number", |text| text.parse().ok(), &mut options.retries)?;
        let mut part_bytes = None;
        let bytes = |text: &str| text.parse().ok().filter(|&bytes: &usize| bytes > 0).map(Some);
        set(&get, "FLOWLAKE_STORE_PART_BYTES", "a number of bytes above 0", bytes, &mut part_bytes)?;
        if let Some(bytes) = part_bytes {
            options.part_bytes = bytes;
            options.range_bytes = options.range_bytes.min(bytes);
        }
        Ok(options)
    }

    /// Bytes of an upload that may be in memory, all files together.
    #[must_use]
    pub fn upload_bytes(&self) -> usize {
        self.part_bytes.saturating_mul(2)
    }
}

const SECONDS: &str = "a time such as 30s or 500ms";

fn set<T>(
    get: impl Fn(&str) -> Option<String>,
    variable: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
    option: &mut T,
) -> Result<(), OptionsError> {
    let Some(value) = get(variable).filter(|value| !value.is_empty()) else { return Ok(()) };
    *option = parse(value.trim()).ok_or(OptionsError { variable, value, expected })?;
    Ok(())
}

fn duration(text: &str) -> Option<Duration> {
    let millis = |text: &str| text.parse::<u64>().ok().filter(|&n| n > 0).map(Duration::from_millis);
    let seconds = |text: &str| {
        text.parse::<f64>()
            .ok()
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
            .filter(|time| !time.is_zero())
    };
    match text.strip_suffix("ms") {
        Some(number) => millis(number),
        None => match text.strip_suffix('m') {
            Some(number) => seconds(number).map(|minutes| minutes * 60),
            None => seconds(text.strip_suffix('s').unwrap_or(text)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_change_the_defaults() {
        let options = StoreOptions::from_variables(|name| match name {
            "FLOWLAKE_STORE_TIMEOUT" => Some("2s".to_owned()),
            "FLOWLAKE_STORE_RETRY_TIMEOUT" => Some("1.5m".to_owned()),
            "FLOWLAKE_STORE_RETRIES" => Some("0".to_owned()),
            "FLOWLAKE_STORE_PART_BYTES" => Some("65536".to_owned()),
            _ => None,
        })
        .expect("they are understood");
        assert_eq!(options.timeout, Duration::from_secs(2));
        assert_eq!(options.retry_timeout, Duration::from_secs(90));
        assert_eq!((options.retries, options.part_bytes, options.range_bytes), (0, 65_536, 65_536));
    }

    #[test]
    fn what_is_no_number_is_an_error_that_says_which() {
        let error = StoreOptions::from_variables(|name| {
            (name == "FLOWLAKE_STORE_TIMEOUT").then(|| "soon".to_owned())
        });
        let text = error.expect_err("refused").to_string();
        assert_eq!(text, "FLOWLAKE_STORE_TIMEOUT=soon: expected a time such as 30s or 500ms");
    }
}
