//! Edits of an `OtaRollout`.

use super::{Editor, stages};
use crate::control::FIRST_OF_CONTROL;
use rollwave::api::Kind;
use serde_json::{Value, json};

/// One of its fields says something else.
pub(super) fn change(editor: &mut Editor<'_>, spec: &mut Value) {
    match editor.dice.between(0, 99) {
        0..15 => move_to_a_release(editor, spec),
        15..35 => spec["targets"] = targets(editor, spec),
        35..40 => set(spec, "order", order(editor)),
        40..68 => stages::change(editor, spec),
        68..78 => set(spec, "stop", stop(editor)),
        78..88 => set(spec, "delivery", delivery(editor)),
        88..93 => spec["readyWhen"] = editor.text_of(&["Accepted", "CanaryPassed", "Completed"]),
        93..95 => spec["priority"] = json!(editor.dice.between(0, 3)),
        95..97 => spec["newDevices"] = editor.text_of(&["Include", "Ignore"]),
        _ => spec["suspend"] = json!(!spec["suspend"].as_bool().unwrap_or(false)),
    }
}

/// Null takes the field out.
pub(super) fn set(spec: &mut Value, field: &str, value: Value) {
    if value.is_null() {
        spec.as_object_mut().map(|spec| spec.remove(field));
    } else {
        spec[field] = value;
    }
}

/// It names another package: mostly of the same account, and now and then one that is not there.
pub(super) fn move_to_a_release(editor: &mut Editor<'_>, spec: &mut Value) {
    let now = spec["packageRef"]["name"].as_str().unwrap_or_default().to_owned();
    let account = now.split('-').next().unwrap_or_default().to_owned();
    if !editor.setting.easy && editor.dice.permille(20) {
        spec["packageRef"]["name"] = json!(format!("{account}-9"));
        return;
    }
    let elsewhere = !editor.setting.easy && editor.dice.permille(150);
    let mut names = editor.names(Kind::OtaPackage);
    names.retain(|name| *name != now && (name.split('-').next() != Some(&account)) == elsewhere);
    if let Some(name) = editor.dice.pick(&names) {
        spec["packageRef"]["name"] = json!(name);
    }
}

fn account_number(editor: &Editor<'_>, spec: &Value) -> u64 {
    let package = spec["packageRef"]["name"].as_str().unwrap_or_default();
    editor.account_of(package).map_or(0, |account| account.n)
}

fn targets(editor: &mut Editor<'_>, spec: &Value) -> Value {
    let account = account_number(editor, spec);
    let fleet = editor.setting.fleet;
    let mut targets = match editor.dice.between(0, 9) {
        0..4 => json!({"all": true}),
        4..8 => json!({"devices": editor.devices(account, fleet)}),
        8 => json!({"groups": [super::super::scenario::group(account)]}),
        _ => json!({"tags": {"site": ["north"]}}),
    };
    if editor.dice.permille(250) {
        let versions: &[Value] = &[json!(["V1"]), json!(["V1", "V2"]), json!(["V2", "V3"]), json!(["V9"])];
        targets["fromVersions"] = json!(editor.dice.pick(versions));
    }
    if editor.dice.permille(400) {
        targets["exclude"] = json!({"devices": editor.devices(account, fleet.div_ceil(2))});
    }
    targets
}

fn order(editor: &mut Editor<'_>) -> Value {
    if editor.dice.permille(200) {
        return Value::Null;
    }
    let number = editor.dice.between(0, 9);
    let mut order = json!({"seed": format!("seed-{number}")});
    if editor.setting.seed >= FIRST_OF_CONTROL && number.is_multiple_of(2) {
        order["stratifyBy"] = json!(["sourceVersion"]);
    }
    order
}

fn stop(editor: &mut Editor<'_>) -> Value {
    let rules = editor.dice.between(0, 2);
    let rule = |n: u64, editor: &mut Editor<'_>| {
        let by_count = editor.dice.permille(500);
        let mut rule = json!({
            "name": format!("rule{n}"),
            "method": if by_count { "Count" } else { "Ratio" },
            "maxFailure": if by_count { json!(editor.dice.between(1, 5)) } else { json!(editor.percent(5, 60)) },
        });
        if editor.dice.permille(500) {
            rule["minSample"] = json!(editor.dice.between(1, 8));
        } else if !by_count {
            rule["method"] = json!("EProcess");
        }
        if editor.dice.permille(500) {
            rule["action"] = editor.text_of(&["Pause", "Abort"]);
            if rule["method"] == "EProcess" {
                rule["confidence"] = json!("80%");
            }
        }
        rule
    };
    let mut rules: Vec<Value> = (0..rules).map(|n| rule(n, editor)).collect();
    if editor.setting.seed >= FIRST_OF_CONTROL && editor.dice.permille(400) {
        rules.push(rule_of_later_seeds(editor));
    }
    if rules.is_empty() { Value::Null } else { json!(rules) }
}

/// Wald's test, or a control group.
fn rule_of_later_seeds(editor: &mut Editor<'_>) -> Value {
    if editor.dice.permille(500) {
        return json!({"name": "compared", "method": "Control", "minSample": editor.dice.between(1, 4)});
    }
    let mut rule = json!({"name": "wald", "method": "Sprt", "p0": "5%", "p1": editor.percent(20, 60)});
    if editor.dice.permille(500) {
        rule["alpha"] = editor.text_of(&["1%", "10%"]);
        rule["beta"] = editor.text_of(&["5%", "20%"]);
    }
    rule
}

/// Of all fields some; what a cloud does not take is taken out later.
pub(super) fn delivery(editor: &mut Editor<'_>) -> Value {
    if editor.dice.permille(200) {
        return Value::Null;
    }
    let mut delivery = json!({});
    let mut choose = |field: &str, value: Value| {
        if editor.dice.permille(300) {
            delivery[field] = value;
        }
    };
    choose("start", json!("DeviceOnline"));
    choose("timeout", json!({"inProgress": "20m"}));
    choose("retry", json!({"limit": 1, "interval": "10m"}));
    choose("ratePerMinute", json!(10));
    choose("maxInFlight", json!(2));
    choose("push", json!(true));
    choose("confirm", json!(false));
    choose("deviceInitiated", json!(true));
    choose("downloadProtocol", json!("Https"));
    choose("overwrite", json!(true));
    choose("tags", json!({"release": "spring"}));
    vary(editor, &mut delivery);
    delivery
}

/// Other values than the usual ones, where that makes another request.
fn vary(editor: &mut Editor<'_>, delivery: &mut Value) {
    let other: [(&str, Value); 6] = [
        ("start", json!("Now")),
        ("timeout", json!({"inProgress": "45m", "queued": "2h"})),
        ("retry", json!({"limit": 2})),
        ("ratePerMinute", json!(100)),
        ("maxInFlight", json!(5)),
        ("tags", json!({"release": "autumn", "Line": "B"})),
    ];
    for (field, value) in other {
        if delivery.get(field).is_some() && editor.dice.permille(400) {
            delivery[field] = value;
        }
    }
}
