//! What users request of an object without changing its spec. A request is an annotation with the time of the request as its
//! value; the status repeats the value once the request is handled, and it is never handled again.
//!
//! The annotations are the same in every state backend: in a cluster, everyone who may change the object may set them; in a
//! folder, verbs such as `rollwave pause` do.

use super::{Decision, Kind, Object, ObjectMeta, PRUNE_CONFIRMED_ANNOTATION};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A request.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// Reconcile now instead of at the next drift interval.
    Reconcile,
    /// Dispatch nothing new, and stop running jobs.
    Pause,
    /// Continue after a pause.
    Resume,
    /// Retry devices that failed, in a stage or in a verification.
    Retry,
    /// Start a new run of a rollout: its stages again, from the first one.
    Restart,
    /// Delete an object whose manifest is missing, although many are. Only in a folder: the driver that reads the manifests
    /// handles it, not the engine.
    Prune,
}

impl Request {
    /// Every request that the engine handles.
    pub const ALL: [Self; 5] = [Self::Reconcile, Self::Pause, Self::Resume, Self::Retry, Self::Restart];

    /// The verb.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reconcile => "reconcile",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Restart => "restart",
            Self::Prune => "prune",
        }
    }

    /// The annotation that makes the request.
    #[must_use]
    pub const fn annotation(self) -> &'static str {
        match self {
            Self::Reconcile => "ota.rollwave.dev/reconcile-requested-at",
            Self::Pause => "ota.rollwave.dev/pause-requested-at",
            Self::Resume => "ota.rollwave.dev/resume-requested-at",
            Self::Retry => "ota.rollwave.dev/retry-requested-at",
            Self::Restart => "ota.rollwave.dev/restart-requested-at",
            Self::Prune => PRUNE_CONFIRMED_ANNOTATION,
        }
    }

    /// True when objects of this kind support it.
    #[must_use]
    pub const fn concerns(self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::Reconcile | Self::Prune, _) | (_, Kind::OtaRollout) | (Self::Retry, Kind::OtaPackage)
        )
    }

    /// The annotations that are set (or removed: none) to make the request. The later one of pause and resume applies.
    #[must_use]
    pub fn changes(self, at: &str) -> BTreeMap<&'static str, Option<String>> {
        let removed = self.opposite().map(|opposite| (opposite.annotation(), None));
        removed.into_iter().chain([(self.annotation(), Some(at.to_owned()))]).collect()
    }

    const fn opposite(self) -> Option<Self> {
        match self {
            Self::Pause => Some(Self::Resume),
            Self::Resume => Some(Self::Pause),
            Self::Reconcile | Self::Retry | Self::Restart | Self::Prune => None,
        }
    }

    /// The value of the request on the object, if any.
    #[must_use]
    pub fn of(self, meta: &ObjectMeta) -> Option<&str> {
        meta.annotations.as_ref()?.get(self.annotation()).map(String::as_str)
    }

    /// True when the request of this time, or a later one, was handled: the same request, or its opposite.
    #[must_use]
    pub fn is_handled(self, object: &Object, at: Timestamp) -> bool {
        if self == Self::Prune {
            return object.is_deleting();
        }
        let time = |request| object.handled(request)?.parse::<Timestamp>().ok();
        [Some(self), self.opposite()].into_iter().flatten().any(|request| time(request) >= Some(at))
    }

    /// The request on the object, if it was not handled yet.
    #[must_use]
    pub fn open<'a>(self, meta: &'a ObjectMeta, handled: Option<&String>) -> Option<&'a str> {
        self.of(meta).filter(|asked| handled.map(String::as_str) != Some(asked))
    }
}

impl Object {
    /// The value of the request that was handled last.
    #[must_use]
    pub fn handled(&self, request: Request) -> Option<&str> {
        let handled = match (self, request) {
            (Self::Cloud(o), Request::Reconcile) => &o.status.as_ref()?.last_handled_reconcile_at,
            (Self::Package(o), Request::Reconcile) => &o.status.as_ref()?.last_handled_reconcile_at,
            (Self::Package(o), Request::Retry) => &o.status.as_ref()?.last_handled_retry_at,
            (Self::Rollout(o), _) => {
                let status = o.status.as_ref()?;
                match request {
                    Request::Reconcile => &status.last_handled_reconcile_at,
                    Request::Pause => &status.last_handled_pause_at,
                    Request::Resume => &status.last_handled_resume_at,
                    Request::Retry => &status.last_handled_retry_at,
                    Request::Restart => &status.last_handled_restart_at,
                    Request::Prune => return None,
                }
            }
            (Self::Cloud(_) | Self::Package(_), _) => return None,
        };
        handled.as_deref()
    }

