//! What the manifests alone show about rollouts that target the same devices, before anything happens.

use super::{Claim, Rival};
use crate::api::{Kind, Object, ObjectKey, OtaPackage, OtaRollout, Targets};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A rollout that will leave devices to another one, or be held by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// The rollout.
    pub key: ObjectKey,
    /// What will happen.
    pub message: String,
}

/// Finds rollouts whose targets certainly overlap. Only the cloud knows the members of groups and tags, so such targets
/// are compared only with `all` and with the same groups and tags.
#[must_use]
pub fn foresee<'a>(objects: impl Iterator<Item = &'a Object>) -> Vec<Foreseen> {
    let objects: BTreeMap<ObjectKey, &Object> = objects.map(|object| (object.key(), object)).collect();
    let entries: Vec<Entry<'_>> = objects.keys().filter_map(|key| Entry::of(key, &objects)).collect();
    entries.iter().filter_map(|entry| entry.foreseen(&entries)).collect()
}

struct Entry<'a> {
    key: &'a ObjectKey,
    rollout: &'a OtaRollout,
    package: &'a OtaPackage,
}

impl<'a> Entry<'a> {
    fn of(key: &'a ObjectKey, objects: &BTreeMap<ObjectKey, &'a Object>) -> Option<Self> {
        let Object::Rollout(rollout) = *objects.get(key)? else { return None };
        let named = key.sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
        Some(Self { key, rollout, package: objects.get(&named)?.as_package()? })
    }

    fn foreseen(&self, all: &[Self]) -> Option<Foreseen> {
        let ours = self.claim();
        let ahead = all.iter().filter(|other| {
            let theirs = other.claim();
            let is_behind = theirs.compare(&ours) == Ordering::Less;
            self.shares_an_account_with(other)
                && theirs.is_rival_of(&ours)
                && !is_behind
                && self.overlaps(other)
        });
        let first = ahead.max_by(|a, b| a.claim().compare(&b.claim()))?;
        let (theirs, name) = (first.claim(), &first.key.name);
        let message = match theirs.compare(&ours) {
            Ordering::Equal => format!(
                "OtaRollout {name} targets the same devices with equal precedence (priority {} and release {}): both will be held; give one of them a higher spec.priority, or let them target different devices",
                ours.priority(),
                ours.release()
            ),
            _ => format!(
                "OtaRollout {name} targets the same devices and owns them ({}): this rollout sends nothing to devices that both target",
                theirs.beats_because(&ours)
            ),
        };
        Some(Foreseen { key: self.key.clone(), message })
    }

    fn claim(&self) -> Claim<'a> {
        Claim::new(&Rival { rollout: self.rollout, package: self.package, members: None })
    }

    fn shares_an_account_with(&self, other: &Self) -> bool {
        self.package.account() == other.package.account()
    }

    fn overlaps(&self, other: &Self) -> bool {
        select_the_same(&self.rollout.spec.targets, &other.rollout.spec.targets) && self.takes_what(other)
    }

    /// True when both may upgrade a device that runs neither's version.
    fn takes_what(&self, other: &Self) -> bool {
        let targets = [&self.package.spec.version, &other.package.spec.version];
        let lists = [self, other]
            .map(|entry| [&entry.rollout.spec.targets.from_versions, &entry.package.spec.source_versions]);
        let mut written = lists.iter().flatten().filter(|list| !list.is_empty()).peekable();
        let Some(first) = written.peek().copied().copied() else { return true };
        let mut rest = first.iter().filter(|version| !targets.contains(version));
        let lists: Vec<&Vec<String>> = written.copied().collect();
        rest.any(|version| lists.iter().all(|list| list.contains(version)))
    }
}

