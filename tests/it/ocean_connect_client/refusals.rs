//! Answers that are not successes, and what is concluded from them.

use super::*;

async fn refused(status: u16, body: &Value, call: &Call) -> CallError {
    let wire = Wire::new("");
    wire.answer(status, body);
    perform(&wire, call).await.unwrap_err()
}

fn coded(code: &str) -> Value {
    json!({"error_code": code, "error_desc": "because"})
}

#[tokio::test]
async fn every_documented_code_settles_who_must_act_and_which_field_caused_it() {
    use ErrorClass::{Forbidden, Invalid, NotFound, Throttled, Unauthorized, Unavailable};
    let cases = [
        (401, "100208", Unauthorized, "spec.credentials.appSecret"),
        (403, "1010009", Throttled, "100 requests per minute"),
        (500, "100220", Unauthorized, "app_key"),
        (500, "100025", Unauthorized, "app_key"),
        (403, "100203", Unauthorized, "spec.oceanConnect.appId"),
        (403, "100217", Forbidden, "spec.oceanConnect.appId"),
        (500, "50252", Unavailable, "wait"),
        (503, "100501", Unavailable, "congested"),
        (400, "120015", Invalid, "field"),
        (404, "123002", NotFound, "spec.targets"),
        (404, "123009", NotFound, "portal"),
        (400, "123016", Invalid, "spec.targets.fromVersions"),
        (400, "123019", Invalid, "spec.product"),
        (400, "123020", Invalid, "spec.product"),
        (400, "123021", Invalid, "spec.product"),
        (400, "123022", Invalid, "spec.targets"),
        (400, "123023", Invalid, "spec.targets"),
        (400, "123024", Invalid, "spec.targets"),
        (400, "123025", Invalid, "spec.delivery.start"),
        (400, "123026", Invalid, "report"),
        (400, "123028", Invalid, "spec.delivery.retry.limit"),
        (400, "123029", Invalid, "report"),
        (400, "123032", Invalid, "report"),
        (400, "123033", Invalid, "report"),
        (400, "123034", Invalid, "report"),
    ];
    let create = Call::CreateJob(new_job("f", 1, Delivery::default()));
    for (status, code, class, hint) in cases {
        let error = refused(status, &coded(code), &create).await;
        let effect = if class == Unavailable { Effect::Unknown } else { Effect::None };
        assert_eq!((error.class, error.effect), (class, effect), "{code}: {error}");
        assert!(error.next_step.contains(hint), "{code}: {error}");
        assert_eq!(error.code.as_deref(), Some(code));
    }
}

#[tokio::test]
async fn a_status_alone_and_an_error_under_200_are_understood() {
    use ErrorClass::{Conflict, Forbidden, Invalid, NotFound, Throttled, Unavailable, Unintelligible};
    let cases = [
        (400, json!("<html>"), Invalid, Effect::None),
        (403, coded("999"), Forbidden, Effect::None),
        (404, json!(null), NotFound, Effect::None),
        (409, json!(null), Conflict, Effect::None),
        (429, json!(null), Throttled, Effect::None),
        (502, json!("<html>"), Unavailable, Effect::Unknown),
        (302, json!(null), Unintelligible, Effect::Unknown),
        (200, coded("1010009"), Throttled, Effect::None),
        (200, coded("999"), Unintelligible, Effect::Unknown),
        (200, json!("<html>"), Unintelligible, Effect::Unknown),
        (201, json!({"operationId": ""}), Unintelligible, Effect::Unknown),
    ];
    let create = Call::CreateJob(new_job("f", 1, Delivery::default()));
    for (status, body, class, effect) in cases {
        let error = refused(status, &body, &create).await;
        assert_eq!((error.class, error.effect), (class, effect), "{status} {body}: {error}");
        assert!(!error.next_step.is_empty(), "{error}");
        let read = refused(status, &body, &list_packages()).await;
        assert_eq!(read.effect, Effect::None, "a read has no effect: {read}");
    }
}

#[tokio::test]
async fn what_no_document_names_is_kept_as_it_is_or_proves_nothing() {
    let task = |change: Value| {
        let mut task = json!({
            "operationId": "t", "operateType": "firmware_upgrade", "status": "processing", "createTime": "20260301T120000Z",
            "targets": {"devices": ["d"]}, "policy": {"executeType": "now", "retryType": false}, "somethingNew": 1,
        });
        task.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        task
    };
    let show = Call::ShowJob { id: "t".into() };
    let shown = async |change: Value| {
        let wire = Wire::new("");
        wire.answer(200, &task(change));
        perform(&wire, &show).await
    };
    let job = |reply: Result<Reply, CallError>| match reply {
        Ok(Reply::Job(job)) => job,
        other => panic!("{other:?}"),
    };
    assert_eq!(job(shown(json!({"status": "pausing"})).await).state, JobState::Unknown("pausing".into()));
    let windowed = json!({"policy": {"executeType": "custom", "startTime": "x", "endTime": "y"}});
    assert_eq!(job(shown(windowed).await).delivery, None, "we would never write it");
    let of_groups = json!({"targets": {"deviceGroups": ["north"]}});
    assert_eq!(job(shown(of_groups).await).devices, Vec::<String>::new());
    for change in [
        json!({"targets": null}),
        json!({"targets": {"devices": []}}),
        json!({"operateType": "reboot"}),
        json!({"operationId": "other"}),
    ] {
        let error = shown(change.clone()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unintelligible, "{change}: {error}");
    }
}
