//! Why an object has its present status, and what would change it: sentences from spec, status and time only.
//!
//! The arithmetic is that of the decisions: what would pass a gate is found by calling
//! [`gate::judge`](super::rollout::gates::outcome::judge) with possible future counts.

mod devices;
mod forecast;
mod package;
mod rollout;
mod strata;

use crate::api::{
    CreateOperation, Decision, Health, Intent, IntentState, Kind, Object, ObjectKey, STALLED, counted,
    find_condition, time_text, withheld_since,
};
use jiff::Timestamp;
use serde::Serialize;

/// Why an object has its present status.
#[derive(Serialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The object, as `OtaRollout/meter-v2`.
    pub object: String,
    /// Its health in one word.
    pub health: Health,
    /// The message of its status.
    pub message: String,
    /// What was decided, newest first.
    pub decisions: Vec<Decision>,
    /// What was observed, with the numbers that were compared.
    pub seen: Vec<String>,
    /// What would change it; never empty.
    pub next: Vec<String>,
}

/// Explains the status of an object at `now`; `all` are the objects that it may refer to.
#[must_use]
pub fn explain(object: &Object, all: &[Object], now: Timestamp) -> Explanation {
    let (decisions, seen, next) = match object {
        Object::Cloud(_) => (&[][..], Vec::new(), Vec::new()),
        Object::Package(o) => package::explain(o),
        Object::Rollout(o) => rollout::explain(o, all, now),
    };
    let health = object.health();
    let first = match health {
        Health::New => Some(NOT_LOOKED_AT.to_owned()),
        Health::Deleting => Some(deleting(object)),
        Health::Stalled => Some(person_needed(object)),
        _ => None,
    };
    let withheld = withheld_since(object.meta()).filter(|_| !object.is_deleting());
    let missing = withheld.map(|since| format!(
        "Its manifest has been missing since {since}, together with many others, so the object is not deleted. Restore the file, or confirm with `rollwave prune {}`.",
        object.key()
    ));
    let mut next: Vec<String> = first.into_iter().chain(missing).chain(next).collect();
    if next.is_empty() {
        next.push(by_default(health));
    }
    Explanation {
        object: object.key().to_string(),
        health,
        message: object.message().to_owned(),
        decisions: decisions.iter().rev().cloned().collect(),
        seen,
        next,
    }
}

const NOT_LOOKED_AT: &str =
    "This spec was not reconciled yet; `rollwave apply` or `rollwave run` reconciles it.";

/// Since when, and what can be done if it takes too long.
fn deleting(object: &Object) -> String {
    let since = object.meta().deletion_timestamp.as_ref().map(|at| format!(" since {}", time_text(at.0)));
    let by_hand = object
        .finalizer_command()
        .map(|command| format!(" To delete it at once and leave what is in the cloud as it is: {command}"));
    format!(
        "It is being deleted{}, and is removed once nothing is left to do for it in the cloud.{}",
        since.unwrap_or_default(),
        by_hand.unwrap_or_default()
    )
}

fn by_default(health: Health) -> String {
    match health {
        Health::Ready => "Nothing is left to do; a change of the spec or in the cloud starts work again.",
        _ => "It continues by itself; no action is needed.",
    }
    .to_owned()
}

/// What the `Stalled` condition requires of a user.
fn person_needed(object: &Object) -> String {
    let stalled = find_condition(object.conditions(), STALLED);
    let said = stalled.map(|c| c.message.as_str()).filter(|message| !message.is_empty());
    format!("It does not continue by itself: {}.", said.unwrap_or(object.message()).trim_end_matches('.'))
}

/// A request with unknown outcome, and what happens to it.
fn pending(intent: &Intent) -> String {
    let what = match intent.operation {
        CreateOperation::CreatePackage => "package",
        CreateOperation::CreateJob => "job",
    };
    let (token, at) = (&intent.token, time_text(intent.at));
    match intent.state {
        IntentState::Intended => {
            format!("The request that creates {what} {token} is about to be sent (recorded at {at}).")
        }
        IntentState::Ambiguous => format!(
            "The outcome of the request that creates {what} {token}, sent at {at}, is unknown. Rollwave searches the cloud for the {what} and adopts it if it exists; otherwise it sends the request again. No action is needed."
        ),
        IntentState::Lost => format!(
            "The outcome of the request that creates {what} {token}, sent at {at}, is unknown, and its package was deleted in the cloud since, so the outcome stays unknown and the request is never sent again. Check in the cloud's console whether its devices are being upgraded."
        ),
    }
}

/// The command that explains another object.
fn ask(kind: Kind, key: &ObjectKey, name: &str) -> String {
    command("why", &key.sibling(kind, name))
}

/// The command for an object.
fn command(verb: &str, key: &ObjectKey) -> String {
    let word = match key.kind {
        Kind::OtaCloud => "cloud",
        Kind::OtaPackage => "package",
        Kind::OtaRollout => "rollout",
    };
    let name = &key.name;
    if key.namespace == crate::api::DEFAULT_NAMESPACE {
        format!("`rollwave {verb} {word}/{name}`")
    } else {
        format!("`rollwave {verb} {word}/{}/{name}`", key.namespace)
    }
}

/// `1 device`, `3 devices`.
fn devices(count: u32) -> String {
    counted(count, "device")
}

/// `, such as a, b` for some of so many devices; nothing when none is named.
fn listed_ids(count: u32, examples: &[String]) -> String {
    match examples {
        [] => String::new(),
        all if all.len() == count as usize => format!(": {}", all.join(", ")),
        some => format!(", such as {}", some.join(", ")),
    }
}

/// `3 failed, 1 queued`: the parts that are not zero.
fn listed<const N: usize>(parts: [(u32, &str); N]) -> String {
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    parts.join(", ")
}

/// The smallest number up to `most` for which `holds`, where it holds from some number on.
fn smallest(most: u32, holds: impl Fn(u32) -> bool) -> Option<u32> {
    if !holds(most) {
        return None;
    }
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_number_is_found_at_both_ends() {
        for threshold in [0, 1, 7, 10] {
            assert_eq!(smallest(10, |n| n >= threshold), Some(threshold));
        }
        assert_eq!(smallest(10, |_| false), None);
    }
}
