//! `status` as a tree: accounts, their packages, the rollouts of each, and the stages with the evidence of their gates.
//!
//! Icons never stand alone: a word beside them has the same meaning.

use super::printer::{BAD, BUSY, DIM, GOOD, STRONG, WARN, paint};
use crate::api::{
    Evidence, Health, Intent, IntentState, Object, OtaPackage, OtaRollout, OtaRolloutStatus, RolloutPhase,
    Stage, StageCounts, StagePhase, StageStatus, Verdict, time_text, withheld_since,
};
use anstyle::Style;
use serde::Serialize;

/// An object, and what depends on it.
#[derive(Serialize, Debug)]
pub struct Node<'a> {
    /// Its health in one word.
    pub health: Health,
    /// The object that it refers to, if that does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// The object itself.
    pub object: &'a Object,
    /// Packages of a cloud, rollouts of a package.
    pub children: Vec<Self>,
}

/// The objects as a forest. An object whose reference is not among them is a root.
#[must_use]
pub fn forest(objects: &[Object]) -> Vec<Node<'_>> {
    let mut sorted: Vec<&Object> = objects.iter().collect();
    sorted.sort_by_key(|object| object.key());
    let is_root = |object: &&Object| object.waits_for().is_none_or(|p| !sorted.iter().any(|o| o.key() == p));
    sorted.iter().copied().filter(is_root).map(|object| node(object, &sorted)).collect()
}

fn node<'a>(object: &'a Object, all: &[&'a Object]) -> Node<'a> {
    let key = object.key();
    let children = all.iter().filter(|other| other.waits_for().as_ref() == Some(&key));
    let missing = object.waits_for().filter(|parent| !all.iter().any(|other| other.key() == *parent));
    Node {
        health: object.health(),
        missing: missing.map(|key| key.to_string()),
        object,
        children: children.map(|child| node(child, all)).collect(),
    }
}

/// The forest as text, with styles.
#[must_use]
pub fn draw(forest: &[Node<'_>]) -> String {
    let blocks: Vec<String> = forest
        .iter()
        .map(|root| {
            let mut lines = Vec::new();
            draw_node(root, "", "", &mut lines);
            lines.join("\n")
        })
        .collect();
    let mut text = blocks.join("\n\n");
    text.push('\n');
    text
}

fn draw_node(node: &Node<'_>, first: &str, next: &str, lines: &mut Vec<String>) {
    lines.push(format!("{}{}", paint(DIM, first), title(node)));
    let trunk = if node.children.is_empty() { "   " } else { "│  " };
    let missing = node.missing.iter().map(|key| paint(WARN, format!("{key} does not exist")));
    lines.extend(
        missing
            .chain(details(node.object))
            .map(|line| format!("{}{line}", paint(DIM, format!("{next}{trunk}")))),
    );
    let last = node.children.len().saturating_sub(1);
    for (place, child) in node.children.iter().enumerate() {
        lines.push(paint(DIM, format!("{next}│")));
        let (branch, below) = if place == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        draw_node(child, &format!("{next}{branch}"), &format!("{next}{below}"), lines);
    }
}

fn title(node: &Node<'_>) -> String {
    let (icon, style) = health_look(node.health);
    let about = match node.object {
        Object::Cloud(o) => {
            o.spec.cloud().map_or_else(String::new, |cloud| format!("{} {}", cloud.kind(), cloud.place()))
        }
        Object::Package(o) => format!("{:?} {}", o.spec.kind, o.spec.version),
        Object::Rollout(o) => o.status.as_ref().map_or_else(String::new, |s| s.progress.clone()),
    };
    let name = paint(STRONG, node.object.key());
    let text = format!("{} {name}  {}", paint(style, icon), paint(style, node.health.as_str()));
    if about.is_empty() { text } else { format!("{text}  {}", paint(DIM, about)) }
}

pub(super) const fn health_look(health: Health) -> (&'static str, Style) {
    match health {
        Health::Ready => ("✔", GOOD),
        Health::Working => ("▶", BUSY),
        Health::New | Health::Waiting | Health::Deleting => ("○", DIM),
        Health::Held | Health::Unhealthy => ("‖", WARN),
        Health::Stalled | Health::Aborted => ("✖", BAD),
    }
}

fn details(object: &Object) -> Vec<String> {
    let mut lines = Vec::new();
    if object.observed_generation() >= 0 && object.observed_generation() < object.generation() {
        let (observed, present) = (object.observed_generation(), object.generation());
        lines.push(format!("spec is at generation {present}; the status is of generation {observed}"));
    }
    if object.observed_generation() < 0 {
        lines.push("not observed yet".to_owned());
    }
    if !object.message().is_empty() && !is_told_by_a_gate(object) {
        lines.push(object.message().to_owned());
    }
    if let Some(since) = withheld_since(object.meta()).filter(|_| !object.is_deleting()) {
        lines.push(format!(
            "manifest missing since {since}: confirm the deletion with `rollwave prune {}`",
            object.key()
        ));
    }
    match object {
        Object::Cloud(_) => {}
        Object::Package(o) => lines.extend(package_lines(o)),
        Object::Rollout(o) => lines.extend(rollout_lines(o)),
    }
    lines
}

/// True when the message of the object is shown below, beside the gate that it is about.
fn is_told_by_a_gate(object: &Object) -> bool {
    let Object::Rollout(rollout) = object else { return false };
    let mut gates = rollout.status.iter().flat_map(|status| &status.stages).flat_map(|stage| &stage.gates);
    gates.any(|gate| object.message().ends_with(&gate.message))
}

fn package_lines(package: &OtaPackage) -> Vec<String> {
    let Some(status) = &package.status else { return Vec::new() };
    let verification = status.verification.as_ref().map(|v| {
        let text = format!("verification  {}  {}", bar(v.counts), counts_text(v.counts));
        text.trim_end().to_owned()
    });
    verification.into_iter().chain(status.pending.iter().map(pending_line)).collect()
}

fn rollout_lines(rollout: &OtaRollout) -> Vec<String> {
    let fallback = OtaRolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&fallback);
    let untold = status.stopped_by.iter().filter(|evidence| !status.message.contains(&evidence.message));
    let mut lines: Vec<String> = untold.map(|evidence| evidence_line("stop rule", evidence)).collect();
    lines.extend(status.pending.iter().map(pending_line));
    let names = stage_names(&rollout.spec.stages, &status.stages);
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0).max(4);
    for name in names {
        let seen = status.stages.iter().find(|stage| stage.name == name);
        let phase = seen.map_or(StagePhase::Waiting, |stage| stage.phase);
        lines.push(stage_line(name, width, look_in(status.phase, phase), seen));
        let soaks = seen
            .filter(|seen| seen.phase == StagePhase::Soaking)
            .and_then(|seen| seen.soaks_until)
            .map(|end| format!("soaks until {}", time_text(end)));
        lines.extend(soaks.filter(|line| !status.message.contains(line)).map(|line| format!("  {line}")));
        let gates = seen.map_or(&[][..], |stage| &stage.gates);
        lines.extend(gates.iter().map(|gate| format!("  {}", evidence_line("gate", gate))));
    }
    lines
}

