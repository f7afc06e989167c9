//! The gate `outcome`: enough devices of the stage run the new version.
//!
//! **The sample is frozen** once the soak is over and enough devices have begun. From then on the gate passes when devices
//! without an outcome could all fail and it would still pass. So in any order of arrival, and however often it is judged,
//! it passes a bad build no more often than its method says. Devices that begin later can only delay it. Devices that
//! never began say nothing about the build: they are in no sample.

use super::requirement::Requirement;
use crate::api::{Evidence, GateMethod, Percent, StageCounts, Verdict, counted, percent_text};
use crate::decide::stats::millionths;
use jiff::Timestamp;

/// Judges these counts; `frozen` is the sample of the stage, once it is frozen.
///
/// - Pass: the sample is frozen, and with all unfinished devices counted as failures it has no more than are allowed.
/// - Fail: `minSuccess` can no longer be reached, even if every outstanding device succeeds.
/// - Inconclusive: anything else, including a rate that is high enough in a sample that is too small.
#[must_use]
pub fn judge(required: &Requirement, counts: &StageCounts, frozen: Option<u32>, at: Timestamp) -> Evidence {
    let measured = Measured::new(required, counts, frozen);
    let (verdict, why) = measured.verdict();
    Evidence {
        rule: required.gate.clone(),
        method: format!("{:?}", required.method),
        verdict,
        sample: measured.sample,
        failures: counts.failures(),
        unfinished: measured.unfinished,
        allowed: measured.allowed,
        assigned: counts.assigned,
        control: None,
        value: millionths(measured.value.unwrap_or(0.0)),
        threshold: required.goal.fraction(),
        message: format!("{}; {why}", measured.describe()),
        at,
    }
}

/// True when enough devices of the stage have a final outcome for the soak to start: the largest `minObserved`, or all that are
/// still waited for. Devices that never began do not count as observed.
#[must_use]
pub fn is_observed(gates: &[Requirement], counts: &StageCounts) -> bool {
    let share = gates.iter().map(|gate| gate.min_observed).max().unwrap_or(Percent::FULL);
    let finished = counts.finished();
    finished > 0 && (counts.outstanding() == 0 || share.is_reached(finished, counts.assigned))
}

/// The sample of a stage whose soak is over: the devices that have begun, once they are enough for each of its gates.
#[must_use]
pub fn freeze(gates: &[Requirement], counts: &StageCounts) -> Option<u32> {
    let begun = counts.begun();
    let is_enough = |gate: &Requirement| lack(gate, counts).is_none();
    (begun > 0 && gates.iter().all(is_enough)).then_some(begun)
}

/// What the sample of this gate still lacks.
fn lack(gate: &Requirement, counts: &StageCounts) -> Option<String> {
    gate.lack(counts.begun(), counts.assigned, counts.outstanding() == 0)
}

struct Measured<'a> {
    gate: &'a Requirement,
    counts: &'a StageCounts,
    frozen: Option<u32>,
    /// The frozen sample; before that the devices that have begun.
    sample: u32,
    /// Devices of the sample without an outcome: they count as failures.
    unfinished: u32,
    allowed: Option<u32>,
    /// What is compared with `minSuccess` when all unfinished devices fail.
    value: Option<f64>,
}

impl<'a> Measured<'a> {
    fn new(gate: &'a Requirement, counts: &'a StageCounts, frozen: Option<u32>) -> Self {
        // When nobody is waited for any more, those that left without an outcome are no evidence.
        let frozen =
            frozen.map(|sample| if counts.outstanding() == 0 { sample.min(counts.begun()) } else { sample });
        let sample = frozen.unwrap_or_else(|| counts.begun());
        let without_success = sample.saturating_sub(counts.succeeded);
        let unfinished = counts.in_flight.max(without_success.saturating_sub(counts.failures()));
        let size = frozen.unwrap_or_else(|| counts.sample());
        let failures = (counts.failures() + unfinished).min(sample);
        let value = gate.value(failures, sample);
        Self { gate, counts, frozen, sample, unfinished, allowed: gate.allowed(size), value }
    }

