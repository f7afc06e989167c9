//! Why a rollout has its present status.

use super::devices::{cloud_of, found, outstanding, package_of};
use super::{ask, command, devices, forecast, listed, pending, smallest, strata};
use crate::api::{
    ControlComparison, Decision, Evidence, GateMethod, Kind, Object, ObjectKey, OtaRollout, OtaRolloutStatus,
    Owner, PROGRESSING, Reason, RolloutPhase, Stage, StageCounts, StagePhase, StageStatus, StopAction,
    StopMethod, StopRule, Verdict, counted, find_condition, time_text,
};
use crate::decide::rollout::control;
use crate::decide::rollout::gates::requirement::Requirement;
use crate::decide::rollout::gates::{self, outcome};
use crate::decide::rollout::responders;
use crate::decide::rollout::stop_rules::{self, Watched};
use crate::decide::{cohort, defaults, window};
use jiff::Timestamp;

/// Decisions, what was observed, and what would change it.
pub(super) fn explain<'a>(
    rollout: &'a OtaRollout,
    all: &[Object],
    now: Timestamp,
) -> (&'a [Decision], Vec<String>, Vec<String>) {
    let key = Object::Rollout(rollout.clone()).key();
    let Some(status) = &rollout.status else {
        return (&[], Vec::new(), package_next(rollout, &key, all).into_iter().collect());
    };
    (&status.decisions, seen(rollout, status, &key, all), next(rollout, status, &key, all, now))
}

/// The stage in progress.
struct Current<'a> {
    /// Its spec; none for one that an edit has removed.
    spec: Option<Stage>,
    stage: &'a StageStatus,
    gates: Vec<Requirement>,
}

fn current<'a>(rollout: &OtaRollout, status: &'a OtaRolloutStatus) -> Option<Current<'a>> {
    let stage = status.stages.iter().find(|stage| stage.phase != StagePhase::Passed)?;
    let stages = defaults::begun_stages(&rollout.spec, status);
    let index = stages.iter().position(|spec| spec.name == stage.name);
    let spec = index.and_then(|index| stages.get(index).cloned());
    let is_last = index.is_some_and(|index| index + 1 == stages.len());
    // What a default gate requires depends on the size, which is known once the stage is dispatched.
    let is_default = |spec: &Stage| spec.gates.is_none() || rollout.spec.stages.is_empty();
    let required = |spec: &Stage| match stage.size {
        None if is_default(spec) => Vec::new(),
        size => gates::required(&rollout.spec, spec, is_last, size.unwrap_or_default()),
    };
    let gates = spec.as_ref().map(required).unwrap_or_default();
    Some(Current { spec, stage, gates })
}

fn seen(rollout: &OtaRollout, status: &OtaRolloutStatus, key: &ObjectKey, all: &[Object]) -> Vec<String> {
    let mut seen = Vec::new();
    let total = status.stages.len();
    if let Some(Current { stage, gates, .. }) = current(rollout, status) {
        let place = status.stages.iter().position(|s| s.name == stage.name).map_or(0, |place| place + 1);
        seen.push(format!("Stage {} ({place} of {total}): {}.", stage.name, counts_text(stage.counts)));
        seen.extend(strata::seen(stage));
        seen.extend(gates.iter().map(|gate| format!("Gate {} requires {}.", gate.gate, asked(gate))));
        seen.extend(stage.gates.iter().map(|gate| said("Gate", gate)));
    }
    seen.extend(cohort::reselected(&rollout.spec.stages, &status.stages).map(|stage| {
        format!(
            "Stage {stage} keeps the devices that it was dispatched with; {} starts a new run with its edited select.",
            command("restart", key)
        )
    }));
    let package = package_of(rollout, key, all);
    let version = package.map(|package| package.spec.version.as_str());
    seen.extend(status.stages.iter().flat_map(|stage| found(stage, version)));
    seen.extend(compared(rollout, status));
    seen.extend(status.stopped_by.iter().map(|rule| said("Stop rule", rule)));
    let out = &status.excluded;
    let left_out = listed([
        (out.by_spec, "by spec.targets.exclude"),
        (out.by_version, "by the version they report"),
        (out.already_current, "that already ran the new version"),
        (out.owned_elsewhere, "that other rollouts own"),
        (out.ignored_new, "that became eligible after their stage was dispatched (spec.newDevices: Ignore)"),
        (out.unknown, "that are not registered in the cloud"),
        (out.other_product, "of another product"),
    ]);
    if !left_out.is_empty() {
        seen.push(format!("Left out: {left_out}."));
    }
    seen.extend(out.owners.iter().map(|owner| {
        let Owner { rollout, devices: count, why } = owner;
        format!("OtaRollout {rollout} owns {} that this one also targets: {why}.", devices(*count))
    }));
    seen
}

