//! Events of `events.k8s.io/v1`. They are told by one task, which may be late and may lose some: nothing depends on them, and
//! nobody waits for them.
//!
//! What happens again, in the same words, is one event that counts. An object that has a lot to say is cut short, as by the
//! broadcaster of client-go: at most `BURST` events at once, and one more every five minutes.

use super::time::MachineTime;
use super::write::in_time;
use crate::api::{API_VERSION, Event, EventType, Object, ObjectKey, ObjectMeta, Reason};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event as K8sEvent, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// `reportingController` of every event.
pub const CONTROLLER: &str = "ota.rollwave.dev/controller";
/// Events that wait to be told; more are lost.
const WAITING: usize = 1_000;
/// Events that an object may have at once.
const BURST: u32 = 25;
/// After so long an object may have one more.
const REFILL: SignedDuration = SignedDuration::from_mins(5);
/// An object that was silent for so many of these times has all of its budget again.
const REFILLS: i32 = 25;
/// What happens again within this time is the same event.
const SERIES: SignedDuration = SignedDuration::from_mins(6);
/// The API server takes no longer note (events.k8s.io/v1).
const LONGEST_NOTE: usize = 1_024;

/// Takes events, and tells them in its own time until it is dropped.
pub struct Bulletin {
    news: mpsc::Sender<(ObjectReference, Event)>,
    teller: JoinHandle<()>,
}

impl Bulletin {
    /// Tells the API server, under the name of this instance.
    #[must_use]
    pub fn new(client: Client, instance: String) -> Self {
        let (news, received) = mpsc::channel(WAITING);
        Self { news, teller: tokio::spawn(tell(client, instance, received)) }
    }

    /// Takes an event of an object; it is lost when too many wait.
    pub fn take(&self, object: &Object, event: &Event) {
        self.take_of(&object.key(), object.meta(), event.clone());
    }

    /// An object cannot be understood, or cannot work in a cluster.
    pub fn take_broken(&self, key: &ObjectKey, meta: &ObjectMeta, why: &str) {
        self.take_of(key, meta, Event { reason: Reason::InvalidObject, message: why.to_owned() });
    }

    fn take_of(&self, key: &ObjectKey, meta: &ObjectMeta, event: Event) {
        let regarding = ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(key.kind.to_string()),
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        };
        if self.news.try_send((regarding, event)).is_err() {
            tracing::debug!(object = %key, "too many events wait: one is lost");
        }
    }
}

impl Drop for Bulletin {
    fn drop(&mut self) {
        self.teller.abort();
    }
}

async fn tell(client: Client, instance: String, mut news: mpsc::Receiver<(ObjectReference, Event)>) {
    let mut told = Told::default();
    while let Some((regarding, event)) = news.recv().await {
        let now = Timestamp::now();
        let Some(event) = told.next(&regarding, &event, &instance, now) else { continue };
        if let Err(error) = send(&client, &event).await {
            tracing::debug!(reason = event.reason, "an event could not be told: {error}");
            told.forget(&event);
        }
    }
}

async fn send(client: &Client, event: &K8sEvent) -> kube::Result<()> {
    let api: Api<K8sEvent> =
        Api::namespaced(client.clone(), event.metadata.namespace.as_deref().unwrap_or_default());
    let name = event.metadata.name.as_deref().unwrap_or_default();
    if event.series.is_some() {
        let patch = Patch::Merge(event);
        in_time(&MachineTime::default(), api.patch(name, &PatchParams::default(), &patch)).await.map(drop)
    } else {
        in_time(&MachineTime::default(), api.create(&PostParams::default(), event)).await.map(drop)
    }
}

