//! Answers that are not successes, and what is concluded from them.

use super::*;
use rollwave::cloud::{DeviceOutcome, DeviceScope, ErrorClass, JobState, NewJob};
use std::time::Duration;

const INVALID: &str = r#"{"error_code":"IOTDA.000006","error_msg":"Invalid input."}"#;

async fn refused(status: u16, headers: &[(&str, &str)], body: &str, call: &Call) -> CallError {
    perform(&Scripted::always(status, headers, body), call).await.unwrap_err()
}

#[tokio::test]
async fn status_and_code_settle_who_must_act_and_whether_it_may_have_had_an_effect() {
    use Effect::{None as Nothing, Unknown};
    let coded = |code: &str| json!({"error_code": code, "error_msg": "because"}).to_string();
    let cases = [
        (400, INVALID.to_owned(), ErrorClass::Invalid, Nothing),
        (400, coded("IOTDA.014219"), ErrorClass::Conflict, Nothing),
        (400, coded("IOTDA.014000"), ErrorClass::NotFound, Nothing),
        (401, coded("IOTDA.000002"), ErrorClass::Unauthorized, Nothing),
        (403, coded("IOTDA.000021"), ErrorClass::Forbidden, Nothing),
        (403, coded("IOTDA.014219"), ErrorClass::Conflict, Nothing),
        (403, coded("IOTDA.021101"), ErrorClass::Throttled, Nothing),
        (403, coded("IOTDA.021102"), ErrorClass::Throttled, Nothing),
        (404, String::new(), ErrorClass::NotFound, Nothing),
        (409, coded("IOTDA.000099"), ErrorClass::Conflict, Nothing),
        (413, coded("APIGW.0201"), ErrorClass::Invalid, Nothing),
        (429, coded("APIGW.0308"), ErrorClass::Throttled, Nothing),
        (408, String::new(), ErrorClass::Unavailable, Unknown),
        (500, "<html>".to_owned(), ErrorClass::Unavailable, Unknown),
        (503, coded("APIGW.0106"), ErrorClass::Unavailable, Unknown),
        (302, String::new(), ErrorClass::Unintelligible, Unknown),
        (418, String::new(), ErrorClass::Unintelligible, Unknown),
        (200, String::new(), ErrorClass::Unintelligible, Unknown),
        (200, "<html>".to_owned(), ErrorClass::Unintelligible, Unknown),
        (200, coded("IOTDA.014111"), ErrorClass::Unavailable, Unknown),
        (200, coded("IOTDA.014219"), ErrorClass::Conflict, Nothing),
        (200, coded("IOTDA.999999"), ErrorClass::Unintelligible, Unknown),
    ];
    for (status, body, class, effect) in cases {
        let error = refused(status, &[], &body, &a_write()).await;
        assert_eq!((error.class, error.effect), (class, effect), "{status} {body}: {error}");
        assert!(!error.next_step.is_empty(), "{error}");
        let error = refused(status, &[], &body, &list_packages(Cursor::start())).await;
        assert_eq!((error.class, error.effect), (class, Nothing), "read: {status} {body}: {error}");
    }
}

/// Found by fuzzing: an empty id, and an answer about something else, were taken for a success.
#[tokio::test]
async fn an_answer_about_something_else_is_no_success() {
    let id = || "5c8ba99030344005c02316ad".to_owned();
    let package = |id: &str| json!({"package_id": id, "package_type": "firmwarePackage", "product_id": "meter", "version": "V1"});
    let task = |id: &str, name: &str| json!({"task_id": id, "task_name": name, "task_type": "softwareUpgrade", "status": "Waitting"});
    let list = Call::ListJobs { kind: PackageKind::Software, cursor: Cursor::start() };
    let cases = [
        (Call::ShowPackage { id: id() }, package("5c8ba99030344005c02316ae"), "not about"),
        (Call::ShowPackage { id: id() }, package(""), "an empty id"),
        (list_packages(Cursor::start()), json!({"packages": [package("")]}), "an empty id"),
        (list, json!({"batchtasks": [task("", "x")]}), "an empty id"),
        (Call::ShowJob { id: id() }, json!({"batchtask": task("t", "x")}), "not about"),
        (
            Call::ShowDevice { scope: DeviceScope::whole("meter"), id: id() },
            json!({"device_id": "d", "product_id": "meter"}),
            "not about",
        ),
    ];
    for (call, body, why) in cases {
        let error = refused(200, &[], &body.to_string(), &call).await;
        assert_eq!(error.class, ErrorClass::Unintelligible, "{error}");
        assert!(error.message.contains(why), "{error}");
    }
    let created = Call::CreateJob(NewJob {
        token: "0123456789abcdef".into(),
        title: "meter/canary".into(),
        purpose: rollwave::cloud::JobPurpose::Upgrade,
        package: rollwave::cloud::PackageKey {
            kind: PackageKind::Software,
            product: "meter".into(),
            version: "V2".into(),
            module: None,
        },
        from_versions: vec![],
        delivery: rollwave::api::Delivery::default(),
        package_id: id(),
        devices: vec!["d".into()],
    });
    for name in ["rw_meter_0123456789abcdee", "somebody_elses"] {
        let error = refused(201, &[], &task("t", name).to_string(), &created).await;
        assert_eq!((error.class, error.effect), (ErrorClass::Unintelligible, Effect::Unknown), "{error}");
    }
}

