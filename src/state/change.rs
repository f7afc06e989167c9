//! What the writes of a [`super::Store`] mean, in every home without a cluster. Pure.

use super::{StateError, codec};
use crate::api::{Object, ObjectKey};
use std::collections::BTreeMap;

/// The stored object with the status of `object`; none when that would change nothing.
pub(super) fn of_status(stored: Option<&Object>, object: &Object) -> Result<Option<Object>, StateError> {
    let Some(stored) = stored.filter(|stored| stored.meta().uid == object.meta().uid) else {
        return Err(StateError::Conflict { key: object.key().to_string() });
    };
    Ok((!codec::same_status(stored, object)).then(|| codec::with_status_of(stored, object)))
}

/// True when there is something to forget; only an object that is being deleted may be.
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
