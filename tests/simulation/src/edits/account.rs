//! Edits of an `OtaCloud`. What names the account cannot be edited: another account is another object.

use super::Editor;
use crate::Home;
use crate::clouds::Account;
use rollwave::api::CloudKind;
use serde_json::{Value, json};

/// One of its fields says something else. When it names wrong keys, gives the spec that puts it right later.
pub(super) fn change(editor: &mut Editor<'_>, name: &str, spec: &mut Value) -> Option<Value> {
    let account = editor.account_of(name)?;
    match editor.dice.between(0, 99) {
        0..25 => {
            let budget =
                json!({"requestsPerSecond": editor.dice.between(1, 5), "burst": editor.dice.between(1, 10)});
            spec["budget"] = budget;
        }
        25..30 => drop(spec.as_object_mut().map(|spec| spec.remove("budget"))),
        30..50 => spec["driftInterval"] = editor.text_of(&["2m", "3m", "5m", "10m"]),
        50 => spec["allowInsecure"] = json!(editor.dice.permille(500)),
        51 => spec["allowedNamespaces"] = json!([if editor.dice.permille(500) { "*" } else { "team" }]),
        52..70 => client(editor, account, spec),
        70..90 => keys(editor, spec, ""),
        _ => {
            let right = spec.clone();
            keys(editor, spec, "WRONG_");
            return Some(right);
        }
    }
    None
}

/// How it is asked: another way to sign in, to sign, or to name a package.
fn client(editor: &mut Editor<'_>, account: Account, spec: &mut Value) {
    match account.cloud {
        CloudKind::HuaweiIotda if editor.dice.permille(300) => {
            spec["huaweiIotda"]["documentKey"] = editor.text_of(&["package_ids", "package_id"]);
        }
        CloudKind::HuaweiIotda => {
            spec["huaweiIotda"]["auth"] = editor.text_of(&["V11", "SdkHmac", "Token"]);
            keys(editor, spec, "");
        }
        CloudKind::AliyunIot => spec["aliyunIot"]["signature"] = editor.text_of(&["Acs3", "Rpc"]),
        // In a cluster they stand in the Secret.
        CloudKind::OceanConnect if editor.setting.home == Home::Kubernetes => keys(editor, spec, ""),
        CloudKind::OceanConnect => {
            let source = |name: &str, n: u64| json!(format!("env:{name}_{n}"));
            let n = editor.dice.between(0, 3);
            let platform = &mut spec["oceanConnect"];
            platform["caBundle"] = source("CA", n);
            platform["clientCert"] =
                json!({"certificate": source("CERTIFICATE", n), "key": source("KEY", n)});
        }
        CloudKind::Enos => {}
    }
}

/// Where its keys are. Those whose names begin with `WRONG` are refused by the cloud.
fn keys(editor: &mut Editor<'_>, spec: &mut Value, prefix: &str) {
    let n = editor.dice.between(0, 3);
    if editor.setting.home == Home::Kubernetes {
        let name = if prefix.is_empty() { "keys" } else { "wrong-keys" };
        spec["credentials"] = json!({"secretRef": {"name": format!("{name}-{n}")}});
        return;
    }
    let source = |name: &str| json!(format!("env:{prefix}{name}_{n}"));
    let is_user = spec["huaweiIotda"]["auth"] == json!("Token");
    spec["credentials"] = if is_user {
        json!({"username": source("USER"), "password": source("PASSWORD"), "domain": source("DOMAIN")})
    } else if spec.get("oceanConnect").is_some() {
        json!({"appSecret": source("SECRET")})
    } else {
        json!({"accessKey": source("AK"), "secretKey": source("SK")})
    };
    if spec["credentials"].get("accessKey").is_some() && spec.get("enos").is_none() && n == 3 {
        spec["credentials"]["securityToken"] = source("TOKEN");
    }
}
