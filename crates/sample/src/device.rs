//! One device's flows, one after the other: which service, with whom, when.
//!
//! A device has habits that its class does not share: its own servers, ports, network stack and a handful of usual
//! exchanges per service that it repeats most of the time. Habits make the devices of a class tell apart, as real
//! ones do, and they are why the dumps compress as well as real ones.

use std::collections::BTreeMap;

use toml::Spanned;

use crate::clock::{CAPTURE_END, Rhythm, Tick, Timeline};
use crate::error::SampleError;
use crate::exchange::{Ending, Exchange, Stack, Timing};
use crate::generate::SampleDevice;
use crate::network::{Endpoint, Mac, OwnAddresses};
use crate::profiles::{self, DeviceProfile, Initiator, Peer, Profiles, Protocol, Service};
use crate::random::{Stream, Weighted};

/// Usual exchanges a device has with each service.
const HABITS: usize = 5;
/// Share of flows that repeat the one before: the same service, habit and peer. Traffic comes in bursts.
const BURSTS: f64 = 0.65;
/// A flow waits this long for another packet before it is exported.
const IDLE_TIMEOUT_MS: i64 = 300_000;
/// The latest that an idle flow was ever exported, just below 37 minutes.
const LATEST_EXPORT_MS: u64 = 2_200_000;

/// A flow, ready to be written.
pub(crate) struct Flow<'a> {
    /// Milliseconds since 1970.
    pub(crate) start: i64,
    pub(crate) timing: Timing,
    pub(crate) protocol: u8,
    pub(crate) source: &'a Endpoint,
    pub(crate) source_port: u16,
    pub(crate) destination: &'a Endpoint,
    pub(crate) destination_port: u16,
    pub(crate) exchange: &'a Exchange,
    /// First sequence numbers of both directions; 0 where there is none.
    pub(crate) sequence: [u32; 2],
    pub(crate) class_of_service: u8,
    /// The source is the device.
    pub(crate) device_initiated: bool,
}

/// A device that talks until its number of flows is reached.
pub(crate) struct Device<'p> {
    stream: Stream,
    timeline: Timeline,
    flows_left: u64,
    /// How many flows are still going on when the capture ends.
    cut_short: u64,
    stack: Stack,
    ports: Ports,
    /// Share of exchanges that are not a habit.
    varied: f64,
    inbound: f64,
    strangers: f64,
    talks: Vec<Talk<'p>>,
    /// What the device starts: before and after its behaviour drifts.
    from_device: [Mix; 2],
    drift_day: u32,
    to_device: Mix,
    stranger: usize,
    /// The flow before, which a burst goes on with.
    before: Option<Chosen>,
    /// The exchange of the current flow, if it is not a habit.
    fresh: Option<Exchange>,
}

/// Which flow it is: places in `talks`, and in its `habits` and `far`.
#[derive(Clone, Copy)]
struct Chosen {
    talk: usize,
    habit: usize,
    far: usize,
}

/// A service in use by this device.
struct Talk<'p> {
    service: &'p Service,
    from_device: bool,
    device_initiated: bool,
    near: Endpoint,
    far: Vec<Endpoint>,
    far_choice: Weighted,
    /// Milliseconds an answer takes, by place in `far`.
    round_trips: Vec<u64>,
    habits: Vec<Exchange>,
    habit_choice: Weighted,
    beat: Option<Beat>,
}

/// Something that happens every so many milliseconds.
#[derive(Clone, Copy)]
struct Beat {
    every: i64,
    phase: i64,
}

/// The choice between services: some by the clock, the others by people's rhythm.
#[derive(Default)]
struct Mix {
    beats: Choice,
    uses: Choice,
}

#[derive(Default)]
struct Choice {
    talks: Vec<usize>,
    table: Weighted,
}

/// Where client ports come from.
struct Ports {
    low: u16,
    high: u16,
    next: u16,
    random: bool,
}

