//! Effects of the writes of a [`super::Store`], in every state backend without a cluster. Pure.

use super::{StateError, codec};
use crate::api::{Object, ObjectKey, Request, withheld_since};
use std::collections::BTreeMap;

/// The stored object with the status of `object`; none if nothing would change.
pub(super) fn of_status(stored: Option<&Object>, object: &Object) -> Result<Option<Object>, StateError> {
    let Some(stored) = stored.filter(|stored| stored.meta().uid == object.meta().uid) else {
        return Err(StateError::Conflict { key: object.key().to_string() });
    };
    Ok((!codec::same_status(stored, object)).then(|| codec::with_status_of(stored, object)))
}

/// The stored object with the request recorded beside its spec; none if it is recorded already.
pub(super) fn of_request(stored: &Object, request: Request, at: &str) -> Option<Object> {
    if request.of(stored.meta()) == Some(at) {
        return None;
    }
    // Only a withheld deletion can be confirmed, so that a confirmation never outlives its purpose.
    if request == Request::Prune && withheld_since(stored.meta()).is_none() {
        return None;
    }
    let mut next = stored.clone();
    let annotations = next.meta_mut().annotations.get_or_insert_default();
    for (name, value) in request.changes(at) {
        match value {
            Some(value) => drop(annotations.insert(name.to_owned(), value)),
            None => drop(annotations.remove(name)),
        }
    }
    Some(next)
}

/// True when there is something to forget; only an object that is being deleted may be forgotten.
pub(super) fn may_forget(stored: Option<&Object>, key: &ObjectKey) -> Result<bool, StateError> {
    match stored {
        None => Ok(false),
        Some(stored) if stored.is_deleting() => Ok(true),
        Some(_) => Err(StateError::Conflict { key: key.to_string() }),
    }
}

/// How often the name will have been forgotten.
pub(super) fn forgotten_once_more(incarnations: &BTreeMap<ObjectKey, u64>, key: &ObjectKey) -> u64 {
    incarnations.get(key).copied().unwrap_or(0).saturating_add(1)
}
