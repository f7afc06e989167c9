//! Laws of what people ask for beside the spec: nothing is sent while a pause stands, nobody is tried again more often than
//! somebody asked for it, and every request is answered once the world is at rest.

use super::Sent;
use crate::clouds::JobTruth;
use jiff::Timestamp;
use rollwave::api::{Object, ObjectMeta, OtaRollout, Request, time_text};
use std::collections::{BTreeMap, BTreeSet};

/// Requests to try again that were taken, by the identity of the object that they were made of.
#[derive(Default)]
pub(super) struct Retries {
    taken: BTreeMap<String, BTreeSet<String>>,
    /// What packages said of what is to be verified, and how: whoever edits that asks for another verification.
    trials: BTreeMap<String, BTreeSet<String>>,
}

impl Retries {
    /// A status is, or is about to be, durable: what became of a request stands in it together with its value.
    pub(super) fn status_is(&mut self, object: &Object) {
        if let (Object::Package(package), Some(uid)) = (object, &object.meta().uid) {
            let trial = format!("{:?} {:?}", package.spec.artifact, package.spec.verification);
            self.trials.entry(uid.clone()).or_default().insert(trial);
        }
        let (Some(handled), Some(uid)) = (object.handled(Request::Retry), &object.meta().uid) else { return };
        let answer = object.decisions().iter().rfind(|decision| decision.rule.starts_with("Retry"));
        if answer.is_some_and(|decision| decision.rule == "RetryTaken") {
            self.taken.entry(uid.clone()).or_default().insert(handled.to_owned());
        }
    }

    /// A device that has answered in a job gets another one of the same package only when that was asked for, and each request
    /// gives it one more at most. `earlier`: jobs for the same.
    pub(super) fn allow<'a>(
        &self,
        sent: &Sent,
        job: &JobTruth,
        devices: &BTreeSet<String>,
        earlier: impl Iterator<Item = &'a JobTruth> + Clone,
    ) -> Result<(), String> {
        let count = |of: &BTreeMap<String, BTreeSet<String>>| of.get(&sent.uid).map_or(0, BTreeSet::len);
        let edits = if sent.stage.is_none() { count(&self.trials).saturating_sub(1) } else { 0 };
        let asked = count(&self.taken) + edits;
        let earlier = earlier.filter(|other| other.packages == job.packages);
        for device in devices {
            let answered = earlier.clone().filter(|other| other.answered.contains(device)).count();
            if answered > asked {
                return Err(format!(
                    "{device} gets job {}, and has answered in {answered} before; {asked} more attempts were asked for",
                    job.name
                ));
            }
        }
        Ok(())
    }
}

/// A job of this rollout leaves.
pub(super) fn may_send(rollout: &OtaRollout) -> Result<(), String> {
    match rollout.status.as_ref().and_then(|status| status.paused_at) {
        Some(since) => Err(format!("a job leaves, and its rollout is paused since {}", time_text(since))),
        None => Ok(()),
    }
}

/// What was asked of an object at rest, and is not answered.
pub(super) fn unanswered(object: &Object) -> Option<String> {
    let (key, meta) = (object.key(), object.meta());
    for request in Request::ALL.into_iter().filter(|request| request.concerns(key.kind)) {
        if let Some(asked) = request.of(meta).filter(|asked| object.handled(request) != Some(asked)) {
            let verb = request.as_str();
            return Some(format!("{key}: {verb} of {asked} was never handled: {}", object.message()));
        }
    }
    let Object::Rollout(rollout) = object else { return None };
    let is_paused = rollout.status.as_ref().is_some_and(|status| status.paused_at.is_some());
    let is_wrong = stands(meta).is_some_and(|stands| stands != is_paused);
    is_wrong.then(|| format!("{key} stands still: {is_paused}, which is not what was asked for last"))
}

/// True when a pause was asked for last, false when its end was; none when nothing was.
pub(super) fn stands(meta: &ObjectMeta) -> Option<bool> {
    let time = |request: Request| request.of(meta)?.parse::<Timestamp>().ok();
    match (time(Request::Pause), time(Request::Resume)) {
        (None, None) => None,
        (pause, resume) => Some(pause >= resume),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rollout(annotations: &serde_json::Value, status: &serde_json::Value) -> Object {
        let spec = json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []});
        let meta = json!({"name": "r", "namespace": "default", "uid": "u", "annotations": annotations});
        let object = json!({"metadata": meta, "spec": spec, "status": status});
        Object::Rollout(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn what_was_asked_for_last_stands_and_stands_in_the_status() {
        let (noon, later) = ("2026-01-05T12:00:00Z", "2026-01-05T12:00:01Z");
        let [pause, resume] = [Request::Pause, Request::Resume].map(Request::annotation);
        for (annotations, status, is_answered) in [
            (json!({}), json!({}), true),
            (json!({pause: noon}), json!({}), false),
            (json!({pause: noon}), json!({"lastHandledPauseAt": noon}), false),
            (json!({pause: noon}), json!({"lastHandledPauseAt": noon, "pausedAt": noon}), true),
            (json!({pause: later}), json!({"lastHandledPauseAt": noon, "pausedAt": noon}), false),
            (json!({resume: noon}), json!({"lastHandledResumeAt": noon, "pausedAt": noon}), false),
            (json!({resume: noon}), json!({"lastHandledResumeAt": noon}), true),
            (
                json!({pause: noon, resume: later}),
                json!({"lastHandledPauseAt": noon, "lastHandledResumeAt": later}),
                true,
            ),
        ] {
            let object = rollout(&annotations, &status);
            assert_eq!(unanswered(&object).is_none(), is_answered, "{annotations} {status}");
        }
    }

    #[test]
    fn a_device_that_has_answered_is_tried_again_as_often_as_somebody_asked() {
        let sent = Sent { uid: "u".into(), package: "p".into(), stage: Some("s".into()) };
        let job = |id: &str, answered: &[&str]| JobTruth {
            account: "a".into(),
            id: id.into(),
            name: id.into(),
            kind: rollwave::cloud::PackageKind::Firmware,
            token: None,
            is_final: true,
            packages: vec!["p1".into()],
            devices: None,
            open: BTreeSet::new(),
            answered: answered.iter().map(|device| (*device).to_owned()).collect(),
            never_began: BTreeSet::new(),
            tried_again: BTreeSet::new(),
            untold: BTreeSet::new(),
        };
        let (earlier, again) = ([job("1", &["d"])], job("2", &[]));
        let devices = |device: &str| BTreeSet::from([device.to_owned()]);
        let mut retries = Retries::default();
        assert!(retries.allow(&sent, &again, &devices("d"), earlier.iter()).is_err());
        assert!(retries.allow(&sent, &again, &devices("e"), earlier.iter()).is_ok(), "it was stopped");
        let decision = |rule| json!({"at": "2026-01-05T12:00:00Z", "rule": rule, "message": "m"});
        for (rule, is_allowed) in [("RetryRefused", false), ("RetryTaken", true)] {
            let status = json!({"lastHandledRetryAt": rule, "decisions": [decision(rule)]});
            retries.status_is(&rollout(&json!({}), &status));
            retries.status_is(&rollout(&json!({}), &status));
            let told = retries.allow(&sent, &again, &devices("d"), earlier.iter());
            assert_eq!(told.is_ok(), is_allowed, "{rule}");
        }
        let twice = [earlier[0].clone(), job("2", &["d"])];
        assert!(retries.allow(&sent, &job("3", &[]), &devices("d"), twice.iter()).is_err(), "taken once");
    }
}