#[tokio::test]
async fn the_clouds_words_and_request_id_are_kept() {
    let error = refused(400, &[("x-request-id", "77")], INVALID, &a_write()).await;
    assert_eq!(
        error.to_string(),
        "StopJob: Invalid input. (HTTP 400, IOTDA.000006, request 77); correct the field that the cloud reports"
    );
    let other_shapes = [
        r#"{"errorCode":"E1","errorMsg":"because"}"#,
        r#"{"code":"E1","message":"because"}"#,
        r#"{"error":{"code":"E1","message":"because","title":"Unauthorized"}}"#,
    ];
    for body in other_shapes {
        let error = refused(403, &[], body, &a_write()).await;
        assert_eq!((error.code.as_deref(), error.message.as_str()), (Some("E1"), "because"), "{body}");
    }
}

#[tokio::test]
async fn a_wait_that_the_cloud_requests_is_kept() {
    let waits = [("7", 7), ("Tue, 05 Mar 2024 06:08:08 GMT", 60), ("Tue, 05 Mar 2024 06:00:00 GMT", 0)];
    for (header, seconds) in waits {
        let error = refused(429, &[("retry-after", header)], "", &a_write()).await;
        assert_eq!(error.retry_after, Some(Duration::from_secs(seconds)), "{header}");
    }
    assert_eq!(refused(429, &[("retry-after", "soon")], "", &a_write()).await.retry_after, None);
}

#[tokio::test]
async fn a_wrong_clock_is_distinguished_from_a_wrong_key() {
    let clocks = [
        ("Tue, 05 Mar 2024 05:47:08 GMT", "set this machine's clock: it is 20 minutes ahead of the cloud's"),
        ("Tue, 05 Mar 2024 06:27:08 GMT", "set this machine's clock: it is 20 minutes behind the cloud's"),
        ("Tue, 05 Mar 2024 06:10:08 GMT", "check spec.credentials"),
        ("yesterday", "check spec.credentials"),
    ];
    for (date, next_step) in clocks {
        let error = refused(401, &[("date", date)], INVALID, &a_write()).await;
        assert!(error.next_step.starts_with(next_step), "{date}: {error}");
    }
}

#[tokio::test]
async fn a_request_that_never_left_had_no_effect() {
    for (effect, expected) in [(Effect::None, Effect::None), (Effect::Unknown, Effect::Unknown)] {
        let transport = Scripted::new(move |_, _| {
            Err(TransportError {
                class: ErrorClass::Unavailable,
                effect,
                message: "connection refused".into(),
                next_step: "wait".into(),
            })
        });
        let error = perform(&transport, &a_write()).await.unwrap_err();
        assert_eq!((error.class, error.effect), (ErrorClass::Unavailable, expected));
        let read = perform(&transport, &list_packages(Cursor::start())).await.unwrap_err();
        assert_eq!(read.effect, Effect::None);
    }
}

#[tokio::test]
async fn a_job_is_read_in_both_spellings_of_its_document() {
    for document in [json!({"package_id": "p"}), json!({"package_ids": ["p"]})] {
        let task = json!({"batchtask": {
            "task_id": "5c8b", "task_name": "rw_x_0123456789abcdef", "task_type": "softwareUpgrade",
            "status": "Waitting", "document": document, "create_time": "20240305T060708Z",
            "task_progress": {"total": 5, "waitting": 2, "processing": 1, "fail_wait_retry": 1, "success": 1},
        }});
        let transport = Scripted::always(200, &[], &task.to_string());
        let reply = perform(&transport, &Call::ShowJob { id: "5c8b".into() }).await.unwrap();
        let Reply::Job(job) = reply else { panic!("not a job") };
        assert_eq!((job.package_ids, job.state), (vec!["p".to_owned()], JobState::Queued));
        assert_eq!(job.token.as_deref(), Some("0123456789abcdef"));
        assert_eq!((job.kind, job.created_at), (PackageKind::Software, Some(now())));
        let counts = (job.counts.total, job.counts.queued, job.counts.in_flight, job.counts.retrying);
        assert_eq!(counts, (5, 2, 1, 1));
    }
}

#[tokio::test]
async fn states_that_no_document_names_are_kept_as_they_are() {
    let body = json!({
        "batchtask": {"task_id": "a", "task_name": "x", "task_type": "firmwareUpgrade", "status": "Paused"},
        "task_details": [
            {"target": "d1", "status": "Fail", "error": {"error_code": "E", "error_msg": "Task Conflict"}},
            {"target": "d2", "status": "Dreaming"},
        ],
    });
    let transport = Scripted::always(200, &[], &body.to_string());
    let show = perform(&transport, &Call::ShowJob { id: "a".into() }).await.unwrap();
    assert!(matches!(show, Reply::Job(job) if job.state == JobState::Unknown("Paused".into())));
    let call = Call::ListJobDevices { id: "a".into(), outcome: None, only: None, cursor: Cursor::start() };
    let Reply::JobDevices(page) = perform(&transport, &call).await.unwrap() else { panic!("not devices") };
    assert_eq!(page.items[0].reason.as_deref(), Some("Task Conflict"));
    assert_eq!(page.items[1].outcome, DeviceOutcome::Unknown("Dreaming".into()));
}