    fn verdict(&self) -> (Verdict, String) {
        let (counts, goal) = (self.counts, self.gate.goal.text());
        let (size, failures) = (counts.sample(), counts.failures());
        let best = size.saturating_sub(failures);
        let inconclusive = |why: String| (Verdict::Inconclusive, why);
        if size == 0 {
            return inconclusive("no device is in the sample".into());
        }
        if !self.gate.goal.is_reached(best, size) {
            let outlook = format!("needs {goal}, and at most {} can succeed", percent_text(best, size));
            return (Verdict::Fail, outlook);
        }
        if size < self.gate.min_sample {
            let needed = counted(self.gate.min_sample, "device");
            return inconclusive(format!("cannot prove {goal}: needs {needed}, the stage has {size}"));
        }
        let Some(allowed) = self.allowed else { return inconclusive(self.too_small()) };
        let limit = match allowed {
            0 => format!("needs {goal}: may have no failure"),
            _ => format!("needs {goal}: may have {}", counted(allowed, "failure")),
        };
        if failures > allowed {
            return inconclusive(format!("{limit} and has {failures}"));
        }
        // Devices of the sample may turn out never to have begun: what is left must still be enough.
        let lacking = lack(self.gate, counts).filter(|_| self.frozen.is_none() || counts.outstanding() == 0);
        if self.frozen.is_none() || lacking.is_some() {
            let why = lacking.unwrap_or_else(|| "its soak is not over".into());
            return inconclusive(format!("{limit}; {why}"));
        }
        if failures + self.unfinished <= allowed {
            return (Verdict::Pass, limit);
        }
        let awaited = counted(failures + self.unfinished - allowed, "more success");
        inconclusive(format!("{limit}; waits for {awaited}"))
    }

    fn too_small(&self) -> String {
        let goal = self.gate.goal.text();
        match self.gate.smallest_provable() {
            None => format!("cannot prove {goal}: no number of devices can"),
            Some(needed) => format!("cannot prove {goal}: needs {}", counted(needed, "device")),
        }
    }

