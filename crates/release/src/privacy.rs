//! Privacy: what is done to the addresses of a lake before it is handed on.
//!
//! A flow says who talked to whom. A MAC address tells a device and its maker, an IP address a home. A release can leave
//! such columns out, put keyed digests in the place of values, or map IP addresses to others so that networks stay networks.
//! Whatever is asked for holds for the whole release: not only columns, but also statistics, rejected lines, evidence and the
//! configuration would give addresses away, and are treated or withheld too ([`pseudonymise`]).
//!
//! With the same key the same value has the same pseudonym in every column, file and release; without the key nobody can tell
//! which value it was, other than by what is known of the flows from elsewhere. This is pseudonymisation and no more: whoever
//! has the dumps finds every row again by its time.

mod addresses;
mod key;
mod plan;
mod rewrite;
mod values;
mod withhold;

use flowlake_partition::manifest::{Privacy, Treatment};

pub use self::key::{Key, KeyError};
pub use self::plan::{PlanError, PrivacyPlan};
pub use self::rewrite::{PrivacyError, Pseudonymised, pseudonymise};

/// What is done to MAC addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MacTreatment {
    /// Nothing.
    #[default]
    Keep,
    /// Columns made of them are left out.
    Drop,
    /// Keyed digests take their place.
    Hmac,
}

/// What is done to IP addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IpTreatment {
    /// Nothing.
    #[default]
    Keep,
    /// Columns made of them are left out.
    Drop,
    /// Keyed digests take their place.
    Hmac,
    /// Other addresses take their place: those with a common prefix keep one of that length (`ipcrypt-pfx`).
    IpcryptPfx,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct PrivacyOptions {
    /// What is done to MAC addresses.
    pub mac: MacTreatment,
    /// What is done to IP addresses.
    pub ip: IpTreatment,
    /// Columns to leave out, whatever they hold.
    pub drop: Vec<String>,
    /// The key of whatever needs one.
    pub key: Option<Key>,
}

impl MacTreatment {
    fn treatment(self) -> Option<Treatment> {
        match self {
            Self::Keep => None,
            Self::Drop => Some(Treatment::Dropped),
            Self::Hmac => Some(Treatment::HmacSha256),
        }
    }
}

impl IpTreatment {
    fn treatment(self) -> Option<Treatment> {
        match self {
            Self::Keep => None,
            Self::Drop => Some(Treatment::Dropped),
            Self::Hmac => Some(Treatment::HmacSha256),
            Self::IpcryptPfx => Some(Treatment::IpcryptPfx),
        }
    }
}

impl PrivacyOptions {
    /// What was asked for when a release was made; `None` when that cannot have been asked for.
    #[must_use]
    pub fn of(privacy: &Privacy, key: Option<Key>) -> Option<Self> {
        let mac = [MacTreatment::Keep, MacTreatment::Drop, MacTreatment::Hmac];
        let ip = [IpTreatment::Keep, IpTreatment::Drop, IpTreatment::Hmac, IpTreatment::IpcryptPfx];
        Some(Self {
            mac: mac.into_iter().find(|mac| mac.treatment() == privacy.mac)?,
            ip: ip.into_iter().find(|ip| ip.treatment() == privacy.ip)?,
            drop: privacy.drop.clone(),
            key,
        })
    }

    /// Whether the lake is to stay as it is.
    #[must_use]
    pub fn asks_for_nothing(&self) -> bool {
        self.mac == MacTreatment::Keep && self.ip == IpTreatment::Keep && self.drop.is_empty()
    }

    /// Whether a key is needed.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        self.mac == MacTreatment::Hmac || matches!(self.ip, IpTreatment::Hmac | IpTreatment::IpcryptPfx)
    }
}

#[cfg(test)]
mod tests;
