//! Pseudonyms of the values of a column.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};
use flowlake_partition::manifest::ColumnType;
use ipcrypt_rs::IpcryptPfx;

use super::key::KeyedDigest;
use super::plan::{ColumnPlan, PrivacyPlan};

/// Pseudonyms remembered of a column. Flows of a device repeat few addresses; this bounds memory where they do not.
const REMEMBERED: usize = 16_384;

/// A value that is no address in a column of addresses: its row, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAnAddress {
    pub(super) row: usize,
}

/// Puts pseudonyms in the place of the values of one column. Each thread has its own.
pub(super) enum Pseudonyms {
    Texts { known: Known<Box<str>, Box<str>>, method: Method, fill: Option<String> },
    Numbers { known: Known<i64, i64>, cipher: Box<IpcryptPfx>, fill: Option<String> },
}

/// How text gets its pseudonym.
pub(super) enum Method {
    Digest(KeyedDigest),
    Pfx(Box<IpcryptPfx>),
}

impl Pseudonyms {
    /// For the columns of a plan that are released; `None` for those that stay as they are.
    pub(super) fn of(plan: &PrivacyPlan) -> Vec<Option<Self>> {
        let released = plan.columns.iter().filter(|(_, how)| *how != ColumnPlan::Drop);
        released
            .map(|(column, how)| {
                // A plan has a key where one is needed.
                let key = plan.key.as_ref()?;
                let (method, fill) = match how {
                    ColumnPlan::Keep | ColumnPlan::Drop => return None,
                    ColumnPlan::Hmac { kind, fill } => (Method::Digest(key.digests(*kind)), fill.clone()),
                    ColumnPlan::IpcryptPfx { fill } if column.data_type == ColumnType::Int64 => {
                        let (known, cipher) = (Known::default(), Box::new(key.ipcrypt_pfx()));
                        return Some(Self::Numbers { known, cipher, fill: fill.clone() });
                    }
                    ColumnPlan::IpcryptPfx { fill } => {
                        (Method::Pfx(Box::new(key.ipcrypt_pfx())), fill.clone())
                    }
                };
                Some(Self::Texts { known: Known::default(), method, fill })
            })
            .collect()
    }

    /// The pseudonyms of values; nulls stay nulls.
    pub(super) fn apply(&mut self, values: &ArrayRef) -> Result<ArrayRef, NotAnAddress> {
        match self {
            Self::Texts { known, method, fill } => {
                let values = values.as_string_view();
                let mut pseudonyms = StringViewBuilder::with_capacity(values.len());
                for (row, value) in values.iter().enumerate() {
                    let Some(value) = value else {
                        pseudonyms.append_null();
                        continue;
                    };
                    if let Some(pseudonym) = known.0.get(value) {
                        pseudonyms.append_value(pseudonym);
                        continue;
                    }
                    let pseudonym = method.pseudonym(value, fill.as_deref()).ok_or(NotAnAddress { row })?;
                    pseudonyms.append_value(&pseudonym);
                    known.remember(value.into(), pseudonym.into());
                }
                Ok(Arc::new(pseudonyms.finish()))
            }
            Self::Numbers { known, cipher, fill } => {
                let pseudonym = |(row, value): (usize, Option<i64>)| {
                    let Some(value) = value else { return Ok(None) };
                    if let Some(pseudonym) = known.0.get(&value) {
                        return Ok(Some(*pseudonym));
                    }
                    let pseudonym = match u32::try_from(value) {
                        Ok(bits) => match encrypt(cipher, Ipv4Addr::from_bits(bits).into()) {
                            IpAddr::V4(ip) => i64::from(ip.to_bits()),
                            IpAddr::V6(_) => return Err(NotAnAddress { row }),
                        },
                        Err(_) if fill.as_deref() == Some(value.to_string().as_str()) => value,
                        Err(_) => return Err(NotAnAddress { row }),
                    };
                    known.remember(value, pseudonym);
                    Ok(Some(pseudonym))
                };
                let values = values.as_primitive::<Int64Type>();
                let pseudonyms: Int64Array =
                    values.iter().enumerate().map(pseudonym).collect::<Result<_, _>>()?;
                Ok(Arc::new(pseudonyms))
            }
        }
    }
}

