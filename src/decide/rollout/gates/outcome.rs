//! The gate `outcome`: enough devices of the stage run the new version. Pass, Fail or Inconclusive, and the evidence.

use crate::api::{
    Evidence, Gate, GateMethod, OutcomeGate, Percent, StageCounts, Verdict, counted, percent_text,
};
use crate::decide::stats::{millionths, wilson};
use jiff::Timestamp;

/// Judges these counts.
///
/// - Pass: enough devices were observed, and the success rate (Wilson: its lower bound) reaches `minSuccess`.
/// - Fail: it can no longer be reached, even if every outstanding device succeeds.
/// - Inconclusive: anything else, including a rate that is high enough in a sample that is too small.
#[must_use]
pub fn judge(Gate { name, outcome: gate }: &Gate, counts: &StageCounts, at: Timestamp) -> Evidence {
    let measured = Measured::new(gate, counts);
    let (verdict, why) = measured.verdict();
    Evidence {
        rule: name.clone(),
        method: format!("{:?}", gate.method),
        verdict,
        sample: counts.finished(),
        failures: counts.failures(),
        assigned: counts.sample(),
        value: millionths(measured.value.unwrap_or(0.0)),
        threshold: gate.min_success.fraction(),
        message: format!("{}; {why}", measured.describe()),
        at,
    }
}

/// True when enough devices of the stage have a final outcome for every gate to be judged: the largest `minObserved`. A
/// stage without gates is observed when every device is final.
#[must_use]
pub fn is_observed(gates: &[Gate], counts: &StageCounts) -> bool {
    let share = gates.iter().map(|gate| gate.outcome.min_observed).max().unwrap_or(Percent::FULL);
    share.is_reached(counts.finished(), counts.sample())
}

/// A warning when a stage of this size cannot pass the gate even if every device succeeds.
#[must_use]
pub fn cannot_prove(stage: &str, size: u32, gate: &OutcomeGate) -> Option<String> {
    let goal = gate.min_success.text();
    if size < gate.min_sample {
        return Some(format!(
            "stage {stage} ({}) is smaller than its gate's minSample {}",
            counted(size, "device"),
            gate.min_sample
        ));
    }
    if gate.min_success == Percent::ZERO {
        return Some(format!(
            "stage {stage}: its gate proves nothing: with minSuccess {goal} it passes however many devices fail"
        ));
    }
    if gate.min_observed == Percent::ZERO {
        return Some(format!(
            "stage {stage}: its gate proves little: with minObserved 0 % it needs outcomes of only {} of its {size} devices",
            gate.min_sample
        ));
    }
    if gate.method == GateMethod::Ratio {
        return None;
    }
    match wilson::smallest_provable(gate.min_success.fraction(), gate.confidence.fraction()) {
        None => Some(format!(
            "stage {stage} ({}) cannot prove {goal} at {} confidence: no number of devices can",
            counted(size, "device"),
            gate.confidence.text()
        )),
        Some(needed) if size < needed => {
            Some(format!("stage {stage} ({}) cannot prove {goal}: needs {needed}", counted(size, "device")))
        }
        Some(_) => None,
    }
}

struct Measured<'a> {
    gate: &'a OutcomeGate,
    counts: &'a StageCounts,
    /// Rate or bound; none when nothing was observed or no bound exists.
    value: Option<f64>,
}

impl<'a> Measured<'a> {
    fn new(gate: &'a OutcomeGate, counts: &'a StageCounts) -> Self {
        let value = value(gate, counts.succeeded, counts.finished());
        Self { gate, counts, value }
    }