    /// The last decisions, newest last.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        match self {
            Self::Cloud(_) => &[],
            Self::Package(o) => o.status.as_ref().map_or(&[], |status| &status.decisions),
            Self::Rollout(o) => o.status.as_ref().map_or(&[], |status| &status.decisions),
        }
    }
}

/// True when the object is to be paused, given whether it is paused: by the newer of pause and resume, and by a pause if the
/// times cannot be compared. A pause lasts as long as its annotation is present; a pause whose annotation was lost lasts until
/// the opposite is requested.
#[must_use]
pub fn is_paused(meta: &ObjectMeta, stands_still: bool, resumed: Option<&String>) -> bool {
    match (Request::Pause.of(meta), Request::Resume.of(meta)) {
        (Some(pause), Some(resume)) => {
            let time = |text: &str| text.parse::<Timestamp>().ok();
            !matches!((time(pause), time(resume)), (Some(pause), Some(resume)) if resume > pause)
        }
        (Some(_), None) => true,
        (None, Some(_)) if Request::Resume.open(meta, resumed).is_some() => false,
        (None, _) => stands_still,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-02T12:00:00.25Z";
    const LATER: &str = "2026-11-02T13:00:00+00:30";

    fn asked(annotations: &[(Request, &str)]) -> ObjectMeta {
        let pairs =
            annotations.iter().map(|(request, at)| (request.annotation().to_owned(), (*at).to_owned()));
        ObjectMeta { annotations: Some(pairs.collect()), ..ObjectMeta::default() }
    }

    #[test]
    fn the_newer_of_pause_and_resume_stands_and_a_pause_in_doubt() {
        use Request::{Pause, Resume};
        for (annotations, before, handled, paused) in [
            (&[][..], false, None, false),
            (&[], true, None, true),
            (&[(Pause, NOON)], false, None, true),
            (&[(Pause, "whenever")], false, None, true),
            (&[(Resume, NOON)], true, None, false),
            (&[(Resume, NOON)], true, Some(NOON), true),
            (&[(Pause, NOON), (Resume, LATER)], true, None, false),
            (&[(Pause, NOON), (Resume, LATER)], false, Some(LATER), false),
            (&[(Pause, LATER), (Resume, NOON)], false, None, true),
            (&[(Pause, NOON), (Resume, NOON)], false, None, true),
            (&[(Pause, NOON), (Resume, "soon")], false, None, true),
        ] {
            let handled = handled.map(str::to_owned);
            let meta = asked(annotations);
            assert_eq!(
                is_paused(&meta, before, handled.as_ref()),
                paused,
                "{annotations:?} {before} {handled:?}"
            );
        }
    }

    #[test]
    fn a_request_is_handled_when_it_or_a_later_one_in_its_place_was() {
        use Request::{Pause, Reconcile, Resume, Retry};
        let [noon, later] = [NOON, LATER].map(|time| time.parse::<Timestamp>().unwrap());
        for (status, at, handled) in [
            (serde_json::json!({}), noon, &[][..]),
            (serde_json::json!({"lastHandledRetryAt": NOON}), later, &[]),
            (serde_json::json!({"lastHandledRetryAt": LATER}), later, &[Retry]),
            (serde_json::json!({"lastHandledReconcileAt": LATER}), noon, &[Reconcile]),
            (serde_json::json!({"lastHandledResumeAt": LATER}), noon, &[Pause, Resume]),
            (serde_json::json!({"lastHandledPauseAt": "soon"}), noon, &[]),
        ] {
            let spec =
                serde_json::json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []});
            let rollout = serde_json::json!({"metadata": {}, "spec": spec, "status": status});
            let object = Object::Rollout(serde_json::from_value(rollout).unwrap());
            let is_handled = |request: &Request| request.is_handled(&object, at);
            let found: Vec<Request> = Request::ALL.into_iter().filter(is_handled).collect();
            assert_eq!(found, handled, "{status} {at}");
        }
    }

    #[test]
    fn a_request_is_open_until_its_value_was_handled() {
        let meta = asked(&[(Request::Retry, NOON)]);
        assert_eq!(Request::Retry.open(&meta, None), Some(NOON));
        assert_eq!(Request::Retry.open(&meta, Some(&LATER.to_owned())), Some(NOON));
        assert_eq!(Request::Retry.open(&meta, Some(&NOON.to_owned())), None);
        assert_eq!(Request::Reconcile.open(&meta, None), None);
    }
}