/// What the stop rules of method `Control` saw at their last comparison.
fn compared(rollout: &OtaRollout, status: &OtaRolloutStatus) -> Vec<String> {
    let last = control::last_comparison(status).filter(|_| status.stopped_by.is_none());
    let rules = defaults::stop_rules(&rollout.spec);
    let counts = total(status);
    let judged = |last: &ControlComparison| {
        let watched = Watched { counts: &counts, comparison: Some(last) };
        let rules = rules.iter().filter(|rule| rule.method == StopMethod::Control);
        rules.map(|rule| said("Stop rule", &stop_rules::judge(rule, &watched, last.at))).collect()
    };
    last.map(judged).unwrap_or_default()
}

fn counts_text(counts: StageCounts) -> String {
    let rest = listed([
        (counts.superseded, "of them taken over by a later rollout since"),
        (counts.unseen, "not counted: taken over before they reported the version"),
        (counts.owned_elsewhere, "not counted: stopped, and owned by another rollout since"),
        (counts.failed, "failed"),
        (counts.timed_out, "timed out"),
        (counts.reverted, "on another version"),
        (counts.failed_and_left, "failed and were deleted in the cloud since"),
        (counts.unconfirmed, "reported as successful, version not confirmed yet"),
        (counts.in_flight.saturating_sub(counts.unconfirmed), "upgrading"),
        (counts.queued, "queued"),
        (counts.never_began, "never began"),
    ]);
    let comma = if rest.is_empty() { "" } else { ", " };
    format!("{} of {} updated{comma}{rest}", counts.succeeded, devices(counts.assigned))
}

fn asked(gate: &Requirement) -> String {
    let what = match gate.method {
        GateMethod::Wilson | GateMethod::Exact => {
            let bound = if gate.method == GateMethod::Wilson { "a Wilson" } else { "an exact" };
            format!(
                "{bound} lower bound of at least {} at {} confidence",
                gate.goal.text(),
                gate.confidence.text()
            )
        }
        GateMethod::Ratio => format!("a success rate of at least {}", gate.goal.text()),
    };
    let chosen = if gate.is_default { ", chosen for the size of the stage" } else { "" };
    format!(
        "{what}{chosen}, from at least {} and {} of the stage",
        devices(gate.min_sample),
        gate.min_observed.text()
    )
}

fn said(what: &str, evidence: &Evidence) -> String {
    let verdict = match evidence.verdict {
        Verdict::Pass => "passed",
        Verdict::Fail => "failed",
        Verdict::Inconclusive => "was inconclusive",
    };
    format!(
        "{what} {} ({}) {verdict} at {}: {}.",
        evidence.rule,
        evidence.method,
        time_text(evidence.at),
        evidence.message
    )
}

fn next(
    rollout: &OtaRollout,
    status: &OtaRolloutStatus,
    key: &ObjectKey,
    all: &[Object],
    now: Timestamp,
) -> Vec<String> {
    let mut next: Vec<String> = status.pending.iter().map(pending).collect();
    if rollout.spec.suspend {
        next.push("spec.suspend is true: nothing new is dispatched until it is false.".to_owned());
    }
    if let Some(since) = status.paused_at {
        let (since, resume) = (time_text(since), command("resume", key));
        next.push(format!("It was paused by request at {since}: nothing new is dispatched until {resume}."));
    }
    if let Some(rule) = &status.stopped_by {
        next.push(after_stop(rollout, status, rule));
        return next;
    }
    match status.phase {
        RolloutPhase::Deleting => {}
        RolloutPhase::Completed => next.extend(retry_next(status, key)),
        RolloutPhase::Pending => next.extend(package_next(rollout, key, all)),
        RolloutPhase::Aborted => next.push(NOT_CONTINUED.to_owned()),
        RolloutPhase::Progressing | RolloutPhase::Held => {
            next.extend(package_next(rollout, key, all));
            if is_held_by_something_else(rollout, status) {
                let why = status.message.trim_end_matches('.');
                next.push(format!("It does not continue by itself: {why}."));
                next.extend(retry_next(status, key).filter(|_| is_because(status, Reason::StageFailed)));
                return next;
            }
            let rules = defaults::stop_rules(&rollout.spec);
            if let Some(current) = current(rollout, status) {
                next.extend(stage_next(&current, status, now));
                next.extend(forecast::sentences(rollout, status, now));
                let cloud = package_of(rollout, key, all).and_then(|package| cloud_of(package, all));
                if !rollout.spec.suspend && status.paused_at.is_none() {
                    next.extend(outstanding(current.spec.as_ref(), current.stage, cloud));
                }
                next.extend(retry_next(status, key));
                next.extend(rules.iter().filter_map(|rule| margin(rule, status)));
            } else if status.phase == RolloutPhase::Progressing && !status.stages.is_empty() {
                next.push(FOLLOWING_UP.to_owned());
                next.extend(rules.iter().filter_map(|rule| margin(rule, status)));
            }
        }
    }
    next
}

