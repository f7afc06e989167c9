//! Every field of the schemas is edited by some run, or stands here with the reason why it cannot be.
#![cfg(test)]

use super::*;
use crate::World;
use crate::clouds::Clouds;
use crate::control::FIRST_OF_CONTROL;
use crate::defaults::FIRST_OF_DEFAULTS;
use crate::pace::FIRST_OF_PACE;
use crate::scenario::Scenario;
use rollwave::api::definition;
use std::collections::BTreeSet;

/// Fields that no user can edit, and why.
const NEVER: [(Kind, &str, &str); 16] = [
    (Kind::OtaPackage, "spec.cloudRef.name", OTHER_OBJECT),
    (Kind::OtaPackage, "spec.cloudRef.namespace", OTHER_OBJECT),
    (Kind::OtaPackage, "spec.type", OTHER_OBJECT),
    (Kind::OtaPackage, "spec.module", OTHER_OBJECT),
    (Kind::OtaPackage, "spec.product.id", OTHER_OBJECT),
    (Kind::OtaPackage, "spec.product.manufacturer", OTHER_OBJECT),
    (Kind::OtaPackage, "spec.product.deviceType", OTHER_OBJECT),
    (Kind::OtaPackage, "spec.product.model", OTHER_OBJECT),
    (Kind::OtaCloud, "spec.huaweiIotda.region", OTHER_ACCOUNT),
    (Kind::OtaCloud, "spec.huaweiIotda.projectId", OTHER_ACCOUNT),
    (Kind::OtaCloud, "spec.huaweiIotda.instanceId", OTHER_ACCOUNT),
    (Kind::OtaCloud, "spec.huaweiIotda.appId", OTHER_ACCOUNT),
    (Kind::OtaCloud, "spec.oceanConnect.appId", OTHER_ACCOUNT),
    (Kind::OtaCloud, "spec.aliyunIot.regionId", OTHER_ACCOUNT),
    (Kind::OtaCloud, "spec.aliyunIot.iotInstanceId", OTHER_ACCOUNT),
    (Kind::OtaCloud, "spec.enos.orgId", OTHER_ACCOUNT),
];
/// Addresses, of which a simulated cloud has one.
const ADDRESSES: [&str; 5] = [
    "spec.huaweiIotda.endpoint",
    "spec.huaweiIotda.iamEndpoint",
    "spec.oceanConnect.endpoint",
    "spec.aliyunIot.endpoint",
    "spec.enos.endpoint",
];
const OTHER_OBJECT: &str = "a rule of the schema refuses it: another one is another OtaPackage";
const OTHER_ACCOUNT: &str = "it names the account: another account is another OtaCloud";

/// Paths of the fields below a schema that have no fields of their own.
fn leaves(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
        for (name, field) in fields {
            leaves(field, &format!("{path}.{name}"), found);
        }
    } else if let Some(items) = schema.get("items").filter(|items| items.get("properties").is_some()) {
        leaves(items, &format!("{path}[]"), found);
    } else {
        found.insert(path.to_owned());
    }
}

fn fields_of(kind: Kind) -> BTreeSet<String> {
    let schema = &definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut found = BTreeSet::new();
    leaves(&schema["properties"]["spec"], "spec", &mut found);
    found
}

/// Paths at which two manifests differ, down to single values.
fn changes(old: &Value, new: &Value, path: &str, found: &mut BTreeSet<String>) {
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    if old.is_object() || new.is_object() {
        for name in keys(old).union(&keys(new)) {
            changes(&old[name], &new[name], &format!("{path}.{name}"), found);
        }
    } else if old.is_array() || new.is_array() {
        let length = |value: &Value| value.as_array().map_or(0, Vec::len);
        for index in 0..length(old).max(length(new)) {
            changes(&old[index], &new[index], &format!("{path}[]"), found);
        }
    } else if old != new {
        found.insert(path.to_owned());
    }
}

/// What the edits of these runs change, by kind.
fn edited(worlds: impl Iterator<Item = World>) -> BTreeMap<Kind, BTreeSet<String>> {
    let mut found: BTreeMap<Kind, BTreeSet<String>> = BTreeMap::new();
    for world in worlds {
        let scenario = Scenario::new(world).unwrap();
        let mut manifests = scenario.manifests.clone();
        for (_, turn) in &scenario.plot {
            let (Turn::Edit(name, ..) | Turn::Rewrite(name, _) | Turn::Write(name, _)) = turn else {
                continue;
            };
            let before = manifests.get(name).cloned();
            follow(&mut manifests, turn);
            let (Some(old), Some(new)) = (before, manifests.get(name)) else { continue };
            let kind = Kind::ALL.into_iter().find(|kind| new["kind"] == kind.as_str()).unwrap();
            changes(&old["spec"], &new["spec"], "spec", found.entry(kind).or_default());
        }
    }
    found
}

/// No cloud takes it.
fn is_refused(support: &support::Support) -> bool {
    matches!(support, support::Support::Refused(_))
}

#[test]
fn every_field_of_every_kind_is_edited() {
    let runs = (FIRST_OF_EDITS..FIRST_OF_EDITS + 150).chain(FIRST_OF_DEFAULTS..FIRST_OF_DEFAULTS + 50);
    let runs = runs.chain(FIRST_OF_CONTROL..FIRST_OF_CONTROL + 100);
    let runs = runs.chain(FIRST_OF_PACE..FIRST_OF_PACE + 100);
    let of = |clouds| runs.clone().map(move |seed| World { clouds, ..World::of_seed(seed) });
    let edited = edited(Clouds::ALL.into_iter().flat_map(of));
    let covers = |leaf: &str, changed: &str| {
        changed == leaf || changed.strip_prefix(leaf).is_some_and(|rest| rest.starts_with(['.', '[']))
    };
    for kind in Kind::ALL {
        let fields = fields_of(kind);
        let never = NEVER.iter().filter(|(of, ..)| *of == kind).map(|(_, field, _)| *field);
        let refused = support::rows(kind).iter().filter(|row| row.clouds.iter().all(is_refused));
        let never: BTreeSet<&str> = never.chain(ADDRESSES).chain(refused.map(|row| row.field)).collect();
        for field in fields.iter().map(String::as_str) {
            let is_edited = edited[&kind].iter().any(|changed| covers(field, changed));
            assert_eq!(is_edited, !never.contains(field), "{kind}: {field} is edited: {is_edited}");
        }
    }
    let all: BTreeSet<String> = Kind::ALL.into_iter().flat_map(fields_of).collect();
    let unknown =
        NEVER.iter().map(|(_, field, _)| *field).chain(ADDRESSES).find(|field| !all.contains(*field));
    assert_eq!(unknown, None, "there is no such field");
}