impl<'p> Device<'p> {
    /// The device at its first flow; its stream starts from (seed, archive), so it can be replayed.
    pub(crate) fn new(
        device: &SampleDevice,
        profiles: &'p Profiles,
        seed: u64,
        flows: u64,
    ) -> Result<Self, SampleError> {
        let class = profiles.classes.get(&device.device_class).ok_or_else(|| SampleError::UnknownClass {
            device: device.name.clone(),
            class: device.device_class.clone(),
            file: profiles.file.clone(),
        })?;
        let class = class.get_ref();
        let mac = Mac::parse(&device.mac).ok_or_else(|| SampleError::Device {
            device: device.name.clone(),
            reason: format!("'{}' is not a MAC of the form aa:bb:cc:dd:ee:ff", device.mac),
        })?;
        let unremarkable = DeviceProfile::default();
        let own_profile = profiles.devices.get(&device.name).unwrap_or(&unremarkable);

        let mut stream = Stream::new(seed, &device.archive);
        let mut home = Home {
            own: OwnAddresses::of(mac),
            stack: Stack { timestamps: stream.one_in(2), ecn: stream.one_in(5) },
            services: &profiles.services,
            talks: Vec::new(),
        };
        let from_device = home.use_services(&class.from_device, true, &mut stream);
        let to_device = home.use_services(&class.to_device, false, &mut stream);
        let (strangers, stranger) = match &own_profile.strangers {
            Some(strangers) => (strangers.share.0, home.overhear(strangers, &mut stream)),
            None => (0.0, 0),
        };
        let drift = own_profile.drift.as_ref();
        let drifted: Vec<(usize, f64)> = from_device
            .iter()
            .zip(&class.from_device)
            .map(|((talk, weight), used)| match drift {
                Some(drift) if drift.service.get_ref() == used.service.get_ref() => {
                    (*talk, weight * drift.factor.0)
                }
                _ => (*talk, *weight),
            })
            .collect();

        let talks = home.talks;
        let from_device = [Mix::new(&from_device, &talks), Mix::new(&drifted, &talks)];
        let to_device = Mix::new(&to_device, &talks);
        let inbound = own_profile.inbound.unwrap_or(class.inbound).0;
        let rhythm = Rhythm {
            hours: &class.hours.map(|factor| factor.0),
            weekend: class.weekend.0,
            steady: (1.0 - inbound) * from_device[0].steady() + inbound * to_device.steady(),
        };
        Ok(Self {
            timeline: Timeline::new(flows, &rhythm, &mut stream),
            flows_left: flows,
            cut_short: (flows / 8).clamp(1, 12),
            stack: home.stack,
            ports: Ports::new(&mut stream),
            varied: 0.02 + stream.unit() / 20.0,
            inbound,
            strangers,
            talks,
            from_device,
            drift_day: drift.map_or(u32::MAX, |drift| drift.day),
            to_device,
            stranger,
            before: None,
            fresh: None,
            stream,
        })
    }

    /// The next flow in the order of export.
    pub(crate) fn next(&mut self) -> Option<Flow<'_>> {
        let mut tick = self.timeline.next(&mut self.stream)?;
        let cut_short = self.flows_left <= self.cut_short;
        self.flows_left -= 1;
        if cut_short {
            tick.at = CAPTURE_END;
        }
        let Chosen { talk, habit, far } = self.choose(tick);
        let stream = &mut self.stream;
        let talk = &self.talks[talk];
        self.fresh = (cut_short || stream.chance(self.varied))
            .then(|| Exchange::draw(talk.service, self.stack, cut_short, stream));
        let exchange = self.fresh.as_ref().unwrap_or(&talk.habits[habit]);

        let usual_trip = talk.round_trips[far];
        let timing = exchange.timing(usual_trip + stream.below(usual_trip / 8 + 2), stream);
        let start = start_of_flow(tick.at, exchange.ending, timing.duration as i64, talk.beat, stream);