/// Failed and reverted devices get another attempt only on request; a failed gate holds until then.
fn retry_next(status: &OtaRolloutStatus, key: &ObjectKey) -> Option<String> {
    let failures = total(status).failures();
    let is_held = |stage: &StageStatus| stage.phase == StagePhase::Held && !stage.gates.is_empty();
    let gate = if status.stages.iter().any(is_held) { ", and judges the gate again" } else { "" };
    (failures > 0).then(|| {
        let (failed, retry) = (devices(failures), command("retry", key));
        format!(
            "If another attempt may help, {retry} sends the package again to the {failed} that failed{gate}."
        )
    })
}

fn total(status: &OtaRolloutStatus) -> StageCounts {
    status.stages.iter().fold(StageCounts::default(), |sum, stage| sum + stage.counts)
}

/// True when its conditions name this reason.
fn is_because(status: &OtaRolloutStatus, reason: Reason) -> bool {
    find_condition(&status.conditions, PROGRESSING).is_some_and(|condition| condition.reason == reason)
}

/// Held, and neither by a gate nor by a user: the message of the status says what to do.
fn is_held_by_something_else(rollout: &OtaRollout, status: &OtaRolloutStatus) -> bool {
    let by_gate =
        status.stages.iter().any(|stage| stage.phase == StagePhase::Held && !stage.gates.is_empty());
    status.phase == RolloutPhase::Held && !by_gate && !rollout.spec.suspend && status.paused_at.is_none()
}

const FOLLOWING_UP: &str = "All stages have passed. Devices that became eligible later get the package in jobs of the last stage, under the same stop rules; the rollout completes again when those jobs have ended.";

const NOT_CONTINUED: &str = "The rollout is aborted and does not continue with this spec. Fix the package under a new version in a new OtaPackage, and point spec.packageRef at it.";

fn after_stop(rollout: &OtaRollout, status: &OtaRolloutStatus, evidence: &Evidence) -> String {
    let rules = defaults::stop_rules(&rollout.spec);
    match rules.iter().find(|rule| rule.name == evidence.rule).map(|rule| rule.action) {
        Some(StopAction::Abort) if status.phase == RolloutPhase::Aborted => NOT_CONTINUED.to_owned(),
        // In an outage a rule only pauses, whatever its action.
        _ => format!(
            "Stop rule {} holds the rollout until the spec changes: point spec.packageRef at a fixed package, or change the rule if these failures are acceptable.",
            evidence.rule
        ),
    }
}

/// What the package needs first; none when it is ready.
fn package_next(rollout: &OtaRollout, key: &ObjectKey, all: &[Object]) -> Option<String> {
    let name = &rollout.spec.package_ref.name;
    let wanted = key.sibling(Kind::OtaPackage, name);
    let Some(package) = all.iter().find(|object| object.key() == wanted) else {
        return Some(format!("{wanted} does not exist: apply it, or point spec.packageRef at another one."));
    };
    if package.health() == crate::api::Health::Ready {
        return None;
    }
    let question = ask(Kind::OtaPackage, key, name);
    Some(format!(
        "{wanted} must be ready first; it is {} now ({question} shows why).",
        package.health().as_str()
    ))
}

