//! The law of promptness: between the durable write of an intent and its create lies no wait. An intent that waited for the
//! budget, say, would be older than its request, and a lost answer of it would be taken for settled too early.
//!
//! It is held where the state is a file, whose writes take no time in a world: there the create leaves at once, but for what its
//! client has to ask first (a token).

use jiff::{SignedDuration, Timestamp};
use rollwave::api::{CreateOperation, Intent, Object};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is rounded away.
const AT_ONCE: SignedDuration = SignedDuration::from_millis(1);

/// When intents were written, and when a process last heard from a cloud.
#[derive(Default)]
pub(super) struct Promptness {
    /// By token: the time that the intent says, and the world's time when that was first written.
    written: BTreeMap<String, (Timestamp, Timestamp)>,
    /// By run of the process.
    answered: BTreeMap<u64, Timestamp>,
}

impl Promptness {
    pub(super) fn status_written(&mut self, object: &Object, now: Timestamp) {
        for intent in object.pending() {
            let known = self.written.entry(intent.token.clone()).or_insert((intent.at, now));
            if known.0 != intent.at {
                *known = (intent.at, now);
            }
        }
    }

    pub(super) fn answered(&mut self, run: u64, now: Timestamp) {
        self.answered.insert(run, now);
    }

    /// The create of an intent leaves; of packages the version is all that is known.
    pub(super) fn leaves(
        &self,
        run: u64,
        is_it: impl Fn(&Object, &Intent) -> bool,
        durable: &[Arc<Object>],
        now: Timestamp,
    ) -> Result<(), String> {
        let intents =
            durable.iter().flat_map(|object| object.pending().iter().map(move |intent| (object, intent)));
        let alike = intents.filter(|(object, intent)| is_it(object, intent));
        let written = alike.filter_map(|(_, intent)| Some((self.written.get(&intent.token)?.1, intent)));
        let Some((written, intent)) = written.max_by_key(|(at, _)| *at) else { return Ok(()) };
        let since = self.answered.get(&run).map_or(written, |answered| written.max(*answered));
        let waited = now.duration_since(since);
        if waited <= AT_ONCE {
            return Ok(());
        }
        let what = intent.operation;
        Err(format!("{what:?} {} leaves {waited:#} after its intent was written", intent.token))
    }
}

/// The intent of a package of this version.
pub(super) fn of_package(version: &str) -> impl Fn(&Object, &Intent) -> bool {
    move |object, intent| {
        intent.operation == CreateOperation::CreatePackage
            && object.as_package().is_some_and(|package| package.spec.version == version)
    }
}

/// The intent of a job with this token.
pub(super) fn of_job(token: Option<&str>) -> impl Fn(&Object, &Intent) -> bool {
    move |_, intent| token == Some(intent.token.as_str())
}
