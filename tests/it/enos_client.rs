//! The client of EnOS: what it sends, what it makes of answers, and how it signs in. The cloud is a script.

mod tags;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::{
    api::{Delivery, Enos},
    cloud::{
        Call, CallError, Cloud, CloudVerification, Cursor, DeviceOutcome, DeviceScope, Effect, ErrorClass,
        JobPurpose, JobState, LocalFile, NamedDevices, NewArtifact, NewJob, NewPackage, NewVerification,
        PackageKey, PackageKind, Reply, Transport, TransportError, WireRequest, WireResponse,
        enos::{EnosClient, Keys, job_name, sign, token_of},
    },
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const TOKEN: &str = "0123456789abcdef";

/// Answers in turn, and keeps what was sent.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<Value>>,
    sent: Mutex<Vec<WireRequest>>,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        self.sent.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().remove(0);
        Ok(WireResponse { status: 200, headers: Vec::new(), body: answer.to_string().into() })
    }
}

fn token(text: &str, expire: i64) -> Value {
    json!({"status": 0, "msg": "SUCCESS", "data": {"accessToken": text, "expire": expire}})
}

fn ok(data: &Value) -> Value {
    json!({"code": 0, "msg": "OK", "requestId": "r", "data": data})
}

fn refusal(code: i64) -> Value {
    json!({"code": code, "msg": "no", "requestId": "r", "data": null})
}

fn rows(rows: &[Value], page: u64, total: u64) -> Value {
    json!({"code": 0, "msg": "OK", "data": rows,
           "pagination": {"sortedBy": null, "pageNo": page, "pageSize": 50, "totalSize": total}})
}

struct Bench {
    script: Arc<Script>,
    client: EnosClient,
}

impl Bench {
    fn new() -> Self {
        let script = Arc::new(Script::default());
        let spec = Enos { endpoint: "https://apim.example/".into(), org_id: "o1".into() };
        let keys = Keys { app_key: "key".into(), app_secret: "secret".into() };
        Self { client: EnosClient::new(&spec, keys, Arc::clone(&script) as Arc<dyn Transport>), script }
    }

    /// Performs a call that is answered with these, in turn.
    fn perform(&self, call: &Call, now: Timestamp, answers: &[Value]) -> Result<Reply, CallError> {
        *self.script.answers.lock().unwrap() = answers.to_vec();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.client.perform(call, now))
    }

    /// Performs a call with a token that is held already or given first.
    fn answer(call: &Call, answer: Value) -> Result<Reply, CallError> {
        Self::new().perform(call, start(), &[token("t", 7200), answer])
    }

    fn paths(&self) -> Vec<String> {
        let sent = std::mem::take(&mut *self.script.sent.lock().unwrap());
        sent.iter().map(|request| request.path.rsplit('/').next().unwrap().to_owned()).collect()
    }
}

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn key() -> PackageKey {
    PackageKey { kind: PackageKind::Firmware, product: "meter".into(), version: "V2".into(), module: None }
}

fn package() -> NewPackage {
    NewPackage {
        key: key(),
        name: "meter-v2".into(),
        source_versions: vec![],
        delta: false,
        description: Some("修复".into()),
        custom_info: None,
        artifact: NewArtifact::File(LocalFile {
            path: "/firmware/me\"ter 2.bin".into(),
            root: "".into(),
            sha256: "ab".repeat(32),
            md5: None,
            size: Some(4),
        }),
        verification: Some(NewVerification { devices: 3, min_success: 2 }),
    }
}

fn job(count: usize) -> NewJob {
    NewJob {
        token: TOKEN.into(),
        title: "meter-v2/canary".into(),
        purpose: JobPurpose::Upgrade,
        package: key(),
        package_id: "f1".into(),
        devices: (0..count).map(|n| format!("m-{n}")).collect(),
        from_versions: vec!["V1".into()],
        delivery: Delivery::default(),
    }
}

