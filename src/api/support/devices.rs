//! Names of devices in manifests: the schema accepts what any cloud accepts; each cloud accepts less.

use super::refusal::{Refusal, at};
use crate::api::{CloudKind, Kind};
use serde_json::Value;

/// What a cloud accepts as the name of a device.
struct Names {
    most: usize,
    /// In addition to letters and digits.
    signs: &'static [char],
    words: &'static str,
}

/// IoTDA: `device_id`. Alibaba Cloud: `DeviceName`. EnOS: `deviceKey`, and OceanConnect: `deviceId`, which the platform assigns;
/// no document describes their characters (*assumed*).
const fn names(cloud: CloudKind) -> Names {
    match cloud {
        CloudKind::HuaweiIotda | CloudKind::OceanConnect => {
            Names { most: 128, signs: &['-', '_'], words: "letters, digits, - and _" }
        }
        CloudKind::AliyunIot => {
            Names { most: 32, signs: &['-', '_', '@', '.', ':'], words: "letters, digits, -, _, @, . and :" }
        }
        CloudKind::Enos => Names { most: 64, signs: &['-', '_', '.'], words: "letters, digits, -, _ and ." },
    }
}

impl Names {
    /// What is wrong with a name; none when the cloud could have such a device.
    fn wrong(&self, name: &str) -> Option<String> {
        let length = name.chars().count();
        if let Some(sign) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !self.signs.contains(c)) {
            return Some(format!("the name contains {sign:?}; use only {}", self.words));
        }
        (length > self.most)
            .then(|| format!("the name has {length} characters, at most {} are allowed", self.most))
    }
}

/// The first name of each list that no device of this cloud can have.
pub(super) fn check(cloud: CloudKind, kind: Kind, manifest: &Value) -> Vec<Refusal> {
    let mut lists: Vec<String> = match kind {
        Kind::OtaCloud => Vec::new(),
        Kind::OtaPackage => vec!["spec.verification.devices".to_owned()],
        Kind::OtaRollout => {
            ["spec.targets.devices", "spec.targets.exclude.devices"].map(str::to_owned).into()
        }
    };
    let stages = at(manifest, "spec.stages").and_then(Value::as_array).map_or(0, Vec::len);
    lists.extend((0..stages).map(|index| format!("spec.stages[{index}].select.devices")));
    lists.iter().filter_map(|list| first_wrong(cloud, manifest, list)).collect()
}

fn first_wrong(cloud: CloudKind, manifest: &Value, list: &str) -> Option<Refusal> {
    let pointer = format!("/{}", list.replace(['.', '['], "/").replace(']', ""));
    let names = names(cloud);
    let devices = manifest.pointer(&pointer)?.as_array()?.iter().filter_map(Value::as_str).enumerate();
    let (index, name, wrong) =
        devices.filter_map(|(index, name)| Some((index, name, names.wrong(name)?))).next()?;
    let message = format!("{name:?} is not a valid device of {cloud}: {wrong}");
    Some(Refusal { path: format!("{list}[{index}]"), message })
}