        let (near, far) = (&talk.near, &talk.far[far]);
        let (source, destination) = if talk.from_device { (near, far) } else { (far, near) };
        let (source_port, destination_port) = talk.ports(&mut self.ports, stream);
        let sequence = match talk.service.protocol {
            Protocol::Tcp => {
                let bits = stream.bits();
                [(bits >> 32) as u32, if exchange.reverse.packets > 0 { bits as u32 } else { 0 }]
            }
            _ => [0, 0],
        };
        Some(Flow {
            start,
            timing,
            protocol: match talk.service.protocol {
                Protocol::Icmp => 1,
                Protocol::Igmp => 2,
                Protocol::Tcp => 6,
                Protocol::Udp => 17,
                Protocol::Icmpv6 => 58,
            },
            source,
            source_port,
            destination,
            destination_port,
            exchange,
            sequence,
            class_of_service: talk.service.class_of_service,
            device_initiated: talk.device_initiated,
        })
    }

    fn choose(&mut self, tick: Tick) -> Chosen {
        let stream = &mut self.stream;
        // Strangers do not come in bursts of this device's making.
        let overheard = self.strangers > 0.0 && stream.chance(self.strangers);
        if let Some(before) = self.before.filter(|_| !overheard && stream.chance(BURSTS)) {
            return before;
        }
        let talk = if overheard {
            self.stranger
        } else if stream.chance(self.inbound) {
            self.to_device.pick(tick.liveliness, stream)
        } else {
            self.from_device[usize::from(tick.day >= self.drift_day)].pick(tick.liveliness, stream)
        };
        let habit = self.talks[talk].habit_choice.pick(stream);
        let far = self.talks[talk].far_choice.pick(stream);
        let chosen = Chosen { talk, habit, far };
        self.before = (!overheard).then_some(chosen);
        chosen
    }
}

/// When the flow began, for the moment it was exported and the way it ended.
fn start_of_flow(
    exported: i64,
    ending: Ending,
    duration: i64,
    beat: Option<Beat>,
    stream: &mut Stream,
) -> i64 {
    let waited = match ending {
        Ending::Closed => stream.spread(0, 40) as i64,
        Ending::Active => stream.spread(0, 60_000) as i64,
        Ending::Eof => stream.below(280_000) as i64,
        // The meter looks for idle flows when packets arrive; in a quiet house that can take long.
        Ending::Idle if beat.is_none() && stream.one_in(300) => {
            stream.between(IDLE_TIMEOUT_MS as u64, LATEST_EXPORT_MS) as i64
        }
        Ending::Idle => IDLE_TIMEOUT_MS + stream.spread(0, 20_000) as i64,
    };
    let start = exported - waited - duration;
    match beat {
        Some(Beat { every, phase }) if !matches!(ending, Ending::Active | Ending::Eof) => {
            let late = (start - phase).rem_euclid(every);
            start - late + (stream.spread(0, every as u64 / 40) as i64).min(late)
        }
        _ => start,
    }
}

/// What is needed to set up a device's services.
struct Home<'p> {
    own: OwnAddresses,
    stack: Stack,
    services: &'p BTreeMap<String, Spanned<Service>>,
    talks: Vec<Talk<'p>>,
}

impl<'p> Home<'p> {
    /// Sets the services up and returns where they are and how often this device uses them.
    fn use_services(
        &mut self,
        used: &[profiles::Talk],
        from_device: bool,
        stream: &mut Stream,
    ) -> Vec<(usize, f64)> {
        let mut weights = Vec::with_capacity(used.len());
        for talk in used {
            // Parsing made sure that every name is known.
            let Some(service) = self.services.get(talk.service.get_ref()) else {
                continue;
            };
            let beat = talk.every_seconds.map(|period| {
                let every = i64::from(period.0) * 1_000;
                Beat { every, phase: stream.below(every as u64) as i64 }
            });
            weights.push((self.talks.len(), talk.weight.0 * (0.6 + stream.unit())));
            self.set_up(service.get_ref(), from_device, beat, stream);
        }
        weights
    }

    /// Sets up what another host of the home is heard to say.
    fn overhear(&mut self, strangers: &profiles::Strangers, stream: &mut Stream) -> usize {
        let place = self.talks.len();
        if let Some(service) = self.services.get(strangers.service.get_ref()) {
            let talk = self.set_up(service.get_ref(), true, None, stream);
            talk.near = Endpoint::lan_host(stream.below(8) as u8);
            talk.device_initiated = false;
        }
        place
    }

