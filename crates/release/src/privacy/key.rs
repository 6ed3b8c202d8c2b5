//! The key of a release, and what is derived from it.

use hmac::{Hmac, KeyInit, Mac};
use ipcrypt_rs::IpcryptPfx;
use sha2::Sha256;

use super::addresses::Kind;

/// Bytes a key has at least.
const MIN_KEY_BYTES: usize = 16;
/// Bytes of a digest that a pseudonym shows.
const PSEUDONYM_BYTES: usize = 16;
/// Bytes of a digest that the key check shows.
const CHECK_BYTES: usize = 8;

/// Why bytes are no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// So short that it could be guessed.
    #[error("the key has {bytes} bytes: it must have at least {MIN_KEY_BYTES}")]
    Short {
        /// Bytes it has, without a line end.
        bytes: usize,
    },
}

/// A secret. What uses it gets a key of its own derived from it, HMAC-SHA-256 of a label, so that no use tells anything of
/// another.
#[derive(Clone)]
pub struct Key {
    derive: Hmac<Sha256>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// The key in the bytes of a file. One line end (LF or CR LF) at the end, which editors put there, is not part of it.
    ///
    /// # Errors
    /// When it is too short.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let secret = bytes.strip_suffix(b"\n").map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
        if secret.len() < MIN_KEY_BYTES {
            return Err(KeyError::Short { bytes: secret.len() });
        }
        Ok(Self { derive: hmac(secret) })
    }

    /// Tells keys apart without giving them away.
    #[must_use]
    pub fn check(&self) -> String {
        hex(&self.derived(b"flowlake key check")[..CHECK_BYTES])
    }

    /// What makes digests of a kind of address.
    pub(super) fn digests(&self, kind: Kind) -> KeyedDigest {
        let label: &[u8] = match kind {
            Kind::Mac => b"flowlake mac",
            Kind::Ip => b"flowlake ip",
        };
        KeyedDigest(hmac(&self.derived(label)))
    }

    /// What maps IP addresses to others. Both halves of the key of ipcrypt-pfx come from the same digest.
    pub(super) fn ipcrypt_pfx(&self) -> IpcryptPfx {
        IpcryptPfx::new(self.derived(b"flowlake ipcrypt-pfx"))
    }

    fn derived(&self, label: &[u8]) -> [u8; 32] {
        self.derive.clone().chain_update(label).finalize().into_bytes().into()
    }
}

/// Makes keyed digests of texts.
#[derive(Clone)]
pub(super) struct KeyedDigest(Hmac<Sha256>);

impl KeyedDigest {
    /// The pseudonym of a text.
    pub(super) fn of(&self, text: &str) -> String {
        hex(&self.0.clone().chain_update(text).finalize().into_bytes()[..PSEUDONYM_BYTES])
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    // Keys of HMAC may have any length.
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 32 bytes, 00 to 1f.
    fn key() -> Key {
        Key::from_file_bytes(&(0..32).collect::<Vec<u8>>()).expect("a key")
    }

    #[test]
    fn pseudonyms_are_what_another_implementation_computes() {
        // Python: h = lambda k, m: hmac.new(k, m, "sha256").digest()
        // h(h(bytes(range(32)), b"flowlake mac"), b"00:1a:2b:3c:4d:5e")[:16].hex()
        assert_eq!(key().digests(Kind::Mac).of("00:1a:2b:3c:4d:5e"), "1615e628115e239570a62c29e76e8e23");
        assert_eq!(key().digests(Kind::Ip).of("192.0.2.1"), "c2c927f27942013347c469ab5a96d850");
        assert_eq!(key().check(), "cb83f526f7ef5526");
    }

    #[test]
    fn addresses_are_mapped_as_another_implementation_does() {
        // tests/interop/pseudonyms.py: Pseudonyms(bytes(range(32))).ipcrypt_pfx
        let cipher = key().ipcrypt_pfx();
        for (ip, expected) in
            [("192.0.2.1", "235.41.234.78"), ("2001:db8::1", "1ed7:75a5:5f:586f:c13d:369a:39bd:1b3f")]
        {
            let found = cipher.encrypt_ipaddr(ip.parse().expect("an address"));
            assert_eq!(found.to_string(), expected);
        }
    }

    #[test]
    fn a_line_end_is_not_part_of_a_key() {
        let check = |bytes: &[u8]| Key::from_file_bytes(bytes).map(|key| key.check());
        let plain = check(b"sixteen bytes ok");
        assert_eq!(plain.clone().map(|check| check.len()), Ok(16));
        assert_eq!(plain, check(b"sixteen bytes ok\n"));
        assert_eq!(plain, check(b"sixteen bytes ok\r\n"));
        assert_ne!(plain, check(b"sixteen bytes ok\n\n"));
        assert_eq!(check(b"fifteen bytes..\n"), Err(KeyError::Short { bytes: 15 }));
        assert_eq!(check(b"").unwrap_err().to_string(), "the key has 0 bytes: it must have at least 16");
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = Key::from_file_bytes(b"correct horse battery").expect("a key");
        assert_eq!(format!("{key:?}"), "Key { .. }");
    }
}