fn jobs() -> Call {
    Call::ListJobs { kind: PackageKind::Firmware, cursor: Cursor::start() }
}

fn job_info(status: &str, name: &str) -> Value {
    json!({"orgId": "o1", "jobId": "j1", "name": {"defaultValue": name, "i18nValue": {}}, "firmwareId": "f1",
           "firmwareVersion": "V2", "type": "upgrade", "tomorrow": {"a": 1}, "status": status,
           "upgradeScope": {"type": "partial", "versionNumbers": ["V1"], "deviceKeys": ["a", "b"]},
           "createTime": "1572574909697"})
}

#[test]
fn a_stage_is_a_snapshot_of_named_devices_and_carries_our_token() {
    let client = Bench::new().client;
    let sent = client.render(&Call::CreateJob(job(2))).unwrap().remove(0);
    assert_eq!(
        sent.to_string(),
        "POST https://apim.example/connect-service/v2.1/ota-jobs?action=create&firmwareId=f1&orgId=o1"
    );
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let scope = json!({"type": "partial", "versionNumbers": ["V1"], "deviceKeys": ["m-0", "m-1"]});
    let name = "rw_meter-v2_can_0123456789abcdef";
    let expected = json!({"name": {"defaultValue": name, "i18nValue": {}}, "type": "upgrade",
        "upgradePolicy": "snapshot", "enableUpgradeRequest": false, "upgradeScope": scope});
    assert_eq!(body, expected);
    assert_eq!((token_of(name), name.len()), (Some(TOKEN), 32));
    assert_eq!(token_of(&job_name("", TOKEN)), Some(TOKEN));
    for other in ["", "rw_x", "rw_x_0123456789ABCDEF", "x_0123456789abcdef", "rw_x_0123456789abcdef0"] {
        assert_eq!(token_of(other), None, "{other}");
    }
    let verify = NewJob { purpose: JobPurpose::Verify, ..job(1) };
    let sent = client.render(&Call::CreateJob(verify)).unwrap().remove(0);
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!((&body["type"], fields.len()), (&json!("verify"), 3), "{body}");
}

#[test]
fn delivery_has_its_own_fields_and_what_has_none_is_refused() {
    let client = Bench::new().client;
    let with = |delivery: Value| {
        let delivery: Delivery = serde_json::from_value(delivery).unwrap();
        client.render(&Call::CreateJob(NewJob { delivery, ..job(1) }))
    };
    let told = json!({"timeout": {"inProgress": "10m"}, "retry": {"limit": 2, "interval": "30s"}, "maxInFlight": 7, "deviceInitiated": true});
    let body: Value = serde_json::from_slice(&with(told).unwrap()[0].body).unwrap();
    assert_eq!(body["upgradeTimeout"], 600);
    assert_eq!(body["retryPolicy"], json!({"enableRetry": true, "retryInterval": 30, "retryCount": 2}));
    assert_eq!((&body["maximumConcurrency"], &body["enableUpgradeRequest"]), (&json!(7), &json!(true)));
    for refused in [
        json!({"timeout": {"inProgress": "4m"}}),
        json!({"timeout": {"inProgress": "49h"}}),
        json!({"retry": {"limit": 2}}),
        json!({"retry": {"limit": 2, "interval": "25h"}}),
        json!({"push": true}),
        json!({"confirm": true}),
        json!({"downloadProtocol": "Https"}),
        json!({"overwrite": true}),
        json!({"tags": {"a": "b"}}),
        json!({"start": "DeviceOnline"}),
    ] {
        let error = with(refused.clone()).unwrap_err();
        let (field, _) = refused.as_object().unwrap().iter().next().unwrap();
        assert_eq!(error.class, ErrorClass::Invalid, "{refused}");
        assert!(error.message.starts_with(&format!("spec.delivery.{field}")), "{refused}: {error}");
    }
}

