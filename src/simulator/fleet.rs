//! The virtual devices: what they run, when they are connected, and what becomes of an upgrade.
//!
//! A device's fate with a version is drawn from (seed, device, part, version), never from a generator: it does not
//! depend on the order of calls, on the clock's steps, or on other devices.

use super::{
    Event, draw,
    queue::EventQueue,
    world::{Behaviour, Hours, Range, World},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::collections::BTreeMap;

/// What is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Firmware.
    Firmware,
    /// Software.
    Software,
}

impl Part {
    /// In lower case, for texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Software => "software",
        }
    }
}

/// When a device is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Always.
    Online,
    /// Never, until it is switched on.
    Offline,
    /// Between these times of the day, UTC.
    Daily(Hours),
}

const DAY: i64 = 24 * 60 * 60;

impl Presence {
    /// Whether it is connected at a time.
    #[must_use]
    pub fn is_online(self, at: Timestamp) -> bool {
        match self {
            Self::Online => true,
            Self::Offline => false,
            Self::Daily(hours) => {
                let second = at.as_second().rem_euclid(DAY);
                let (from, to) = (i64::from(hours.from) * 60, i64::from(hours.to) * 60);
                if from < to { (from..to).contains(&second) } else { second >= from || second < to }
            }
        }
    }

    /// The last time until `at` of this minute of the day, UTC.
    #[must_use]
    pub fn last_at(minute: u32, at: Timestamp) -> Timestamp {
        let since = (at.as_second() - i64::from(minute) * 60).rem_euclid(DAY);
        Timestamp::from_second(at.as_second() - since).unwrap_or(Timestamp::MIN)
    }

    /// The first time from `at` on at which it is connected, if there is one.
    #[must_use]
    pub fn next_online(self, at: Timestamp) -> Option<Timestamp> {
        match self {
            _ if self.is_online(at) => Some(at),
            Self::Daily(hours) => {
                let wait = (i64::from(hours.from) * 60 - at.as_second()).rem_euclid(DAY);
                Timestamp::from_second(at.as_second() + wait).ok()
            }
            _ => None,
        }
    }
}

/// A virtual device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Product id.
    pub product: String,
    /// Firmware version that it runs.
    pub firmware: Option<String>,
    /// Software version that it runs.
    pub software: Option<String>,
    /// When it is connected.
    pub presence: Presence,
    /// False until it has been connected once.
    pub activated: bool,
    attempts: BTreeMap<(Part, String), u32>,
}

impl Device {
    /// A device that runs nothing yet.
    #[must_use]
    pub const fn new(product: String, presence: Presence) -> Self {
        let activated = !matches!(presence, Presence::Offline);
        Self { product, firmware: None, software: None, presence, activated, attempts: BTreeMap::new() }
    }

    /// The version of a part that it runs.
    #[must_use]
    pub fn version(&self, part: Part) -> Option<&str> {
        match part {
            Part::Firmware => self.firmware.as_deref(),
            Part::Software => self.software.as_deref(),
        }
    }

    /// Makes it run another version, or none.
    pub fn set_version(&mut self, part: Part, version: Option<String>) {
        match part {
            Part::Firmware => self.firmware = version,
            Part::Software => self.software = version,
        }
    }
}

/// What becomes of one attempt to upgrade one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Never answers the version query.
    Silent,
    /// Takes the package and never reports.
    Stuck,
    /// Reports this failure after that time.
    Fails(SignedDuration, String),
    /// The cloud reports success after that time, and the version stays.
    Lies(SignedDuration),
    /// Runs the new version after that time.
    Succeeds(SignedDuration),
    /// Runs the new version after the first time, and the old one again after the second.
    Reverts(SignedDuration, SignedDuration),
}

/// Texts that the documented FAQ gives for failures of a device.
const FAILURES: [&str; 6] = [
    "Integrity check failure for new downloaded package",
    "Not enough storage for the new firmware package",
    "Out of memory during downloading process",
    "Connection lost during downloading process",
    "Unsupported package type",
    "Firmware update failed",
];

