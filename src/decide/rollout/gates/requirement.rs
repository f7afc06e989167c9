//! What a gate requires of a stage: the success rate that the spec states, or the highest one that a stage of this size can
//! prove.
//!
//! **Where the spec states none** the rate is the highest whole percentage from 95 down to 50 at which a good build, which
//! fails on 2 % of the devices, is held at most once in 40 times, whether all devices of the stage begin or only
//! `minObserved` of them. Stages of fewer than 8 devices prove nothing: every device must succeed.

use crate::api::{GateMethod, OutcomeGate, Percent, counted, percent_text};
use crate::decide::stats::{binomial, wilson};

/// A build that fails this often is good.
pub const GOOD: f64 = 0.02;
/// How often a good build may be held.
pub const HOLDS_GOOD: f64 = 0.025;
/// The success rates that are tried where the spec states none, in percent.
const TRIED: std::ops::RangeInclusive<u32> = 50..=95;

/// What a gate requires of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Name of the gate.
    pub gate: String,
    /// How outcomes are compared with `goal`.
    pub method: GateMethod,
    /// Success rate to reach.
    pub goal: Percent,
    /// True when the spec states no success rate, so that the size of the stage decides.
    pub is_default: bool,
    /// One-sided confidence of the lower bound.
    pub confidence: Percent,
    /// Devices that must have begun.
    pub min_sample: u32,
    /// Share of the stage that must have begun.
    pub min_observed: Percent,
}

impl Requirement {
    /// What the gate requires of a stage that was dispatched with so many devices.
    #[must_use]
    pub fn new(gate: &str, outcome: &OutcomeGate, devices: u32) -> Self {
        let OutcomeGate { method, min_success, confidence, min_sample, min_observed } = outcome.clone();
        let stated = Self {
            gate: gate.to_owned(),
            method,
            goal: min_success.unwrap_or(Percent::FULL),
            is_default: min_success.is_none(),
            confidence,
            min_sample,
            min_observed,
        };
        if min_success.is_some() { stated } else { stated.provable(devices) }
    }

    /// What a default stage requires: its rate is meant for its usual size, and smaller stages must prove what they can.
    #[must_use]
    pub fn of_default_stage(gate: &str, outcome: &OutcomeGate, devices: u32) -> Self {
        let stated = Self::new(gate, outcome, devices);
        if stated.lets_good_pass(devices) {
            stated
        } else {
            Self { is_default: true, ..stated.provable(devices) }
        }
    }

    /// The highest rate that this many devices can prove without holding good builds.
    fn provable(self, devices: u32) -> Self {
        let mut rates = TRIED.rev().map(|rate| Self { goal: Percent::whole(rate), ..self.clone() });
        rates.find(|tried| tried.lets_good_pass(devices)).unwrap_or_else(|| Self {
            method: GateMethod::Ratio,
            goal: Percent::FULL,
            ..self.clone()
        })
    }

    /// True when a good build is seldom held, also when only the fewest devices begin.
    fn lets_good_pass(&self, devices: u32) -> bool {
        [devices, self.fewest(devices)].into_iter().all(|sample| self.holds_good(sample) <= HOLDS_GOOD)
    }

    /// The fewest devices of a stage that begin before the gate decides.
    #[must_use]
    pub fn fewest(&self, devices: u32) -> u32 {
        let parts = u64::from(devices) * u64::from(self.min_observed.parts_per_million());
        // At most `devices`.
        (parts.div_ceil(1_000_000) as u32).max(self.min_sample)
    }

    /// How often a good build is held when so many devices begin.
    #[must_use]
    pub fn holds_good(&self, sample: u32) -> f64 {
        1.0 - self.passes(sample, GOOD)
    }

    /// How often a build passes that fails on this share of the devices, when so many begin.
    #[must_use]
    pub fn passes(&self, sample: u32, rate: f64) -> f64 {
        self.allowed(sample).map_or(0.0, |allowed| binomial::at_most(allowed, sample, rate))
    }

    /// Most failures with which a sample of this size passes; none when it proves nothing.
    #[must_use]
    pub fn allowed(&self, sample: u32) -> Option<u32> {
        let confidence = self.confidence.fraction();
        let parts = Percent::FULL.parts_per_million() - self.goal.parts_per_million();
        let rate = f64::from(parts) / 1e6;
        match self.method {
            GateMethod::Ratio => (sample > 0).then(|| binomial::share(sample, parts)),
            GateMethod::Wilson => wilson::allowed(sample, rate, confidence),
            GateMethod::Exact => binomial::allowed(sample, rate, confidence),
        }
    }

