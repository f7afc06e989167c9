//! When an account counts as unreachable, so that its objects do not each find that out with requests of their own.
//!
//! A single resource that always fails is no outage: it takes a failure of the account's own probe and one of another
//! object, without a successful request in between. An outage lasts seconds; after each pause both are tried again.

use crate::cloud::{CallError, ErrorClass};
use jiff::{SignedDuration, Timestamp};

/// The first pause of an outage; it doubles with each failed probe.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(2);
/// The longest pause between two probes.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// What is known about the reachability of an account.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// The probe failed since the last successful request, or since the last pause.
    probe_failed: bool,
    /// A request of another object failed since then.
    object_failed: bool,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    error: CallError,
    until: Timestamp,
    pauses: u32,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// It concerns the object only.
    None,
    /// It may concern the account: its probe decides.
    Probe,
    /// The account is unreachable: only the probe is sent before this time.
    Outage(Timestamp),
}

impl Outage {
    /// Returns the error of the current outage.
    ///
    /// # Errors
    /// The error that started it.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), CallError> {
        match &self.open {
            Some(open) if now < open.until => Err(open.error.clone()),
            _ => Ok(()),
        }
    }

    /// When other objects may continue, after the probe, which is sent first.
    pub(super) fn over(&self, now: Timestamp) -> Timestamp {
        let until = self.open.as_ref().map_or(now, |open| open.until.max(now));
        until.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX)
    }

    /// What an object shows of its failure: while an outage lasts, the error that started it, so that its status does not
    /// alternate between that one and its own.
    pub(super) fn as_shown(&self, error: &CallError) -> CallError {
        let is_same = |first: &&CallError| (first.class, first.reason()) == (error.class, error.reason());
        let first = self.open.as_ref().map(|open| &open.error).filter(is_same);
        first.unwrap_or(error).clone()
    }

    /// A request of the account succeeded; true when that ends an outage.
    pub(super) fn note_success(&mut self) -> bool {
        std::mem::take(self).open.is_some()
    }

    /// A request of the probe, or of another object, failed.
    pub(super) fn note_failure(&mut self, is_probe: bool, error: &CallError, now: Timestamp) -> Suspicion {
        if !concerns_the_account(error.class) {
            return Suspicion::None;
        }
        self.probe_failed |= is_probe;
        self.object_failed |= !is_probe;
        if !self.object_failed {
            return Suspicion::None;
        }
        if !self.probe_failed {
            return Suspicion::Probe;
        }
        let before = std::mem::take(self).open;
        let pauses = before.as_ref().map_or(0, |open| open.pauses.saturating_add(1));
        let until = now.saturating_add(pause(pauses)).unwrap_or(Timestamp::MAX);
        // The error text of an outage stays the same, so that objects are not written again at each probe.
        let kept = before.map(|open| open.error).filter(|kept| kept.class == error.class);
        let error = kept.unwrap_or_else(|| error.clone());
        self.open = Some(Open { error, until, pauses });
        Suspicion::Outage(until)
    }
}

/// Errors that every other request of the account may meet too. Errors of requests that Rollwave did not send do not
/// count.
const fn concerns_the_account(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::Unauthorized | ErrorClass::Unavailable)
}