/// All devices, and what will happen to them.
#[derive(Debug)]
pub struct Fleet {
    /// Seed of the world file.
    pub seed: u64,
    /// Devices by id.
    pub devices: BTreeMap<String, Device>,
    /// What will happen.
    pub queue: EventQueue<Event>,
    behaviours: Vec<Behaviour>,
}

impl Fleet {
    /// A fleet without devices.
    #[must_use]
    pub fn new(world: &World) -> Self {
        Self {
            seed: world.seed,
            devices: BTreeMap::new(),
            queue: EventQueue::default(),
            behaviours: world.behaviours.clone(),
        }
    }

    /// Replaces what devices do from the next attempt on.
    pub fn set_behaviours(&mut self, behaviours: Vec<Behaviour>) {
        self.behaviours = behaviours;
    }

    /// Begins an attempt; returns what will become of it. `None`: there is no such device.
    pub fn attempt(&mut self, id: &str, part: Part, version: &str) -> Option<Fate> {
        let device = self.devices.get_mut(id)?;
        let attempts = device.attempts.entry((part, version.to_owned())).or_default();
        *attempts += 1;
        let fits = |behaviour: &&Behaviour| {
            behaviour.version == version
                && behaviour.product.as_ref().is_none_or(|product| *product == device.product)
        };
        let draws = Draws { seed: self.seed, id, part, version };
        Some(match self.behaviours.iter().find(fits) {
            Some(behaviour) => draws.fate(behaviour, *attempts),
            None => Fate::Succeeds(draws.duration(Range::default())),
        })
    }

    /// A device reverts to its old version, if it still runs the new one.
    pub fn revert(&mut self, id: &str, part: Part, version: &str, old: Option<String>) {
        if let Some(device) = self.devices.get_mut(id)
            && device.version(part) == Some(version)
        {
            device.set_version(part, old);
        }
    }

    /// How long a device takes to answer the version query.
    #[must_use]
    pub fn answer_time(&self, id: &str) -> SignedDuration {
        SignedDuration::from_millis(500 + 100 * (draw::number(self.seed, &["answer", id]) % 100) as i64)
    }
}

struct Draws<'a> {
    seed: u64,
    id: &'a str,
    part: Part,
    version: &'a str,
}

impl Draws<'_> {
    fn unit(&self, what: &str) -> f64 {
        draw::unit(self.seed, &[what, self.id, self.part.as_str(), self.version])
    }

    fn duration(&self, range: Range) -> SignedDuration {
        let width = range.max.as_secs() - range.min.as_secs();
        range.min
            + SignedDuration::from_secs((self.unit("duration") * (width + 1) as f64) as i64)
                .min(range.max - range.min)
    }

    fn fate(&self, behaviour: &Behaviour, attempt: u32) -> Fate {
        let duration = self.duration(behaviour.duration);
        if behaviour.failing_attempts.is_some_and(|failing| attempt > failing) {
            return Fate::Succeeds(duration);
        }
        let mut place = self.unit("fate");
        let mut falls_in = |share: f64| {
            let hit = place < share;
            place -= share;
            hit
        };
        if falls_in(behaviour.failure_rate.share()) {
            Fate::Fails(duration, self.failure(&behaviour.failures))
        } else if falls_in(behaviour.silent_rate.share()) {
            Fate::Silent
        } else if falls_in(behaviour.stuck_rate.share()) {
            Fate::Stuck
        } else if falls_in(behaviour.lie_rate.share()) {
            Fate::Lies(duration)
        } else if falls_in(behaviour.revert_rate.share()) {
            Fate::Reverts(duration, behaviour.revert_after)
        } else {
            Fate::Succeeds(duration)
        }
    }

    fn failure(&self, texts: &[String]) -> String {
        let pick = |count: usize| (self.unit("failure") * count as f64) as usize;
        match texts.get(pick(texts.len())) {
            Some(text) => text.clone(),
            None => {
                FAILURES.get(pick(FAILURES.len())).copied().unwrap_or("Firmware update failed").to_owned()
            }
        }
    }
}

/// A time as the API writes it: `20240305T060708Z`.
#[must_use]
pub fn compact_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A time in milliseconds: `2024-03-05T06:07:08.000Z`.
#[must_use]
pub fn long_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
