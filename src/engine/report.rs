//! Reports failed calls in the object's conditions.

use super::context::Reconcile;
use super::journal;
use super::trouble::Trouble;
use crate::api::{
    CloudRef, Condition, Intent, Kind, MISSING, Object, ObjectKey, OtaCloud, READY, RECONCILING, Reason,
    Request, RolloutPhase, STALLED, Truth, clear_condition, missing_grace_left, set_condition,
};
use crate::cloud::{CallError, ErrorClass};
use crate::decide::package::refuse_retry;
use crate::decide::rollout::requests::answer_unobserved;
use jiff::Timestamp;
use std::sync::Arc;

impl Reconcile<'_> {
    /// Writes why a call failed into the object's status; true when that changed it.
    pub(super) async fn report_failure(&self, key: &ObjectKey, error: &CallError) -> bool {
        match self.try_report_failure(key, error).await {
            Ok(changed) => changed,
            Err(Trouble::State(problem)) => {
                tracing::error!(object = %key, "{problem}");
                false
            }
            Err(_) => false,
        }
    }

    async fn try_report_failure(&self, key: &ObjectKey, error: &CallError) -> Result<bool, Trouble> {
        let Some(before) = self.store().load(key).await? else { return Ok(false) };
        if !self.owns(&before).await? {
            return Ok(false);
        }
        let mut object = Arc::unwrap_or_clone(before.clone());
        // Where an object's own requests always fail, the wait for its unknown outcomes would start again in each
        // process.
        if let Some(pending) = pending(&mut object) {
            journal::inherit(pending, &self.times());
        }
        fail(&mut object, error, self.now());
        if object == *before {
            return Ok(false);
        }
        self.worker.save("Failure", &object).await?;
        Ok(true)
    }

    /// Records that the account answers; `kept_by` names what its deletion waits for.
    pub(super) async fn report_cloud(
        &self,
        cloud: &OtaCloud,
        kept_by: Option<&str>,
    ) -> Result<bool, Trouble> {
        let mut after = cloud.clone();
        let generation = after.metadata.generation.unwrap_or(0);
        let answers = format!("connected to {}", cloud.spec.cloud().map_or("the cloud", CloudRef::endpoint));
        let message = kept_by.map_or(answers, str::to_owned);
        let status = after.status.get_or_insert_default();
        status.observed_generation = generation;
        status.message.clone_from(&message);
        if kept_by.is_none() {
            status.account = cloud.spec.tenant();
            status.secret_name = cloud.spec.credentials.secret_ref.as_ref().map(|secret| secret.name.clone());
        }
        if let Some(asked) = Request::Reconcile.of(&cloud.metadata) {
            status.last_handled_reconcile_at = Some(asked.to_owned());
        }
        let now = self.now();
        let conditions = &mut status.conditions;
        if kept_by.is_some() {
            set_condition(
                conditions,
                READY,
                Truth::False,
                Reason::Deleting,
                message.clone(),
                generation,
                now,
            );
            set_condition(conditions, RECONCILING, Truth::True, Reason::Deleting, message, generation, now);
        } else {
            set_condition(conditions, READY, Truth::True, Reason::Connected, message, generation, now);
            clear_condition(conditions, RECONCILING);
        }
        clear_condition(&mut status.conditions, STALLED);
        if after == *cloud {
            return Ok(false);
        }
        debug_assert_eq!(self.worker.cloud.kind, Kind::OtaCloud);
        self.worker.save("CloudStatus", &Object::Cloud(after)).await?;
        Ok(true)
    }
}

/// Prefix of the message while a deletion cannot continue.
const WAITS: &str = "deletion waits: ";

/// How to remove an object whose deletion is stuck, for users.
fn way_out(object: &Object) -> String {
    let by_hand = object.finalizer_command();
    by_hand.map_or_else(String::new, |command| {
        format!("; to delete it and leave what is in the cloud as it is: {command}")
    })
}

fn pending(object: &mut Object) -> Option<&mut Vec<Intent>> {
    match object {
        Object::Cloud(_) => None,
        Object::Package(package) => package.status.as_mut().map(|status| &mut status.pending),
        Object::Rollout(rollout) => rollout.status.as_mut().map(|status| &mut status.pending),
    }
}

fn fail(object: &mut Object, error: &CallError, now: Timestamp) {
    let (generation, way_out) = (object.generation(), object.is_deleting().then(|| way_out(object)));
    let (observed, conditions, message) = match object {
        Object::Cloud(o) => {
            let status = o.status.get_or_insert_default();
            (&mut status.observed_generation, &mut status.conditions, &mut status.message)
        }
        Object::Package(o) => {
            let status = o.status.get_or_insert_default();
            (&mut status.observed_generation, &mut status.conditions, &mut status.message)
        }
        Object::Rollout(o) => {
            let is_leaving = o.metadata.deletion_timestamp.is_some();
            let status = o.status.get_or_insert_default();
            if is_leaving {
                status.phase = RolloutPhase::Deleting;
            }
            (&mut status.observed_generation, &mut status.conditions, &mut status.message)
        }
    };
    *observed = generation;
    *message = way_out.map_or_else(
        || error.text_after(message),
        |way_out| {
            let told =
                message.strip_prefix(WAITS).and_then(|rest| rest.strip_suffix(&way_out)).unwrap_or_default();
            format!("{WAITS}{}{way_out}", error.text_after(told))
        },
    );
    failed_conditions(conditions, error, message, generation, now);
    answer_requests(object, error, now);
}