fn pause(pauses: u32) -> SignedDuration {
    (FIRST_PAUSE * (1 << pauses.min(5))).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::super::Engine;
    use super::super::ports::{Connector, Ports};
    use super::super::testing::{Bench, Site, WORLD, cloud, package};
    use super::*;
    use crate::api::{Kind, Object, ObjectKey, OtaCloud, Reason, RolloutPhase, STALLED, condition_is_true};
    use crate::cloud::Cloud;
    use async_trait::async_trait;
    use std::sync::Arc;

    fn key(kind: Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, "default", name)
    }

    /// A rollout to one device.
    fn to_device(name: &str, package: &str, device: &str) -> String {
        format!(
            "---\napiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaRollout\nmetadata: {{name: {name}}}\nspec:\n  packageRef: \
             {{name: {package}}}\n  targets: {{devices: [{device}]}}\n  stages: [{{name: all, select: {{rest: true}}}}]\n"
        )
    }

    fn is_completed(object: &Object) -> bool {
        let Object::Rollout(rollout) = object else { return false };
        rollout.status.as_ref().is_some_and(|status| status.phase == RolloutPhase::Completed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_resource_that_always_fails_delays_no_other_object_and_is_nobody_elses_error() {
        let bench = Bench::new(WORLD);
        bench.break_paths(&["/devices/m-0000", "/devices/m-0001"]);
        let mut site = bench.site();
        let broken = to_device("broken", "v2", "m-0000") + &to_device("broken-too", "v2", "m-0001");
        site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2"), broken].concat()).await;
        site.work(SignedDuration::from_hours(2)).await;
        site.apply(&to_device("fine", "v2", "m-0002")).await;
        let fine = key(Kind::OtaRollout, "fine");
        for _ in 0..50 {
            site.work(SignedDuration::from_secs(30)).await;
            let (reason, message) = site.said(&fine);
            assert!(!message.contains("broken") && reason != "Unavailable", "{reason}: {message}");
        }
        assert!(is_completed(&site.object(&fine)), "{:?}", site.said(&fine));
        assert_eq!(site.said(&key(Kind::OtaRollout, "broken")).0, "Unavailable");
        assert_eq!(site.said(&key(Kind::OtaCloud, "lab")).0, "Connected");
    }

    #[tokio::test(start_paused = true)]
    async fn a_resource_that_never_answers_is_asked_once_a_turn() {
        let bench = Bench::new(WORLD);
        bench.silence_paths(&["/devices/m-0000"]);
        let mut site = bench.site();
        let (silent, fine) = (to_device("silent", "v2", "m-0000"), to_device("fine", "v2", "m-0002"));
        site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2"), silent, fine].concat()).await;
        site.work(SignedDuration::from_hours(1)).await;
        let asked = bench.times("GET", "/devices/m-0000");
        let (first, second) = (asked[0], asked[1]);
        // Others are reconciled before it is tried again.
        let is_between = |at: &Timestamp| first < *at && *at < second;
        assert!(bench.times("GET", "/devices/m-0002").iter().any(is_between), "{asked:?}");
        assert!(is_completed(&site.object(&key(Kind::OtaRollout, "fine"))));
        // Its job takes ten minutes at least, and is observed every half minute.
        let is_early = |at: &Timestamp| at.duration_since(first) < SignedDuration::from_mins(8);
        let polls: Vec<Timestamp> =
            bench.times("GET", "/devices/m-0002").into_iter().filter(is_early).collect();
        let waits = polls.windows(2).map(|pair| pair[1].duration_since(pair[0]));
        let longest = waits.max().unwrap();
        assert!(polls.len() >= 6 && longest < SignedDuration::from_secs(95), "{longest:#}: {polls:?}");
    }

    /// Secrets that do not exist before a time.
    struct LateKeys {
        from: Timestamp,
        ports: Ports,
    }

    #[async_trait]
    impl Connector for LateKeys {
        async fn connect(&self, cloud: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError> {
            if self.ports.clock.now() < self.from {
                let error = CallError::new(ErrorClass::Unauthorized, "Connect", "there is no Secret");
                return Err(CallError { reason: Some(Reason::SecretMissing), ..error });
            }
            self.ports.connector.connect(cloud).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_come_late_are_waited_for_stall_after_a_while_and_are_noticed_within_seconds() {
        let bench = Bench::new(WORLD);
        let from = bench.now() + SignedDuration::from_mins(30);
        let connector = Arc::new(LateKeys { from, ports: bench.ports() });
        let mut site = bench.site();
        site.engine = Engine::new(site.store.clone(), Ports { connector, ..bench.ports() });
        site.apply(&cloud("lab", "a")).await;
        let lab = key(Kind::OtaCloud, "lab");
        let stalled = |site: &Site| condition_is_true(site.object(&lab).conditions(), STALLED);
        site.work(SignedDuration::from_secs(100)).await;
        assert_eq!((site.said(&lab).0.as_str(), stalled(&site)), ("SecretMissing", false));
        site.work(SignedDuration::from_secs(40)).await;
        assert!(stalled(&site), "{:?}", site.said(&lab));
        site.work(from.duration_since(bench.now())).await;
        site.work(SignedDuration::from_secs(17)).await;
        assert_eq!(site.said(&lab).0, "Connected");
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_out_of_reach_is_probed_seconds_apart_and_all_go_on_when_it_is_back() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let packages = (0..20).map(|n| package(&format!("p-{n}"), "lab", &format!("V{n}")));
        site.apply(&packages.fold(cloud("lab", "a"), |text, more| text + &more)).await;
        site.work(SignedDuration::from_mins(1)).await;
        bench.break_paths(&["/"]);
        let more = (20..40).map(|n| package(&format!("p-{n}"), "lab", &format!("V{n}")));
        site.apply(&more.collect::<String>()).await;
        let (before, length) = (bench.sent("", ""), 60);
        site.work(SignedDuration::from_mins(length)).await;
        // Three attempts each of the probe and of one object, twice a minute.
        let sent = bench.sent("", "") - before;
        assert!(sent <= 6 * (2 * usize::try_from(length).unwrap() + 10), "{sent} requests in an hour");
        assert_eq!(site.said(&key(Kind::OtaCloud, "lab")).0, "Unavailable");
        assert_eq!(site.said(&key(Kind::OtaPackage, "p-39")).0, "Unavailable");
        bench.break_paths(&[]);
        site.work(SignedDuration::from_secs(90)).await;
        for n in 0..40 {
            let (reason, message) = site.said(&key(Kind::OtaPackage, &format!("p-{n}")));
            assert_ne!(reason, "Unavailable", "p-{n}: {message}");
        }
        assert_eq!(site.said(&key(Kind::OtaCloud, "lab")).0, "Connected");
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_shown_with_one_text_for_as_long_as_it_lasts() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let releases = package("v2", "lab", "V2")
            + &to_device("one", "v2", "m-0000")
            + &to_device("two", "v2", "m-0001");
        site.apply(&(cloud("lab", "a") + &releases)).await;
        site.work(SignedDuration::from_mins(2)).await;
        bench.break_paths(&["/"]);
        assert_few_texts(&mut site).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_rollout_that_waits_for_its_package_shows_one_text_during_an_outage() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&cloud("lab", "a")).await;
        site.work(SignedDuration::from_mins(2)).await;
        bench.break_paths(&["/"]);
        let releases = package("v2", "lab", "V2")
            + &to_device("one", "v2", "m-0000")
            + &to_device("two", "v2", "m-0001");
        site.apply(&releases).await;
        assert_few_texts(&mut site).await;
    }

    /// An hour.
    async fn assert_few_texts(site: &mut Site) {
        let keys = site.store.objects().iter().map(|object| object.key()).collect::<Vec<_>>();
        let mut texts: Vec<Vec<String>> = vec![Vec::new(); keys.len()];
        for _ in 0..3_600 {
            site.work(SignedDuration::from_secs(1)).await;
            for (key, told) in keys.iter().zip(&mut texts) {
                let (_, message) = site.said(key);
                if told.last() != Some(&message) {
                    told.push(message);
                }
            }
        }
        for (key, told) in keys.iter().zip(&texts) {
            assert!(told.len() <= 4, "{key}: {} times: {:#?}", told.len(), &told[..told.len().min(8)]);
        }
    }

    #[test]
    fn it_takes_the_probe_and_an_object_and_nothing_that_was_not_sent() {
        let error = |class| CallError::new(class, "ShowDevice", "broken");
        let (away, ours) = (error(ErrorClass::Unavailable), error(ErrorClass::NotSent));
        let now = Timestamp::UNIX_EPOCH;
        let at = |second| Suspicion::Outage(Timestamp::from_second(second).unwrap());
        let mut outage = Outage::default();
        assert_eq!(outage.note_failure(false, &ours, now), Suspicion::None);
        assert_eq!(outage.note_failure(true, &away, now), Suspicion::None, "nobody else is concerned");
        assert!(!outage.note_success());
        assert_eq!(outage.note_failure(false, &away, now), Suspicion::Probe);
        assert_eq!(outage.note_failure(false, &away, now), Suspicion::Probe);
        assert!(!outage.note_success(), "it answers");
        assert_eq!(outage.note_failure(false, &away, now), Suspicion::Probe);
        assert_eq!(outage.note_failure(true, &away, now), at(2));
        assert_eq!((outage.check(now), outage.over(now) > now), (Err(away.clone()), true));
        let again = |outage: &mut Outage| {
            assert_eq!(outage.note_failure(true, &away, now), Suspicion::None);
            outage.note_failure(false, &away, now)
        };
        let pauses: Vec<Suspicion> = (0..5).map(|_| again(&mut outage)).collect();
        assert_eq!(pauses, [at(4), at(8), at(16), at(30), at(30)]);
        assert!(outage.note_success());
        assert_eq!(outage.check(now), Ok(()));
        assert_eq!(outage.note_failure(false, &away, now), Suspicion::Probe);
    }
}