#[test]
fn a_file_is_sent_within_the_form_that_creates_the_firmware() {
    let client = Bench::new().client;
    let sent = client.render(&Call::CreatePackage(package())).unwrap().remove(0);
    assert!(sent.query.contains("productKey=meter"), "{sent}");
    let head = String::from_utf8(sent.body.to_vec()).unwrap();
    assert!(head.contains("filename=\"me_ter_2.bin\"\r\n"), "{head}");
    let metadata: Value =
        serde_json::from_str(head.split("\r\n").find(|line| line.starts_with('{')).unwrap()).unwrap();
    let expected = json!({"name": {"defaultValue": "meter-v2", "i18nValue": {}}, "version": "V2", "desc": "修复",
        "signMethod": "sha256", "sign": "ab".repeat(32), "enableVerification": true,
        "maxAllowedForVerification": 3, "minSuccessForVerified": 2});
    assert_eq!(metadata, expected);
    let boundary = format!("rollwave-{}", "ab".repeat(32));
    assert_eq!(sent.headers[0].1, format!("multipart/form-data; boundary={boundary}"));
    assert_eq!(sent.upload.unwrap().after, format!("\r\n--{boundary}--\r\n"));
}

#[test]
fn limits_are_held_before_anything_is_sent() {
    let client = Bench::new().client;
    assert!(client.render(&Call::CreateJob(job(1000))).is_ok());
    let with_package = |change: fn(&mut NewPackage)| {
        let mut package = package();
        change(&mut package);
        Call::CreatePackage(package)
    };
    let with_job = |change: fn(&mut NewJob)| {
        let mut job = job(1);
        change(&mut job);
        Call::CreateJob(job)
    };
    let listed = |product: &str, version: &str| Call::ListPackages {
        kind: PackageKind::Firmware,
        exactly: Some(PackageKey { product: product.into(), version: version.into(), ..key() }),
        cursor: Cursor::start(),
    };
    for call in [
        Call::CreateJob(job(1001)),
        Call::CreateJob(job(0)),
        with_job(|job| job.from_versions.clear()),
        with_job(|job| job.from_versions = vec!["V2".into()]),
        with_job(|job| job.token = "short".into()),
        with_job(|job| job.devices = vec!["it's".into()]),
        with_package(|package| package.key.kind = PackageKind::Software),
        with_package(|package| package.source_versions = vec!["V1".into()]),
        with_package(|package| package.custom_info = Some("x".into())),
        with_package(|package| package.description = Some("x".repeat(101))),
        with_package(|package| package.artifact = NewArtifact::Portal),
        with_package(|package| package.verification = Some(NewVerification { devices: 1, min_success: 2 })),
        listed("meter' or productKey != '", "V2"),
        listed("meter", "V2' or version != '"),
        Call::ShowDevice { scope: DeviceScope::whole("p"), id: "d".into() },
        Call::ListGroupDevices { product: "p".into(), group: "g".into(), cursor: Cursor::start() },
        Call::ListDevices { scope: DeviceScope::whole("a\" or \""), cursor: Cursor::start() },
        Call::ShowJob { id: "j' or jobId != 'j".into() },
    ] {
        let error = client.render(&call).unwrap_err();
        assert_eq!((error.class, error.effect), (ErrorClass::Invalid, Effect::None), "{call:?}");
        assert!(!error.next_step.is_empty() && !error.message.is_empty(), "{call:?}");
    }
}

