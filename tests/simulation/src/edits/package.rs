//! Edits of an `OtaPackage`. What names the package in the cloud cannot be edited.

use super::{Editor, rollout};
use crate::clouds::Account;
use crate::files;
use rollwave::api::CloudKind;
use serde_json::{Value, json};

/// One of its fields says something else.
pub(super) fn change(editor: &mut Editor<'_>, name: &str, spec: &mut Value) {
    let Some(account) = editor.account_of(name) else { return };
    match editor.dice.between(0, 99) {
        0..15 => spec["description"] = json!(format!("text {}", editor.dice.between(0, 9))),
        15..25 => spec["customInfo"] = json!(format!("info {}", editor.dice.between(0, 9))),
        25..35 => source_versions(editor, spec),
        35..60 => artifact(editor, account, spec),
        60..82 => verification(editor, account, spec),
        82..88 => spec["adoption"] = editor.text_of(&["IfMatches", "Never"]),
        88..91 => spec["releaseCounter"] = json!(editor.dice.between(1, 9)),
        91..95 => spec["deletionPolicy"] = editor.text_of(&["Orphan", "Delete"]),
        _ => spec["driftPolicy"] = editor.text_of(&["Correct", "Report"]),
    }
}

/// Other bytes: the artifact of the file with this number.
pub(super) fn renew(account: Account, number: u64, spec: &mut Value) {
    let sha256 = format!("{number:064x}");
    match account.cloud {
        CloudKind::HuaweiIotda => {
            spec["artifact"] = json!({
                "sha256": sha256, "obs": {"region": "cn-north-4", "bucket": "firmware", "key": format!("{number}.bin")},
            });
        }
        CloudKind::OceanConnect => spec["artifact"] = json!({"sha256": sha256, "portal": {}}),
        CloudKind::AliyunIot => {
            let is_delta = spec["artifact"]["delta"].clone();
            upload(spec, &sha256);
            files::add_md5(spec);
            if is_delta == json!(true) {
                spec["artifact"]["delta"] = is_delta;
            }
        }
        CloudKind::Enos => upload(spec, &sha256),
    }
}

fn upload(spec: &mut Value, sha256: &str) {
    spec["artifact"] = json!({"sha256": sha256});
    files::upload_for(spec);
}

fn artifact(editor: &mut Editor<'_>, account: Account, spec: &mut Value) {
    let number = editor.next_fresh();
    renew(account, number, spec);
    let some = editor.dice.permille(400);
    match account.cloud {
        CloudKind::HuaweiIotda if some => {
            let obs = &mut spec["artifact"]["obs"];
            obs["region"] = editor.text_of(&["cn-north-1", "cn-north-4"]);
            obs["bucket"] = editor.text_of(&["firmware", "releases"]);
            spec["artifact"]["size"] = json!(editor.dice.between(1, 1_000_000));
        }
        CloudKind::OceanConnect if some => {
            spec["artifact"]["portal"]["name"] = json!(format!("upload-{}", editor.dice.between(0, 3)));
        }
        CloudKind::AliyunIot => {
            if editor.dice.permille(300) {
                files::several_for(spec, editor.dice.between(2, 4));
            }
            if editor.dice.permille(300) {
                as_difference(editor, spec);
            } else {
                spec["artifact"].as_object_mut().map(|artifact| artifact.remove("delta"));
            }
        }
        _ => {}
    }
}

fn as_difference(editor: &mut Editor<'_>, spec: &mut Value) {
    spec["artifact"]["delta"] = json!(true);
    let from = if spec["module"].is_string() { "S1" } else { "V1" };
    spec["sourceVersions"] = if editor.dice.permille(800) { json!([from]) } else { json!(["V2"]) };
}

fn source_versions(editor: &mut Editor<'_>, spec: &mut Value) {
    let choices: &[Value] = &[json!([]), json!(["V1"]), json!(["V1", "V2"]), json!(["V2", "V3", "V4"])];
    let chosen = editor.dice.pick(choices).cloned().unwrap_or_default();
    let is_delta = spec["artifact"]["delta"] == json!(true);
    if !is_delta || chosen.as_array().is_some_and(|versions| versions.len() == 1) {
        spec["sourceVersions"] = chosen;
    }
}

fn verification(editor: &mut Editor<'_>, account: Account, spec: &mut Value) {
    if editor.dice.permille(200) {
        spec.as_object_mut().map(|spec| spec.remove("verification"));
        return;
    }
    let devices = if editor.dice.permille(600) {
        (0..editor.dice.between(1, 2)).map(|n| format!("lab{}-{n:04}", account.n)).collect()
    } else {
        editor.devices(account.n, 3)
    };
    let mut verification = json!({"devices": devices, "timeout": editor.text_of(&["20m", "30m", "45m"])});
    if editor.dice.permille(500) {
        verification["minSuccess"] = json!(editor.percent(30, 100));
    }
    if editor.dice.permille(500) {
        let delivery = rollout::delivery(editor);
        if !delivery.is_null() {
            verification["delivery"] = delivery;
        }
    }
    spec["verification"] = verification;
}