/// What makes two events the same one.
type Key = (Option<String>, &'static str, String);

/// What was told of late, and how much each object may still have told of it. Pure.
#[derive(Default)]
struct Told {
    series: BTreeMap<Key, K8sEvent>,
    /// By uid: events that are left, and when the last one was added.
    budgets: BTreeMap<Option<String>, (u32, Timestamp)>,
    tidied_at: Timestamp,
}

impl Told {
    /// The event as it is to be sent: a new one, or one that is known and counts; none when the object has said enough.
    fn next(
        &mut self,
        regarding: &ObjectReference,
        event: &Event,
        instance: &str,
        now: Timestamp,
    ) -> Option<K8sEvent> {
        self.tidy(now);
        if !self.may_speak(regarding.uid.as_ref(), now) {
            return None;
        }
        let note: String = event.message.chars().take(LONGEST_NOTE / 4).collect();
        let note = if event.message.len() <= LONGEST_NOTE { event.message.clone() } else { note };
        let key = (regarding.uid.clone(), event.reason.as_str(), note.clone());
        let known = self.series.get(&key).filter(|known| last_seen(known) + SERIES > now);
        let next = match known {
            Some(known) => counted(known.clone(), now),
            None => new(regarding, event.reason, note, instance, now),
        };
        self.series.insert(key, next.clone());
        Some(next)
    }

    /// Forgets what is over, once in a while: of 10,000 objects each has something told.
    fn tidy(&mut self, now: Timestamp) {
        if now < self.tidied_at + SERIES {
            return;
        }
        self.tidied_at = now;
        self.series.retain(|_, known| last_seen(known) + SERIES > now);
        self.budgets.retain(|_, (_, since)| now < *since + REFILL * REFILLS);
    }

    fn may_speak(&mut self, uid: Option<&String>, now: Timestamp) -> bool {
        let (left, since) = self.budgets.entry(uid.cloned()).or_insert((BURST, now));
        let more = now.duration_since(*since).as_secs() / REFILL.as_secs();
        if more > 0 {
            *left = left.saturating_add(u32::try_from(more).unwrap_or(BURST)).min(BURST);
            *since = now;
        }
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }

    /// It did not arrive, or nobody knows: the next one of its kind is a new one.
    fn forget(&mut self, event: &K8sEvent) {
        self.series.retain(|_, known| known.metadata.name != event.metadata.name);
    }
}

fn last_seen(event: &K8sEvent) -> Timestamp {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    series.or(event.event_time.as_ref().map(|time| time.0)).unwrap_or(Timestamp::MIN)
}

fn counted(mut event: K8sEvent, now: Timestamp) -> K8sEvent {
    let count = event.series.as_ref().map_or(2, |series| series.count.saturating_add(1));
    event.series = Some(EventSeries { count, last_observed_time: MicroTime(now) });
    event
}

fn new(
    regarding: &ObjectReference,
    reason: Reason,
    note: String,
    instance: &str,
    now: Timestamp,
) -> K8sEvent {
    let name = regarding.name.as_deref().unwrap_or_default();
    let short: String = name.chars().take(200).collect();
    K8sEvent {
        metadata: ObjectMeta {
            name: Some(format!("{short}.{:x}", now.as_nanosecond())),
            namespace: regarding.namespace.clone(),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(note),
        reason: Some(reason.as_str().to_owned()),
        regarding: Some(regarding.clone()),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance.chars().take(128).collect()),
        type_: Some(reason.event().unwrap_or(EventType::Normal).as_str().to_owned()),
        ..K8sEvent::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn tell(told: &mut Told, message: &str, second: i64) -> Option<K8sEvent> {
        let regarding =
            ObjectReference { uid: Some("u".into()), name: Some("r".into()), ..Default::default() };
        let event = Event { reason: Reason::Held, message: message.to_owned() };
        told.next(&regarding, &event, "pod-1", at(second))
    }

    fn count(event: Option<K8sEvent>) -> i32 {
        event.unwrap().series.map_or(1, |series| series.count)
    }

    #[test]
    fn the_same_again_counts_and_other_words_or_another_hour_are_another_event() {
        let mut told = Told::default();
        let counts: Vec<i32> = [("a", 0), ("a", 10), ("b", 20), ("a", 300), ("b", 1_000)]
            .into_iter()
            .map(|(message, second)| count(tell(&mut told, message, second)))
            .collect();
        assert_eq!(counts, [1, 2, 1, 3, 1]);
    }

    #[test]
    fn an_object_that_says_too_much_is_cut_short_and_heard_again_later() {
        let mut told = Told::default();
        let heard = |told: &mut Told, n: i64| tell(told, &format!("{n}"), n).is_some();
        assert!((0..i64::from(BURST)).all(|n| heard(&mut told, n)));
        assert!((25..100).all(|n| !heard(&mut told, n)));
        assert!(heard(&mut told, 400) && !heard(&mut told, 401), "one more after five minutes");
    }

    #[test]
    fn what_did_not_arrive_begins_anew() {
        let mut told = Told::default();
        let first = tell(&mut told, "a", 0).unwrap();
        told.forget(&first);
        assert_eq!(count(tell(&mut told, "a", 1)), 1);
    }
}
