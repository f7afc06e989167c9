//! What other people do in the cluster: they apply manifests, and write into objects that are not theirs.

use super::super::asked::Ask;
use super::super::{Shared, lock};
use super::ApiServer;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, ObjectKey};
use serde_json::{Value, json};
use std::sync::Arc;

/// Whoever keeps the manifests applied looks again so long after an object is gone.
const LOOKS_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// What somebody else writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meddling {
    Label,
    Annotation,
    /// Somebody else's finalizer is put on, or taken off.
    Finalizer,
}

impl ApiServer {
    /// The manifests are applied as they are now. What is being deleted is left alone until it is gone.
    pub(crate) fn apply(&self, shared: &Shared, now: Timestamp) {
        let wanted = lock(&shared.wanted).clone();
        let mut changed: Vec<String> = Vec::new();
        let mut etcd = self.etcd();
        for (key, object) in &wanted {
            let done = match etcd.object(key) {
                None => etcd.create(object, now),
                Some(old) if old.is_deleting() || old.same_spec(object) => continue,
                Some(_) => {
                    let spec = serde_json::to_value(object).map(|json| json["spec"].clone());
                    etcd.edit(key, now, |json| json["spec"] = spec.unwrap_or_default())
                }
            };
            changed.push(format!("{key}{}", if done.is_err() { " (refused)" } else { "" }));
        }
        let mut left = Vec::new();
        let there: Vec<Arc<Object>> = etcd.objects();
        for object in there.iter().filter(|there| !wanted.contains_key(&there.key()) && !there.is_deleting())
        {
            // It is there.
            let _ = etcd.delete(&object.key(), now);
            changed.push(object.key().to_string());
            left.extend(matches!(object.as_ref(), Object::Cloud(_)).then(|| object.key().name));
        }
        drop(etcd);
        self.apply_secrets(wanted.values(), &left, now);
        *lock(&self.people_look_at) = None;
        if !changed.is_empty() {
            shared.note(&format!("people apply {}", changed.join(", ")));
        }
        self.announce();
    }

    /// An object is gone: whoever keeps the manifests applied notices it.
    pub(super) fn is_gone(&self, object: Arc<Object>, now: Timestamp) {
        lock(&self.people_look_at).get_or_insert(now.saturating_add(LOOKS_AFTER).unwrap_or(now));
        lock(&self.gone).push(object);
    }

    /// When people look again.
    pub(crate) fn people_look_at(&self) -> Option<Timestamp> {
        *lock(&self.people_look_at)
    }

    /// Objects that are gone since this was asked last, as they were.
    pub(crate) fn gone(&self) -> Vec<Arc<Object>> {
        std::mem::take(&mut lock(&self.gone))
    }

    /// Somebody writes into one of the objects; which is drawn beforehand.
    pub(crate) fn meddle(&self, shared: &Shared, meddling: Meddling, pick: u64, now: Timestamp) {
        let objects = self.objects();
        let index = usize::try_from(pick).unwrap_or(0).checked_rem(objects.len());
        let Some(key) = index.and_then(|index| objects.get(index)).map(|object| object.key()) else { return };
        self.write(shared, &key, now, |json| {
            let meta = &mut json["metadata"];
            match meddling {
                Meddling::Label => meta["labels"]["somebody.example/label"] = pick.to_string().into(),
                Meddling::Annotation => {
                    meta["annotations"]["somebody.example/note"] = pick.to_string().into();
                }
                Meddling::Finalizer => with_or_without_theirs(meta),
            }
        });
    }

    /// Somebody asks something of an object, beside its spec.
    pub(crate) fn ask(&self, shared: &Shared, key: &ObjectKey, ask: &Ask, now: Timestamp) {
        self.write(shared, key, now, |json| {
            let annotations = &mut json["metadata"]["annotations"];
            for (name, value) in ask.request.changes(&now.to_string()) {
                match (value, annotations.as_object_mut()) {
                    (Some(value), _) => annotations[name] = value.into(),
                    (None, Some(there)) if !ask.by_hand => drop(there.remove(name)),
                    (None, _) => {}
                }
            }
        });
    }

    /// Nobody else keeps anything any more.
    pub(crate) fn let_go(&self, shared: &Shared, now: Timestamp) {
        for object in self.objects() {
            let theirs = object.meta().finalizers.iter().flatten().any(|name| name == THEIRS);
            if theirs {
                self.write(shared, &object.key(), now, |json| with_or_without_theirs(&mut json["metadata"]));
            }
        }
    }

    fn write(&self, shared: &Shared, key: &ObjectKey, now: Timestamp, edit: impl FnOnce(&mut Value)) {
        let before = self.object(key);
        let done = self.etcd().edit(key, now, edit);
        shared
            .note(&format!("somebody writes into {key}: {}", if done.is_ok() { "done" } else { "refused" }));
        if let (Some(before), None) = (before, self.object(key)) {
            self.is_gone(before, now);
        }
        self.announce();
    }
}

/// Somebody writes a label.
pub(super) fn label(shared: &Shared, server: &ApiServer, key: &ObjectKey, now: Timestamp) {
    let text = now.as_millisecond().to_string();
    server.write(shared, key, now, |json| json["metadata"]["labels"]["somebody.example/at"] = text.into());
}

const THEIRS: &str = "somebody.example/keeps";

/// No API server lets anybody put a finalizer on an object that is being deleted.
fn with_or_without_theirs(meta: &mut Value) {
    let is_deleting = !meta["deletionTimestamp"].is_null();
    let mut finalizers = meta["finalizers"].as_array().cloned().unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|name| name != THEIRS);
    if finalizers.len() == before && !is_deleting {
        finalizers.push(json!(THEIRS));
    }
    meta["finalizers"] = finalizers.into();
}
