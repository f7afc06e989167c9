//! Events of an object, derived only from its status before and after. A status that does not change yields none, so an idle or
//! stuck object is silent. Pure.

use super::{
    Condition, Decision, IntentState, Object, Origin, OtaPackageStatus, OtaRolloutStatus, READY, Reason,
    RolloutPhase, STALLED, SUSPENDED, StagePhase, StageStatus, VERIFIED, condition_is_true, counted,
    find_condition,
};

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub reason: Reason,
    /// A message with its numbers.
    pub message: String,
}

/// Decisions that are also sent as Events.
const TOLD: [Reason; 7] = [
    Reason::RunStarted,
    Reason::RetryTaken,
    Reason::RetryRefused,
    Reason::RestartRefused,
    Reason::AnotherInstance,
    Reason::SafeguardsRemoved,
    Reason::SelectNotFollowed,
];

/// Reasons of `Stalled` that come from the class of a failed call.
pub const REFUSALS: [Reason; 5] =
    [Reason::Conflict, Reason::Forbidden, Reason::Invalid, Reason::NotFound, Reason::Unauthorized];

/// What happened between two statuses of one object. No status before: the object is new.
#[must_use]
pub fn events(before: Option<&Object>, after: &Object) -> Vec<Event> {
    let before = before.filter(|before| before.meta().uid == after.meta().uid);
    let mut told = Teller { events: Vec::new() };
    match after {
        Object::Cloud(_) => told.of_account(before, after),
        Object::Package(o) => told.of_package(before.and_then(package_status), o.status.as_ref()),
        Object::Rollout(o) => told.of_rollout(before.and_then(rollout_status), o.status.as_ref()),
    }
    told.of_journal(before, after);
    told.of_hold(before, after);
    told.of_deletion(before, after);
    told.events
}

fn package_status(object: &Object) -> Option<&OtaPackageStatus> {
    object.as_package()?.status.as_ref()
}

const fn rollout_status(object: &Object) -> Option<&OtaRolloutStatus> {
    if let Object::Rollout(rollout) = object { rollout.status.as_ref() } else { None }
}

struct Teller {
    events: Vec<Event>,
}

impl Teller {
    fn tell(&mut self, reason: Reason, message: impl Into<String>) {
        self.events.push(Event { reason, message: message.into() });
    }

    fn of_account(&mut self, before: Option<&Object>, after: &Object) {
        let ready = |object: &Object| condition_is_true(object.conditions(), READY);
        match (before.is_some_and(ready), ready(after)) {
            (false, true) => self.tell(Reason::AccountReachable, after.message()),
            (true, false) if !after.is_deleting() => self.tell(Reason::AccountUnreachable, after.message()),
            _ => {}
        }
    }

    fn of_package(&mut self, before: Option<&OtaPackageStatus>, after: Option<&OtaPackageStatus>) {
        let Some(after) = after else { return };
        let id_before = before.and_then(|status| status.package_id.as_ref());
        if let Some(id) = after.package_id.as_ref().filter(|id| Some(*id) != id_before) {
            let same_spec = before.is_some_and(|b| b.observed_generation == after.observed_generation);
            match (after.origin, id_before) {
                (Some(Origin::Created), Some(old)) if same_spec => {
                    self.tell(Reason::DriftCorrected, format!("package {id} replaced {old}"));
                }
                (Some(Origin::Created), _) => {
                    self.tell(Reason::PackageCreated, format!("package {id} was created"));
                }
                _ => self
                    .tell(Reason::PackageAdopted, format!("package {id} exists, is equal, and was adopted")),
            }
        }
        let none = Vec::new();
        let conditions = before.map_or(&none, |status| &status.conditions);
        match turned(conditions, &after.conditions, VERIFIED) {
            Some(verified) if verified.status == "True" => {
                self.tell(Reason::PackageVerified, &verified.message);
            }
            Some(verified) if verified.status == "False" && verified.reason == Reason::VerificationFailed => {
                self.tell(Reason::VerificationFailed, &verified.message);
            }
            _ => {}
        }
        self.of_retries(before.map_or(&[], |status| &status.decisions), &after.decisions);
    }

