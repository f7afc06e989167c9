//! What people ask for beside the manifests, in worlds of later seeds: a look, a pause, to go on, another attempt.

use super::dice::Dice;
use jiff::SignedDuration;
use rollwave::api::Request;
use serde_json::Value;
use std::collections::BTreeMap;

/// Worlds of earlier seeds have no requests: their histories are older.
pub(super) const FIRST_OF_REQUESTS: u64 = 4_000_000;
/// Seeds from here on may ask for a restart, too.
const FIRST_OF_RESTARTS: u64 = 5_000_000;

/// Somebody asks for something.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// The manifest of the object.
    pub(super) name: String,
    pub(super) request: Request,
    /// In a cluster the annotation is set by hand; the verb takes back the opposite, too.
    pub(super) by_hand: bool,
}

/// What is asked within so many seconds, and a little later.
pub(super) fn plot(
    seed: u64,
    seconds: u64,
    easy: bool,
    manifests: &BTreeMap<String, Value>,
) -> Vec<(SignedDuration, Ask)> {
    let mut plot = Vec::new();
    if seed < FIRST_OF_REQUESTS {
        return plot;
    }
    let mut asker = Asker { dice: Dice::new(seed, "asked"), restarts: seed >= FIRST_OF_RESTARTS, manifests };
    for _ in 0..asker.dice.between(0, 6) {
        // Much of what can go wrong happens early.
        let until = if asker.dice.permille(500) { seconds / 4 } else { seconds };
        let at = asker.dice.between(1, until);
        let Some(ask) = asker.ask() else { continue };
        // Where everything must be completed in the end, whoever pauses goes on.
        if ask.request == Request::Pause && (easy || asker.dice.permille(700)) {
            let resume = Ask { request: Request::Resume, ..ask.clone() };
            plot.push((since_start(at + asker.dice.between(1, 1_800)), resume));
        }
        plot.push((since_start(at), ask));
    }
    plot
}

fn since_start(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(1))
}

struct Asker<'a> {
    dice: Dice,
    restarts: bool,
    manifests: &'a BTreeMap<String, Value>,
}

impl Asker<'_> {
    fn ask(&mut self) -> Option<Ask> {
        let choices = if self.restarts { 8 } else { 7 };
        let (request, kinds): (Request, &[&str]) = match self.dice.between(0, choices) {
            8 => (Request::Restart, &["OtaRollout"]),
            0..=2 => (Request::Pause, &["OtaRollout"]),
            3 => (Request::Resume, &["OtaRollout"]),
            4 | 5 => (Request::Retry, &["OtaRollout"]),
            6 => (Request::Retry, &["OtaPackage"]),
            _ => (Request::Reconcile, &["OtaCloud", "OtaPackage", "OtaRollout"]),
        };
        let is_meant = |manifest: &Value| kinds.iter().any(|kind| manifest["kind"].as_str() == Some(*kind));
        let names = self.manifests.iter().filter(|(_, manifest)| is_meant(manifest));
        let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        let name = self.dice.pick(&names)?.clone();
        Some(Ask { name, request, by_hand: self.dice.permille(300) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn old_seeds_ask_for_nothing_and_who_pauses_an_easy_world_goes_on() {
        let manifests = ["OtaCloud", "OtaPackage", "OtaRollout"];
        let manifests = manifests.map(|kind| (kind.to_owned(), json!({"kind": kind}))).into();
        assert!((0..4_000_000).step_by(9_973).all(|seed| plot(seed, 60, false, &manifests).is_empty()));
        let mut asked: Vec<Request> = Vec::new();
        let with_restarts = FIRST_OF_RESTARTS..FIRST_OF_RESTARTS + 100;
        for seed in (FIRST_OF_REQUESTS..FIRST_OF_REQUESTS + 100).chain(with_restarts) {
            let mut plot = plot(seed, 3_600, true, &manifests);
            plot.sort_by_key(|(at, _)| *at);
            let turns = plot.iter().map(|(_, ask)| ask.request);
            let last = turns.clone().rfind(|request| matches!(request, Request::Pause | Request::Resume));
            assert_ne!(last, Some(Request::Pause), "{seed}: {plot:?}");
            asked.extend(turns);
        }
        assert!(Request::ALL.iter().all(|request| asked.contains(request)));
    }
}
