//! Law (b), of ownership: no job is sent to a device that another rollout owns, or that nobody owns. For each device and module
//! one rollout does: the one with the highest priority; then the one with the later release, by `releaseCounter` where both have
//! one, and by version otherwise. Of equal ones nobody does.
//!
//! A rollout claims a device that it targets, does not exclude, and whose version it takes. Which version a device shows may be
//! old, so that only those rollouts count which take each version that it has run lately.

use super::eligible::{is_excluded, is_targeted, package_of, source_versions};
use super::truth::Truth;
use super::warrant::{Dispatch, Warrant};
use crate::checkers::stages::kind_of;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, ObjectKey, OtaPackage, OtaRollout};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whoever sends has heard of an edit of another object within this time: a watch may show it late, by up to a minute.
const HEARD_WITHIN: SignedDuration = SignedDuration::from_secs(90);
/// A version that a device has left, or come to, so long ago may not have been seen yet: longer than any drift interval.
const UNSEEN: SignedDuration = SignedDuration::from_mins(15);

/// What an object was when it last changed, and since when.
type Known = (Option<String>, Option<i64>, Timestamp);

/// Since when the specs of objects are as they are.
#[derive(Default)]
pub(super) struct Specs(BTreeMap<ObjectKey, Known>);

impl Specs {
    /// These objects are durable now.
    pub(super) fn are(&mut self, objects: &[Arc<Object>], now: Timestamp) {
        let mut before = std::mem::take(&mut self.0);
        for object in objects {
            let (uid, generation) = (object.meta().uid.clone(), object.meta().generation);
            let known = before.remove(&object.key());
            let known = known.filter(|known| (&known.0, known.1) == (&uid, generation));
            self.0.insert(object.key(), known.unwrap_or((uid, generation, now)));
        }
    }

    /// Objects of which not everybody has heard yet as they are.
    pub(super) fn edited(&self, now: Timestamp) -> impl Iterator<Item = ObjectKey> {
        let is_new = move |since: Timestamp| now.duration_since(since) < HEARD_WITHIN;
        self.0.iter().filter(move |(_, (_, _, since))| is_new(*since)).map(|(key, _)| key.clone())
    }

    /// Everybody has heard of this object as it is.
    pub(super) fn is_heard_of(&self, key: &ObjectKey, now: Timestamp) -> bool {
        self.0.get(key).is_some_and(|(_, _, since)| now.duration_since(*since) >= HEARD_WITHIN)
    }
}

/// A rollout and its package.
#[derive(Clone, Copy)]
struct Claim<'a> {
    rollout: &'a OtaRollout,
    package: &'a OtaPackage,
}

/// The rollout owns all devices of this job, as far as can be told.
pub(super) fn owns(
    rollout: &OtaRollout,
    package: &OtaPackage,
    warrant: &Warrant,
    dispatch: &Dispatch<'_>,
    truth: &Truth,
) -> Result<(), String> {
    let ours = Claim { rollout, package };
    let rivals = rivals(ours, &warrant.objects);
    let heard_of = |claim: &&Claim<'_>| warrant.is_heard_of(claim.rollout, claim.package);
    for device in dispatch.devices {
        let seen = truth.seen_lately(device, kind_of(package), UNSEEN, dispatch.now);
        let claims = |claim: &&Claim<'_>| claim.takes(device, &seen);
        for rival in rivals.iter().filter(heard_of).filter(claims) {
            let name = rival.rollout.metadata.name.as_deref().unwrap_or_default();
            let sent =
                format!("{device} is sent a job of {}", rollout.metadata.name.as_deref().unwrap_or_default());
            match rival.compare(ours) {
                Ordering::Greater => return Err(format!("{sent}, and {name} owns it")),
                Ordering::Equal if rivals.iter().all(|other| other.compare(*rival) != Ordering::Greater) => {
                    return Err(format!("{sent}, and {name} has an equal claim"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The other rollouts of the same account, product and module.
fn rivals<'a>(ours: Claim<'_>, objects: &'a [Arc<Object>]) -> Vec<Claim<'a>> {
    let others = objects.iter().filter_map(|object| match object.as_ref() {
        Object::Rollout(rollout) => Some(Claim { rollout, package: package_of(rollout, objects)? }),
        _ => None,
    });
    others.filter(|claim| claim.is_rival_of(ours)).collect()
}

impl Claim<'_> {
    fn is_rival_of(&self, ours: Claim<'_>) -> bool {
        let (theirs, own) = (&self.package.spec, &ours.package.spec);
        self.rollout.metadata.name != ours.rollout.metadata.name
            && self.rollout.metadata.deletion_timestamp.is_none()
            // Another controller's finalizer may keep a package that was let go.
            && self.package.metadata.deletion_timestamp.is_none()
            && (theirs.kind, &theirs.module, &theirs.product) == (own.kind, &own.module, &own.product)
            && theirs.cloud_ref.name == own.cloud_ref.name
    }

    /// It claims the device whichever of these versions it is seen to run.
    fn takes(&self, device: &str, seen: &[&str]) -> bool {
        let is_fit = |version: &&str| {
            self.package.spec.version == **version
                || source_versions(self.rollout, self.package)
                    .all(|list| list.iter().any(|known| known == version))
        };
        !seen.is_empty()
            && seen.iter().all(is_fit)
            && is_targeted(self.rollout, self.package, device)
            && !is_excluded(self.rollout, device)
    }

    /// Who comes first: `Greater` does.
    fn compare(&self, other: Claim<'_>) -> Ordering {
        let priorities = self.rollout.spec.priority.cmp(&other.rollout.spec.priority);
        let (release, others) = (&self.package.spec, &other.package.spec);
        priorities.then_with(|| match (release.release_counter, others.release_counter) {
            (Some(ours), Some(theirs)) => ours.cmp(&theirs),
            _ => number(&release.version).cmp(&number(&others.version)),
        })
    }
}

/// Versions of simulation runs are a letter and a number.
fn number(version: &str) -> (&str, u32) {
    let digits = version.find(|c: char| c.is_ascii_digit()).unwrap_or(version.len());
    let (letters, digits) = version.split_at(digits);
    (letters, digits.parse().unwrap_or(0))
}
