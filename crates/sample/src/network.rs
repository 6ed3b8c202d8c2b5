//! The home network of the sample: who talks to the device, and how a flow meter writes their addresses.
//!
//! No real host is named: servers live in the ranges kept for documentation and benchmarks (RFC 5737, RFC 2544),
//! and the MACs of the peers are locally administered. Only the device's own MAC comes from the catalogue.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::random::Stream;

/// The MAC of the router, behind which every server appears.
const ROUTER_MAC: Mac = Mac([0x02, 0x4c, 0x4b, 0x00, 0x00, 0x01]);
const ROUTER_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const LAN_BROADCAST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 255);
/// How many other hosts the home has: telephones, laptops, a recorder.
const LAN_HOSTS: u8 = 8;

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl Mac {
    /// Reads `aa:bb:cc:dd:ee:ff`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2)?;
            *octet = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(octets))
    }

    /// The address the way super_mediator 1.8 prints it: with a stray colon at the end.
    fn exported(self) -> String {
        self.0.iter().map(|octet| format!("{octet:02x}:")).collect()
    }
}

/// One end of a flow, in the spelling of the dump.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// The address, IPv4 or IPv6.
    pub(crate) ip: String,
    /// The MAC, trailing colon included.
    pub(crate) mac: String,
}

impl Endpoint {
    fn new(ip: impl Into<IpAddr>, mac: Mac) -> Self {
        let ip = match ip.into() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => exported_ipv6(ip),
        };
        Self { ip, mac: mac.exported() }
    }

    /// A group address; its MAC follows from it.
    pub(crate) fn multicast(group: IpAddr) -> Self {
        let mac = match group {
            IpAddr::V4(ip) => {
                let [_, b, c, d] = ip.octets();
                Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d])
            }
            IpAddr::V6(ip) => {
                let octets = ip.octets();
                Mac([0x33, 0x33, octets[12], octets[13], octets[14], octets[15]])
            }
        };
        Self::new(group, mac)
    }

    /// All hosts of the home network.
    pub(crate) fn lan_broadcast() -> Self {
        Self::new(LAN_BROADCAST, Mac([0xff; 6]))
    }

    /// 255.255.255.255: where a host without an address looks for a DHCP server.
    pub(crate) fn everyone() -> Self {
        Self::new(Ipv4Addr::BROADCAST, Mac([0xff; 6]))
    }

    /// The router itself.
    pub(crate) fn router() -> Self {
        Self::new(ROUTER_IP, ROUTER_MAC)
    }

    /// The `n`-th other host of the home network.
    pub(crate) fn lan_host(n: u8) -> Self {
        let n = n % LAN_HOSTS;
        Self::new(Ipv4Addr::new(192, 168, 1, 11 + n), Mac([0x02, 0x4c, 0x4b, 0x00, 0x01, n]))
    }

    /// Up to `count` different hosts of the home network.
    pub(crate) fn lan_hosts(count: usize, stream: &mut Stream) -> Vec<Self> {
        let first = stream.below(u64::from(LAN_HOSTS)) as u8;
        (0..count.clamp(1, usize::from(LAN_HOSTS))).map(|n| Self::lan_host(first + n as u8)).collect()
    }

    /// `count` different servers on the Internet; their frames carry the router's MAC.
    pub(crate) fn servers(count: usize, stream: &mut Stream) -> Vec<Self> {
        let mut addresses: Vec<Ipv4Addr> = Vec::with_capacity(count);
        while addresses.len() < count.max(1) {
            let last = stream.between(1, 254) as u8;
            let address = match stream.below(6) {
                0 => Ipv4Addr::new(192, 0, 2, last),
                1 => Ipv4Addr::new(198, 51, 100, last),
                2 => Ipv4Addr::new(203, 0, 113, last),
                _ => Ipv4Addr::new(198, 18 + stream.below(2) as u8, stream.below(256) as u8, last),
            };
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses.into_iter().map(|address| Self::new(address, ROUTER_MAC)).collect()
    }
}

