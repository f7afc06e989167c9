//! Conditions by the kstatus rules: `Ready` always, `Reconciling`, `Stalled` and `Suspended` only while they are true.

use super::{Condition, Reason, Time};
use jiff::{SignedDuration, Timestamp};

/// The whole summary: does the cloud hold what the spec says.
pub const READY: &str = "Ready";
/// Present, and true, while work towards the spec is going on.
pub const RECONCILING: &str = "Reconciling";
/// Present, and true, when only a person can bring it further.
pub const STALLED: &str = "Stalled";
/// Rollout: present, and true, while it stands still because a person wants it to. It is neither stalled nor at work then.
pub const SUSPENDED: &str = "Suspended";
/// Package: its verification passed (or it asks for none).
pub const VERIFIED: &str = "Verified";
/// Rollout: stages are being released.
pub const PROGRESSING: &str = "Progressing";
/// Rollout: no gate failed and no stop rule fired.
pub const HEALTHY: &str = "Healthy";
/// The cloud's copy equals the spec.
pub const IN_SYNC: &str = "InSync";

/// Truth of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// Holds.
    True,
    /// Does not hold.
    False,
    /// Cannot be said yet.
    Unknown,
}

impl Truth {
    /// As it stands in `status.conditions[].status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// The condition of this type, if present.
#[must_use]
pub fn find_condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// True when the condition is present and `True`.
#[must_use]
pub fn condition_is_true(conditions: &[Condition], type_: &str) -> bool {
    find_condition(conditions, type_).is_some_and(|c| c.status == Truth::True.as_str())
}

/// Reasons of `Ready` for something that the object names, and that does not exist: a Secret, an `OtaCloud`, an `OtaPackage`.
pub const MISSING: [Reason; 3] = [Reason::AccountMissing, Reason::PackageMissing, Reason::SecretMissing];

/// How long what an object names may be missing before somebody must act: one `kubectl apply`, a sync wave or an operator of
/// Secrets may still be about to create it.
pub const MISSING_GRACE: SignedDuration = SignedDuration::from_mins(2);

/// For how long something that the object names may still appear, before its absence is an error.
#[must_use]
pub fn missing_grace_left(conditions: &[Condition], now: Timestamp) -> SignedDuration {
    let not_ready = find_condition(conditions, READY).filter(|ready| ready.status != Truth::True.as_str());
    let since = not_ready.map_or(now, |ready| ready.last_transition_time.0);
    let missing_for = now.duration_since(since);
    let is_over = find_condition(conditions, STALLED).is_some_and(|stalled| {
        stalled.status == Truth::True.as_str() && MISSING.iter().any(|missing| stalled.reason == *missing)
    });
    // A clock that was set back since proves nothing.
    if is_over || missing_for.is_negative() {
        SignedDuration::ZERO
    } else {
        MISSING_GRACE - missing_for.min(MISSING_GRACE)
    }
}

/// Sets a condition; `lastTransitionTime` moves only when the truth does, so that an idle object's status never changes.
/// Conditions stay sorted by type.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    type_: &str,
    truth: Truth,
    reason: Reason,
    message: impl Into<String>,
    generation: i64,
    now: Timestamp,
) {
    let before = find_condition(conditions, type_).filter(|c| c.status == truth.as_str());
    let since = before.map_or_else(|| Time(now), |c| c.last_transition_time.clone());
    let condition = Condition {
        type_: type_.to_owned(),
        status: truth.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message: message.into(),
        observed_generation: Some(generation),
        last_transition_time: since,
    };
    clear_condition(conditions, type_);
    let place = conditions.partition_point(|c| c.type_.as_str() < type_);
    conditions.insert(place, condition);
}

/// Removes a condition: `Reconciling` and `Stalled` are absent rather than false.
pub fn clear_condition(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|c| c.type_ != type_);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_may_appear_for_two_minutes_after_the_object_was_last_ready() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let mut conditions = Vec::new();
        assert_eq!(missing_grace_left(&conditions, at(0)), MISSING_GRACE);
        set_condition(&mut conditions, READY, Truth::True, Reason::Completed, "", 1, at(50));
        assert_eq!(missing_grace_left(&conditions, at(900)), MISSING_GRACE);
        set_condition(&mut conditions, READY, Truth::False, Reason::SecretMissing, "", 1, at(900));
        let left: Vec<i64> =
            [800, 900, 930, 1020, 9999].map(|s| missing_grace_left(&conditions, at(s)).as_secs()).to_vec();
        assert_eq!(left, [0, 120, 90, 0, 0]);
        // Whatever clock said so: it does not begin again.
        set_condition(&mut conditions, STALLED, Truth::True, Reason::SecretMissing, "", 1, at(905));
        assert_eq!(missing_grace_left(&conditions, at(930)), SignedDuration::ZERO);
    }

    #[test]
    fn transition_time_moves_with_the_truth_only() {
        let mut conditions = Vec::new();
        let at = |s| Timestamp::from_second(s).unwrap();
        set_condition(&mut conditions, READY, Truth::False, Reason::Observing, "a", 1, at(1));
        set_condition(&mut conditions, READY, Truth::False, Reason::Observing, "b", 1, at(2));
        assert_eq!(conditions[0].last_transition_time, Time(at(1)));
        set_condition(&mut conditions, READY, Truth::True, Reason::Completed, "c", 1, at(3));
        assert_eq!(conditions[0].last_transition_time, Time(at(3)));
        assert_eq!(conditions.len(), 1);
    }
}