/// Answers what was requested of an object that could not be observed. Where another attempt may succeed, it waits for that.
fn answer_requests(object: &mut Object, error: &CallError, now: Timestamp) {
    let (why, is_lasting) =
        (error.to_string(), matches!(error.class, ErrorClass::Invalid | ErrorClass::NotFound));
    match object {
        Object::Rollout(rollout) => {
            let Some(mut status) = rollout.status.take() else { return };
            answer_unobserved(rollout, &mut status, &why, is_lasting, now);
            rollout.status = Some(status);
        }
        Object::Package(package) if is_lasting => {
            let Some(mut status) = package.status.take() else { return };
            refuse_retry(package, &mut status, &why, now);
            package.status = Some(status);
        }
        _ => {}
    }
}

fn failed_conditions(
    conditions: &mut Vec<Condition>,
    error: &CallError,
    text: &str,
    generation: i64,
    now: Timestamp,
) {
    let reason = error.reason();
    let may_appear = MISSING.contains(&reason) && missing_grace_left(conditions, now).is_positive();
    set_condition(conditions, READY, Truth::False, reason, text, generation, now);
    let (present, absent) = if error.class.is_transient() || may_appear {
        (RECONCILING, STALLED)
    } else {
        (STALLED, RECONCILING)
    };
    set_condition(conditions, present, Truth::True, reason, text, generation, now);
    clear_condition(conditions, absent);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, WORLD, cloud, package, rollout};
    use crate::api::{Kind, Object, ObjectKey, REFUSALS, Request};
    use crate::cloud::ErrorClass;
    use jiff::SignedDuration;

    /// A user who requested a reconcile waits for its result.
    #[tokio::test(start_paused = true)]
    async fn requests_are_answered_where_only_an_edit_lets_the_rollout_be_observed() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let astray = rollout("astray", "v2", 5).replace("{all: true}", "{groups: [dead-beef]}");
        site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2"), astray].concat()).await;
        site.work(SignedDuration::from_mins(5)).await;
        let key = ObjectKey::new(Kind::OtaRollout, "default", "astray");
        let asked = "2027-01-15T10:00:00Z";
        for request in [Request::Pause, Request::Retry, Request::Restart] {
            assert!(site.store.request(&key, request, asked));
        }
        site.engine.wake([key.clone()]).await.unwrap();
        site.work(SignedDuration::from_mins(1)).await;
        let Object::Rollout(found) = site.object(&key).as_ref().clone() else { unreachable!() };
        let status = found.status.unwrap();
        assert!(status.paused_at.is_some(), "{}", status.message);
        assert_eq!(status.last_handled_pause_at.as_deref(), Some(asked));
        let answers = status.decisions.iter().filter(|decision| decision.rule.ends_with("Refused"));
        let answers: Vec<&str> = answers.map(|decision| decision.message.as_str()).collect();
        assert_eq!(answers.len(), 2, "{answers:?}");
        assert!(answers.iter().all(|why| why.contains("The device group does not exist")), "{answers:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_is_answered_where_only_an_edit_lets_the_package_be_judged() {
        let elsewhere = cloud("lab", "a").replace("{name: lab}", "{name: lab, namespace: platform}");
        for (name, manifests, why) in [
            ("no account", package("v2", "lab", "V2"), "OtaCloud/lab does not exist"),
            ("namespace", elsewhere + &package("v2", "lab, namespace: platform", "V2"), "allowedNamespaces"),
        ] {
            let bench = Bench::new(WORLD);
            let mut site = bench.site();
            site.apply(&manifests).await;
            site.work(SignedDuration::from_mins(5)).await;
            let key = ObjectKey::new(Kind::OtaPackage, "default", "v2");
            let asked = "2027-01-15T10:00:00Z";
            assert!(site.store.request(&key, Request::Retry, asked));
            site.engine.wake([key.clone()]).await.unwrap();
            site.work(SignedDuration::from_mins(1)).await;
            let Object::Package(found) = site.object(&key).as_ref().clone() else { unreachable!() };
            let status = found.status.unwrap();
            assert_eq!(status.last_handled_retry_at.as_deref(), Some(asked), "{name}: {}", status.message);
            let answer = status.decisions.iter().find(|decision| decision.rule == "RetryRefused");
            assert!(answer.is_some_and(|answer| answer.message.contains(why)), "{name}: {answer:?}");
        }
    }

    #[test]
    fn what_is_told_as_a_refusal_is_what_stalls() {
        for class in ErrorClass::ALL {
            assert_eq!(REFUSALS.contains(&class.reason()), !class.is_transient(), "{class:?}");
        }
    }
}
