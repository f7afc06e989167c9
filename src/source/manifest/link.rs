//! Checks across objects: unique names, and no dangling references.

use super::documents::Manifests;
use super::words;
use crate::api::{
    CloudKind, Kind, Object, ObjectKey, OtaPackage, OtaRollout,
    support::{self, Refusal},
};
use crate::source::{Problem, Snapshot, Sourced};
use std::collections::{BTreeMap, BTreeSet};

/// The place that manifests are for.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Namespace of objects that name none; the default one if absent.
    pub namespace: Option<String>,
    /// Objects that exist already: a reference to one of them is valid.
    pub known: BTreeSet<ObjectKey>,
}

/// Makes a snapshot of what was read: refuses duplicate names and dangling references.
#[must_use]
pub fn gather(manifests: Manifests) -> Snapshot {
    gather_in(manifests, &Surroundings::default())
}

/// The same, for a place with existing objects.
#[must_use]
pub fn gather_in(manifests: Manifests, surroundings: &Surroundings) -> Snapshot {
    let Manifests { objects, mut broken, problems, others } = manifests;
    let mut snapshot = Snapshot { objects: BTreeMap::new(), problems, others };
    for mut sourced in objects {
        let place = &mut sourced.object.meta_mut().namespace;
        *place = place.take().or_else(|| surroundings.namespace.clone());
        let key = sourced.object.key();
        match snapshot.objects.get(&key) {
            Some(first) => {
                let message = format!("duplicate {key}: the other one is at {}", first.place);
                snapshot.problems.push(Problem {
                    place: sourced.place,
                    path: "metadata.name".to_owned(),
                    message,
                });
                broken.insert(key);
            }
            None => {
                snapshot.objects.insert(key, sourced);
            }
        }
    }
    // It is unknown which of the two is meant.
    snapshot.objects.retain(|key, _| !broken.contains(key));
    refuse_second_of_account(&mut snapshot, &mut broken);
    refuse_twins(&mut snapshot, &mut broken);
    refuse_what_no_cloud_does(&mut snapshot, &mut broken);
    refuse_strangers(&mut snapshot, &mut broken);
    broken.extend(surroundings.known.iter().cloned());
    link_to(&mut snapshot, broken);
    snapshot.problems.sort();
    snapshot.problems.dedup();
    snapshot
}

/// Two objects for one account would have two budgets, and each would send to devices that a job of the other holds.
fn refuse_second_of_account(snapshot: &mut Snapshot, broken: &mut BTreeSet<ObjectKey>) {
    let mut first_of = BTreeMap::new();
    let mut second = Vec::new();
    for (key, sourced) in &snapshot.objects {
        let Object::Cloud(cloud) = &sourced.object else { continue };
        let (Some(account), Some(named)) = (cloud.account_id(), cloud.spec.cloud()) else { continue };
        let path = format!("spec.{}", named.kind());
        if let Some((first, place)) = first_of.get(&account) {
            let message = format!(
                "{key} is the same account as {first} (at {place}): {account}; keep one of them and use it in every cloudRef"
            );
            second.push((key.clone(), Problem { place: sourced.place_of(&path), path, message }));
        } else {
            first_of.insert(account, (key, sourced.place_of(&path)));
        }
    }
    for (key, problem) in second {
        snapshot.objects.remove(&key);
        snapshot.problems.push(problem);
        broken.insert(key);
    }
}

/// A cloud has one package of each product, module, type and version: of two objects for it, each would treat the other's work as
/// its own, and one could delete what the other needs.
fn refuse_twins(snapshot: &mut Snapshot, broken: &mut BTreeSet<ObjectKey>) {
    let mut first_of = BTreeMap::new();
    let mut twins = Vec::new();
    for (key, sourced) in &snapshot.objects {
        let Object::Package(package) = &sourced.object else { continue };
        let spec = &package.spec;
        let part = (spec.kind, spec.product.to_string(), spec.module());
        let natural_key = (package.account(), part, &spec.version);
        if let Some((first, place)) = first_of.insert(natural_key, (key, &sourced.place)) {
            let message = format!(
                "{key} and {first} (at {place}) are the same package of {}: a cloud has one per product, type and version; keep one of them",
                spec.cloud_ref
            );
            let place = sourced.place_of("spec.version");
            twins.push((
                key.clone(),
                first.clone(),
                Problem { place, path: "spec.version".to_owned(), message },
            ));
        }
    }
    for (key, first, problem) in twins {
        snapshot.problems.push(problem);
        for twin in [key, first] {
            snapshot.objects.remove(&twin);
            broken.insert(twin);
        }
    }
}