#[test]
fn documented_answers_are_read_whole() {
    let firmware = json!({"orgId": "o1", "firmwareId": "f1", "productKey": "meter", "name": {"defaultValue": "n"},
        "version": "V2", "desc": "d", "signMethod": "sha256", "sign": "AB", "fileUrl": "enos-connect://x.zip",
        "fileSize": "1767", "enableVerification": true, "isVerified": false, "createTime": 1_572_574_909_697_i64});
    let exactly =
        Call::ListPackages { kind: PackageKind::Firmware, exactly: Some(key()), cursor: Cursor::start() };
    let mut other = firmware.clone();
    other["version"] = json!("V3");
    let Ok(Reply::Packages(page)) = Bench::answer(&exactly, rows(&[firmware, other], 1, 2)) else { panic!() };
    assert_eq!(page.items.len(), 1, "the version is compared here: the search has no field for it");
    assert_eq!(
        (page.items[0].key.clone(), page.items[0].verification.clone()),
        (key(), Some(CloudVerification::Pending))
    );
    let name = job_name("t", TOKEN);
    let Ok(Reply::Jobs(page)) = Bench::answer(&jobs(), rows(&[job_info("started", &name)], 1, 1)) else {
        panic!()
    };
    let read = &page.items[0];
    assert_eq!(
        (read.token.as_deref(), &read.state, read.devices.len()),
        (Some(TOKEN), &JobState::Running, 2)
    );
    assert_eq!(read.created_at.unwrap().as_millisecond(), 1_572_574_909_697);
    let Ok(Reply::Jobs(page)) = Bench::answer(&jobs(), rows(&[job_info("frozen", "x")], 1, 1)) else {
        panic!()
    };
    assert_eq!(page.items[0].state, JobState::Unknown("frozen".into()));
    let tasks = Call::ListJobDevices { id: "j1".into(), outcome: None, only: None, cursor: Cursor::start() };
    let task = |status: &str| json!({"jobId": "j1", "deviceKey": "d", "status": status, "desc": "why", "progress": -2});
    for (status, outcome) in [
        ("init", DeviceOutcome::Queued),
        ("published", DeviceOutcome::InFlight),
        ("upgrading", DeviceOutcome::InFlight),
        ("succeeded", DeviceOutcome::Succeeded),
        ("failed", DeviceOutcome::Failed),
        ("melted", DeviceOutcome::Unknown("melted".into())),
    ] {
        let Ok(Reply::JobDevices(page)) = Bench::answer(&tasks, rows(&[task(status)], 1, 1)) else {
            panic!()
        };
        assert_eq!((&page.items[0].outcome, page.items[0].reason.as_deref()), (&outcome, Some("why")));
    }
}

#[test]
fn tasks_of_named_devices_are_searched_for_by_job_and_key() {
    let tasks = |ids: &[&str], cursor| Call::ListJobDevices {
        id: "j1".into(),
        outcome: None,
        only: Some(NamedDevices {
            product: "meter".into(),
            ids: ids.iter().map(|id| (*id).into()).collect(),
        }),
        cursor,
    };
    let begin = || tasks(&["d1", "d2"], Cursor::start());
    let bench = Bench::new();
    let row = |product: &str, key: &str, status: &str| json!({"jobId": "j1", "productKey": product, "deviceKey": key, "status": status, "newField": {}});
    let answer = rows(&[row("meter", "d1", "init"), row("other", "d1", "published")], 1, 2);
    let Ok(Reply::JobDevices(page)) = bench.perform(&begin(), start(), &[token("t", 7200), answer]) else {
        panic!()
    };
    let found: Vec<_> = page.items.iter().map(|row| (row.device.as_str(), row.outcome.clone())).collect();
    assert_eq!(found, [("d1", DeviceOutcome::Queued)], "a key is one of a product");
    assert_eq!(page.next, None);
    let sent = std::mem::take(&mut *bench.script.sent.lock().unwrap()).pop().unwrap();
    assert_eq!((sent.method, sent.path.as_str()), ("POST", "/connect-service/v2.1/ota-jobs"));
    assert_eq!(sent.query, "action=searchTask&orgId=o1");
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let pagination = json!({"pageNo": 1, "pageSize": 50});
    let expression = "jobId = 'j1' and deviceKey in ('d1', 'd2')";
    assert_eq!(body, json!({"expression": expression, "pagination": pagination}));

    let full = vec![row("meter", "d1", "init"); 50];
    let Ok(Reply::JobDevices(page)) = Bench::answer(&begin(), rows(&full, 1, 51)) else { panic!() };
    let second = tasks(&["d1", "d2"], page.next.unwrap());
    let last = rows(&[row("meter", "d2", "upgrading")], 2, 51);
    let Ok(Reply::JobDevices(page)) = Bench::answer(&second, last) else { panic!() };
    assert_eq!((page.items.len(), page.next), (1, None));

    let error = Bench::answer(&begin(), rows(&[row("meter", "d9", "init")], 1, 1)).unwrap_err();
    assert_eq!(error.class, ErrorClass::Unintelligible, "{error}");
    let quoted = "d' or '1' = '1";
    for ids in [vec![], vec!["d"; 51], vec![quoted]] {
        let error = bench.client.render(&tasks(&ids, Cursor::start())).unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid, "{error}");
    }
}

