//! Edits of the stages of an `OtaRollout`: the list itself, and each field of one of them.

use super::Editor;
use super::rollout::set;
use crate::control::FIRST_OF_CONTROL;
use crate::defaults::FIRST_OF_DEFAULTS;
use crate::dice::Dice;
use crate::hours;
use crate::pace::{self, FIRST_OF_PACE};
use crate::scenario::group;
use serde_json::{Value, json};

/// Most stages of a rollout here.
const MOST: usize = 5;

/// The list of stages changes in one place.
pub(super) fn change(editor: &mut Editor<'_>, spec: &mut Value) {
    let package = spec["packageRef"]["name"].as_str().unwrap_or_default();
    let account = editor.account_of(package).map_or(0, |account| account.n);
    if editor.setting.seed >= FIRST_OF_DEFAULTS && editor.dice.permille(100) {
        // The default stages, or one that is written.
        let stages = spec["stages"].is_null().then(|| json!([new_stage(editor, account)]));
        return set(spec, "stages", stages.unwrap_or_default());
    }
    let Some(stages) = spec.get_mut("stages").and_then(Value::as_array_mut) else { return };
    // The stage that takes the rest must be the last.
    let rest = stages.last().is_some_and(|stage| stage["select"]["rest"] == json!(true));
    let movable = stages.len() - usize::from(rest);
    match editor.dice.between(0, 9) {
        0 if stages.len() < MOST => {
            let stage = new_stage(editor, account);
            stages.insert(index(editor, movable + 1), stage);
        }
        1 if stages.len() > 1 => drop(stages.remove(index(editor, stages.len()))),
        2 if movable > 1 => {
            let first = index(editor, movable - 1);
            stages.swap(first, first + 1);
        }
        3 => {
            let which = index(editor, stages.len());
            stages[which]["name"] = json!(format!("stage-{}", editor.next_fresh()));
        }
        4 if movable > 0 => {
            let which = index(editor, movable);
            stages[which]["select"] = select(editor, account);
            if let Some(gates) =
                stages[which]["gates"].as_array().filter(|_| !pace::is_compared(&stages[which]))
            {
                stages[which]["gates"] =
                    gates.iter().filter(|gate| gate["control"].is_null()).cloned().collect();
            }
        }
        _ => {
            let which = index(editor, stages.len());
            let stage = stages[which].take();
            stages[which] = changed(editor, stage);
        }
    }
}

fn index(editor: &mut Editor<'_>, count: usize) -> usize {
    let last = u64::try_from(count).unwrap_or(1).saturating_sub(1);
    usize::try_from(editor.dice.between(0, last)).unwrap_or(0)
}

fn new_stage(editor: &mut Editor<'_>, account: u64) -> Value {
    let stage = json!({"name": format!("stage-{}", editor.next_fresh()), "select": select(editor, account)});
    changed(editor, stage)
}

fn select(editor: &mut Editor<'_>, account: u64) -> Value {
    let fleet = editor.setting.fleet;
    let select = match editor.dice.between(0, 2) {
        0 => json!({"count": editor.dice.between(1, fleet)}),
        1 => json!({"percent": editor.percent(1, 100)}),
        _ => json!({"devices": editor.devices(account, 4)}),
    };
    by_set(editor.setting.seed, account, &select).unwrap_or(select)
}

/// Runs of later seeds select by a group or a tag instead, now and then. What is drawn beside stays as it is.
fn by_set(seed: u64, account: u64, instead_of: &Value) -> Option<Value> {
    let mut dice = Dice::new(seed, &format!("sets of stages, not {instead_of}"));
    if seed < FIRST_OF_CONTROL || !dice.permille(400) {
        return None;
    }
    let group = json!({"groups": [group(account)]});
    Some(if dice.permille(500) { group } else { json!({"tags": {"site": ["north"]}}) })
}

/// What one stage waits for becomes something else, or nothing.
fn changed(editor: &mut Editor<'_>, mut stage: Value) -> Value {
    let fields = match editor.setting.seed {
        FIRST_OF_PACE.. => 12,
        FIRST_OF_DEFAULTS.. => 11,
        _ => 10,
    };
    let (field, value) = match editor.dice.between(0, fields) {
        12 => ("batch", json!({"size": editor.dice.between(1, 6), "maxFailures": editor.dice.between(0, 3)})),
        11 => ("batch", json!({"size": editor.dice.between(1, 6)})),
        10 => ("deadline", deadline(editor)),
        0..4 => ("gates", gates(editor, &stage)),
        4..6 => ("soak", editor.text_of(&["1m", "4m", "10m"])),
        6 => ("notBefore", hours::moment(&mut editor.dice)),
        _ => ("windows", windows(editor)),
    };
    let is_taken_out = editor.dice.permille(250);
    let stage_fields = stage.as_object_mut();
    match stage_fields {
        Some(fields) if is_taken_out || value == json!([]) => drop(fields.remove(field)),
        Some(fields) => drop(fields.insert(field.to_owned(), value)),
        None => {}
    }
    stage
}

fn deadline(editor: &mut Editor<'_>) -> Value {
    json!({"after": editor.text_of(&["1h", "12h", "7d"]), "then": editor.text_of(&["Judge", "Hold"])})
}

fn gates(editor: &mut Editor<'_>, stage: &Value) -> Value {
    let gates = editor.dice.between(0, 2);
    let mut gates: Vec<Value> = (0..gates).map(|number| gate(editor, number)).collect();
    if editor.setting.seed >= FIRST_OF_PACE && pace::is_compared(stage) && editor.dice.permille(300) {
        gates.push(pace::gate(&mut editor.dice));
    }
    Value::Array(gates)
}

/// Names are drawn, too: a gate that is renamed has no evidence under its new name.
fn gate(editor: &mut Editor<'_>, number: u64) -> Value {
    // No few devices prove a high rate by the method Wilson.
    let by_ratio = editor.dice.permille(800);
    let min_success = if by_ratio { editor.percent(50, 100) } else { editor.percent(20, 70) };
    let method = match (by_ratio, number) {
        (true, _) => "Ratio",
        (false, 0) => "Wilson",
        (false, _) => "Exact",
    };
    let mut outcome = json!({"method": method, "minSuccess": min_success});
    if editor.setting.seed >= FIRST_OF_DEFAULTS && editor.dice.permille(300) {
        outcome.as_object_mut().map(|outcome| outcome.remove("minSuccess"));
    }
    if editor.dice.permille(300) {
        outcome["confidence"] = json!(editor.percent(80, 99));
    }
    if editor.dice.permille(300) {
        outcome["minSample"] = json!(editor.dice.between(1, 4));
    }
    if editor.dice.permille(300) {
        outcome["minObserved"] = json!(editor.percent(10, 100));
    }
    let name = if editor.dice.permille(800) { "proven" } else { "shown" };
    json!({"name": format!("{name}-{number}"), "outcome": outcome})
}

/// Windows of every half hour; some name the days of the run, which are two at most.
fn windows(editor: &mut Editor<'_>) -> Value {
    let mut windows = hours::windows(&mut editor.dice);
    if editor.dice.permille(300) {
        for window in windows.as_array_mut().into_iter().flatten() {
            window["days"] = json!(["Mon", "Tue"]);
        }
    }
    windows
}
