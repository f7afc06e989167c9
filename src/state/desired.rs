//! Compares the manifests with the stored objects. Pure.

use super::codec;
use crate::api::{OWN_ANNOTATIONS, Object, ObjectKey, ObjectMeta, Request, Time};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Changes by taking over manifests that require a reconcile, in order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// New objects, and objects whose spec, labels or annotations changed.
    pub changed: Vec<ObjectKey>,
    /// Objects whose deletion was requested just now; earlier deletions are not repeated.
    pub deleting: Vec<ObjectKey>,
}

pub(super) struct Stored<'a> {
    pub(super) objects: &'a BTreeMap<ObjectKey, Arc<Object>>,
    pub(super) incarnations: &'a BTreeMap<ObjectKey, u64>,
}

#[derive(Default)]
pub(super) struct Merged {
    /// Separate allocations, so that thousands of them need no contiguous memory and are freed one by one.
    pub(super) writes: Vec<Arc<Object>>,
    pub(super) desired: Desired,
}

pub(super) fn merge(
    stored: &Stored<'_>,
    desired: &BTreeMap<ObjectKey, Object>,
    may_delete: bool,
    now: Timestamp,
) -> Merged {
    let mut merged = Merged::default();
    for (key, wanted) in desired {
        match stored.objects.get(key) {
            None => merged.take(key, admit(key, wanted, stored.incarnations, now)),
            Some(old) if old.is_deleting() => {}
            Some(old) => merged.update(key, old, wanted),
        }
    }
    if may_delete {
        for (key, old) in stored.objects {
            if !desired.contains_key(key) && !old.is_deleting() {
                merged.writes.push(Arc::new(marked_for_deletion(old, now)));
                merged.desired.deleting.push(key.clone());
            }
        }
    }
    merged
}

impl Merged {
    fn take(&mut self, key: &ObjectKey, object: Object) {
        self.writes.push(Arc::new(object));
        self.desired.changed.push(key.clone());
    }

    fn update(&mut self, key: &ObjectKey, old: &Object, wanted: &Object) {
        let new_spec = !codec::same_spec(old, wanted);
        let before = old.meta();
        let after = &ObjectMeta {
            labels: wanted.meta().labels.clone(),
            annotations: with_requests(wanted.meta(), before),
            ..ObjectMeta::default()
        };
        if !new_spec && same_words(before, after, |_| true) {
            return;
        }
        let wakes = new_spec || !same_words(before, after, |name| !OWN_ANNOTATIONS.contains(&name));
        let mut next = codec::with_status_of(wanted, old);
        *next.meta_mut() = ObjectMeta {
            labels: after.labels.clone(),
            annotations: after.annotations.clone(),
            generation: Some(old.generation() + i64::from(new_spec)),
            ..before.clone()
        };
        if wakes { self.take(key, next) } else { self.writes.push(Arc::new(next)) }
    }
}

/// The annotations of a manifest, and the requests that were made of its object since: no manifest ends them.
fn with_requests(wanted: &ObjectMeta, stored: &ObjectMeta) -> Option<BTreeMap<String, String>> {
    let mut annotations = wanted.annotations.clone();
    for request in Request::ALL {
        if let (Some(asked), None) = (request.of(stored), request.of(wanted)) {
            let annotations = annotations.get_or_insert_default();
            annotations.insert(request.annotation().to_owned(), asked.to_owned());
        }
    }
    annotations
}

/// Labels, and the annotations that `counts` accepts, are equal. None and empty are the same.
fn same_words(a: &ObjectMeta, b: &ObjectMeta, counts: impl Fn(&str) -> bool) -> bool {
    let counting = |(name, _): &(&String, &String)| counts(name);
    words(&a.labels).eq(words(&b.labels))
        && words(&a.annotations).filter(counting).eq(words(&b.annotations).filter(counting))
}

fn words(map: &Option<BTreeMap<String, String>>) -> impl Iterator<Item = (&String, &String)> {
    map.iter().flatten()
}

fn admit(
    key: &ObjectKey,
    wanted: &Object,
    incarnations: &BTreeMap<ObjectKey, u64>,
    now: Timestamp,
) -> Object {
    let mut object = wanted.clone();
    codec::clear_status(&mut object);
    *object.meta_mut() = ObjectMeta {
        name: Some(key.name.clone()),
        namespace: Some(key.namespace.clone()),
        labels: wanted.meta().labels.clone(),
        annotations: wanted.meta().annotations.clone(),
        uid: Some(uid(key, incarnations.get(key).copied().unwrap_or(0))),
        generation: Some(1),
        creation_timestamp: Some(Time(now)),
        ..ObjectMeta::default()
    };
    object
}

fn marked_for_deletion(old: &Object, now: Timestamp) -> Object {
    let mut object = old.clone();
    object.meta_mut().deletion_timestamp = Some(Time(now));
    object
}

/// The identity of an object: no clock and no randomness, so that a lost state yields the same one again, and the idempotency
/// keys that are derived from it find existing resources in the cloud.
fn uid(key: &ObjectKey, incarnation: u64) -> String {
    let text = format!("{}/{}/{}/{incarnation}", key.kind, key.namespace, key.name);
    let digest = Sha256::digest(text.as_bytes());
    let mut hex = hex::encode(digest);
    hex.truncate(32);
    hex
}
