//! A rollout to the virtual fleet, minute by minute: what a rule sends, and what the devices have reported so far.

use super::fleet::{Device, Ending, Fate, Fleet, Scenario};

/// A rollout is followed for 14 days.
const HORIZON: u32 = 14 * 24 * 60;

/// The release of the stage that takes the fleet to so many percent is followed by the outage.
const OUTAGE_FROM: u32 = 20;

/// The time of a rollout is that until so many percent of the fleet run the version.
const MOST: u32 = 85;

/// Devices of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sent: u32,
    pub begun: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub timed_out: u32,
}

impl Tally {
    /// Devices that failed, whether they reported it or not.
    pub const fn failures(self) -> u32 {
        self.failed + self.timed_out
    }

    /// Devices with an outcome.
    pub const fn finished(self) -> u32 {
        self.succeeded + self.failures()
    }

    /// Adds what changed in a minute.
    const fn follow(&mut self, [begun, succeeded, failed, timed_out]: Changes) {
        self.begun += begun;
        self.succeeded += succeeded;
        self.failed += failed;
        self.timed_out += timed_out;
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.begun += other.begun;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
    }
}

/// Devices that begin, succeed, fail and time out in a minute. An array, so that a rollout begins without writing 14 days.
type Changes = [u32; 4];

const BEGUN: usize = 0;

const fn index(ending: Ending) -> usize {
    match ending {
        Ending::Succeeded => 1,
        Ending::Failed => 2,
        Ending::TimedOut => 3,
    }
}

/// Devices that a rule judges together: a stage, a group, a batch.
struct Group {
    now: Tally,
    /// What changes in each minute to come.
    coming: Vec<Changes>,
}

impl Group {
    fn new() -> Self {
        Self { now: Tally::default(), coming: vec![Changes::default(); HORIZON as usize + 1] }
    }

    fn expect(&mut self, fate: Fate) {
        self.at(fate.begins, |minute| minute[BEGUN] += 1);
        self.at(fate.ends, |minute| minute[index(fate.ending)] += 1);
    }

    fn forget(&mut self, fate: Fate) {
        self.at(fate.begins, |minute| minute[BEGUN] -= 1);
        self.at(fate.ends, |minute| minute[index(fate.ending)] -= 1);
    }

    /// What happens within a minute is seen at its end.
    fn at(&mut self, time: f64, change: impl FnOnce(&mut Changes)) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times are small and positive"
        )]
        let minute = time.ceil() as usize;
        if let Some(coming) = self.coming.get_mut(minute) {
            change(coming);
        }
    }
}

struct Sent {
    rank: u32,
    device: Device,
    group: usize,
    at: u32,
}

/// A rollout under way.
pub struct Rollout<'s> {
    /// Whom it is for.
    pub fleet: Fleet,
    scenario: &'s Scenario,
    groups: Vec<Group>,
    sent: Vec<Sent>,
    is_sent: Vec<bool>,
    announced: u32,
    outage: Option<u32>,
    /// Minutes since it began.
    pub minute: u32,
    /// Something was reported in this minute.
    pub changed: bool,
}

impl<'s> Rollout<'s> {
    /// Nothing was sent yet.
    pub fn new(fleet: Fleet, scenario: &'s Scenario) -> Self {
        let is_sent = vec![false; fleet.devices as usize];
        let (groups, sent) = (Vec::new(), Vec::new());
        let (announced, outage, minute, changed) = (0, None, 0, false);
        Self { fleet, scenario, groups, sent, is_sent, announced, outage, minute, changed }
    }

    /// Lets the devices report what happened until this minute, and the rule decide.
    pub fn step(&mut self, minute: u32, rule: &mut dyn Rule) -> Next {
        self.advance(minute);
        rule.poll(self)
    }

    /// How many groups were sent something.
    pub const fn groups(&self) -> usize {
        self.groups.len()
    }

    /// What a group has reported.
    pub fn group(&self, group: usize) -> Tally {
        self.groups.get(group).map_or_else(Tally::default, |group| group.now)
    }