fn stage_next(current: &Current<'_>, status: &OtaRolloutStatus, now: Timestamp) -> Vec<String> {
    let (spec, stage) = (current.spec.as_ref(), current.stage);
    if let (Some(wait), Some(_)) = (spec.and_then(|spec| window::wait(spec, now)), stage.opens_at) {
        return vec![format!("Stage {} is dispatched when it {}.", stage.name, wait.text_at(now))];
    }
    if stage.phase == StagePhase::Waiting || is_because(status, Reason::DispatchBlocked) {
        return vec![format!(
            "It continues once this is resolved: {}.",
            status.message.trim_end_matches('.')
        )];
    }
    match stage.phase {
        StagePhase::Waiting => Vec::new(),
        StagePhase::Dispatching if !stage.jobs.is_empty() && stage.unsent > 0 => {
            let waits = format!("{}.", status.message.trim_end_matches('.'));
            std::iter::once(waits).chain(gates_next(current)).collect()
        }
        StagePhase::Dispatching => vec![format!("Stage {} runs once its jobs are created.", stage.name)],
        StagePhase::Soaking => soak_next(spec, stage).into_iter().chain(gates_next(current)).collect(),
        StagePhase::Running | StagePhase::Held => gates_next(current),
        StagePhase::Passed => Vec::new(),
    }
}

fn soak_next(spec: Option<&Stage>, stage: &StageStatus) -> Option<String> {
    let (soak, until) = (spec?.soak?, stage.soaks_until?);
    Some(format!("Stage {} soaks for {soak}, until {}; then its gates decide.", stage.name, time_text(until)))
}

fn gates_next(Current { spec, stage, gates }: &Current<'_>) -> Vec<String> {
    let compared = spec.iter().flat_map(gates::controls).map(|(gate, spec)| {
        format!(
            "Gate {gate} of stage {} passes when at the end of the soak at most {} percentage points more of the upgraded devices are offline than of the control group.",
            stage.name,
            gates::control::points(spec.margin)
        )
    });
    let compared: Vec<String> = compared.collect();
    if gates.is_empty() && !compared.is_empty() {
        return compared;
    }
    if gates.is_empty() {
        let open = stage.counts.outstanding();
        return vec![format!(
            "Stage {} has no gate: it passes when every device has a final outcome, {} outstanding.",
            stage.name,
            devices(open)
        )];
    }
    let held = |gate: &Requirement| {
        let why = responders::holds(stage, gate.min_observed)?;
        Some(format!("Gate {} of stage {} waits for outcomes: {why}.", gate.gate, stage.name))
    };
    let outlook = |gate: &Requirement| outlook(&stage.name, gate, stage.counts_in_full());
    gates.iter().map(|gate| held(gate).unwrap_or_else(|| outlook(gate))).chain(compared).collect()
}

/// What a gate would decide on possible future counts.
fn outlook(stage: &str, gate: &Requirement, counts: StageCounts) -> String {
    let open = counts.outstanding();
    let passes = |successes: u32, failures: u32| {
        // Those that are left have begun: until they have an outcome, they count as failures.
        let then = StageCounts {
            queued: 0,
            in_flight: open.saturating_sub(successes + failures),
            unconfirmed: 0,
            succeeded: counts.succeeded + successes,
            failed: counts.failed + failures,
            ..counts
        };
        judged_at_the_end(gate, &then).verdict == Verdict::Pass
    };
    let name = format!("Gate {} of stage {stage}", gate.gate);
    let Some(needed) = smallest(open, |successes| passes(successes, 0)) else {
        return hopeless(&name, stage, gate, counts, open);
    };
    let bearable =
        smallest(open, |failures| !passes(open - failures, failures)).map(|first| first.saturating_sub(1));
    if needed == 0 && open == 0 {
        return format!("{name} passes with the present outcomes.");
    }
    let margin = match bearable {
        Some(0) => "it tolerates no further failure".to_owned(),
        Some(failures) => format!("it tolerates {}", counted(failures, "more failure")),
        None => "no failure among them can change that".to_owned(),
    };
    let open = format!("{} without an outcome yet", devices(open));
    match needed {
        0 => format!("{name} passes with the present outcomes; with {open}, {margin}."),
        _ => format!(
            "{name} passes after {} in a row; with {open}, {margin}.",
            counted(needed, "more success")
        ),
    }
}

/// The verdict on these counts once the soak is over.
fn judged_at_the_end(gate: &Requirement, counts: &StageCounts) -> Evidence {
    let sample = outcome::freeze(std::slice::from_ref(gate), counts);
    outcome::judge(gate, counts, sample, Timestamp::UNIX_EPOCH)
}

