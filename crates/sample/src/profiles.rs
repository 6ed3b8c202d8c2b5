//! The profiles: what each device class does, read from `config/sample.toml`.
//!
//! Everything is checked here, once, so that the generator can rely on it: ranges are ordered, shares lie in 0..=1,
//! every service that is named exists and suits the direction it is used in. Mistakes are reported with their line.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::clock::CAPTURE_DAYS;
use crate::error::SampleError;

/// What every class of devices does; made by [`parse_profiles`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    #[serde(skip)]
    pub(crate) file: String,
    #[serde(rename = "service")]
    pub(crate) services: BTreeMap<String, Spanned<Service>>,
    #[serde(rename = "class")]
    pub(crate) classes: BTreeMap<String, Spanned<Class>>,
    #[serde(rename = "device", default)]
    pub(crate) devices: BTreeMap<String, DeviceProfile>,
}

/// One kind of exchange on the network: who, over what, how much.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) protocol: Protocol,
    pub(crate) peer: Peer,
    #[serde(default)]
    pub(crate) port: u16,
    /// The other port, where it is fixed; an ephemeral one otherwise.
    pub(crate) other_port: Option<u16>,
    /// Type and code of an ICMP or ICMPv6 message.
    pub(crate) icmp: Option<[u8; 2]>,
    /// The group of a multicast service.
    pub(crate) group: Option<IpAddr>,
    #[serde(default)]
    pub(crate) initiator: Initiator,
    /// The device has no address yet and sends from `::`.
    #[serde(default)]
    pub(crate) unspecified: bool,
    /// How many different servers or hosts a device uses it with.
    pub(crate) hosts: Option<u16>,
    pub(crate) packets: Span,
    pub(crate) replies: Option<Span>,
    /// Payload bytes of a packet that has any.
    pub(crate) payload: Span,
    pub(crate) reply_payload: Option<Span>,
    #[serde(default)]
    pub(crate) duration_ms: Span,
    /// Share of exchanges nobody answers.
    #[serde(default)]
    pub(crate) unanswered: Share,
    /// Share of TCP connections in which neither end sends a byte of payload.
    #[serde(default)]
    pub(crate) empty: Share,
    /// Share of TCP connections in which only one end does.
    #[serde(default)]
    pub(crate) one_sided: Share,
    /// Share that goes on for hours and is cut by the meter every 30 minutes.
    #[serde(default)]
    pub(crate) active: Share,
    /// Packets the initiator sends in such a cut of 30 minutes.
    #[serde(default = "packets_of_a_cut")]
    pub(crate) active_packets: Span,
    /// The byte of the IP header.
    #[serde(default)]
    pub(crate) class_of_service: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Icmp,
    Icmpv6,
    Igmp,
}

/// Whom the device exchanges packets with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    /// Servers on the Internet.
    Server,
    Router,
    /// Other hosts of the home.
    Lan,
    /// The group of the service.
    Multicast,
    /// The IPv6 group of the device's own address.
    Solicited,
    /// The home's broadcast address.
    Broadcast,
    /// 255.255.255.255.
    Everyone,
}

impl Peer {
    fn can_initiate(self) -> bool {
        matches!(self, Self::Server | Self::Router | Self::Lan)
    }
}

/// Which end of the service sends the first packet of the flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Initiator {
    #[default]
    Client,
    /// The server: a late answer, or the next cut of a connection that is kept open.
    Server,
}

/// A class of devices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Class {
    /// Share of flows whose first packet comes from the other end.
    pub(crate) inbound: Share,
    /// Liveliness by hour of the day in Japan, 1 being average.
    pub(crate) hours: [Factor; 24],
    /// What weekends multiply it with.
    pub(crate) weekend: Factor,
    pub(crate) from_device: Vec<Talk>,
    pub(crate) to_device: Vec<Talk>,
}

/// A service a class uses, and how much.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Talk {
    pub(crate) service: Spanned<String>,
    pub(crate) weight: Factor,
    /// Runs by the clock, day and night, instead of following the rhythm of the house.
    pub(crate) every_seconds: Option<Period>,
}

/// What sets one device apart from its class.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceProfile {
    pub(crate) inbound: Option<Share>,
    /// Broadcasts of other hosts that ended up in this device's dump.
    pub(crate) strangers: Option<Strangers>,
    pub(crate) drift: Option<Drift>,
}

/// Flows that carry the device's MAC at neither end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Strangers {
    pub(crate) share: Share,
    pub(crate) service: Spanned<String>,
}

