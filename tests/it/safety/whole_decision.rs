//! The bench walks the stages itself, with the gates and stop rules of Rollwave. Here the whole decision
//! (`decide::rollout::plan`, jobs, versions and all) has the same devices, and both agree minute by minute.

use super::fleet::{Ending, Fate, Fleet, Scenario};
use super::rollout::{Next, Rollout};
use super::{rules, scenario};
use crate::plan::world::World;
use rollwave::api::RolloutPhase;
use rollwave::cloud::DeviceOutcome;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Counts only: which devices are below a percentage depends on their ids.
const MANIFEST: &str = "
stages:
- name: probe
  select: {count: 25}
  soak: 30m
- name: canary
  select: {count: 130}
  soak: 30m
- name: rest
  select: {rest: true}
";

const DEVICES: u32 = 400;
const MINUTES: u32 = 400;

/// Soaks that are long enough to see devices go offline.
const LONG_SOAKS: [(&str, &str); 2] = [("soak: 30m", "soak: 8h"), ("count: 25", "count: 60")];
const LONG_MINUTES: u32 = 1_200;

/// Both decisions on one fleet.
struct Both<'s> {
    rollout: Rollout<'s>,
    world: World,
    fates: BTreeMap<String, Fate>,
    /// Ranks of the devices that were sent the package.
    ranks: BTreeMap<String, u32>,
}

impl<'s> Both<'s> {
    fn new(seed: u64, scenario: &'s Scenario, manifest: &str) -> Self {
        let fleet = Fleet { seed, devices: DEVICES };
        let spec: Value = serde_yaml::from_str(manifest).unwrap();
        let world = World::new(DEVICES, json!({"stages": spec["stages"], "stop": null}));
        Self { rollout: Rollout::new(fleet, scenario), world, fates: BTreeMap::new(), ranks: BTreeMap::new() }
    }

    /// The devices of a new job are the next by rank.
    fn draw_fates(&mut self, scenario: &Scenario, minute: u32) {
        let fleet = self.rollout.fleet;
        for device in self.world.jobs.iter().flat_map(|job| &job.devices) {
            let rank = u32::try_from(self.fates.len()).unwrap();
            let fate = || fleet.device(rank).fate(scenario, minute, None);
            self.fates.entry(device.clone()).or_insert_with(fate);
            self.ranks.entry(device.clone()).or_insert(rank);
        }
    }

    /// Lets the cloud show who is offline at this minute.
    fn connect(&mut self, scenario: &Scenario, minute: u32) {
        let fleet = self.rollout.fleet;
        // Who has which of the other ranks makes no difference: all of them are in the control group.
        let mut others = u32::try_from(self.ranks.len()).unwrap()..;
        for (id, device) in &mut self.world.devices {
            let rank = self.ranks.get(id).copied().or_else(|| others.next()).unwrap();
            let health = fleet.health(rank);
            let is_lost = self.fates.get(id).is_some_and(|fate| health.is_lost(scenario, fate, minute));
            device.online = Some(!is_lost && !health.is_offline(minute, None));
        }
    }

    /// Lets the devices report what happened until this minute.
    fn report(&mut self, minute: u32) {
        let now = f64::from(minute);
        for id in self.world.jobs.iter().map(|job| job.id.clone()).collect::<Vec<_>>() {
            for (device, outcome) in self.world.outcomes.get_mut(&id).unwrap() {
                let fate = self.fates[device];
                *outcome = match fate.ending {
                    _ if now < fate.begins => (DeviceOutcome::Queued, ""),
                    _ if now < fate.ends => (DeviceOutcome::InFlight, ""),
                    Ending::Succeeded => (DeviceOutcome::Succeeded, ""),
                    Ending::Failed => (DeviceOutcome::Failed, "Firmware update failed"),
                    Ending::TimedOut => (DeviceOutcome::Failed, "Updating timeout"),
                };
                if outcome.0 == DeviceOutcome::Succeeded {
                    self.world.devices.get_mut(device).unwrap().firmware = Some("V2".to_owned());
                }
            }
            self.world.recount(&id);
        }
    }

    fn begun(&self, minute: u32) -> u32 {
        let begun = self.fates.values().filter(|fate| fate.begins <= f64::from(minute));
        u32::try_from(begun.count()).unwrap()
    }
}

/// The minute of the stop, and the devices that had begun by then or by the end.
fn agreed(seed: u64, scenario: &Scenario, (manifest, minutes): (&str, u32)) -> (Option<u32>, u32) {
    let mut both = Both::new(seed, scenario, manifest);
    let mut rule = rules::rollwave::begin(manifest, DEVICES);
    for minute in 0..=minutes {
        let next = both.rollout.step(minute, rule.as_mut());
        both.report(minute);
        both.connect(scenario, minute);
        let phase = both.world.reconcile().status.phase;
        both.draw_fates(scenario, minute);
        let (ours, theirs) = (both.rollout.total(), both.begun(minute));
        let context = format!("seed {seed}, {}, minute {minute}, {phase:?}", scenario.name);
        assert_eq!((ours.sent, ours.begun), (u32::try_from(both.fates.len()).unwrap(), theirs), "{context}");
        assert_eq!(next == Next::Stop, phase == RolloutPhase::Held, "{context}");
        if next == Next::Stop {
            return (Some(minute), theirs);
        }
        both.world.pass(60);
    }
    (None, both.begun(minutes))
}

#[test]
fn the_whole_decision_stops_in_the_same_minute_with_as_many_devices_reached() {
    for (name, stopped) in [("good 2", 0), ("bad 5", 0), ("bad 10", 4), ("bad 20", 4)] {
        let runs: Vec<_> = (1..=4).map(|seed| agreed(seed, &scenario(name), (MANIFEST, MINUTES))).collect();
        assert_eq!(runs.iter().filter(|(stop, _)| stop.is_some()).count(), stopped, "{name}: {runs:?}");
    }
}

#[test]
fn the_whole_decision_sees_devices_go_offline_in_the_same_minute() {
    let manifest = LONG_SOAKS.iter().fold(MANIFEST.to_owned(), |text, (from, to)| text.replace(from, to));
    for (name, stopped) in [("good 2", 0), ("delayed", 2)] {
        let runs: Vec<_> =
            (1..=3).map(|seed| agreed(seed, &scenario(name), (&manifest, LONG_MINUTES))).collect();
        assert_eq!(runs.iter().filter(|(stop, _)| stop.is_some()).count(), stopped, "{name}: {runs:?}");
    }
}