/// The device's own addresses.
#[derive(Debug, Clone)]
pub(crate) struct OwnAddresses {
    /// Its place in the home network.
    pub(crate) ipv4: Endpoint,
    /// Its link-local IPv6 address, made of its MAC (EUI-64).
    pub(crate) link_local: Endpoint,
    /// `::`: no address yet. Next to an IPv4 peer the exporter means 0.0.0.0 and prints the same.
    pub(crate) unspecified: Endpoint,
    /// The group on which others ask for its link-local address.
    pub(crate) solicited: Endpoint,
}

impl OwnAddresses {
    /// The IPv4 address ends in the MAC's last octet, so that it differs between devices without knowing the others.
    pub(crate) fn of(mac: Mac) -> Self {
        let [a, b, c, d, e, f] = mac.0;
        let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
        let interface = [pair(a ^ 0x02, b), pair(c, 0xff), pair(0xfe, d), pair(e, f)];
        let link_local =
            Ipv6Addr::new(0xfe80, 0, 0, 0, interface[0], interface[1], interface[2], interface[3]);
        let solicited = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, pair(0xff, d), interface[3]);
        Self {
            ipv4: Endpoint::new(Ipv4Addr::new(192, 168, 1, f.clamp(2, 254)), mac),
            link_local: Endpoint::new(link_local, mac),
            unspecified: Endpoint::new(Ipv6Addr::UNSPECIFIED, mac),
            solicited: Endpoint::multicast(solicited.into()),
        }
    }
}

/// IPv6 as super_mediator prints it: the longest run of zero groups becomes `::`, every other group keeps its
/// leading zeros (`ff02::0016`).
fn exported_ipv6(ip: Ipv6Addr) -> String {
    let groups = ip.segments();
    let (mut run_start, mut run_length) = (0, 0);
    for start in 0..groups.len() {
        let length = groups[start..].iter().take_while(|group| **group == 0).count();
        if length > run_length {
            (run_start, run_length) = (start, length);
        }
    }
    let padded =
        |groups: &[u16]| groups.iter().map(|group| format!("{group:04x}")).collect::<Vec<_>>().join(":");
    if run_length < 2 {
        return padded(&groups);
    }
    format!("{}::{}", padded(&groups[..run_start]), padded(&groups[run_start + run_length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_is_zero_padded_the_way_of_the_exporter() {
        let exported = |text: &str| exported_ipv6(text.parse().expect("an address"));
        assert_eq!(exported("ff02::16"), "ff02::0016");
        assert_eq!(exported("::"), "::");
        assert_eq!(exported("fe80::2a2:1ff:fe09:987"), "fe80::02a2:01ff:fe09:0987");
        assert_eq!(exported("2001:db8:1:0:2:3:4:5"), "2001:0db8:0001:0000:0002:0003:0004:0005");
    }

    #[test]
    fn group_macs_follow_from_the_group() {
        let mac = |text: &str| Endpoint::multicast(text.parse().expect("an address")).mac;
        assert_eq!(mac("239.255.255.250"), "01:00:5e:7f:ff:fa:");
        assert_eq!(mac("ff02::fb"), "33:33:00:00:00:fb:");
    }

    #[test]
    fn a_device_is_reached_under_addresses_made_of_its_mac() {
        let own = OwnAddresses::of(Mac::parse("00:00:5e:10:20:30").expect("a MAC"));
        assert_eq!(own.ipv4.ip, "192.168.1.48");
        assert_eq!(own.link_local.ip, "fe80::0200:5eff:fe10:2030");
        assert_eq!(own.solicited.ip, "ff02::0001:ff10:2030");
        assert_eq!(own.solicited.mac, "33:33:ff:10:20:30:");
    }

    #[test]
    fn bad_macs_are_refused() {
        for text in ["", "02:00:5e:10:20", "02:00:5e:10:20:3", "02:00:5e:10:20:zz", "02:00:5e:10:20:30:"] {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
    }
}