    fn describe(&self) -> String {
        let (succeeded, sample) = (self.counts.succeeded.min(self.sample), self.sample);
        let mut outcome = format!("{succeeded} of {sample} succeeded ({})", percent_text(succeeded, sample));
        if self.unfinished > 0 {
            outcome += &format!(", {} without an outcome", self.unfinished);
        }
        if self.counts.never_began > 0 {
            outcome += &format!(", {} never began and are left out", self.counts.never_began);
        }
        let method = match self.gate.method {
            GateMethod::Ratio => return outcome,
            GateMethod::Wilson => "Wilson",
            GateMethod::Exact => "exact",
        };
        let Some(bound) = self.value else { return outcome };
        let confidence = self.gate.confidence.text();
        let if_they_fail = if self.unfinished > 0 { " if those fail" } else { "" };
        format!(
            "{outcome}, {method} lower bound {:.1} % at {confidence} confidence{if_they_fail}",
            bound * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gate(method: GateMethod, min: &str) -> Requirement {
        Requirement {
            gate: "proven".into(),
            method,
            goal: min.parse().unwrap(),
            is_default: false,
            confidence: Percent::whole(95),
            min_sample: 1,
            min_observed: Percent::whole(80),
        }
    }

    fn counts(assigned: u32, succeeded: u32, failed: u32) -> StageCounts {
        let in_flight = assigned - succeeded - failed;
        StageCounts { assigned, succeeded, failed, in_flight, ..StageCounts::default() }
    }

    fn asked(gate: &Requirement, counts: StageCounts, frozen: Option<u32>) -> Evidence {
        let evidence = judge(gate, &counts, frozen, Timestamp::UNIX_EPOCH);
        assert!(evidence.value.is_finite());
        evidence
    }

    /// After the soak.
    fn at_the_end(gate: &Requirement, counts: StageCounts) -> (Verdict, bool) {
        let evidence = asked(gate, counts, freeze(std::slice::from_ref(gate), &counts));
        (evidence.verdict, evidence.is_hopeless())
    }

    #[test]
    fn verdicts_by_counts() {
        use Verdict::{Fail, Inconclusive, Pass};
        let (wilson, ratio) = (gate(GateMethod::Wilson, "90%"), gate(GateMethod::Ratio, "95%"));
        let exact = gate(GateMethod::Exact, "90%");
        for (gate, counts, expected) in [
            (&wilson, counts(0, 0, 0), (Inconclusive, false)),
            (&wilson, counts(60, 0, 0), (Inconclusive, false)),
            (&wilson, counts(60, 60, 0), (Pass, false)),
            // 60 devices may have 2 failures: those in flight count as such.
            (&wilson, counts(60, 58, 0), (Pass, false)),
            (&wilson, counts(60, 58, 2), (Pass, false)),
            (&wilson, counts(60, 57, 0), (Inconclusive, false)),
            (&wilson, counts(60, 57, 2), (Inconclusive, false)),
            (&wilson, counts(60, 57, 3), (Inconclusive, true)),
            (&wilson, counts(60, 0, 3), (Inconclusive, true)),
            (&wilson, counts(60, 0, 7), (Fail, false)),
            (&wilson, counts(10, 10, 0), (Inconclusive, false)),
            (&exact, counts(25, 25, 0), (Inconclusive, false)),
            (&exact, counts(29, 29, 0), (Pass, false)),
            (&ratio, counts(60, 57, 3), (Pass, false)),
            (&ratio, counts(60, 56, 3), (Inconclusive, false)),
            (&ratio, counts(60, 56, 4), (Fail, false)),
            (&ratio, counts(0, 0, 0), (Inconclusive, false)),
        ] {
            assert_eq!(at_the_end(gate, counts), expected, "{:?} {counts:?}", gate.method);
        }
    }

    #[test]
    fn nothing_passes_before_its_sample_is_frozen() {
        let gate = gate(GateMethod::Wilson, "90%");
        assert_eq!(asked(&gate, counts(60, 60, 0), None).verdict, Verdict::Inconclusive);
        assert_eq!(asked(&gate, counts(60, 60, 0), Some(60)).verdict, Verdict::Pass);
    }

    #[test]
    fn devices_that_begin_later_only_delay_a_pass_and_those_that_left_count_as_failures_while_others_are_awaited()
     {
        let gate = gate(GateMethod::Wilson, "90%");
        let verdict = |counts, frozen| asked(&gate, counts, Some(frozen)).verdict;
        assert_eq!(verdict(counts(48, 48, 0), 48), Verdict::Pass);
        assert_eq!(verdict(counts(60, 48, 0), 48), Verdict::Inconclusive, "12 have begun since");
        // Four of a sample of 60 were deleted in the cloud, without an outcome.
        let waiting = StageCounts { assigned: 57, queued: 1, ..counts(56, 56, 0) };
        assert_eq!(verdict(waiting, 60), Verdict::Inconclusive);
        assert_eq!(verdict(counts(56, 56, 0), 60), Verdict::Pass, "nobody is awaited any more");
    }

    #[test]
    fn devices_that_never_began_are_in_no_sample_and_are_not_observed() {
        let gate = gate(GateMethod::Ratio, "90%");
        let named = [gate.clone()];
        let with = |never_began| StageCounts { assigned: 8 + never_began, never_began, ..counts(8, 8, 0) };
        assert_eq!((freeze(&named, &with(2)), freeze(&named, &with(3))), (Some(8), None));
        let judged = asked(&gate, with(3), None);
        assert_eq!(judged.verdict, Verdict::Inconclusive);
        insta::assert_snapshot!(judged.message, @"8 of 8 succeeded (100.0 %), 3 never began and are left out; needs 90 %: may have no failure; only 72.7 % of the stage began, and minObserved is 80 %: bring the others online, or lower minObserved");
    }

    #[test]
    fn a_gate_that_nothing_can_prove_never_passes() {
        let certain = gate(GateMethod::Wilson, "100%");
        assert_eq!(at_the_end(&certain, counts(5000, 5000, 0)).0, Verdict::Inconclusive);
        assert_eq!(at_the_end(&gate(GateMethod::Ratio, "100%"), counts(50, 50, 0)).0, Verdict::Pass);
        let sure = Requirement { confidence: Percent::FULL, ..gate(GateMethod::Wilson, "95%") };
        assert_eq!(at_the_end(&sure, counts(5000, 5000, 0)).0, Verdict::Inconclusive);
    }

    #[test]
    fn a_small_stage_stays_inconclusive_below_its_min_sample() {
        let strict = Requirement { min_sample: 52, ..gate(GateMethod::Ratio, "90%") };
        assert_eq!(at_the_end(&strict, counts(10, 10, 0)).0, Verdict::Inconclusive);
        let few = StageCounts { assigned: 60, queued: 9, ..counts(51, 51, 0) };
        assert_eq!(at_the_end(&strict, few).0, Verdict::Inconclusive);
    }

    #[test]
    fn the_sentence_can_be_redone_by_hand() {
        let text = |method, min, counts, frozen| asked(&gate(method, min), counts, frozen).message;
        let lines = [
            text(GateMethod::Wilson, "90%", counts(60, 58, 2), Some(60)),
            text(GateMethod::Wilson, "90%", counts(60, 55, 1), Some(60)),
            text(GateMethod::Wilson, "90%", counts(60, 55, 1), None),
            text(GateMethod::Wilson, "90%", counts(60, 57, 3), Some(60)),
            text(GateMethod::Exact, "90%", counts(60, 59, 1), Some(60)),
            text(GateMethod::Ratio, "95%", counts(60, 30, 6), None),
            text(GateMethod::Wilson, "95%", counts(10, 10, 0), Some(10)),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }

    /// A cloud may say of a device that had begun that it never came online.
    #[test]
    fn a_sample_that_shrinks_below_min_observed_proves_nothing() {
        let gate = gate(GateMethod::Ratio, "100%");
        let shrunk = StageCounts { assigned: 2, succeeded: 1, never_began: 1, ..StageCounts::default() };
        assert_eq!(asked(&gate, counts(2, 2, 0), Some(2)).verdict, Verdict::Pass);
        let evidence = asked(&gate, shrunk, Some(2));
        assert_eq!(evidence.verdict, Verdict::Inconclusive, "{}", evidence.message);
    }

    #[test]
    fn a_stage_is_observed_by_its_strictest_gate_or_when_nobody_is_awaited() {
        let (lax, strict) = (gate(GateMethod::Ratio, "95%"), gate(GateMethod::Ratio, "95%"));
        let strict = Requirement { min_observed: Percent::whole(90), ..strict };
        let named = Requirement::clone;
        assert!(is_observed(&[named(&lax)], &counts(10, 8, 0)));
        assert!(!is_observed(&[named(&lax), named(&strict)], &counts(10, 8, 0)));
        assert!(!is_observed(&[], &counts(10, 9, 0)));
        assert!(is_observed(&[], &counts(10, 9, 1)));
        assert!(!is_observed(&[], &counts(0, 0, 0)));
        let never_began = StageCounts { assigned: 10, never_began: 9, ..counts(1, 1, 0) };
        assert!(is_observed(&[named(&lax)], &never_began));
    }

    fn any_gate() -> impl Strategy<Value = Requirement> {
        let method = prop_oneof![Just(GateMethod::Wilson), Just(GateMethod::Exact), Just(GateMethod::Ratio)];
        (method, 50..96_u32, 1..30_u32, 0..101_u32).prop_map(|(method, min, min_sample, observed)| {
            Requirement {
                gate: "proven".into(),
                method,
                goal: Percent::whole(min),
                is_default: false,
                confidence: Percent::whole(95),
                min_sample,
                min_observed: Percent::whole(observed),
            }
        })
    }

    proptest! {
        /// What was unfinished when it passed cannot overturn it: also when all of it failed, it is enough by the books.
        #[test]
        fn a_pass_cannot_be_overturned_by_what_was_unfinished(
            gate in any_gate(), succeeded in 0..200_u32, failed in 0..20_u32, in_flight in 0..20_u32,
            queued in 0..20_u32, since in 0..20_u32,
        ) {
            let begun = succeeded + failed + in_flight;
            let counts = StageCounts {
                assigned: begun + queued, succeeded, failed, in_flight, queued, ..StageCounts::default()
            };
            let frozen = begun.saturating_sub(since);
            let judged = asked(&gate, counts, Some(frozen));
            if judged.verdict == Verdict::Pass {
                let allowed = gate.allowed(frozen).unwrap();
                prop_assert!(failed + in_flight <= allowed, "{judged:?}");
                prop_assert!(frozen - succeeded.min(frozen) <= allowed, "{judged:?}");
            }
        }

        /// A failure more never makes a verdict better, and a success more never makes it worse.
        #[test]
        fn failures_never_help_and_successes_never_harm(
            gate in any_gate(), succeeded in 0..100_u32, failed in 0..20_u32, in_flight in 1..20_u32,
        ) {
            let order = |verdict| match verdict { Verdict::Fail => 0, Verdict::Inconclusive => 1, Verdict::Pass => 2 };
            let sample = succeeded + failed + in_flight;
            let of = |succeeded, failed| {
                let counts = counts(sample, succeeded, failed);
                order(asked(&gate, counts, Some(sample)).verdict)
            };
            prop_assert!(of(succeeded, failed + 1) <= of(succeeded, failed));
            prop_assert!(of(succeeded + 1, failed) >= of(succeeded, failed));
        }
    }
}
