//! What a job may leave by: what was durable when its intent was. In a folder nothing lies between; in a cluster the write of the
//! intent has the resource version of the spec that was read as its precondition, so that it is the newest one.

use super::Sent;
use crate::api::{CreateOperation, Object, ObjectKey};
use jiff::Timestamp;
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
}

impl Warrant {
    pub(super) fn object(&self) -> Option<&Object> {
        self.objects.iter().map(Arc::as_ref).find(|object| object.key() == self.key)
    }
}

/// Warrants by token.
#[derive(Default)]
pub(super) struct Warrants(BTreeMap<String, Warrant>);

impl Warrants {
    /// A status is durable, or is about to be, beside these objects.
    pub(super) fn status_is(&mut self, object: &Object, durable: &[Arc<Object>]) {
        if object.pending().is_empty() {
            return;
        }
        for intent in object.pending().iter().filter(|intent| intent.operation == CreateOperation::CreateJob)
        {
            let is_known = self.0.get(&intent.token).is_some_and(|warrant| warrant.at == intent.at);
            if !is_known {
                let warrant = Warrant { at: intent.at, key: object.key(), objects: durable.to_vec() };
                self.0.insert(intent.token.clone(), warrant);
            }
        }
    }

    pub(super) fn of(&self, token: &str) -> Option<&Warrant> {
        self.0.get(token)
    }
}
