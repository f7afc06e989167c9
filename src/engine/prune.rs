//! What may be deleted because its manifest is missing. A source that is empty, or lost most of its objects, has more
//! likely become unavailable (an unmounted volume, an interrupted checkout) than been emptied on purpose: none of it is
//! deleted until a user confirms that. Pure.

use crate::api::{
    Object, ObjectKey, PRUNE_CONFIRMED_ANNOTATION, PRUNE_WITHHELD_ANNOTATION, annotation, withheld_since,
};
use jiff::Timestamp;
use std::fmt;

/// Fewer missing objects than this are deleted without confirmation, unless none is left.
const FEW: usize = 3;

/// What users allow to be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Whatever number is missing.
    pub allow: bool,
    /// Also objects of other sources: this one is the only source.
    pub all: bool,
}

/// Objects of a source whose manifests are missing, and that are not deleted before a user confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Their keys, in order.
    pub keys: Vec<ObjectKey>,
    /// How many objects of the source the state holds.
    pub owned: usize,
}

/// Objects that are named in a message, at most.
const SHOWN: usize = 5;

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missing, owned) = (self.keys.len(), self.owned);
        write!(
            f,
            "the manifests of {missing} of {owned} objects are missing ({}): none of these objects is deleted; restore the files, or confirm with --allow-prune or `rollwave prune`",
            shown(&self.keys)
        )
    }
}

/// The first of them by name, and how many more there are.
#[must_use]
pub fn shown(keys: &[ObjectKey]) -> String {
    let mut names: Vec<String> = keys.iter().take(SHOWN).map(ToString::to_string).collect();
    if keys.len() > SHOWN {
        names.push(format!("and {} more", keys.len() - SHOWN));
    }
    names.join(", ")
}

/// Which of the `missing` objects of a source are withheld, out of `owned`; `is_empty` when the source holds no object
/// at all. Objects that were withheld before stay so, however few they are now.
pub(super) fn withheld(
    missing: &[&Object],
    owned: usize,
    is_empty: bool,
    pruning: Pruning,
) -> Vec<ObjectKey> {
    if pruning.allow {
        return Vec::new();
    }
    let has_vanished = is_empty || (missing.len() >= FEW && missing.len() * 2 > owned);
    let stays = |object: &&&Object| {
        !is_confirmed(object) && (has_vanished || withheld_since(object.meta()).is_some())
    };
    missing.iter().filter(stays).map(|object| object.key()).collect()
}

/// True when a user has confirmed the deletion of a withheld object.
#[must_use]
pub fn is_confirmed(object: &Object) -> bool {
    annotation(object.meta(), PRUNE_CONFIRMED_ANNOTATION).is_some()
}

/// The object with a note that its deletion is withheld since `now`; an earlier note keeps its time.
pub(super) fn noted(object: &Object, now: Timestamp) -> Object {
    let mut object = object.clone();
    let annotations = object.meta_mut().annotations.get_or_insert_default();
    // In whole seconds, like every time in an object.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    annotations.entry(PRUNE_WITHHELD_ANNOTATION.to_owned()).or_insert_with(|| now.to_string());
    object
}
