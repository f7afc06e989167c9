//! What a job may leave by: what was durable when its intent was. In a folder nothing lies between; in a cluster the write of the
//! intent has the resource version of the spec that was read as its precondition, so that it is the newest one.

use super::Sent;
use super::owned::Specs;
use jiff::Timestamp;
use rollwave::api::{CreateOperation, Kind, Object, ObjectKey, OtaPackage, OtaRollout};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A job that leaves.
pub(super) struct Dispatch<'a> {
    pub(super) sent: &'a Sent,
    pub(super) devices: &'a BTreeSet<String>,
    pub(super) now: Timestamp,
}

/// What was durable when an intent was.
pub(super) struct Warrant {
    /// The time that the intent says.
    at: Timestamp,
    key: ObjectKey,
    pub(super) objects: Vec<Arc<Object>>,
    /// Those of them that everybody had heard of as they were.
    heard_of: BTreeSet<ObjectKey>,
}

impl Warrant {
    pub(super) fn object(&self) -> Option<&Object> {
        self.objects.iter().map(Arc::as_ref).find(|object| object.key() == self.key)
    }

    /// Whoever sent the job had heard of this rollout and its package as they were.
    pub(super) fn is_heard_of(&self, rollout: &OtaRollout, package: &OtaPackage) -> bool {
        self.heard_of.contains(&ObjectKey::of(Kind::OtaRollout, &rollout.metadata))
            && self.heard_of.contains(&ObjectKey::of(Kind::OtaPackage, &package.metadata))
    }
}

/// Warrants by token.
#[derive(Default)]
pub(super) struct Warrants {
    by_token: BTreeMap<String, Warrant>,
    specs: Specs,
}

impl Warrants {
    /// Objects of which not everybody has heard yet as they are.
    pub(super) fn edited(&self, now: Timestamp) -> impl Iterator<Item = ObjectKey> {
        self.specs.edited(now)
    }

    /// A status is durable, or is about to be, beside these objects.
    pub(super) fn status_is(&mut self, object: &Object, durable: &[Arc<Object>], now: Timestamp) {
        self.specs.are(durable, now);
        if object.pending().is_empty() {
            return;
        }
        for intent in object.pending().iter().filter(|intent| intent.operation == CreateOperation::CreateJob)
        {
            let is_known = self.by_token.get(&intent.token).is_some_and(|warrant| warrant.at == intent.at);
            if !is_known {
                let keys = durable.iter().map(|there| there.key());
                let heard_of = keys.filter(|key| self.specs.is_heard_of(key, now)).collect();
                let (at, key, objects) = (intent.at, object.key(), durable.to_vec());
                self.by_token.insert(intent.token.clone(), Warrant { at, key, objects, heard_of });
            }
        }
    }

    pub(super) fn of(&self, token: &str) -> Option<&Warrant> {
        self.by_token.get(token)
    }
}
