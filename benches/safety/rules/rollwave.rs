//! Rollwave: its own gates and stop rules judge the counts; this file only walks the stages, as `decide::rollout` does.
//! `tests/it/safety.rs` compares the walk with the whole decision, `decide::rollout::plan`.

use super::super::fleet::Fleet;
use super::super::rollout::{Next, Rollout, Rule, Tally};
use jiff::Timestamp;
use rollwave::api::{
    ControlComparison, Evidence, OtaRolloutSpec, Presence, Stage, StageCounts, StopRule, Verdict,
};
use rollwave::decide::defaults;
use rollwave::decide::rollout::control;
use rollwave::decide::rollout::gates::requirement::Requirement;
use rollwave::decide::rollout::gates::{outcome, required};
use rollwave::decide::rollout::soak::COMPARISONS;
use rollwave::decide::rollout::stop_rules::{self, Watched};

/// A rollout under these stages and stop rules of a manifest; the default ones where it has none.
pub fn begin(manifest: &str, fleet: u32) -> Box<dyn Rule> {
    let whole = format!("packageRef: {{name: p}}\ntargets: {{all: true}}\n{manifest}");
    let spec: OtaRolloutSpec = serde_yaml::from_str(&whole).expect("a manifest that can be read");
    let stages = defaults::stages(&spec, fleet);
    let stop = defaults::stop_rules(&spec).into_owned();
    Box::new(Rollwave {
        spec,
        stages,
        stop,
        current: 0,
        gates: Vec::new(),
        observed: None,
        sample: None,
        control: None,
    })
}

/// Percentages of the ranks, which are random: the fleet of the benchmark has exactly as many.
fn size(stage: &Stage, fleet: Fleet, sent: u32) -> u32 {
    let below = stage.select.percent.map(|share| fleet.percent(share.parts_per_million() / 10_000));
    stage.select.count.unwrap_or_else(|| below.unwrap_or(fleet.devices) - sent)
}

fn soak(stage: &Stage) -> u32 {
    stage.soak.map_or(0, |soak| u32::try_from(soak.as_secs() / 60).unwrap_or(u32::MAX))
}

struct Rollwave {
    spec: OtaRolloutSpec,
    stages: Vec<Stage>,
    stop: Vec<StopRule>,
    /// The stage that was dispatched last; those before have passed.
    current: usize,
    /// What it must prove.
    gates: Vec<Requirement>,
    /// When enough devices of it had an outcome for its soak to begin.
    observed: Option<u32>,
    sample: Option<u32>,
    control: Option<Control>,
}

/// The control group of a stage.
struct Control {
    devices: u32,
    comparisons: u32,
    last: Option<(u32, ControlComparison)>,
}

impl Rule for Rollwave {
    fn poll(&mut self, rollout: &mut Rollout<'_>) -> Next {
        if rollout.groups() == 0 {
            self.dispatch(rollout);
            return Next::Continue;
        }
        let has_compared = self.compare_if_due(rollout);
        // Verdicts depend on counts alone: without news only a comparison, or the end of a soak, can change one.
        if !rollout.changed && !has_compared && self.soak_end() != Some(rollout.minute) {
            return Next::Continue;
        }
        if self.fires(rollout) || self.is_held(rollout) {
            return Next::Stop;
        }
        self.walk(rollout)
    }
}

impl Rollwave {
    fn dispatch(&mut self, rollout: &mut Rollout<'_>) {
        let stage = &self.stages[self.current];
        let size = size(stage, rollout.fleet, rollout.total().sent);
        self.gates = required(&self.spec, stage, self.current + 1 == self.stages.len(), size);
        rollout.send(self.current, size);
        let sent = rollout.total().sent;
        let devices = control::size(sent, rollout.fleet.devices - sent);
        let is_wanted = devices > 0 && defaults::compares(&self.spec);
        self.control = is_wanted.then_some(Control { devices, comparisons: 0, last: None });
    }

