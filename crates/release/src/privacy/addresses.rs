//! What an address is, and which raw fields hold some.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Mac,
    Ip,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Mac, Self::Ip];

    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mac => "MAC",
            Self::Ip => "IP",
        }
    }

    /// The kind of address that a raw field holds. Those called IPv4 hold IPv6 addresses too.
    pub(super) fn of_field(field: &str) -> Option<Self> {
        match field {
            "sourceMacAddress" | "destinationMacAddress" => Some(Self::Mac),
            "sourceIPv4Address" | "destinationIPv4Address" => Some(Self::Ip),
            _ => None,
        }
    }

    /// Whether text is an address of this kind.
    pub(super) fn is(self, text: &str) -> bool {
        match self {
            Self::Ip => text.parse::<IpAddr>().is_ok(),
            Self::Mac => {
                let groups = text.strip_suffix(':').unwrap_or(text).split([':', '-']);
                let mut count = 0;
                groups.into_iter().all(|group| {
                    count += 1;
                    group.len() == 2 && group.bytes().all(|byte| byte.is_ascii_hexdigit())
                }) && count == 6
            }
        }
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    mac: bool,
    ip: bool,
}

impl Kinds {
    pub(super) fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Mac => self.mac = true,
            Kind::Ip => self.ip = true,
        }
    }

    pub(super) fn contains(self, kind: Kind) -> bool {
        match kind {
            Kind::Mac => self.mac,
            Kind::Ip => self.ip,
        }
    }
}

/// The addresses of these kinds in a text, wherever they stand, but for those that are no one's: none at all, loopback, broadcast,
/// multicast, and the one that stands for all MAC addresses in comments.
pub(super) fn addresses_in(text: &str, kinds: Kinds) -> BTreeSet<String> {
    let of_address = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '-');
    let words = text.split(|c| !of_address(c));
    // At the end of a sentence the point is none of the address, and neither is a dash before it.
    let words = words.map(|word| word.trim_matches(['.', '-']));
    // And neither is a colon behind it, but for that of an IPv6 address.
    let words = words.map(|word| match word.strip_suffix(':') {
        Some(before) if !word.ends_with("::") => before,
        _ => word,
    });
    words
        .chain(embedded(text))
        .filter(|word| {
            let kind = |kind: Kind| kinds.contains(kind) && kind.is(word);
            Kind::ALL.into_iter().any(kind) && !is_no_ones(word)
        })
        .map(str::to_owned)
        .collect()
}

/// What has the form of an IPv4 or MAC address, whatever stands around it: a port, a range, a word.
fn embedded(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(b' ');
    let mac_at = move |i: usize| {
        let separator = at(i + 2);
        let pairs = (0..6)
            .all(|pair| at(i + pair * 3).is_ascii_hexdigit() && at(i + pair * 3 + 1).is_ascii_hexdigit());
        let separated =
            matches!(separator, b':' | b'-') && (0..5).all(|pair| at(i + pair * 3 + 2) == separator);
        (pairs && separated).then_some(i + 17)
    };
    let ipv4_at = move |i: usize| {
        if i > 0 && (at(i - 1).is_ascii_digit() || at(i - 1) == b'.' && i > 1 && at(i - 2).is_ascii_digit()) {
            return None;
        }
        let mut end = i;
        for group in 0..4 {
            let digits = (0..4).take_while(|digit| at(end + digit).is_ascii_digit()).count();
            if !(1..=3).contains(&digits) {
                return None;
            }
            end += digits;
            if group < 3 {
                if at(end) != b'.' {
                    return None;
                }
                end += 1;
            }
        }
        // A fifth number makes it something else.
        (at(end) != b'.' || !at(end + 1).is_ascii_digit()).then_some(end)
    };
    // What is found is ASCII, so both ends are between characters.
    (0..bytes.len()).filter_map(move |i| text.get(i..mac_at(i).or_else(|| ipv4_at(i))?))
}

fn is_no_ones(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(ip) => {
            let broadcast = ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
            ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || broadcast
        }
        Err(_) => {
            let mac = address.trim_end_matches(':').replace('-', ":").to_ascii_lowercase();
            // The last bit of the first byte tells groups.
            let is_group = u8::from_str_radix(&mac[..2], 16).is_ok_and(|byte| byte & 1 == 1);
            is_group || mac == "aa:bb:cc:dd:ee:ff" || mac == "00:00:00:00:00:00"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        for mac in ["00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "00:1a:2b:3c:4d:5e:"] {
            assert!(Kind::Mac.is(mac), "{mac}");
        }
        for other in ["", "unknown", "00:1a:2b:3c:4d", "00:1a:2b:3c:4d:5e:6f", "00:1a:2b:3c:4d:5g"] {
            assert!(!Kind::Mac.is(other), "{other}");
        }
        assert!(Kind::Ip.is("192.0.2.1") && Kind::Ip.is("fe80::1") && !Kind::Ip.is("192.0.2"));
    }

    #[test]
    fn addresses_are_found_wherever_they_stand() {
        let both = Kinds { mac: true, ip: true };
        let mac = Kinds { mac: true, ip: false };
        let found = |text: &str| addresses_in(text, both).into_iter().collect::<Vec<_>>();
        assert_eq!(found("column = \"sourceIPv4Address\", value = \"192.0.2.1\""), ["192.0.2.1"]);
        assert_eq!(found("detail = 'from fe80::1.'"), ["fe80::1"]);
        for text in [
            "ip:192.0.2.1",
            "http://192.0.2.1:8080/",
            "a192.0.2.1",
            "node-192.0.2.1",
            "é192.0.2.1é",
            "x.192.0.2.1",
        ] {
            assert_eq!(found(text), ["192.0.2.1"], "{text}");
        }
        assert_eq!(found("192.0.2.1-192.0.2.9"), ["192.0.2.1", "192.0.2.9"]);
        assert!(found("device-00-1a-2b-3c-4d-5e").contains(&"00-1a-2b-3c-4d-5e".to_owned()));
        assert!(found("MAC:00:1a:2b:3c:4d:5e").contains(&"00:1a:2b:3c:4d:5e".to_owned()));
        assert_eq!(found("1.2.3.4.5 and 1.2.3"), [""; 0]);
        assert_eq!(found("by 192.0.2.1: (fe80::) -192.0.2.2-"), ["192.0.2.1", "192.0.2.2", "fe80::"]);
        assert_eq!(
            found("\"\"\"\nhost 192.0.2.1\n\"\"\" # 00-1A-2B-3C-4D-5E"),
            ["00-1A-2B-3C-4D-5E", "192.0.2.1"]
        );
        assert_eq!(found("# aa:bb:cc:dd:ee:ff: -> aa:bb:cc:dd:ee:ff"), [""; 0]);
        assert_eq!(
            found("0.0.0.0 and :: mean none; ff02::16, ff:ff:ff:ff:ff:ff are many; 1.5, 2019-06-25 12:30:00"),
            [""; 0]
        );
        assert_eq!(addresses_in("value = \"192.0.2.1\"", mac), BTreeSet::new());
    }

    #[test]
    fn built_in_recipes_name_no_addresses() {
        let both = Kinds { mac: true, ip: true };
        for recipe in [
            include_str!("../../../../config/recipes/encoded.toml"),
            include_str!("../../../../config/recipes/flows.toml"),
            include_str!("../../../../config/recipes/full.toml"),
        ] {
            assert_eq!(addresses_in(recipe, both), BTreeSet::new());
        }
    }
}
