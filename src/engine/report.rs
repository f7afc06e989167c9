//! Telling people what could not be done: failures of calls go into the object's conditions.

use super::journal;
use super::lane::{Lane, Trouble};
use crate::api::{
    CloudRef, Condition, Intent, Kind, MISSING, Object, ObjectKey, OtaCloud, READY, RECONCILING, Request,
    RolloutPhase, STALLED, Truth, clear_condition, missing_grace_left, set_condition,
};
use crate::cloud::CallError;
use jiff::Timestamp;

impl Lane {
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
        let Some(before) = self.store.load(key).await? else { return Ok(false) };
        if !self.owns(&before).await? {
            return Ok(false);
        }
        let mut object = super::reconcile::owned(before.clone());
        // Where its own requests always fail, its calls would be waited for anew in each process.
        if let Some(pending) = pending(&mut object) {
            journal::inherit(pending, &self.times());
        }
        fail(&mut object, error, self.ports.clock.now());
        if object == *before {
            return Ok(false);
        }
        self.save("Failure", &object).await?;
        Ok(true)
    }

    /// The account answers; `kept_by` says what its deletion waits for.
    pub(super) async fn report_cloud(
        &self,
        cloud: &OtaCloud,
        kept_by: Option<&str>,
    ) -> Result<bool, Trouble> {
        let mut after = cloud.clone();
        let generation = after.metadata.generation.unwrap_or(0);
        let answers = format!("{} answers", cloud.spec.cloud().map_or("the cloud", CloudRef::endpoint));
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
        let now = self.ports.clock.now();
        let conditions = &mut status.conditions;
        if kept_by.is_some() {
            set_condition(conditions, READY, Truth::False, "Deleting", message.clone(), generation, now);
            set_condition(conditions, RECONCILING, Truth::True, "Deleting", message, generation, now);
        } else {
            set_condition(conditions, READY, Truth::True, "Connected", message, generation, now);
            clear_condition(conditions, RECONCILING);
        }
        clear_condition(&mut status.conditions, STALLED);
        if after == *cloud {
            return Ok(false);
        }
        debug_assert_eq!(self.home.kind, Kind::OtaCloud);
        self.save("CloudStatus", &Object::Cloud(after)).await?;
        Ok(true)
    }
}

/// What a message begins with while a deletion cannot go on.
const WAITS: &str = "deletion waits: ";

/// How an object goes that cannot be settled, for people.
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
    use crate::api::REFUSALS;
    use crate::cloud::ErrorClass;

    #[test]
    fn what_is_told_as_a_refusal_is_what_stalls() {
        for class in ErrorClass::ALL {
            assert_eq!(REFUSALS.contains(&class.as_str()), !class.is_transient(), "{class:?}");
        }
    }
}