/// Packages in namespaces that their account does not allow.
fn refuse_strangers(snapshot: &mut Snapshot, broken: &mut BTreeSet<ObjectKey>) {
    let refusal = |key: &ObjectKey, sourced: &Sourced| {
        let Object::Package(package) = &sourced.object else { return None };
        let Object::Cloud(cloud) = &snapshot.objects.get(&package.account())?.object else { return None };
        let message = cloud.refusal(&key.namespace)?;
        let path = "spec.cloudRef.namespace".to_owned();
        Some((key.clone(), Problem { place: sourced.place_of(&path), path, message }))
    };
    let refused: Vec<_> =
        snapshot.objects.iter().filter_map(|(key, sourced)| refusal(key, sourced)).collect();
    for (key, problem) in refused {
        snapshot.objects.remove(&key);
        snapshot.problems.push(problem);
        broken.insert(key);
    }
}

/// Fields that the object's cloud cannot honor, one problem each: nothing is accepted and then ignored.
fn refuse_what_no_cloud_does(snapshot: &mut Snapshot, broken: &mut BTreeSet<ObjectKey>) {
    let mut refused = Vec::new();
    for (key, sourced) in &snapshot.objects {
        let Some(cloud) = cloud_of(key, &sourced.object, snapshot) else { continue };
        let problem = |refusal: Refusal| Problem {
            place: sourced.place_of(&refusal.path),
            path: refusal.path,
            message: refusal.message,
        };
        let refusals = match &sourced.object {
            Object::Cloud(_) => continue,
            Object::Package(package) => support::refusals(cloud, key.kind, &package.spec),
            Object::Rollout(rollout) => match package_of(key, rollout, snapshot) {
                Some(package) => support::rollout_refusals(cloud, &rollout.spec, &package.spec),
                None => support::refusals(cloud, key.kind, &rollout.spec),
            },
        };
        let problems: Vec<Problem> = refusals.into_iter().map(problem).collect();
        if !problems.is_empty() {
            refused.push((key.clone(), problems));
        }
    }
    for (key, problems) in refused {
        snapshot.objects.remove(&key);
        snapshot.problems.extend(problems);
        broken.insert(key);
    }
}

fn package_of<'s>(key: &ObjectKey, rollout: &OtaRollout, snapshot: &'s Snapshot) -> Option<&'s OtaPackage> {
    let package = key.sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
    match &snapshot.objects.get(&package)?.object {
        Object::Package(package) => Some(package),
        _ => None,
    }
}

/// The cloud of an object's account, if the files define it.
fn cloud_of(key: &ObjectKey, object: &Object, snapshot: &Snapshot) -> Option<CloudKind> {
    let named = |key: &ObjectKey| Some(&snapshot.objects.get(key)?.object);
    match object {
        Object::Cloud(cloud) => Some(cloud.spec.cloud()?.kind()),
        Object::Package(package) => cloud_of(key, named(&package.account())?, snapshot),
        Object::Rollout(rollout) => {
            let package = key.sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
            cloud_of(&package, named(&package)?, snapshot)
        }
    }
}

/// Removes every object with a dangling reference, and reports it.
pub fn link(snapshot: &mut Snapshot) {
    link_to(snapshot, BTreeSet::new());
    snapshot.problems.sort();
}

/// `written`: objects in the files that are not in the snapshot; a reference to one of them is valid.
fn link_to(snapshot: &mut Snapshot, mut written: BTreeSet<ObjectKey>) {
    written.extend(snapshot.objects.keys().cloned());
    let astray: Vec<(ObjectKey, Problem)> = snapshot
        .objects
        .iter()
        .filter_map(|(key, sourced)| Some((key.clone(), missing(key, sourced, &written)?)))
        .collect();
    for (key, problem) in astray {
        snapshot.objects.remove(&key);
        snapshot.problems.push(problem);
    }
}

/// The problem of an object with a dangling reference.
fn missing(key: &ObjectKey, sourced: &Sourced, written: &BTreeSet<ObjectKey>) -> Option<Problem> {
    let (field, target) = match &sourced.object {
        Object::Cloud(_) => return None,
        Object::Package(package) => ("spec.cloudRef", package.account()),
        Object::Rollout(rollout) => {
            ("spec.packageRef", key.sibling(Kind::OtaPackage, &rollout.spec.package_ref.name))
        }
    };
    // The manifests of another namespace may be in another place.
    let is_read = |namespace: &str| written.iter().any(|other| other.namespace == namespace);
    if written.contains(&target) || !(target.namespace == key.namespace || is_read(&target.namespace)) {
        return None;
    }
    let kind = target.kind;
    let siblings = written.iter().filter(|other| other.kind == kind && other.namespace == target.namespace);
    let advice = match words::nearest(&target.name, siblings.map(|other| other.name.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("create the {kind}, or correct the name"),
    };
    let message = format!("there is no {target}: {advice}");
    Some(Problem { place: sourced.place_of(field), path: format!("{field}.name"), message })
}