    fn verdict(&self) -> (Verdict, String) {
        let (gate, counts) = (self.gate, self.counts);
        let goal = gate.min_success.text();
        let size = counts.sample();
        let best = size.saturating_sub(counts.failures());
        if size == 0 {
            return (Verdict::Inconclusive, "no device is in the sample".into());
        }
        if !gate.min_success.is_reached(best, size) {
            let outlook = format!("needs {goal}, and at most {} can succeed", percent_text(best, size));
            return (Verdict::Fail, outlook);
        }
        if size < gate.min_sample {
            return (
                Verdict::Inconclusive,
                format!(
                    "cannot prove {goal}: needs {}, the stage has {size}",
                    counted(gate.min_sample, "device")
                ),
            );
        }
        if !self.reached_with(best, size) {
            return (Verdict::Inconclusive, self.too_small());
        }
        if counts.finished() < gate.min_sample {
            return (Verdict::Inconclusive, format!("waits for {} final outcomes", gate.min_sample));
        }
        if !gate.min_observed.is_reached(counts.finished(), size) {
            let seen = percent_text(counts.finished(), size);
            return (
                Verdict::Inconclusive,
                format!("waits for final outcomes of {} of the stage, has {seen}", gate.min_observed.text()),
            );
        }
        let verdict = if self.reached_with(counts.succeeded, counts.finished()) {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        };
        (verdict, format!("needs {goal}"))
    }

    fn reached_with(&self, succeeded: u32, sample: u32) -> bool {
        match self.gate.method {
            GateMethod::Ratio => self.gate.min_success.is_reached(succeeded, sample),
            GateMethod::Wilson => {
                value(self.gate, succeeded, sample).is_some_and(|v| v >= self.gate.min_success.fraction())
            }
        }
    }

    fn too_small(&self) -> String {
        let goal = self.gate.min_success.text();
        let failures = self.counts.failures();
        match wilson::smallest_provable(self.gate.min_success.fraction(), self.gate.confidence.fraction()) {
            None => format!("cannot prove {goal}: no number of devices can"),
            Some(_) if failures > 0 => {
                let size = self.counts.sample();
                format!(
                    "cannot prove {goal}: a stage of {} with {} is too small",
                    counted(size, "device"),
                    counted(failures, "failure")
                )
            }
            Some(needed) => format!("cannot prove {goal}: needs {}", counted(needed, "device")),
        }
    }

    fn describe(&self) -> String {
        let (succeeded, sample) = (self.counts.succeeded, self.counts.finished());
        let mut outcome = format!("{succeeded} of {sample} succeeded ({})", percent_text(succeeded, sample));
        if self.counts.never_began > 0 {
            outcome += &format!(", {} never began and are left out", self.counts.never_began);
        }
        match (self.gate.method, self.value) {
            (GateMethod::Wilson, Some(bound)) => {
                let confidence = self.gate.confidence.text();
                format!("{outcome}, Wilson lower bound {:.1} % at {confidence} confidence", bound * 100.0)
            }
            _ => outcome,
        }
    }
}