fn presence(cursor: Cursor) -> Call {
    Call::ListPresence { product: "meter".into(), cursor }
}

#[test]
fn presence_is_searched_for_without_the_secrets_of_devices() {
    let sent = Bench::new().client.render(&presence(Cursor::start())).unwrap().remove(0);
    assert_eq!(
        sent.to_string(),
        "POST https://apim.example/connect-service/v2.1/devices?action=search&orgId=o1"
    );
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let pagination = json!({"pageNo": 1, "pageSize": 200});
    let projection = json!(["deviceKey", "status"]);
    assert_eq!(
        body,
        json!({"expression": "productKey = 'meter'", "pagination": pagination, "projection": projection})
    );
    let error = Bench::new()
        .client
        .render(&Call::ListPresence { product: "meter' or productKey != '".into(), cursor: Cursor::start() });
    assert_eq!(error.unwrap_err().class, ErrorClass::Invalid);
}

#[test]
fn only_a_device_that_is_online_or_offline_has_a_known_presence() {
    let row = |status: &str| json!({"deviceKey": "d", "status": status});
    for (row, online) in [
        (row("online"), Some(true)),
        (row("offline"), Some(false)),
        (row("inactive"), None),
        (row("disable"), None),
        (row("mirror"), None),
        (row("asleep"), None),
        (json!({"deviceKey": "d"}), None),
    ] {
        let answer = Bench::answer(&presence(Cursor::start()), rows(std::slice::from_ref(&row), 1, 1));
        let Ok(Reply::Presence(page)) = answer else { panic!("{row}: {answer:?}") };
        let read = &page.items[0];
        assert_eq!((read.device.as_str(), read.online, &page.next), ("d", online, &None), "{row}");
    }
    let full = vec![row("online"); 200];
    let answer = Bench::answer(&presence(Cursor::start()), rows(&full, 1, 201));
    let Ok(Reply::Presence(page)) = answer else { panic!("{answer:?}") };
    let second = || presence(page.next.clone().unwrap());
    let answer = Bench::answer(&second(), rows(&[row("offline")], 2, 201));
    let Ok(Reply::Presence(page)) = answer else { panic!("{answer:?}") };
    assert_eq!((page.items.len(), page.next), (1, None));
    let error = Bench::answer(&second(), rows(&[], 2, 200)).unwrap_err();
    assert_eq!(error.class, ErrorClass::Unintelligible, "the list became shorter: {error}");
}

#[test]
fn a_refused_search_leaves_presence_unknown_and_is_not_repeated() {
    for code in [99403, 99400, 99404] {
        let bench = Bench::new();
        for answers in [vec![token("t", 7200), refusal(code)], vec![], vec![]] {
            let reply = bench.perform(&presence(Cursor::start()), start(), &answers);
            let Ok(Reply::Presence(page)) = reply else { panic!("{code}: {reply:?}") };
            assert!(page.items.is_empty() && page.next.is_none());
        }
        assert_eq!(bench.paths(), ["get", "devices"], "{code}");
        bench.perform(&jobs(), start(), &[rows(&[], 1, 0)]).unwrap();
        let error = bench.perform(&jobs(), start(), &[refusal(code)]).unwrap_err();
        assert!(error.code.is_some(), "any other call is refused as ever: {error}");
    }
    for (code, class) in [(24500, ErrorClass::Unavailable), (24999, ErrorClass::Unintelligible)] {
        let bench = Bench::new();
        let search = presence(Cursor::start());
        let error = bench.perform(&search, start(), &[token("t", 7200), refusal(code)]).unwrap_err();
        assert_eq!(error.class, class, "{error}");
        bench.perform(&search, start(), &[rows(&[], 1, 0)]).unwrap();
        assert_eq!(bench.paths(), ["get", "devices", "devices"], "nothing is concluded from {code}");
    }
}