/// The stages in the order of the status, which includes the implied last one; those of the spec before there is a status.
fn stage_names<'a>(spec: &'a [Stage], seen: &'a [StageStatus]) -> Vec<&'a str> {
    if seen.is_empty() {
        return spec.iter().map(|stage| stage.name.as_str()).collect();
    }
    seen.iter().map(|stage| stage.name.as_str()).collect()
}

fn stage_line(name: &str, width: usize, look: Look, seen: Option<&StageStatus>) -> String {
    let (icon, word, style) = look;
    let name = format!("{} {name:<width$}", paint(style, icon));
    match seen.map(|stage| stage.counts).filter(|counts| counts.assigned > 0) {
        None => format!("{name}  {}", paint(style, word)),
        Some(counts) => {
            format!(
                "{name}  {}  {}  {}",
                paint(style, format!("{word:<11}")),
                bar(counts),
                counts_text(counts)
            )
        }
    }
}

/// Icon, word, style.
type Look = (&'static str, &'static str, Style);

/// How a stage is drawn in a rollout of this phase: a stage that would continue is stopped while the rollout is held.
const fn look_in(rollout: RolloutPhase, stage: StagePhase) -> Look {
    match (rollout, stage) {
        (
            RolloutPhase::Held | RolloutPhase::Aborted | RolloutPhase::Deleting,
            StagePhase::Dispatching | StagePhase::Running | StagePhase::Soaking,
        ) => ("‖", "stopped", WARN),
        _ => phase_look(stage),
    }
}

const fn phase_look(phase: StagePhase) -> Look {
    match phase {
        StagePhase::Waiting => ("○", "waiting", DIM),
        StagePhase::Dispatching => ("▶", "dispatching", BUSY),
        StagePhase::Running => ("▶", "running", BUSY),
        StagePhase::Soaking => ("◔", "soaking", BUSY),
        StagePhase::Held => ("‖", "held", WARN),
        StagePhase::Passed => ("✔", "passed", GOOD),
    }
}