/// A change of behaviour: a new firmware, a new habit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drift {
    /// The day of the capture it happens on, from 0.
    pub(crate) day: u32,
    /// The service that is used `factor` times as much from then on.
    pub(crate) service: Spanned<String>,
    pub(crate) factor: Factor,
}

/// A probability.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share(pub(crate) f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match f64::deserialize(deserializer)? {
            share if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            share => Err(D::Error::custom(format_args!("{share} is no share: give a number from 0 to 1"))),
        }
    }
}

/// A positive multiplier or weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor(pub(crate) f64);

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match f64::deserialize(deserializer)? {
            factor if (0.01..=10_000.0).contains(&factor) => Ok(Self(factor)),
            factor => Err(D::Error::custom(format_args!("{factor} is not a number from 0.01 to 10000"))),
        }
    }
}

/// The period of something that runs by the clock.
///
/// At most 15 minutes: a flow is moved back to its beat, and no line may be more than 37 minutes out of order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Period(pub(crate) u16);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u16::deserialize(deserializer)? {
            seconds if (1..=900).contains(&seconds) => Ok(Self(seconds)),
            seconds => Err(D::Error::custom(format_args!("a period of {seconds} s is not within 1 to 900"))),
        }
    }
}

/// From one number to another, both included; small ones are likelier.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) low: u64,
    pub(crate) high: u64,
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match <[u64; 2]>::deserialize(deserializer)? {
            // An hour in milliseconds is the largest number any range has a use for.
            [low, high] if low <= high && high <= 3_600_000 => Ok(Self { low, high }),
            [low, high] => Err(D::Error::custom(format_args!(
                "[{low}, {high}] is no range: give [smallest, largest], at most 3600000"
            ))),
        }
    }
}

fn packets_of_a_cut() -> Span {
    Span { low: 30, high: 90 }
}

/// Reads and checks profiles; `file` is the name that errors give the text.
///
/// # Errors
///
/// [`SampleError::Profiles`], with the line, for text that is not TOML, unknown keys, values out of range and names
/// of services that do not exist or do not suit their use.
pub fn parse_profiles(toml_text: &str, file: &str) -> Result<Profiles, SampleError> {
    let at = |span: Option<Range<usize>>, message: String| {
        let before = span.map_or(0, |span| span.start).min(toml_text.len());
        let line = 1 + toml_text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count();
        SampleError::Profiles { file: file.to_owned(), line, message }
    };
    let mut profiles: Profiles =
        toml::from_str(toml_text).map_err(|error| at(error.span(), error.message().trim().to_owned()))?;
    profiles.file = file.to_owned();
    check(&profiles).map_err(|(span, message)| at(Some(span), message))?;
    Ok(profiles)
}

type Mistake = (Range<usize>, String);

fn check(profiles: &Profiles) -> Result<(), Mistake> {
    for (name, service) in &profiles.services {
        if let Some(reason) = mistake_in_service(service.get_ref()) {
            return Err((service.span(), format!("service '{name}': {reason}")));
        }
    }
    let service = |name: &Spanned<String>| {
        profiles
            .services
            .get(name.get_ref())
            .map(Spanned::get_ref)
            .ok_or_else(|| (name.span(), format!("there is no service '{}'", name.get_ref())))
    };
    for (name, class) in &profiles.classes {
        let (span, class) = (class.span(), class.get_ref());
        if class.from_device.is_empty() || class.to_device.is_empty() {
            return Err((
                span,
                format!("class '{name}' needs a service in from_device and one in to_device"),
            ));
        }
        for talk in &class.from_device {
            service(&talk.service)?;
        }
        for talk in &class.to_device {
            let used = service(&talk.service)?;
            if !used.peer.can_initiate() || used.unspecified {
                let message = format!("nobody can start '{}' towards the device", talk.service.get_ref());
                return Err((talk.service.span(), message));
            }
        }
    }
    for device in profiles.devices.values() {
        if let Some(strangers) = &device.strangers {
            let used = service(&strangers.service)?;
            if !matches!(used.peer, Peer::Broadcast | Peer::Multicast) || used.unspecified {
                let message = "strangers are only overheard on a broadcast or multicast service";
                return Err((strangers.service.span(), message.to_owned()));
            }
        }
        if let Some(drift) = &device.drift {
            service(&drift.service)?;
            if drift.day >= CAPTURE_DAYS {
                let message = format!("day {} is after the capture's {CAPTURE_DAYS} days", drift.day);
                return Err((drift.service.span(), message));
            }
        }
    }
    Ok(())
}