#[test]
fn pages_that_do_not_fit_together_conclude_nothing() {
    let info = job_info("started", "x");
    let full = vec![info.clone(); 50];
    let second = |marker: &str| Call::ListJobs {
        kind: PackageKind::Firmware,
        cursor: Cursor { marker: Some(marker.into()), seen: 50, pages: 1 },
    };
    let Ok(Reply::Jobs(page)) = Bench::answer(&jobs(), rows(&full, 1, 51)) else { panic!() };
    let next = page.next.unwrap();
    assert_eq!((next.marker.as_deref(), next.seen), (Some("51"), 50));
    let Ok(Reply::Jobs(page)) = Bench::answer(&second("51"), rows(std::slice::from_ref(&info), 2, 51)) else {
        panic!()
    };
    assert_eq!(page.next, None);
    for (call, answer) in [
        (second("52"), rows(std::slice::from_ref(&info), 2, 51)),
        (second("51"), rows(std::slice::from_ref(&info), 1, 51)),
        (jobs(), rows(std::slice::from_ref(&info), 1, 51)),
        (jobs(), rows(&vec![info.clone(); 51], 1, 51)),
        (jobs(), ok(&json!([info]))),
        (jobs(), rows(&[json!({"jobId": "j1"})], 1, 1)),
        (jobs(), ok(&json!({"a": 1}))),
    ] {
        let error = Bench::answer(&call, answer).unwrap_err();
        assert_eq!((error.class, error.effect), (ErrorClass::Unintelligible, Effect::None), "{error}");
    }
    let created = Bench::answer(&Call::CreateJob(job(1)), ok(&Value::Null)).unwrap_err();
    assert_eq!(
        (created.class, created.effect),
        (ErrorClass::Unintelligible, Effect::Unknown),
        "a write may have acted"
    );
}

#[test]
fn a_token_is_kept_refreshed_before_it_ends_and_fetched_when_that_fails() {
    let bench = Bench::new();
    let list = rows(&[], 1, 0);
    let at = |minutes: i64| start() + SignedDuration::from_mins(minutes);
    bench.perform(&jobs(), at(0), &[token("a", 7200), list.clone()]).unwrap();
    assert_eq!(bench.paths(), ["get", "ota-jobs"]);
    bench.perform(&jobs(), at(109), std::slice::from_ref(&list)).unwrap();
    assert_eq!(bench.paths(), ["ota-jobs"], "it is kept");
    bench.perform(&jobs(), at(111), &[token("b", 7200), list.clone()]).unwrap();
    assert_eq!(bench.paths(), ["refresh", "ota-jobs"], "ten minutes before its end it is refreshed");
    bench.perform(&jobs(), at(111 + 115), &[refusal(1204), token("c", 7200), list.clone()]).unwrap();
    assert_eq!(bench.paths(), ["refresh", "get", "ota-jobs"]);
    bench.perform(&jobs(), at(111 + 115 + 121), &[token("d", 7200), list.clone()]).unwrap();
    assert_eq!(bench.paths(), ["get", "ota-jobs"], "one that has ended cannot be refreshed");
    bench.perform(&jobs(), at(350), &[refusal(1203), token("e", 7200), list]).unwrap();
    assert_eq!(bench.paths(), ["ota-jobs", "get", "ota-jobs"], "one that ends early is renewed once");
    let error =
        bench.perform(&jobs(), at(351), &[refusal(1203), token("f", 7200), refusal(1203)]).unwrap_err();
    assert_eq!((error.class, bench.paths().len()), (ErrorClass::Unauthorized, 3), "and only once");
}

