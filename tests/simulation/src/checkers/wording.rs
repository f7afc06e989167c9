//! Law of what an account that refuses everything is told with: one text, and not two by turns, each of which is a write.

use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, READY, find_condition};
use std::collections::BTreeMap;

/// How often a text may come back within [`WITHIN`]: an outage begins and ends in between.
const MOST: usize = 5;
const WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// Why an object is not ready whose account refuses its keys or its clock. Texts of other failures may differ with what fails.
const REFUSED: &str = "Unauthorized";

/// What objects show of such a refusal, by their identity.
#[derive(Default)]
pub(super) struct Wording(BTreeMap<String, Told>);

#[derive(Default)]
struct Told {
    generation: i64,
    last: String,
    before: String,
    came_back: Vec<Timestamp>,
}

impl Wording {
    /// A status is durable.
    pub(super) fn status_is(&mut self, object: &Object, now: Timestamp) -> Result<(), String> {
        let Some(uid) = object.meta().uid.clone() else { return Ok(()) };
        let ready = find_condition(object.conditions(), READY);
        if ready.is_none_or(|ready| ready.reason != REFUSED) {
            self.0.remove(&uid);
            return Ok(());
        }
        let told = self.0.entry(uid).or_default();
        if told.generation != object.generation() {
            *told = Told { generation: object.generation(), ..Told::default() };
        }
        told.next(object.message(), now);
        if told.came_back.len() <= MOST {
            return Ok(());
        }
        let (key, times) = (object.key(), told.came_back.len());
        Err(format!(
            "{key} came back {times} times to a text within an hour: {:?}, {:?}",
            told.before, told.last
        ))
    }

    /// A process begins, or users change something: what is told begins again.
    pub(super) fn begins(&mut self) {
        self.0.clear();
    }
}

impl Told {
    fn next(&mut self, text: &str, now: Timestamp) {
        if text == self.last {
            return;
        }
        self.came_back.retain(|at| now.duration_since(*at) < WITHIN);
        if text == self.before {
            self.came_back.push(now);
        }
        self.before = std::mem::replace(&mut self.last, text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_change_and_not_go_back_and_forth() {
        let broken_at = |texts: &[&str], pause: i64| {
            let mut told = Told::default();
            texts.iter().zip(0..).position(|(text, n)| {
                told.next(text, Timestamp::from_second(n * pause).unwrap());
                told.came_back.len() > MOST
            })
        };
        let by_turns = ["a", "b"].repeat(6);
        assert_eq!(broken_at(&by_turns, 30), Some(7), "the eighth text comes back for the sixth time");
        assert_eq!(broken_at(&by_turns, 900), None, "a quarter of an hour apart");
        assert_eq!(broken_at(&["a"; 12], 30), None);
        assert_eq!(broken_at(&["a", "b", "c"].repeat(6), 30), None, "something else goes on");
    }
}