    /// The smallest stage that can pass, when none of its devices fails; none when no number of devices can.
    #[must_use]
    pub fn smallest_provable(&self) -> Option<u32> {
        let (goal, confidence) = (self.goal.fraction(), self.confidence.fraction());
        match self.method {
            GateMethod::Ratio => Some(1),
            GateMethod::Wilson => wilson::smallest_provable(goal, confidence),
            GateMethod::Exact => binomial::smallest_provable(goal, confidence),
        }
    }

    /// The success rate of a sample with so many failures, or the lower bound of it.
    #[must_use]
    pub fn value(&self, failures: u32, sample: u32) -> Option<f64> {
        let (succeeded, confidence) = (sample - failures, self.confidence.fraction());
        match self.method {
            GateMethod::Ratio => (sample > 0).then(|| f64::from(succeeded) / f64::from(sample)),
            GateMethod::Wilson => wilson::lower_bound(succeeded, sample, wilson::quantile(confidence)?),
            GateMethod::Exact => {
                (sample > 0).then(|| 1.0 - binomial::upper_bound(failures, sample, confidence))
            }
        }
    }

    /// A warning when a stage of this size cannot pass even if every device succeeds.
    #[must_use]
    pub fn cannot_prove(&self, stage: &str, size: u32) -> Option<String> {
        let goal = self.goal.text();
        let devices = counted(size, "device");
        if size < self.min_sample {
            return Some(format!(
                "stage {stage} ({devices}) is smaller than its gate's minSample {}",
                self.min_sample
            ));
        }
        if self.goal == Percent::ZERO {
            return Some(format!(
                "stage {stage}: its gate proves nothing: with minSuccess {goal} it passes however many devices fail"
            ));
        }
        if self.min_observed == Percent::ZERO {
            return Some(format!(
                "stage {stage}: its gate proves little: with minObserved 0 % its sample may be only {} of its {size} devices",
                self.min_sample
            ));
        }
        match self.smallest_provable() {
            None => Some(format!(
                "stage {stage} ({devices}) cannot prove {goal} at {} confidence: no number of devices can",
                self.confidence.text()
            )),
            Some(needed) if size < needed => {
                Some(format!("stage {stage} ({devices}) cannot prove {goal}: needs {needed}"))
            }
            Some(_) => None,
        }
    }

    /// What a sample with so many devices begun, of so many assigned ones, still lacks; `is_over`: nobody is waited for.
    #[must_use]
    pub(super) fn lack(&self, begun: u32, assigned: u32, is_over: bool) -> Option<String> {
        if begun < self.min_sample {
            return Some(format!("{begun} of {} needed devices have begun", self.min_sample));
        }
        let (share, needed) = (percent_text(begun, assigned), self.min_observed.text());
        let advice = if is_over { ": bring the others online, or lower minObserved" } else { "" };
        (!self.min_observed.is_reached(begun, assigned))
            .then(|| format!("only {share} of the stage began, and minObserved is {needed}{advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::defaults;

    fn gate(method: GateMethod, min: &str) -> OutcomeGate {
        OutcomeGate { method, min_success: Some(min.parse().unwrap()), ..defaults::outcome() }
    }

    #[test]
    fn a_warning_names_the_size_that_would_do() {
        let warning = |method, size| {
            Requirement::new("proven", &gate(method, "95%"), size).cannot_prove("canary", size)
        };
        assert_eq!(
            warning(GateMethod::Wilson, 10).unwrap(),
            "stage canary (10 devices) cannot prove 95 %: needs 52"
        );
        assert_eq!(warning(GateMethod::Wilson, 52), None);
        assert_eq!(
            warning(GateMethod::Exact, 58).unwrap(),
            "stage canary (58 devices) cannot prove 95 %: needs 59"
        );
    }

    #[test]
    fn without_a_stated_rate_a_stage_is_asked_for_what_it_can_prove() {
        let path = format!("{}/tests/vectors/statistics/binomial.json", env!("CARGO_MANIFEST_DIR"));
        let vectors: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let rows = vectors["autoGoal_n_minSuccess_allowed"].as_array().unwrap();
        assert!(rows.len() > 20);
        for row in rows {
            let devices = u32::try_from(row[0].as_u64().unwrap()).unwrap();
            let required = Requirement::new("proven", &defaults::outcome(), devices);
            let goal = row[1].as_f64().unwrap_or(1.0);
            assert!((required.goal.fraction() - goal).abs() < 1e-9, "{row}: {required:?}");
            assert_eq!(required.allowed(devices).map(u64::from), row[2].as_u64(), "{row}");
            let method = if row[1].is_null() { GateMethod::Ratio } else { GateMethod::Wilson };
            assert_eq!(required.method, method, "{row}");
        }
    }
}