#[test]
fn a_token_that_is_returned_in_its_last_second_is_used() {
    let bench = Bench::new();
    for _ in 0..2 {
        bench.perform(&jobs(), start(), &[token("a", 0), rows(&[], 1, 0)]).unwrap();
        assert_eq!(bench.paths(), ["get", "ota-jobs"], "and not kept");
    }
}

#[test]
fn a_failed_sign_in_sends_nothing_and_has_a_next_step() {
    for (answer, class) in [
        (json!({"status": 1002, "msg": "appKey does not exist"}), ErrorClass::Unauthorized),
        (json!({"status": 1003, "msg": "encryption is invalid"}), ErrorClass::Unauthorized),
        (json!({"status": 1001, "msg": "repeated"}), ErrorClass::Unavailable),
        (json!({"status": 1005, "msg": "internal"}), ErrorClass::Unavailable),
        (json!({"status": 0, "data": {"accessToken": "", "expire": 7200}}), ErrorClass::Unintelligible),
        (json!({"status": 0, "data": {"accessToken": "t"}}), ErrorClass::Unintelligible),
        (json!("It works!"), ErrorClass::Unintelligible),
    ] {
        let bench = Bench::new();
        let error =
            bench.perform(&Call::CreateJob(job(1)), start(), std::slice::from_ref(&answer)).unwrap_err();
        assert_eq!((error.class, error.effect), (class, Effect::None), "{answer}: {error}");
        assert!(
            error.to_string().contains("sign-in to EnOS failed") && !error.next_step.is_empty(),
            "{error}"
        );
        assert_eq!(bench.paths(), ["get"]);
        assert!(!error.to_string().contains("secret\""), "{error}");
    }
}

#[test]
fn requests_of_one_instant_have_different_times_and_are_signed_as_documented() {
    let bench = Bench::new();
    let list = rows(&[], 1, 0);
    bench.perform(&jobs(), start(), &[token("t", 7200), list.clone()]).unwrap();
    bench.perform(&jobs(), start(), std::slice::from_ref(&list)).unwrap();
    let sent = std::mem::take(&mut *bench.script.sent.lock().unwrap());
    let header = |request: &WireRequest, name: &str| {
        request.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone()).unwrap()
    };
    let stamps: Vec<i64> =
        sent[1..].iter().map(|request| header(request, sign::TIMESTAMP_HEADER).parse().unwrap()).collect();
    assert_eq!(stamps, [start().as_millisecond() + 1, start().as_millisecond() + 2]);
    let query = sign::parse_query(&sent[1].query);
    let signature = sign::signature(&"t".into(), &"secret".into(), &query, &sent[1].body, stamps[0]);
    assert_eq!(header(&sent[1], sign::SIGNATURE_HEADER), signature);
    let shown = format!("{:?}", sent[1]);
    assert!(!shown.contains(&signature) && shown.contains("[hidden]"), "{shown}");
}

#[test]
fn software_is_listed_without_a_request() {
    let bench = Bench::new();
    let call = Call::ListJobs { kind: PackageKind::Software, cursor: Cursor::start() };
    let Ok(Reply::Jobs(page)) = bench.perform(&call, start(), &[]) else { panic!() };
    assert!(page.items.is_empty() && page.next.is_none() && bench.paths().is_empty());
}

#[test]
fn the_create_of_a_package_may_take_effect_for_as_long_as_its_file_is_on_its_way() {
    let bench = Bench::new();
    let limits = bench.client.capabilities();
    assert!(limits.package_deadline > bench.script.upload_timeout(), "its file goes with it");
    assert!(limits.request_deadline > bench.script.total_timeout());
    assert!(limits.request_deadline < bench.script.upload_timeout(), "no other request carries one");
}
