//! Law (g): nothing is sent after a durable suspend, pause or deletion.

use crate::checkers::requests::stands;
use rollwave::api::{Object, time_text};

/// The newest durable object lets a job of it leave.
pub(super) fn may_be_sent(object: &Object) -> Result<(), String> {
    let key = object.key();
    if let Some(since) = &object.meta().deletion_timestamp {
        return Err(format!("a job of {key} leaves, which is being deleted since {}", since.0));
    }
    let Object::Rollout(rollout) = object else { return Ok(()) };
    if rollout.spec.suspend {
        return Err(format!("a job of {key} leaves, which is suspended"));
    }
    if stands(object.meta()) == Some(true) {
        return Err(format!("a job of {key} leaves, and a pause was asked for last"));
    }
    let paused = rollout.status.as_ref().and_then(|status| status.paused_at);
    match paused.filter(|_| stands(object.meta()).is_none()) {
        Some(since) => Err(format!("a job of {key} leaves, which is paused since {}", time_text(since))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollwave::api::Request;
    use serde_json::json;

    #[test]
    fn what_is_held_sends_nothing() {
        let (noon, later) = ("2026-01-05T12:00:00Z", "2026-01-05T12:00:01Z");
        let [pause, resume] = [Request::Pause, Request::Resume].map(Request::annotation);
        for (meta, suspend, status, may) in [
            (json!({}), false, json!({}), true),
            (json!({}), true, json!({}), false),
            (json!({"deletionTimestamp": noon}), false, json!({}), false),
            (json!({"annotations": {pause: noon}}), false, json!({}), false),
            (json!({"annotations": {pause: noon, resume: later}}), false, json!({"pausedAt": noon}), true),
            (json!({"annotations": {pause: later, resume: noon}}), false, json!({}), false),
            (json!({}), false, json!({"pausedAt": noon}), false),
        ] {
            let mut meta = meta;
            (meta["name"], meta["namespace"]) = (json!("r"), json!("default"));
            let spec = json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": [], "suspend": suspend});
            let object = json!({"metadata": meta, "spec": spec, "status": status});
            let object = Object::Rollout(serde_json::from_value(object).unwrap());
            assert_eq!(may_be_sent(&object).is_ok(), may, "{meta} {suspend} {status}");
        }
    }
}