    /// What all devices have reported.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.groups.iter().for_each(|group| total += group.now);
        total
    }

    /// How many of the devices that were sent the upgrade are offline now.
    pub fn offline_of_sent(&self) -> u32 {
        let is_offline = |Sent { rank, device, at, .. }: &&Sent| {
            let health = self.fleet.health(*rank);
            let fate = device.fate(self.scenario, *at, self.outage);
            health.is_lost(self.scenario, &fate, self.minute) || health.is_offline(self.minute, self.outage)
        };
        count(self.sent.iter().filter(is_offline))
    }

    /// How many of the last so many devices by rank are offline now; they were sent nothing.
    pub fn offline_of_last(&self, devices: u32) -> u32 {
        let last = self.fleet.devices - devices..self.fleet.devices;
        count(last.filter(|rank| self.fleet.health(*rank).is_offline(self.minute, self.outage)))
    }

    /// The next devices that are sent the upgrade belong to a stage of this size, which is sent bit by bit.
    pub const fn announce(&mut self, devices: u32) {
        self.announced = devices;
    }

    /// Sends the upgrade to the next devices by rank.
    pub fn send(&mut self, group: usize, devices: u32) {
        self.send_to(group, devices, |_| true);
    }

    /// Sends it to the next devices by rank that are online.
    pub fn send_to_awake(&mut self, group: usize, devices: u32) {
        self.send_to(group, devices, |device| !device.asleep);
    }

    fn send_to(&mut self, group: usize, devices: u32, is_eligible: impl Fn(&Device) -> bool) {
        if self.sent.len() == self.is_sent.len() {
            return;
        }
        while self.groups.len() <= group {
            self.groups.push(Group::new());
        }
        let free = (0..self.fleet.devices).filter(|rank| !self.is_sent[*rank as usize]);
        let drawn = free.map(|rank| (rank, self.fleet.device(rank)));
        let eligible = drawn.filter(|(_, device)| is_eligible(device));
        let chosen: Vec<(u32, Device)> = eligible.take(devices as usize).collect();
        self.note_outage(chosen.len().max(self.announced as usize));
        for (rank, device) in chosen {
            self.is_sent[rank as usize] = true;
            self.groups[group].now.sent += 1;
            self.groups[group].expect(device.fate(self.scenario, self.minute, self.outage));
            self.sent.push(Sent { rank, device, group, at: self.minute });
        }
    }

    /// An outage also reaches devices that were sent the upgrade before, and begin in it.
    fn note_outage(&mut self, more: usize) {
        let is_due = self.scenario.outage && self.outage.is_none();
        if !is_due || self.sent.len() + more < self.fleet.percent(OUTAGE_FROM) as usize {
            return;
        }
        self.outage = Some(self.minute);
        for Sent { device, group, at, .. } in &self.sent {
            let before = device.fate(self.scenario, *at, None);
            if before.begins > f64::from(self.minute) {
                self.groups[*group].forget(before);
                self.groups[*group].expect(device.fate(self.scenario, *at, self.outage));
            }
        }
    }

    fn advance(&mut self, minute: u32) {
        self.minute = minute;
        self.changed = false;
        for group in &mut self.groups {
            let news = group.coming[minute as usize];
            self.changed |= news != Changes::default();
            group.now.follow(news);
        }
    }
}

fn count<T>(devices: impl Iterator<Item = T>) -> u32 {
    u32::try_from(devices.count()).unwrap_or(u32::MAX)
}

/// What a rule decides in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The rollout continues.
    Continue,
    /// It is stopped or held: devices that have not begun are not upgraded.
    Stop,
}

/// What decides when more devices are sent the upgrade, and when no more are.
pub trait Rule {
    /// Called every minute, after the devices have reported.
    fn poll(&mut self, rollout: &mut Rollout<'_>) -> Next;
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Devices that had begun.
    pub hit: u32,
    /// When it was stopped or held.
    pub stopped: Option<u32>,
    /// When 85 % of the fleet ran the version.
    pub updated: Option<u32>,
}

/// One rollout of a build.
pub fn run(fleet: Fleet, scenario: &Scenario, rule: &mut dyn Rule) -> Run {
    let mut rollout = Rollout::new(fleet, scenario);
    let (mut stopped, mut updated) = (None, None);
    for minute in 0..=HORIZON {
        if rollout.step(minute, rule) == Next::Stop {
            stopped = Some(minute);
            break;
        }
        let total = rollout.total();
        if total.succeeded >= fleet.percent(MOST) {
            updated = updated.or(Some(minute));
        }
        if total.finished() == fleet.devices {
            break;
        }
    }
    Run { hit: rollout.total().begun, stopped, updated }
}