    /// Looks at the control group at every eighth of the soak.
    fn compare_if_due(&mut self, rollout: &Rollout<'_>) -> bool {
        let (Some(began), Some(group)) = (self.observed, &self.control) else { return false };
        let soak = soak(&self.stages[self.current]);
        let is_over = |comparison: &u32| (rollout.minute - began) * COMPARISONS >= soak * comparison;
        let due = (1..=COMPARISONS).filter(is_over).count();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        let is_due = due > group.comparisons;
        if is_due {
            self.compare(rollout, due);
        }
        is_due
    }

    fn compare(&mut self, rollout: &Rollout<'_>, comparisons: u32) {
        let Some(group) = &mut self.control else { return };
        let presence = |devices, offline| Presence { devices, offline, unknown: 0 };
        let comparison = ControlComparison {
            at: Timestamp::UNIX_EPOCH,
            upgraded: presence(rollout.total().sent, rollout.offline_of_sent()),
            control: presence(group.devices, rollout.offline_of_last(group.devices)),
            strata: Vec::new(),
        };
        (group.comparisons, group.last) = (comparisons, Some((rollout.minute, comparison)));
    }

    /// True when the comparison before the stage passes fires a rule.
    fn fires_before_passing(&mut self, rollout: &Rollout<'_>) -> bool {
        let is_new = |(minute, _): &(u32, ControlComparison)| *minute != rollout.minute;
        if self.control.as_ref().is_some_and(|group| group.last.as_ref().is_none_or(is_new)) {
            self.compare(rollout, COMPARISONS + 1);
        }
        self.fires(rollout)
    }

    fn soak_end(&self) -> Option<u32> {
        Some(self.observed? + soak(&self.stages[self.current]))
    }

    fn fires(&self, rollout: &Rollout<'_>) -> bool {
        let counts = counts(rollout.total());
        let comparison = self.control.as_ref().and_then(|group| group.last.as_ref());
        let watched = Watched { counts: &counts, comparison: comparison.map(|(_, comparison)| comparison) };
        self.stop
            .iter()
            .any(|rule| stop_rules::judge(rule, &watched, Timestamp::UNIX_EPOCH).verdict == Verdict::Fail)
    }

    fn judged(&self, rollout: &Rollout<'_>) -> Vec<Evidence> {
        let counts = counts(rollout.group(self.current));
        self.gates
            .iter()
            .map(|gate| outcome::judge(gate, &counts, self.sample, Timestamp::UNIX_EPOCH))
            .collect()
    }

    /// A gate has failed, or can no longer pass.
    fn is_held(&self, rollout: &Rollout<'_>) -> bool {
        let is_held = |gate: &Evidence| gate.verdict == Verdict::Fail || gate.is_hopeless();
        self.judged(rollout).iter().any(is_held)
    }

    /// Soaks, takes the sample, and begins the next stage when all gates pass.
    fn walk(&mut self, rollout: &mut Rollout<'_>) -> Next {
        let counts = counts(rollout.group(self.current));
        let gates = &self.gates;
        if self.observed.is_none() && outcome::is_observed(gates, &counts) {
            self.observed = Some(rollout.minute);
        }
        if self.soak_end().is_none_or(|end| rollout.minute < end) {
            return Next::Continue;
        }
        self.sample = self.sample.or_else(|| outcome::freeze(gates, &counts));
        if self.is_held(rollout) {
            return Next::Stop;
        }
        if !self.judged(rollout).iter().all(|gate| gate.verdict == Verdict::Pass) {
            return if counts.outstanding() == 0 { Next::Stop } else { Next::Continue };
        }
        if self.fires_before_passing(rollout) {
            return Next::Stop;
        }
        if self.current + 1 < self.stages.len() {
            (self.current, self.observed, self.sample) = (self.current + 1, None, None);
            self.dispatch(rollout);
        }
        Next::Continue
    }
}

/// The counts as Rollwave has them.
fn counts(tally: Tally) -> StageCounts {
    StageCounts {
        assigned: tally.sent,
        queued: tally.sent - tally.begun,
        in_flight: tally.begun - tally.finished(),
        succeeded: tally.succeeded,
        failed: tally.failed,
        timed_out: tally.timed_out,
        ..StageCounts::default()
    }
}
