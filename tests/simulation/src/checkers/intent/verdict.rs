//! The arithmetic of gates and stop rules, by hand.

use super::truth::Numbers;
use rollwave::api::{
    ControlComparison, ControlGate, CountOrPercent, Evidence, GateMethod, OutcomeGate, Percent, Presence,
    StopMethod, StopRule,
};

/// What is rounded away.
const TINY: f64 = 1e-6;

/// Whether so many successes and failures prove what the gate asks for, of so many devices.
pub(in crate::checkers) fn passes(gate: &OutcomeGate, succeeded: u32, sample: u32, assigned: u32) -> bool {
    let goal = gate.min_success.map_or(1.0, fraction);
    let is_enough =
        sample >= gate.min_sample.max(1) && share(sample, assigned) + TINY >= fraction(gate.min_observed);
    let rate = share(succeeded, sample);
    let proven = match gate.method {
        GateMethod::Ratio => rate,
        GateMethod::Wilson => lower_bound(rate, sample, fraction(gate.confidence)),
        GateMethod::Exact => {
            let failures = sample - succeeded.min(sample);
            let chance = at_most(failures, sample, 1.0 - goal);
            return is_enough && chance <= 1.0 - fraction(gate.confidence) + TINY;
        }
    };
    is_enough && proven + TINY >= goal
}

/// The chance of at most so many failures of a sample that each fail at this rate.
pub(in crate::checkers) fn at_most(failures: u32, sample: u32, rate: f64) -> f64 {
    let n = f64::from(sample);
    let mut ways = 1.0;
    (0..=failures)
        .map(f64::from)
        .map(|k| {
            let term = ways * rate.powf(k) * (1.0 - rate).powf(n - k);
            ways *= (n - k) / (k + 1.0);
            term
        })
        .sum()
}

/// Whether the rule must fire whichever of these numbers one sees.
pub(super) fn must_fire(rule: &StopRule, numbers: &Numbers) -> bool {
    let (failing, running) = (numbers.failing.0, numbers.running.1);
    let sample = numbers.failing.0 + numbers.running.0;
    match (rule.method, rule.max_failure) {
        (StopMethod::Count, Some(CountOrPercent::Count(most))) => failing >= most.max(1),
        (StopMethod::Ratio, Some(CountOrPercent::Percent(most))) => {
            failing > 0
                && sample >= rule.min_sample.unwrap_or(1)
                && share(failing, failing + running) >= fraction(most) + TINY
        }
        (StopMethod::EProcess, Some(CountOrPercent::Percent(most))) => {
            evidence(failing, numbers.sent, fraction(most)) >= confidence(rule).recip() * (1.0 + TINY)
        }
        (StopMethod::Sprt, None) => walds_ratio(rule, failing, numbers.sent) >= 1.0 + TINY,
        // A law of its own looks at the control group.
        (StopMethod::Control, None) => false,
        _ => true,
    }
}

/// Whether the rule may fire for some of these numbers, when so many more may count as failed.
pub(super) fn may_fire(rule: &StopRule, numbers: &Numbers, timed_out: u32) -> bool {
    let (failing, running) = (numbers.failing.1 + timed_out, numbers.running.0);
    let sample = failing + numbers.running.1;
    match (rule.method, rule.max_failure) {
        (StopMethod::Count, Some(CountOrPercent::Count(most))) => failing >= most.max(1),
        (StopMethod::Ratio, Some(CountOrPercent::Percent(most))) => {
            failing > 0
                && sample >= rule.min_sample.unwrap_or(1)
                && share(failing, failing + running) + TINY >= fraction(most)
        }
        (StopMethod::EProcess, Some(CountOrPercent::Percent(most))) => {
            evidence(failing, failing + running, fraction(most)) * (1.0 + TINY) >= confidence(rule).recip()
        }
        (StopMethod::Sprt, None) => walds_ratio(rule, failing, failing + running) >= 1.0 - TINY,
        _ => true,
    }
}

/// Whether the groups differ enough for this rule; `margin` scales what is enough.
pub(super) fn compared(rule: &StopRule, look: &ControlComparison, margin: f64) -> bool {
    let ControlComparison { upgraded, control, .. } = look;
    let is_seen = |group: &Presence| share(group.unknown, group.devices) <= 0.2;
    let needed = rule.min_sample.unwrap_or(50);
    if !is_seen(upgraded) || !is_seen(control) || upgraded.devices < needed || control.devices == 0 {
        return false;
    }
    let budget = share(upgraded.devices, upgraded.devices + control.devices);
    let limit = 1.0 / (1.0 - rule.confidence.map_or(0.99, fraction));
    evidence(upgraded.offline, upgraded.offline + control.offline, budget) >= limit * margin
}

/// Whether at most `margin` more of these devices than of the others are offline, in all but the rarest cases: Newcombe's tenth method.
pub(super) fn within_margin(gate: &ControlGate, evidence: &Evidence, others: Presence) -> bool {
    if evidence.sample == 0 || others.devices == 0 || share(others.unknown, others.devices) > 0.2 {
        return false;
    }
    let (own, other) = (share(evidence.failures, evidence.sample), share(others.offline, others.devices));
    let confidence = fraction(gate.confidence);
    let above = 1.0 - lower_bound(1.0 - own, evidence.sample, confidence) - own;
    let below = other - lower_bound(other, others.devices, confidence);
    own - other + above.hypot(below) <= fraction(gate.margin) + TINY
}

