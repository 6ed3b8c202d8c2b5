//! What an address is, and which raw fields hold some.

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

/// Whether the TOML `text` has an address of one of these kinds between quotes. Comments, which explain what addresses look
/// like, do not count, and neither does the address that means none.
pub(super) fn names_addresses(text: &str, kinds: Kinds) -> bool {
    let named = |word: &str| {
        let means_none = word.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        !means_none && Kind::ALL.into_iter().any(|kind| kinds.contains(kind) && kind.is(word))
    };
    let of_address = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '-');
    text.lines().any(|line| {
        let mut quote = None;
        let mut word = String::new();
        for c in line.chars() {
            if quote.is_some() && of_address(c) {
                word.push(c);
                continue;
            }
            // At the end of a sentence the point is none of the address.
            if named(word.trim_end_matches('.')) {
                return true;
            }
            word.clear();
            match (quote, c) {
                (None, '#') => return false,
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), _) if open == c => quote = None,
                _ => {}
            }
        }
        named(word.trim_end_matches('.'))
    })
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
    fn addresses_in_a_recipe_are_found_where_they_mean_something() {
        let both = Kinds { mac: true, ip: true };
        let mac = Kinds { mac: true, ip: false };
        let named = |text: &str| names_addresses(text, both);
        assert!(named("derive = { one_hot = { column = \"sourceIPv4Address\", value = \"192.0.2.1\" } }"));
        assert!(named("detail = 'from fe80::1.'"));
        assert!(named("values = [\"x\", \"00:1a:2b:3c:4d:5e\"] # why"));
        assert!(!named("repairs = [ # aa:bb:cc:dd:ee:ff: -> aa:bb:cc:dd:ee:ff"));
        assert!(!named("detail = \"0.0.0.0 and :: mean none; 1.5 does too\""));
        assert!(!names_addresses("value = \"192.0.2.1\"", mac));
    }

    #[test]
    fn built_in_recipes_name_no_addresses() {
        let both = Kinds { mac: true, ip: true };
        for recipe in [
            include_str!("../../../../config/recipes/encoded.toml"),
            include_str!("../../../../config/recipes/flows.toml"),
            include_str!("../../../../config/recipes/full.toml"),
        ] {
            assert!(!names_addresses(recipe, both));
        }
    }
}
