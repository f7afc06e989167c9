//! The virtual devices: when each begins, how long it takes, how it ends. Times are minutes.
//!
//! What a device does follows from the seed, its rank and the scenario alone, so that every rule meets the same fleet.

use super::draws::Draws;

/// The devices of a seed. Ranks are random, so a stage is the next devices by rank.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    pub seed: u64,
    pub devices: u32,
}

/// Devices of the benchmark's fleet.
pub const DEVICES: u32 = 10_000;

impl Fleet {
    /// The fleet of the benchmark.
    pub const fn of(seed: u64) -> Self {
        Self { seed, devices: DEVICES }
    }

    /// The device of this rank.
    pub fn device(self, rank: u32) -> Device {
        Device::draw(&mut Draws::of(self.seed, u64::from(rank)))
    }

    /// Who is offline whatever is sent: 2 % of the time, in spells of eight hours on average.
    pub fn health(self, rank: u32) -> Health {
        Health::draw(Draws::of(self.seed ^ HEALTH, u64::from(rank)))
    }

    /// So many percent of it.
    pub const fn percent(self, percent: u32) -> u32 {
        self.devices / 100 * percent
    }
}

/// Health is drawn apart from what the upgrade does.
const HEALTH: u64 = 0x6865_616c_7468;
const OFFLINE: f64 = 0.02;
const OFFLINE_SPELL: f64 = 480.0;
const SILENT_AFTER: f64 = 60.0;
const LOST_AFTER: f64 = 360.0;
const OUTAGE_OFFLINE: f64 = 0.1;

const ASLEEP: f64 = 0.1;
const AWAKE_BEGINS_WITHIN: f64 = 10.0;
const ASLEEP_BEGINS_AFTER: f64 = 480.0;
const WORK_AT_LEAST: f64 = 5.0;
const WORK_BEYOND: f64 = 15.0;
const SILENCE: f64 = 1_440.0;
const OUTAGE_AFTER: f64 = 1.0;
const OUTAGE_LASTS: f64 = 120.0;
const OUTAGE_RATE: f64 = 0.1;

/// What a build does to the fleet.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// As in `benchmark.json`.
    pub name: &'static str,
    /// Share of the devices that fail.
    pub rate: f64,
    /// Share of the failures that report nothing: they time out a day after they began.
    pub silent: f64,
    /// The time of a reported failure, as a multiple of that of a success.
    pub slowness: f64,
    /// Share of the upgraded devices that go offline for good, some hours after they succeeded.
    pub lost_later: f64,
    /// A shared outage begins after the release of the stage that takes the fleet to 20 %.
    pub outage: bool,
}

const fn build(name: &'static str, rate: f64) -> Scenario {
    Scenario { name, rate, silent: 0.15, slowness: 1.0, lost_later: 0.0, outage: false }
}

/// Every scenario.
pub const SCENARIOS: [Scenario; 11] = [
    build("good 2", 0.02),
    build("bad 5", 0.05),
    build("bad 10", 0.1),
    build("bad 20", 0.2),
    build("bad 40", 0.4),
    Scenario { slowness: 10.0, ..build("slow 10", 0.1) },
    Scenario { slowness: 10.0, ..build("slow 20", 0.2) },
    Scenario { silent: 1.0, ..build("bricks 10", 0.1) },
    Scenario { lost_later: 0.1, ..build("delayed", 0.02) },
    Scenario { slowness: 0.1, ..build("fast good", 0.02) },
    Scenario { outage: true, ..build("outage", 0.02) },
];

/// How an upgrade ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The device runs the version.
    Succeeded,
    /// It reports a failure.
    Failed,
    /// It began and reports nothing.
    TimedOut,
}

/// When a device begins and ends, in minutes since the rollout began.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    pub begins: f64,
    pub ends: f64,
    pub ending: Ending,
}

/// What is drawn for a device.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// It is offline when it is sent the upgrade.
    pub asleep: bool,
    delay: f64,
    luck: f64,
    work: f64,
    silence: f64,
}

impl Device {
    fn draw(draws: &mut Draws) -> Self {
        let asleep = draws.uniform() < ASLEEP;
        let delay = match asleep {
            true => draws.exponential(ASLEEP_BEGINS_AFTER),
            false => draws.uniform() * AWAKE_BEGINS_WITHIN,
        };
        let (luck, silence) = (draws.uniform(), draws.uniform());
        Self { asleep, delay, luck, work: WORK_AT_LEAST + draws.exponential(WORK_BEYOND), silence }
    }

    /// What becomes of it when it is sent the upgrade at `sent`; `outage`: the release that is followed by one.
    pub fn fate(&self, scenario: &Scenario, sent: u32, outage: Option<u32>) -> Fate {
        let begins = f64::from(sent) + self.delay;
        let since = |release: u32| begins - f64::from(release) - OUTAGE_AFTER;
        let is_hit = outage.map(since).is_some_and(|since| (0.0..OUTAGE_LASTS).contains(&since));
        let rate = if is_hit { OUTAGE_RATE } else { scenario.rate };
        if self.luck >= rate {
            return Fate { begins, ends: begins + self.work, ending: Ending::Succeeded };
        }
        if self.silence < scenario.silent {
            return Fate { begins, ends: begins + SILENCE, ending: Ending::TimedOut };
        }
        Fate { begins, ends: begins + self.work * scenario.slowness, ending: Ending::Failed }
    }
}

/// What is drawn for the health of a device.
pub struct Health {
    draws: Draws,
    is_offline: bool,
    outage: f64,
    loss: f64,
}

impl Health {
    fn draw(mut draws: Draws) -> Self {
        let (outage, loss) = (draws.uniform(), draws.uniform());
        Self { is_offline: draws.uniform() < OFFLINE, draws, outage, loss }
    }

    /// Whether it is offline at this minute, for itself or in an outage after this release.
    pub fn is_offline(&self, minute: u32, outage: Option<u32>) -> bool {
        let now = f64::from(minute);
        let since = |release: u32| now - f64::from(release) - OUTAGE_AFTER;
        let is_out = outage.map(since).is_some_and(|since| (0.0..OUTAGE_LASTS).contains(&since));
        if is_out && self.outage < OUTAGE_OFFLINE {
            return true;
        }
        let (mut draws, mut is_offline, mut spell_ends) = (self.draws, self.is_offline, 0.0);
        loop {
            let mean = if is_offline { OFFLINE_SPELL } else { OFFLINE_SPELL * (1.0 - OFFLINE) / OFFLINE };
            spell_ends += draws.exponential(mean);
            if spell_ends > now {
                return is_offline;
            }
            is_offline = !is_offline;
        }
    }

    /// Whether the upgrade has taken it offline for good by this minute.
    pub fn is_lost(&self, scenario: &Scenario, fate: &Fate, minute: u32) -> bool {
        let now = f64::from(minute);
        match fate.ending {
            Ending::Succeeded => self.loss < scenario.lost_later && now >= fate.ends + LOST_AFTER,
            Ending::Failed => false,
            Ending::TimedOut => now >= fate.begins + SILENT_AFTER,
        }
    }
}