fn value(gate: &OutcomeGate, succeeded: u32, sample: u32) -> Option<f64> {
    match gate.method {
        GateMethod::Ratio => (sample > 0).then(|| f64::from(succeeded) / f64::from(sample)),
        GateMethod::Wilson => {
            wilson::lower_bound(succeeded, sample, wilson::quantile(gate.confidence.fraction())?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(method: GateMethod, min: &str) -> OutcomeGate {
        OutcomeGate {
            method,
            min_success: min.parse().unwrap(),
            confidence: Percent::whole(95),
            min_sample: 1,
            min_observed: Percent::whole(80),
        }
    }

    fn counts(assigned: u32, succeeded: u32, failed: u32) -> StageCounts {
        StageCounts {
            assigned,
            succeeded,
            failed,
            queued: assigned - succeeded - failed,
            ..StageCounts::default()
        }
    }

    fn asked(gate: &OutcomeGate, counts: StageCounts) -> (Verdict, String) {
        let named = Gate { name: "proven".into(), outcome: gate.clone() };
        let evidence = judge(&named, &counts, Timestamp::UNIX_EPOCH);
        assert!(evidence.value.is_finite());
        (evidence.verdict, evidence.message)
    }

    #[test]
    fn verdicts_by_counts() {
        let (wilson, ratio) = (gate(GateMethod::Wilson, "95%"), gate(GateMethod::Ratio, "95%"));
        for (gate, counts, verdict) in [
            (&wilson, counts(0, 0, 0), Verdict::Inconclusive),
            (&wilson, counts(60, 0, 0), Verdict::Inconclusive),
            (&wilson, counts(60, 60, 0), Verdict::Pass),
            (&wilson, counts(60, 52, 0), Verdict::Pass),
            (&wilson, counts(60, 51, 0), Verdict::Inconclusive),
            (&wilson, counts(60, 58, 2), Verdict::Inconclusive),
            (&wilson, counts(60, 0, 4), Verdict::Fail),
            (&wilson, counts(60, 0, 60), Verdict::Fail),
            (&wilson, counts(10, 10, 0), Verdict::Inconclusive),
            (&ratio, counts(60, 57, 3), Verdict::Pass),
            (&ratio, counts(60, 56, 4), Verdict::Fail),
            (&ratio, counts(60, 48, 0), Verdict::Pass),
            (&ratio, counts(60, 47, 0), Verdict::Inconclusive),
            (&ratio, counts(60, 47, 3), Verdict::Inconclusive),
            (&ratio, counts(0, 0, 0), Verdict::Inconclusive),
        ] {
            assert_eq!(asked(gate, counts).0, verdict, "{:?} {counts:?}", gate.method);
        }
    }

    #[test]
    fn a_gate_that_nothing_can_prove_never_passes() {
        let certain = gate(GateMethod::Wilson, "100%");
        assert_eq!(asked(&certain, counts(5000, 5000, 0)).0, Verdict::Inconclusive);
        assert_eq!(asked(&gate(GateMethod::Ratio, "100%"), counts(50, 50, 0)).0, Verdict::Pass);
        let sure = OutcomeGate { confidence: Percent::FULL, ..gate(GateMethod::Wilson, "95%") };
        assert_eq!(asked(&sure, counts(5000, 5000, 0)).0, Verdict::Inconclusive);
    }

    #[test]
    fn a_small_stage_stays_inconclusive_below_its_min_sample() {
        let strict = OutcomeGate { min_sample: 52, ..gate(GateMethod::Ratio, "90%") };
        assert_eq!(asked(&strict, counts(10, 10, 0)).0, Verdict::Inconclusive);
        assert_eq!(asked(&strict, counts(60, 51, 0)).0, Verdict::Inconclusive);
    }

    #[test]
    fn the_sentence_can_be_redone_by_hand() {
        insta::assert_snapshot!(
            asked(&gate(GateMethod::Wilson, "95%"), counts(60, 58, 2)).1,
            @"58 of 60 succeeded (96.7 %), Wilson lower bound 90.4 % at 95 % confidence; cannot prove 95 %: a stage of 60 devices with 2 failures is too small"
        );
        insta::assert_snapshot!(
            asked(&gate(GateMethod::Wilson, "90%"), counts(60, 58, 2)).1,
            @"58 of 60 succeeded (96.7 %), Wilson lower bound 90.4 % at 95 % confidence; needs 90 %"
        );
        insta::assert_snapshot!(
            asked(&gate(GateMethod::Ratio, "95%"), counts(60, 30, 6)).1,
            @"30 of 36 succeeded (83.3 %); needs 95 %, and at most 90.0 % can succeed"
        );
        insta::assert_snapshot!(
            asked(&gate(GateMethod::Wilson, "95%"), counts(10, 10, 0)).1,
            @"10 of 10 succeeded (100.0 %), Wilson lower bound 78.7 % at 95 % confidence; cannot prove 95 %: needs 52 devices"
        );
    }

    #[test]
    fn a_warning_names_the_size_that_would_do() {
        let gate = gate(GateMethod::Wilson, "95%");
        let warning = cannot_prove("canary", 10, &gate).unwrap();
        assert_eq!(warning, "stage canary (10 devices) cannot prove 95 %: needs 52");
        assert_eq!(cannot_prove("canary", 52, &gate), None);
    }

    #[test]
    fn a_stage_is_observed_by_its_strictest_gate_or_when_all_are_final() {
        let (lax, strict) = (gate(GateMethod::Ratio, "95%"), gate(GateMethod::Ratio, "95%"));
        let strict = OutcomeGate { min_observed: Percent::whole(90), ..strict };
        let named = |outcome: &OutcomeGate| Gate { name: "proven".into(), outcome: outcome.clone() };
        assert!(is_observed(&[named(&lax)], &counts(10, 8, 0)));
        assert!(!is_observed(&[named(&lax), named(&strict)], &counts(10, 8, 0)));
        assert!(!is_observed(&[], &counts(10, 9, 0)));
        assert!(is_observed(&[], &counts(10, 9, 1)));
        assert!(!is_observed(&[], &counts(0, 0, 0)));
    }
}