fn mistake_in_service(service: &Service) -> Option<&'static str> {
    let icmp = matches!(service.protocol, Protocol::Icmp | Protocol::Icmpv6);
    let one_way = icmp || service.protocol == Protocol::Igmp;
    let group = service.peer == Peer::Multicast;
    let version_6 = service.peer == Peer::Solicited || service.group.is_some_and(|group| group.is_ipv6());
    let tcp_only = [service.empty, service.one_sided];
    let reply_payload = service.reply_payload.map_or(service.payload, |payload| payload);
    match service {
        _ if icmp != service.icmp.is_some() => Some("`icmp = [type, code]` goes with icmp and icmpv6, only"),
        _ if one_way && (service.port != 0 || service.other_port.is_some()) => {
            Some("this protocol has no ports")
        }
        _ if one_way && service.replies.is_some() => Some("answers to this protocol are flows of their own"),
        _ if group != service.group.is_some() => Some("`group` goes with `peer = \"multicast\"`, only"),
        _ if service.group.is_some_and(|group| !group.is_multicast()) => {
            Some("`group` is no multicast address")
        }
        _ if (service.protocol == Protocol::Icmpv6) != version_6 && service.protocol != Protocol::Udp => {
            Some("the peer's addresses are of another IP version than the protocol")
        }
        _ if !service.peer.can_initiate() && service.replies.is_some() => Some("a group does not answer"),
        _ if service.protocol != Protocol::Tcp && tcp_only.iter().any(|share| share.0 > 0.0) => {
            Some("`empty` and `one_sided` go with tcp, only")
        }
        _ if service.packets.low == 0 || service.replies.is_some_and(|replies| replies.low == 0) => {
            Some("a flow has at least one packet; use `unanswered` for the lack of answers")
        }
        _ if service.active_packets.low < 8 => Some("30 minutes without a gap of 5 take at least 8 packets"),
        _ if service.payload.low == 0 || reply_payload.low == 0 => Some("a payload has at least one byte"),
        _ if service.payload.high.max(reply_payload.high) > 1_448 => {
            Some("a payload above 1448 fits no packet")
        }
        _ if service.duration_ms.high > 1_790_000 => Some("a longer flow is cut: use `active`"),
        _ if service.hosts == Some(0) => Some("it needs a host"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../config/sample.toml");

    fn mistake(find: &str, replace: &str) -> String {
        assert!(SHIPPED.contains(find), "{find}");
        parse_profiles(&SHIPPED.replacen(find, replace, 1), "sample.toml").expect_err(replace).to_string()
    }

    #[test]
    fn the_shipped_profiles_are_valid_and_use_every_service() {
        let profiles = parse_profiles(SHIPPED, "sample.toml").expect("valid profiles");
        let talks = profiles.classes.values().map(Spanned::get_ref).flat_map(|class| {
            class.from_device.iter().chain(&class.to_device).map(|talk| talk.service.get_ref())
        });
        let used: std::collections::BTreeSet<_> = talks.collect();
        assert_eq!(used.into_iter().collect::<Vec<_>>(), profiles.services.keys().collect::<Vec<_>>());
    }

    #[test]
    fn mistakes_name_file_line_and_key() {
        let line = 1 + SHIPPED.lines().position(|line| line == "[service.https]").expect("a service");
        let unknown = mistake("[service.https]\n", "[service.https]\ncolour = 1\n");
        assert!(
            unknown.starts_with(&format!("sample.toml:{}: unknown field `colour`", line + 1)),
            "{unknown}"
        );
        let range = mistake("[service.https]\n", "[service.https]\nactive_packets = [9, 8]\n");
        assert!(range.starts_with(&format!("sample.toml:{}: [9, 8] is no range", line + 1)), "{range}");
        let share = mistake("inbound = ", "inbound = 1");
        assert!(share.contains("is no share"), "{share}");
    }

    #[test]
    fn names_that_lead_nowhere_are_mistakes() {
        let missing = mistake("service = \"https\"", "service = \"htps\"");
        assert!(missing.ends_with("there is no service 'htps'"), "{missing}");
        let absurd = mistake("to_device = [", "to_device = [ { service = \"mdns\", weight = 1 },");
        assert!(absurd.ends_with("nobody can start 'mdns' towards the device"), "{absurd}");
        let late = mistake("drift = { day = ", "drift = { day = 1000");
        assert!(late.contains("after the capture's"), "{late}");
    }
}
