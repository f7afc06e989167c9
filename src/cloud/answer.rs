//! Reading an answer: what it must hold before it is believed.

use serde::de::DeserializeOwned;
use std::fmt;

/// Why an answer says nothing.
pub(super) type Unintelligible = String;

/// An answer about something else says nothing about what was asked for, and a create is looked for then.
pub(super) fn expect<T: PartialEq + fmt::Debug + ?Sized>(given: &T, asked: &T) -> Result<(), Unintelligible> {
    if given == asked { Ok(()) } else { Err(format!("the answer is about {given:?}, not about {asked:?}")) }
}

/// An id that names something: nothing can be found, stopped or deleted by an empty one.
pub(super) fn id(given: String) -> Result<String, Unintelligible> {
    if given.is_empty() { Err("the answer has an empty id".to_owned()) } else { Ok(given) }
}

/// The body, in the shape that was documented.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unintelligible> {
    serde_json::from_slice(body).map_err(|error| format!("the answer cannot be read: {error}"))
}