    fn of_rollout(&mut self, before: Option<&OtaRolloutStatus>, after: Option<&OtaRolloutStatus>) {
        let Some(after) = after else { return };
        let none = OtaRolloutStatus::default();
        let before = before.unwrap_or(&none);
        let same_run = before.package_identity == after.package_identity && before.run == after.run;
        for stage in &after.stages {
            let old = before.stages.iter().find(|old| old.name == stage.name).filter(|_| same_run);
            self.of_stage(old, stage);
        }
        if let Some(rule) = after.stopped_by.as_ref().filter(|_| before.stopped_by.is_none()) {
            self.tell(Reason::StopRuleFired, &rule.message);
        }
        if after.phase == RolloutPhase::Completed && before.phase != RolloutPhase::Completed {
            self.tell(Reason::RolloutCompleted, &after.message);
        }
        if let Some(still) = find_condition(&after.conditions, SUSPENDED) {
            let reason = if still.reason == Reason::Paused { Reason::Paused } else { Reason::Suspended };
            if find_condition(&before.conditions, SUSPENDED).is_none_or(|old| old.reason != still.reason) {
                self.tell(reason, &still.message);
            }
        } else if condition_is_true(&before.conditions, SUSPENDED) {
            self.tell(Reason::Resumed, &after.message);
        }
        self.of_retries(&before.decisions, &after.decisions);
    }

    fn of_retries(&mut self, before: &[Decision], after: &[Decision]) {
        for decision in news(before, after) {
            if let Some(reason) = TOLD.into_iter().find(|reason| decision.rule == *reason) {
                self.tell(reason, &decision.message);
            }
        }
    }

    fn of_stage(&mut self, before: Option<&StageStatus>, after: &StageStatus) {
        let was = |phase| before.is_some_and(|before| before.phase == phase);
        if let Some(job) = after.jobs.first().filter(|_| before.is_none_or(|before| before.jobs.is_empty())) {
            let message =
                format!("stage {}: job {} with {}", after.name, job.id, counted(job.devices, "device"));
            self.tell(Reason::StageDispatched, message);
        }
        if after.phase == StagePhase::Passed && !was(StagePhase::Passed) {
            let counts = after.counts;
            let message = format!(
                "stage {}: {} of {} devices succeeded",
                after.name, counts.succeeded, counts.assigned
            );
            self.tell(Reason::StagePassed, message);
        }
    }

    fn of_journal(&mut self, before: Option<&Object>, after: &Object) {
        let doubted = |object: &Object, token: &str| {
            let mut pending = object.pending().iter();
            pending.any(|intent| intent.token == token && intent.state == IntentState::Ambiguous)
        };
        for intent in after.pending().iter().filter(|intent| doubted(after, &intent.token)) {
            if !before.is_some_and(|before| doubted(before, &intent.token)) {
                self.tell(Reason::OutcomeUnknown, after.message());
            }
        }
    }

    /// Once per reason: the number of remaining jobs changes often.
    fn of_deletion(&mut self, before: Option<&Object>, after: &Object) {
        let waits = |object: &Object| {
            let ready = find_condition(object.conditions(), READY).filter(|_| object.is_deleting())?;
            Some(ready.reason.clone())
        };
        let is_refused = find_condition(after.conditions(), STALLED).is_some();
        if let Some(reason) = waits(after)
            && !is_refused
            && before.and_then(waits).as_ref() != Some(&reason)
        {
            self.tell(Reason::DeletionPending, after.message());
        }
    }

    /// A hold with a reason of its own is reported above; every other hold that only a user can resolve is reported by one Event.
    fn of_hold(&mut self, before: Option<&Object>, after: &Object) {
        let stalled = |object: &Object| find_condition(object.conditions(), STALLED).cloned();
        let Some(hold) = stalled(after) else { return };
        if before.and_then(stalled).is_some_and(|old| old.reason == hold.reason) {
            return;
        }
        match Reason::of(&hold.reason) {
            Some(
                reason @ (Reason::GateFailed | Reason::GateInconclusive | Reason::SharedOutageSuspected),
            ) => {
                self.tell(reason, &hold.message);
            }
            Some(
                Reason::StopRuleFired
                | Reason::Aborted
                | Reason::VerificationFailed
                | Reason::AnotherInstance,
            ) => {}
            Some(reason) if REFUSALS.contains(&reason) => self.tell(Reason::Refused, &hold.message),
            _ => self.tell(Reason::Held, format!("{}: {}", hold.reason, hold.message)),
        }
    }
}