fn hopeless(name: &str, stage: &str, gate: &Requirement, counts: StageCounts, open: u32) -> String {
    if let (0, Some(why)) = (counts.failures(), gate.cannot_prove(stage, counts.assigned)) {
        return format!(
            "{name} cannot pass: {why}. Lower what the gate requires, or select more devices and start a new run with `rollwave restart`."
        );
    }
    let best = StageCounts { queued: 0, in_flight: 0, succeeded: counts.succeeded + open, ..counts };
    let reach = judged_at_the_end(gate, &best).value;
    let outlook = match open {
        0 => "every device has an outcome,".to_owned(),
        1 => "even if the last open device succeeds,".to_owned(),
        _ => format!("even if all {open} open devices succeed,"),
    };
    let measure = match gate.method {
        GateMethod::Wilson => "the Wilson lower bound",
        GateMethod::Exact => "the exact lower bound",
        GateMethod::Ratio => "the success rate",
    };
    let (reach, goal) = (share(reach), gate.goal.text());
    format!(
        "{name} can no longer pass: {outlook} {measure} is {reach}, and {goal} is required. Fix the package under a new version and point spec.packageRef at it; or, if less is acceptable, lower minSuccess of gate {} of stage \
         {stage} to {reach} or below.",
        gate.gate
    )
}

/// A share, rounded down so that it never looks reached when it is not: `94.9 %`.
fn share(value: f64) -> String {
    format!("{:.1} %", (value * 1000.0).floor() / 10.0)
}

/// How far a stop rule is from firing.
fn margin(rule: &StopRule, status: &OtaRolloutStatus) -> Option<String> {
    let counts = total(status);
    let open = counts.outstanding();
    let fires = |failures: u32| {
        let begun = failures.min(counts.in_flight);
        let then = StageCounts {
            queued: counts.queued.saturating_sub(failures - begun),
            in_flight: counts.in_flight - begun,
            unconfirmed: 0,
            failed: counts.failed + failures,
            ..counts
        };
        let watched = Watched { counts: &then, comparison: None };
        stop_rules::judge(rule, &watched, Timestamp::UNIX_EPOCH).verdict == Verdict::Fail
    };
    let needed = smallest(open, fires).filter(|needed| *needed > 0)?;
    let outcome = match rule.action {
        StopAction::Pause => "pauses",
        StopAction::Abort => "aborts",
    };
    let failures = counted(needed, "more failure");
    Some(format!("Stop rule {} {outcome} the rollout after {failures} in a row.", rule.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Percent;

    fn gate(method: GateMethod, goal: u32) -> Requirement {
        let default = Requirement::new("default", &defaults::outcome(), 0);
        let goal = Percent::whole(goal);
        Requirement { gate: "proven".into(), method, goal, is_default: false, ..default }
    }

    fn of(succeeded: u32, failed: u32, in_flight: u32) -> StageCounts {
        let assigned = succeeded + failed + in_flight;
        StageCounts { assigned, succeeded, failed, in_flight, ..StageCounts::default() }
    }

    #[test]
    fn an_outlook_counts_what_is_missing_and_what_can_be_borne() {
        use GateMethod::{Ratio, Wilson};
        let lines: Vec<String> = [
            (Wilson, 90, of(60, 0, 0)),
            (Wilson, 90, of(20, 0, 40)),
            (Wilson, 90, of(50, 1, 9)),
            (Wilson, 90, of(40, 4, 16)),
            (Wilson, 95, of(10, 0, 0)),
            (Ratio, 95, of(0, 1, 19)),
            (Ratio, 95, of(18, 2, 0)),
        ]
        .into_iter()
        .map(|(method, min, counts)| outlook("canary", &gate(method, min), counts))
        .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_an_outlook_promises_the_judge_keeps() {
        let gate = gate(GateMethod::Wilson, 90);
        let verdict = |counts: StageCounts| judged_at_the_end(&gate, &counts).verdict;
        let text = outlook("canary", &gate, of(20, 0, 40));
        let needed: u32 =
            text.split("passes after ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(verdict(of(20 + needed, 0, 40 - needed)), Verdict::Pass);
        assert_ne!(verdict(of(20 + needed - 1, 0, 40 - needed + 1)), Verdict::Pass);
    }
}