fn select_the_same(a: &Targets, b: &Targets) -> bool {
    let left_out: BTreeSet<&String> =
        [a, b].into_iter().flat_map(|t| &t.exclude).flat_map(|exclude| &exclude.devices).collect();
    let both = |a: &Option<Vec<String>>, b: &Option<Vec<String>>| {
        a.iter().flatten().any(|id| b.iter().flatten().any(|other| other == id))
    };
    match (&a.devices, &b.devices) {
        (Some(ours), Some(theirs)) => {
            let theirs: BTreeSet<&String> = theirs.iter().collect();
            ours.iter().any(|id| theirs.contains(id) && !left_out.contains(id))
        }
        (Some(ids), None) | (None, Some(ids)) => {
            (a.all == Some(true) || b.all == Some(true)) && ids.iter().any(|id| !left_out.contains(id))
        }
        (None, None) => {
            let is_all = a.all == Some(true) || b.all == Some(true);
            is_all
                || both(&a.groups, &b.groups)
                || (a.tags.is_some() && a.tags == b.tags)
                || (a.attributes.is_some() && a.attributes == b.attributes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::testing::{package, rollout};
    use serde_json::{Value, json};

    fn foreseen(rollouts: &[(&str, &str, Value)]) -> Vec<String> {
        let objects = rollouts.iter().flat_map(|(name, version, edits)| {
            let (mut rollout, mut package) = (rollout(), package());
            rollout.metadata.name = Some((*name).to_owned());
            rollout.spec.package_ref.name = format!("p-{name}");
            package.metadata.name = Some(format!("p-{name}"));
            (*version).clone_into(&mut package.spec.version);
            let mut spec = serde_json::to_value(&rollout.spec).unwrap();
            spec.as_object_mut().unwrap().extend(edits.as_object().unwrap().clone());
            rollout.spec = serde_json::from_value(spec).unwrap();
            [Object::Rollout(rollout), Object::Package(package)]
        });
        let objects: Vec<Object> = objects.collect();
        foresee(objects.iter()).into_iter().map(|f| format!("{}: {}", f.key.name, f.message)).collect()
    }

    #[test]
    fn the_strongest_of_those_that_come_first_is_named() {
        let lines = foreseen(&[
            ("a", "V2", json!({})),
            ("b", "V3", json!({})),
            ("c", "V4", json!({"priority": -1})),
            ("d", "V3", json!({"targets": {"devices": ["x"]}})),
        ]);
        insta::assert_snapshot!(lines.join("\n"), @"
        a: OtaRollout d targets the same devices and owns them (V3 is later than V2): this rollout sends nothing to devices that both target
        b: OtaRollout d targets the same devices with equal precedence (priority 0 and release V3): both will be held; give one of them a higher spec.priority, or let them target different devices
        c: OtaRollout d targets the same devices and owns them (priority 0 is higher than -1): this rollout sends nothing to devices that both target
        d: OtaRollout b targets the same devices with equal precedence (priority 0 and release V3): both will be held; give one of them a higher spec.priority, or let them target different devices
        ");
    }

    #[test]
    fn targets_that_cannot_meet_are_not_warned_of() {
        for (ours, theirs, warned) in [
            (json!({"all": true}), json!({"devices": ["x"]}), true),
            (json!({"devices": ["x", "y"]}), json!({"devices": ["y"]}), true),
            (json!({"devices": ["x"]}), json!({"devices": ["y"]}), false),
            (json!({"devices": ["x"]}), json!({"all": true, "exclude": {"devices": ["x"]}}), false),
            (json!({"groups": ["g"]}), json!({"groups": ["g", "h"]}), true),
            (json!({"groups": ["g"]}), json!({"groups": ["h"]}), false),
            (json!({"groups": ["g"]}), json!({"all": true}), true),
            (
                json!({"all": true, "fromVersions": ["V1"]}),
                json!({"all": true, "fromVersions": ["V2"]}),
                false,
            ),
            (json!({"all": true}), json!({"all": true, "fromVersions": ["V2"]}), false),
            (json!({"all": true}), json!({"all": true, "fromVersions": ["V1", "V2"]}), true),
        ] {
            let lines =
                foreseen(&[("a", "V2", json!({"targets": ours})), ("b", "V3", json!({"targets": theirs}))]);
            assert_eq!(lines.len(), usize::from(warned), "{ours} {theirs}: {lines:?}");
        }
    }
}
