//! Checks of an answer before it is trusted.

use serde::de::DeserializeOwned;
use std::fmt;

/// Why an answer cannot be used.
pub(super) type Unintelligible = String;

/// An answer about something else proves nothing about the request; a create is then searched for.
pub(super) fn expect<T: PartialEq + fmt::Debug + ?Sized>(
    given: &T,
    wanted: &T,
) -> Result<(), Unintelligible> {
    if given == wanted {
        Ok(())
    } else {
        Err(format!("the response is about {given:?}, not about {wanted:?}"))
    }
}

/// An id must not be empty: nothing can be found, stopped or deleted by an empty one.
pub(super) fn id(given: String) -> Result<String, Unintelligible> {
    if given.is_empty() { Err("the response has an empty id".to_owned()) } else { Ok(given) }
}

/// The body, in its documented form.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unintelligible> {
    serde_json::from_slice(body).map_err(|error| format!("the response cannot be parsed: {error}"))
}