fn evidence_line(what: &str, evidence: &Evidence) -> String {
    let (word, style) = match evidence.verdict {
        Verdict::Pass => ("pass", GOOD),
        Verdict::Fail => ("fail", BAD),
        Verdict::Inconclusive => ("inconclusive", WARN),
    };
    format!("{what} {} ({}) {}: {}", evidence.rule, evidence.method, paint(style, word), evidence.message)
}

fn pending_line(intent: &Intent) -> String {
    let what = match intent.state {
        IntentState::Intended => "is about to be sent",
        IntentState::Ambiguous => {
            "has an unknown outcome; the cloud is searched for its idempotency key before it is sent again"
        }
        IntentState::Lost => {
            "has an unknown outcome that stays unknown, because its package is deleted; it is not sent again"
        }
    };
    let stage = intent.stage.as_ref().map_or_else(String::new, |stage| format!(" for stage {stage}"));
    format!(
        "{} {:?} {}{stage} {what} (since {})",
        paint(WARN, "?"),
        intent.operation,
        intent.token,
        time_text(intent.at)
    )
}

const CELLS: u32 = 20;

/// Twenty cells: `█` runs the new version, `x` failed, `▒` upgrading, `░` not begun. A count above zero has at least one cell.
fn bar(counts: StageCounts) -> String {
    let cells = |devices: u32| {
        let exact = u64::from(devices) * u64::from(CELLS) / u64::from(counts.assigned.max(1));
        u32::try_from(exact).unwrap_or(CELLS).max(u32::from(devices > 0))
    };
    let (failed, moving) = (cells(counts.failures()), cells(counts.in_flight));
    let rest = CELLS.saturating_sub(failed + moving);
    let still = if counts.queued > 0 { cells(counts.queued).max(1) } else { 0 };
    let done = if counts.succeeded > 0 { rest.saturating_sub(still).max(1) } else { 0 };
    let parts = [(GOOD, "█", done), (BAD, "x", failed), (BUSY, "▒", moving)];
    let drawn: u32 = parts.iter().map(|(_, _, cells)| cells).sum();
    let mut text = String::new();
    for (style, glyph, cells) in parts {
        if cells > 0 {
            text.push_str(&paint(style, glyph.repeat(cells as usize)));
        }
    }
    text + &paint(DIM, "░".repeat(CELLS.saturating_sub(drawn) as usize))
}

/// `40 of 60 updated, 1 failed, 8 queued`: only counts above zero.
pub(super) fn counts_text(counts: StageCounts) -> String {
    let parts = [
        (counts.superseded, "of them superseded since"),
        (counts.unseen, "superseded before they were observed"),
        (counts.owned_elsewhere, "owned by another rollout"),
        (counts.failed, "failed"),
        (counts.timed_out, "timed out"),
        (counts.reverted, "reverted"),
        (counts.in_flight, "upgrading"),
        (counts.queued, "queued"),
        (counts.never_began, "never began"),
    ];
    let mut text = format!("{} of {} updated", counts.succeeded, counts.assigned);
    for (devices, what) in parts.into_iter().filter(|(devices, _)| *devices > 0) {
        text.push_str(&format!(", {devices} {what}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn every_state_is_drawn() {
        let objects = samples::fleet();
        insta::assert_snapshot!("tree", anstream::adapter::strip_str(&draw(&forest(&objects))).to_string());
    }

    #[test]
    fn a_bar_has_always_twenty_cells_and_hides_no_failure() {
        for (succeeded, failed, in_flight, queued) in [
            (0, 0, 0, 0),
            (10_000, 1, 0, 0),
            (1, 9_999, 0, 0),
            (1, 1, 1, 100_000),
            (0, 0, 5, 5),
            (3, 3, 3, 3),
        ] {
            let assigned = succeeded + failed + in_flight + queued;
            let counts =
                StageCounts { assigned, succeeded, failed, in_flight, queued, ..StageCounts::default() };
            let text = anstream::adapter::strip_str(&bar(counts)).to_string();
            assert_eq!(text.chars().count(), CELLS as usize, "{text} for {counts:?}");
            assert_eq!(text.contains('x'), failed > 0, "{text} for {counts:?}");
            assert_eq!(text.contains('░'), queued > 0 || assigned == 0, "{text} for {counts:?}");
        }
    }
}