    fn set_up(
        &mut self,
        service: &'p Service,
        from_device: bool,
        beat: Option<Beat>,
        stream: &mut Stream,
    ) -> &mut Talk<'p> {
        let hosts = usize::from(service.hosts.unwrap_or(1));
        let group = service.group.map(Endpoint::multicast);
        let far = match service.peer {
            Peer::Server => Endpoint::servers(hosts, stream),
            Peer::Lan => Endpoint::lan_hosts(hosts, stream),
            Peer::Router => vec![Endpoint::router()],
            Peer::Multicast => group.into_iter().collect(),
            Peer::Solicited => vec![self.own.solicited.clone()],
            Peer::Broadcast => vec![Endpoint::lan_broadcast()],
            Peer::Everyone => vec![Endpoint::everyone()],
        };
        let over_ipv6 = service.peer == Peer::Solicited || service.group.is_some_and(|group| group.is_ipv6());
        let near = match (service.unspecified, over_ipv6) {
            (true, _) => &self.own.unspecified,
            (false, true) => &self.own.link_local,
            (false, false) => &self.own.ipv4,
        };
        let (closest, farthest) = if service.peer == Peer::Server { (3, 240) } else { (0, 6) };
        let talk = Talk {
            service,
            from_device,
            device_initiated: from_device,
            near: near.clone(),
            far_choice: Weighted::zipf(far.len()),
            round_trips: far.iter().map(|_| stream.spread(closest, farthest)).collect(),
            far,
            habits: (0..HABITS).map(|_| Exchange::draw(service, self.stack, false, stream)).collect(),
            habit_choice: Weighted::zipf(HABITS),
            beat,
        };
        let place = self.talks.len();
        self.talks.push(talk);
        &mut self.talks[place]
    }
}

impl Talk<'_> {
    /// Source and destination port, with the meanings the exporter gives them for each protocol.
    fn ports(&self, ports: &mut Ports, stream: &mut Stream) -> (u16, u16) {
        let [kind, code] = self.service.icmp.unwrap_or_default().map(u16::from);
        match self.service.protocol {
            Protocol::Icmp => (kind, code),
            Protocol::Icmpv6 => (0, kind * 256 + code),
            Protocol::Igmp => (0, 0),
            Protocol::Tcp | Protocol::Udp => {
                let other = self.service.other_port.unwrap_or_else(|| ports.next(stream));
                match self.service.initiator {
                    Initiator::Client => (other, self.service.port),
                    Initiator::Server => (self.service.port, other),
                }
            }
        }
    }
}

impl Mix {
    fn new(weights: &[(usize, f64)], talks: &[Talk<'_>]) -> Self {
        let (beats, uses): (Vec<_>, Vec<_>) =
            weights.iter().copied().partition(|(talk, _)| talks[*talk].beat.is_some());
        Self { beats: Choice::new(&beats), uses: Choice::new(&uses) }
    }

    /// The share that runs by the clock in an average hour.
    fn steady(&self) -> f64 {
        self.steady_at(1.0)
    }

    fn steady_at(&self, liveliness: f64) -> f64 {
        let beats = self.beats.table.total() as f64;
        beats / (beats + self.uses.table.total() as f64 * liveliness)
    }

    fn pick(&self, liveliness: f64, stream: &mut Stream) -> usize {
        let choice = if stream.chance(self.steady_at(liveliness)) { &self.beats } else { &self.uses };
        choice.talks[choice.table.pick(stream)]
    }
}

impl Choice {
    fn new(weights: &[(usize, f64)]) -> Self {
        let talks = weights.iter().map(|(talk, _)| *talk).collect();
        Self { talks, table: Weighted::new(weights.iter().map(|(_, weight)| *weight)) }
    }
}

impl Ports {
    fn new(stream: &mut Stream) -> Self {
        let (low, high) = if stream.one_in(2) { (32_768, 60_999) } else { (49_152, 65_535) };
        let next = stream.between(u64::from(low), u64::from(high)) as u16;
        Self { low, high, next, random: stream.one_in(3) }
    }

    fn next(&mut self, stream: &mut Stream) -> u16 {
        if self.random {
            return stream.between(u64::from(self.low), u64::from(self.high)) as u16;
        }
        let step = 1 + stream.below(2) as u16;
        self.next = if self.high - self.next < step { self.low } else { self.next + step };
        self.next
    }
}