/// The condition, if its truth has changed.
fn turned<'a>(before: &[Condition], after: &'a [Condition], of_type: &str) -> Option<&'a Condition> {
    let now = find_condition(after, of_type)?;
    find_condition(before, of_type).is_none_or(|old| old.status != now.status).then_some(now)
}

/// New decisions. Only the last ones are kept, so some of the earlier ones may be missing.
fn news<'a>(before: &'a [Decision], after: &'a [Decision]) -> impl Iterator<Item = &'a Decision> {
    after.iter().filter(|decision| !before.contains(decision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Truth, clear_condition, record_decision, set_condition};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    fn object(kind: &str, status: &Value) -> Object {
        let spec = match kind {
            "OtaPackage" => json!({
                "cloudRef": {"name": "c"}, "type": "Firmware", "product": {"id": "m"}, "version": "V2",
                "artifact": {"sha256": "00", "file": "a"}}),
            "OtaCloud" => json!({"credentials": {}}),
            _ => json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []}),
        };
        let value = json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": kind,
            "metadata": {"name": "x", "uid": "u"}, "spec": spec, "status": status});
        match kind {
            "OtaPackage" => Object::Package(serde_json::from_value(value).unwrap()),
            "OtaCloud" => Object::Cloud(serde_json::from_value(value).unwrap()),
            _ => Object::Rollout(serde_json::from_value(value).unwrap()),
        }
    }

    fn condition(of_type: &str, status: &str, reason: &str) -> Value {
        json!([{"type": of_type, "status": status, "reason": reason, "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    }

    fn told(kind: &str, before: &Value, after: &Value) -> Vec<Reason> {
        let (before, after) = (object(kind, before), object(kind, after));
        assert_eq!(events(Some(&after), &after), [], "an unchanged status yields no event");
        events(Some(&before), &after).into_iter().map(|event| event.reason).collect()
    }

    fn stage(phase: &str, jobs: &Value) -> Value {
        let counts = json!({"assigned": 5, "queued": 0, "inFlight": 0, "succeeded": 5, "failed": 0, "timedOut": 0, "reverted": 0});
        json!([{"name": "canary", "phase": phase, "counts": counts, "jobs": jobs}])
    }

    #[test]
    fn accounts_and_packages_tell_what_happened_to_them() {
        use Reason::{
            AccountReachable, AccountUnreachable, DriftCorrected, PackageAdopted, PackageCreated,
            PackageVerified, Refused, VerificationFailed,
        };
        let ready = |status| json!({"conditions": condition("Ready", status, "R")});
        let id = |id: &str, origin: &str| json!({"packageId": id, "origin": origin, "observedGeneration": 1});
        let verified = |status, reason| json!({"conditions": condition("Verified", status, reason)});
        let stalled = |reason| json!({"conditions": condition("Stalled", "True", reason)});
        for (kind, before, after, reasons) in [
            ("OtaCloud", json!({}), ready("True"), vec![AccountReachable]),
            ("OtaCloud", ready("True"), ready("False"), vec![AccountUnreachable]),
            ("OtaCloud", ready("False"), ready("Unknown"), vec![]),
            ("OtaPackage", json!({}), id("p-1", "Created"), vec![PackageCreated]),
            ("OtaPackage", json!({}), id("p-1", "Adopted"), vec![PackageAdopted]),
            ("OtaPackage", id("p-1", "Adopted"), id("p-2", "Created"), vec![DriftCorrected]),
            (
                "OtaPackage",
                verified("Unknown", "Verifying"),
                verified("True", "Verified"),
                vec![PackageVerified],
            ),
            ("OtaPackage", json!({}), verified("False", "VerificationFailed"), vec![VerificationFailed]),
            ("OtaPackage", json!({}), stalled("Forbidden"), vec![Refused]),
            ("OtaPackage", stalled("Drifted"), stalled("DriftBlocked"), vec![Reason::Held]),
        ] {
            assert_eq!(told(kind, &before, &after), reasons, "{before} {after}");
        }
    }

    #[test]
    fn rollouts_tell_what_happened_to_them() {
        use Reason::{
            GateFailed, GateInconclusive, Held, OutcomeUnknown, Paused, Resumed, RolloutCompleted,
            SharedOutageSuspected, StageDispatched, StagePassed, StopRuleFired, Suspended,
        };
        let job = json!([{"token": "t", "id": "j", "devices": 5, "state": ""}]);
        let stages = |phase, jobs: &Value| json!({"stages": stage(phase, jobs)});
        let is = |of_type, reason| json!({"conditions": condition(of_type, "True", reason)});
        let rule = json!({"rule": "r", "method": "Count", "verdict": "Fail", "sample": 1, "failures": 1, "assigned": 1,
                          "value": 1.0, "threshold": 1.0, "message": "m", "at": "2026-01-01T00:00:00Z"});
        let intent = |state| {
            json!({"pending": [{"token": "t", "operation": "CreateJob", "digest": "d",
                                    "at": "2026-01-01T00:00:00Z", "state": state}]})
        };
        for (before, after, reasons) in [
            (stages("Waiting", &json!([])), stages("Dispatching", &json!([])), vec![]),
            (stages("Dispatching", &json!([])), stages("Running", &job), vec![StageDispatched]),
            (stages("Soaking", &job), stages("Passed", &job), vec![StagePassed]),
            (json!({}), is("Stalled", "GateFailed"), vec![GateFailed]),
            (json!({}), is("Stalled", "GateInconclusive"), vec![GateInconclusive]),
            (json!({}), is("Stalled", "SharedOutageSuspected"), vec![SharedOutageSuspected]),
            (json!({}), is("Stalled", "NoDevices"), vec![Held]),
            (is("Stalled", "NoDevices"), is("Reconciling", "StageRunning"), vec![]),
            (json!({}), json!({"stoppedBy": rule}), vec![StopRuleFired]),
            (json!({"phase": "Progressing"}), json!({"phase": "Completed"}), vec![RolloutCompleted]),
            (json!({}), is("Suspended", "Suspended"), vec![Suspended]),
            (is("Suspended", "Suspended"), is("Suspended", "Paused"), vec![Paused]),
            (is("Suspended", "Paused"), is("Reconciling", "StageRunning"), vec![Resumed]),
            (intent("Intended"), intent("Ambiguous"), vec![OutcomeUnknown]),
            (json!({}), intent("Intended"), vec![]),
        ] {
            assert_eq!(told("OtaRollout", &before, &after), reasons, "{before} {after}");
        }
    }

    #[test]
    fn a_request_to_try_again_is_answered_though_older_decisions_are_forgotten_meanwhile() {
        let mut status = OtaRolloutStatus::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        (0..12).for_each(|n| {
            record_decision(&mut status.decisions, at(n), Reason::StageRunning, format!("{n}"));
        });
        let before = object("OtaRollout", &serde_json::to_value(&status).unwrap());
        record_decision(&mut status.decisions, at(20), Reason::RetryTaken, "3 devices");
        let after = object("OtaRollout", &serde_json::to_value(&status).unwrap());
        let expected = Event { reason: Reason::RetryTaken, message: "3 devices".into() };
        assert_eq!(events(Some(&before), &after), [expected]);
    }

    #[test]
    fn only_a_change_of_the_hold_is_told_and_not_each_of_its_sentences() {
        let with = |message: &str| {
            let mut status = OtaRolloutStatus::default();
            clear_condition(&mut status.conditions, READY);
            set_condition(
                &mut status.conditions,
                STALLED,
                Truth::True,
                Reason::NoDevices,
                message,
                1,
                Timestamp::UNIX_EPOCH,
            );
            object("OtaRollout", &serde_json::to_value(&status).unwrap())
        };
        assert_eq!(events(Some(&with("3 unknown")), &with("4 unknown")), []);
        assert_eq!(events(None, &with("3 unknown"))[0].message, "NoDevices: 3 unknown");
    }
}
