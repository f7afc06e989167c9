//! Objects as bytes: JSON, with spec and status apart.

use super::StateError;
use crate::api::{Kind, Object};
use serde::Deserialize;
use serde_json::Error;

/// The whole object, as the mirror shows it.
pub(super) fn encode(object: &Object) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(object)
}

/// The object without its status.
pub(super) fn encode_spec(object: &Object) -> Result<Vec<u8>, Error> {
    let mut object = object.clone();
    clear_status(&mut object);
    encode(&object)
}

/// The status alone; `null` when there is none yet.
pub(super) fn encode_status(object: &Object) -> Result<Vec<u8>, Error> {
    match object {
        Object::Cloud(o) => serde_json::to_vec(&o.status),
        Object::Package(o) => serde_json::to_vec(&o.status),
        Object::Rollout(o) => serde_json::to_vec(&o.status),
    }
}

/// Joins what [`encode_spec`] and [`encode_status`] separated.
pub(super) fn decode(kind: Kind, spec: &[u8], status: Option<&[u8]>) -> Result<Object, Error> {
    let status = status.unwrap_or(b"null");
    let mut object = decode_whole(kind, spec)?;
    read_status(&mut object, status)?;
    Ok(fitted(object))
}

fn read_status(object: &mut Object, status: &[u8]) -> Result<(), Error> {
    match object {
        Object::Cloud(o) => o.status = serde_json::from_slice(status)?,
        Object::Package(o) => o.status = serde_json::from_slice(status)?,
        Object::Rollout(o) => o.status = serde_json::from_slice(status)?,
    }
    Ok(())
}

/// Reads what [`encode`] wrote.
pub(super) fn decode_any(bytes: &[u8]) -> Result<Object, Error> {
    #[derive(Deserialize)]
    struct Header {
        kind: Kind,
    }
    let header: Header = serde_json::from_slice(bytes)?;
    decode_whole(header.kind, bytes).map(fitted)
}

/// Without the spare capacity of parsed lists: thousands of objects are kept.
fn fitted(mut object: Object) -> Object {
    let lists = match &mut object {
        Object::Cloud(_) => None,
        Object::Package(o) => o.status.as_mut().map(|s| (&mut s.conditions, &mut s.decisions)),
        Object::Rollout(o) => o.status.as_mut().map(|s| (&mut s.conditions, &mut s.decisions)),
    };
    if let Some((conditions, decisions)) = lists {
        conditions.shrink_to_fit();
        decisions.shrink_to_fit();
    }
    object
}

/// The object as it will be read back. What cannot be read back (a rate that is not a number, for example) is refused before it
/// is written: it would make the whole state unreadable.
pub(super) fn as_read_back(object: &Object) -> Result<Object, StateError> {
    let read = encode(object).and_then(|bytes| decode_whole(object.kind(), &bytes));
    read.map(fitted).map_err(|e| unwritable(object, &e))
}

/// The object as it will be read back; all but the status was read back before.
pub(super) fn status_as_read_back(mut object: Object) -> Result<Object, StateError> {
    match encode_status(&object).and_then(|status| read_status(&mut object, &status)) {
        Ok(()) => Ok(fitted(object)),
        Err(error) => Err(unwritable(&object, &error)),
    }
}

pub(super) fn unwritable(object: &Object, cause: &dyn std::fmt::Display) -> StateError {
    StateError::Write { path: object.key().to_string(), cause: format!("it could not be read back: {cause}") }
}

/// By kind rather than untagged: the error then names the wrong field.
fn decode_whole(kind: Kind, bytes: &[u8]) -> Result<Object, Error> {
    Ok(match kind {
        Kind::OtaCloud => Object::Cloud(serde_json::from_slice(bytes)?),
        Kind::OtaPackage => Object::Package(serde_json::from_slice(bytes)?),
        Kind::OtaRollout => Object::Rollout(serde_json::from_slice(bytes)?),
    })
}

/// True when both serialize to the same status. Times are written in whole seconds (`metav1.Time`), so the bytes decide, not the
/// values.
pub(super) fn same_status(a: &Object, b: &Object) -> bool {
    let same_values = match (a, b) {
        (Object::Cloud(a), Object::Cloud(b)) => a.status == b.status,
        (Object::Package(a), Object::Package(b)) => a.status == b.status,
        (Object::Rollout(a), Object::Rollout(b)) => a.status == b.status,
        _ => false,
    };
    same_values || same_bytes(encode_status(a), encode_status(b))
}

/// True when both serialize to the same spec.
pub(super) fn same_spec(a: &Object, b: &Object) -> bool {
    let same_values = match (a, b) {
        (Object::Cloud(a), Object::Cloud(b)) => a.spec == b.spec,
        (Object::Package(a), Object::Package(b)) => a.spec == b.spec,
        (Object::Rollout(a), Object::Rollout(b)) => a.spec == b.spec,
        _ => false,
    };
    same_values || same_bytes(spec_bytes(a), spec_bytes(b))
}

fn spec_bytes(object: &Object) -> Result<Vec<u8>, Error> {
    match object {
        Object::Cloud(o) => serde_json::to_vec(&o.spec),
        Object::Package(o) => serde_json::to_vec(&o.spec),
        Object::Rollout(o) => serde_json::to_vec(&o.spec),
    }
}

fn same_bytes(a: Result<Vec<u8>, Error>, b: Result<Vec<u8>, Error>) -> bool {
    matches!((a, b), (Ok(a), Ok(b)) if a == b)
}

/// Metadata and spec of `stored`, with the status of `object`.
pub(super) fn with_status_of(stored: &Object, object: &Object) -> Object {
    let mut next = stored.clone();
    match (&mut next, object) {
        (Object::Cloud(next), Object::Cloud(o)) => next.status.clone_from(&o.status),
        (Object::Package(next), Object::Package(o)) => next.status.clone_from(&o.status),
        (Object::Rollout(next), Object::Rollout(o)) => next.status.clone_from(&o.status),
        // Both have the same key, and the kind is part of it.
        _ => {}
    }
    next
}

pub(super) fn clear_status(object: &mut Object) {
    match object {
        Object::Cloud(o) => o.status = None,
        Object::Package(o) => o.status = None,
        Object::Rollout(o) => o.status = None,
    }
}