/// How often a rule may fire although its budget is kept to.
fn confidence(rule: &StopRule) -> f64 {
    1.0 - rule.confidence.map_or(0.95, fraction)
}

/// What a unit has become that was put in twelve equal parts on odds of failure from 1.41 to 64 times those of the budget.
fn evidence(failing: u32, begun: u32, budget: f64) -> f64 {
    let won = |times: f64| {
        let odds = times * budget / (1.0 - budget);
        let suspected = odds / (1.0 + odds);
        let (failed, fine) = (suspected / budget, (1.0 - suspected) / (1.0 - budget));
        failed.powf(f64::from(failing)) * fine.powf(f64::from(begun - failing))
    };
    (1..=12).map(|part| won(f64::from(2_u32.pow(part)).sqrt())).sum::<f64>() / 12.0
}

/// How much likelier so many failures are at the rate `p1` than at `p0`, as a share of what is enough.
fn walds_ratio(rule: &StopRule, failing: u32, begun: u32) -> f64 {
    let of = |share: Option<Percent>| share.map_or(0.05, fraction);
    let (p0, p1, alpha, beta) = (of(rule.p0), of(rule.p1), of(rule.alpha), of(rule.beta));
    let times = |share: f64, count: u32| share.powf(f64::from(count));
    times(p1 / p0, failing) * times((1.0 - p1) / (1.0 - p0), begun - failing) * alpha / (1.0 - beta)
}

fn fraction(percent: Percent) -> f64 {
    f64::from(percent.parts_per_million()) / 1e6
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

/// Wilson's lower bound of a rate, one-sided.
fn lower_bound(rate: f64, sample: u32, confidence: f64) -> f64 {
    let (n, z) = (f64::from(sample), quantile(confidence));
    let spread = z * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
    (rate + z * z / (2.0 * n) - spread) / (1.0 + z * z / n)
}

/// The standard normal quantile, by halving an interval.
fn quantile(confidence: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal(middle) < confidence { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The standard normal distribution, by its series.
fn normal(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn gates_are_those_of_the_books() {
        let gate = |method: &str| -> OutcomeGate {
            serde_json::from_value(json!({"method": method, "minSuccess": "95%"})).unwrap()
        };
        // 52 of 52 is the smallest sample that proves 95 % at 95 %.
        for (method, succeeded, sample, expected) in [
            ("Wilson", 52, 52, true),
            ("Wilson", 51, 51, false),
            ("Ratio", 57, 60, true),
            ("Ratio", 56, 60, false),
            ("Ratio", 0, 0, false),
            ("Exact", 59, 59, true),
            ("Exact", 58, 58, false),
        ] {
            assert_eq!(
                passes(&gate(method), succeeded, sample, sample),
                expected,
                "{method} {succeeded} of {sample}"
            );
        }
        assert!(!passes(&gate("Ratio"), 7, 7, 10), "80 % must have answered");
        assert!((quantile(0.95) - 1.644_853_6).abs() < 1e-6);
    }

    #[test]
    fn a_rule_fires_for_sure_perhaps_or_not_at_all() {
        let rule = |method: &str, most: serde_json::Value| -> StopRule {
            serde_json::from_value(json!({"name": "r", "method": method, "maxFailure": most})).unwrap()
        };
        let (count, ratio) = (rule("Count", json!(3)), rule("Ratio", json!("20%")));
        let evidence = rule("EProcess", json!("5%"));
        let wald = json!({"name": "w", "method": "Sprt", "p0": "2%", "p1": "10%"});
        let wald: StopRule = serde_json::from_value(wald).unwrap();
        let numbers = |failing: (u32, u32), running: (u32, u32)| Numbers { failing, running, sent: 20 };
        for (rule, numbers, must, may) in [
            (&count, numbers((3, 3), (0, 0)), true, true),
            (&count, numbers((2, 3), (0, 1)), false, true),
            (&count, numbers((2, 2), (9, 9)), false, false),
            (&ratio, numbers((1, 1), (4, 4)), false, true),
            (&ratio, numbers((2, 2), (4, 4)), true, true),
            (&ratio, numbers((0, 1), (4, 5)), false, true),
            (&ratio, numbers((1, 1), (9, 9)), false, false),
            // 5 of 20 are enough, and so are 2 of 3.
            (&evidence, numbers((5, 5), (15, 15)), true, true),
            (&evidence, numbers((4, 4), (1, 1)), false, true),
            (&evidence, numbers((4, 4), (16, 16)), false, false),
            // 2 of 2 are enough, and so are 3 of 20.
            (&wald, numbers((3, 3), (17, 17)), true, true),
            (&wald, numbers((2, 2), (0, 1)), false, true),
            (&wald, numbers((2, 2), (18, 18)), false, false),
        ] {
            assert_eq!((must_fire(rule, &numbers), may_fire(rule, &numbers, 0)), (must, may), "{numbers:?}");
        }
    }
}