impl Method {
    /// The pseudonym of a value that is an address, and that value itself which stands where there is none; nothing for
    /// text that cannot be one.
    fn pseudonym(&self, value: &str, fill: Option<&str>) -> Option<String> {
        // As derivations write text.
        if fill.is_some_and(|fill| format!("{value:?}") == fill) {
            return Some(value.to_owned());
        }
        match self {
            Self::Digest(digest) => Some(digest.of(value)),
            Self::Pfx(cipher) => value.parse().ok().map(|ip| encrypt(cipher, ip).to_string()),
        }
    }
}

/// Another address of the same family. As the definition of ipcrypt-pfx has it, an IPv4 address that is written as IPv6
/// (`::ffff:192.0.2.1`) is treated as the IPv4 address that it is; it stays written in that way.
fn encrypt(cipher: &IpcryptPfx, ip: IpAddr) -> IpAddr {
    let mapped = match ip {
        IpAddr::V6(ip) => ip.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    match (mapped.map(|ip| cipher.encrypt_ipaddr(ip.into())), ip) {
        (Some(IpAddr::V4(ip)), _) => ip.to_ipv6_mapped().into(),
        _ => cipher.encrypt_ipaddr(ip),
    }
}

/// Pseudonyms that were computed already, not more than a fixed number.
#[derive(Debug)]
pub(super) struct Known<K, V>(HashMap<K, V>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V> Known<K, V> {
    fn remember(&mut self, value: K, pseudonym: V) {
        if self.0.len() == REMEMBERED {
            self.0.clear();
        }
        self.0.insert(value, pseudonym);
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringViewArray;
    use proptest::prelude::*;

    use super::*;
    use crate::privacy::key::Key;

    fn cipher(hex: &str) -> IpcryptPfx {
        let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal");
        IpcryptPfx::new(std::array::from_fn(byte))
    }

    fn text(method: Method, fill: Option<&str>) -> Pseudonyms {
        Pseudonyms::Texts { known: Known::default(), method, fill: fill.map(str::to_owned) }
    }

    /// Test vectors of draft-denis-ipcrypt.
    #[test]
    fn ipcrypt_pfx_is_that_of_its_definition() {
        let cases = [
            (
                "0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301",
                &[
                    ("0.0.0.0", "151.82.155.134"),
                    ("255.255.255.255", "94.185.169.89"),
                    ("192.0.2.1", "100.115.72.131"),
                    ("2001:db8::1", "c180:5dd4:2587:3524:30ab:fa65:6ab6:f88"),
                ][..],
            ),
            (
                "2b7e151628aed2a6abf7158809cf4f3ca9f5ba40db214c3798f2e1c23456789a",
                &[
                    ("10.0.0.47", "19.214.210.244"),
                    ("10.0.0.129", "19.214.210.80"),
                    ("172.16.5.193", "210.78.229.136"),
                    ("2001:db8::a5c9:4e2f:bb91:5a7d", "7cec:702c:1243:f70:1956:125:b9bd:1aba"),
                    ("2001:db8:3a5c::e7d1:4b9f:2c8a:f673", "7cec:702c:3503:bef:e616:96bd:be33:a9b9"),
                ][..],
            ),
        ];
        for (key, pairs) in cases {
            let cipher = cipher(key);
            for (ip, expected) in pairs {
                let found = encrypt(&cipher, ip.parse().expect("an address"));
                assert_eq!(found.to_string(), *expected, "{ip}");
            }
        }
    }

    #[test]
    fn an_ipv4_address_in_ipv6_is_the_same_address() {
        let cipher = cipher("0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301");
        let found = encrypt(&cipher, "::ffff:192.0.2.1".parse().expect("an address"));
        assert_eq!(found.to_string(), "::ffff:100.115.72.131");
    }

    #[test]
    fn nulls_and_fills_stay_and_what_is_no_address_is_an_error() {
        let key = Key::from_file_bytes(b"sixteen bytes ok").expect("a key");
        let values: ArrayRef =
            Arc::new(StringViewArray::from(vec![Some("192.0.2.1"), None, Some("none"), Some("192.0.2.1")]));
        let mut pfx = text(Method::Pfx(Box::new(key.ipcrypt_pfx())), Some("\"none\""));
        let found = pfx.apply(&values).expect("addresses");
        let found: Vec<_> = found.as_string_view().iter().collect();
        assert_eq!((found[1], found[2]), (None, Some("none")));
        assert!(found[0].is_some_and(|ip| ip.parse::<Ipv4Addr>().is_ok() && ip != "192.0.2.1"));
        assert_eq!(found[0], found[3]);
        let mut pfx = text(Method::Pfx(Box::new(key.ipcrypt_pfx())), None);
        assert_eq!(pfx.apply(&values).expect_err("refused"), NotAnAddress { row: 2 });

        let numbers = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        let of = |fill: Option<&str>| Pseudonyms::Numbers {
            known: Known::default(),
            cipher: Box::new(key.ipcrypt_pfx()),
            fill: fill.map(str::to_owned),
        };
        let values = numbers(vec![Some(0xC000_0201), None, Some(-1)]);
        let found = of(Some("-1")).apply(&values).expect("addresses");
        let found: Vec<_> = found.as_primitive::<Int64Type>().iter().collect();
        let expected = encrypt(&key.ipcrypt_pfx(), "192.0.2.1".parse().expect("an address"));
        let IpAddr::V4(expected) = expected else { panic!("{expected} is no IPv4 address") };
        assert_eq!(found, [Some(i64::from(expected.to_bits())), None, Some(-1)]);
        assert_eq!(of(None).apply(&values).expect_err("refused"), NotAnAddress { row: 2 });
        assert!(of(None).apply(&numbers(vec![Some(1 << 32)])).is_err());
    }

    #[test]
    fn what_was_forgotten_is_computed_again() {
        let key = Key::from_file_bytes(b"sixteen bytes ok").expect("a key");
        let values: Vec<String> = (0..REMEMBERED + 10).map(|i| format!("value {i}")).collect();
        let values: ArrayRef = Arc::new(StringViewArray::from_iter_values(&values));
        let mut digests = text(Method::Digest(key.digests(crate::privacy::addresses::Kind::Mac)), None);
        let first = digests.apply(&values).expect("text");
        assert_eq!(&first, &digests.apply(&values).expect("text"));
    }

    proptest! {
        #[test]
        fn addresses_keep_as_much_in_common_as_they_had(a in any::<u32>(), shared in 0_u32..=32, b in any::<u32>()) {
            let cipher = cipher("2b7e151628aed2a6abf7158809cf4f3ca9f5ba40db214c3798f2e1c23456789a");
            let mask = u32::MAX.checked_shl(32 - shared).unwrap_or(0);
            let b = a & mask | b & !mask;
            let encrypted = |bits: u32| match encrypt(&cipher, Ipv4Addr::from_bits(bits).into()) {
                IpAddr::V4(ip) => ip.to_bits(),
                IpAddr::V6(ip) => panic!("{ip} is no IPv4 address"),
            };
            prop_assert_eq!((a ^ b).leading_zeros(), (encrypted(a) ^ encrypted(b)).leading_zeros());
        }

        #[test]
        fn so_do_those_of_ipv6(a in any::<u128>(), shared in 0_u32..=128, b in any::<u128>()) {
            let cipher = cipher("2b7e151628aed2a6abf7158809cf4f3ca9f5ba40db214c3798f2e1c23456789a");
            let mask = u128::MAX.checked_shl(128 - shared).unwrap_or(0);
            let b = a & mask | b & !mask;
            let encrypted = |bits: u128| match encrypt(&cipher, std::net::Ipv6Addr::from_bits(bits).into()) {
                IpAddr::V6(ip) => ip.to_bits(),
                IpAddr::V4(ip) => panic!("{ip} is no IPv6 address"),
            };
            prop_assert_eq!((a ^ b).leading_zeros(), (encrypted(a) ^ encrypted(b)).leading_zeros());
        }
    }
}
