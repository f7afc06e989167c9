//! The client of Alibaba Cloud against scripted answers: what it sends, and what it makes of what comes back.

mod files;
mod named;

use async_trait::async_trait;
use jiff::Timestamp;
use rollwave::{
    api::AliyunIot,
    cloud::{
        Call, CallError, Cloud, CloudVerification, Cursor, Delivery, Device, DeviceOutcome, DeviceScope,
        Effect, ErrorClass, JobPurpose, JobState, LocalFile, NewArtifact, NewJob, NewPackage, PackageKey,
        PackageKind, Reply, Transport, TransportError, WireRequest, WireResponse,
        aliyun_iot::{self, Keys, sign},
    },
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Answers one body after the other, the last one for ever, and keeps what was sent.
struct Scripted {
    answers: Vec<(u16, String)>,
    sent: Mutex<Vec<WireRequest>>,
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        let mut sent = self.sent.lock().unwrap();
        let (status, body) = self.answers.get(sent.len()).or(self.answers.last()).cloned().unwrap();
        sent.push(request);
        Ok(WireResponse { status, headers: Vec::new(), body: body.into() })
    }
}

struct Client {
    cloud: Arc<dyn Cloud>,
    transport: Arc<Scripted>,
}

fn client(signature: &str, answers: &[(u16, Value)]) -> Client {
    let spec = json!({"endpoint": "https://iot.cn-shanghai.aliyuncs.com/", "regionId": "cn-shanghai",
        "iotInstanceId": "iot-060a", "signature": signature});
    let spec: AliyunIot = serde_json::from_value(spec).unwrap();
    let text = |body: &Value| body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    let answers = answers.iter().map(|(status, body)| (*status, text(body))).collect();
    let transport = Arc::new(Scripted { answers, sent: Mutex::default() });
    let keys = Keys {
        id: "LTAI-of-tests".into(),
        secret: "hunter2".into(),
        security_token: Some("hunter2-token".into()),
    };
    Client { cloud: aliyun_iot::connect(&spec, keys, transport.clone(), "tests"), transport }
}

fn now() -> Timestamp {
    "2024-05-06T07:08:09Z".parse().unwrap()
}

impl Client {
    async fn perform(&self, call: &Call) -> Result<Reply, CallError> {
        self.cloud.perform(call, now()).await
    }

    /// Actions and parameters of what was sent.
    fn sent(&self) -> Vec<(String, sign::Pairs)> {
        let action = |request: &WireRequest| {
            let query = sign::parse_query(&request.query);
            let header = request.headers.iter().find(|(name, _)| name == "x-acs-action");
            let named = query.iter().find(|(name, _)| name == "Action").or(header);
            (named.unwrap().1.clone(), query)
        };
        self.transport.sent.lock().unwrap().iter().map(action).collect()
    }
}

async fn once(call: &Call, status: u16, body: Value) -> Result<Reply, CallError> {
    client("Acs3", &[(status, body)]).perform(call).await
}

fn ok(members: Value) -> Value {
    let mut body = json!({"RequestId": "E4C0FF92-2A86-41DB-92D3-73B60310D25E", "Success": true});
    let Value::Object(members) = members else { panic!("not members: {members}") };
    body.as_object_mut().unwrap().extend(members);
    body
}

fn key() -> PackageKey {
    PackageKey {
        kind: PackageKind::Firmware,
        product: "a1VJwBwExmp".into(),
        version: "1.0.0".into(),
        module: None,
    }
}

fn job() -> NewJob {
    NewJob {
        token: "0123456789abcdef".into(),
        title: "meter/canary".into(),
        purpose: JobPurpose::Upgrade,
        package: key(),
        package_id: "nx3xxVvFdwvn6dim50PY030100".into(),
        devices: vec!["dev-1".into()],
        from_versions: Vec::new(),
        delivery: Delivery::default(),
    }
}

fn package() -> NewPackage {
    let file = LocalFile {
        path: "meter/v2.tar.gz".into(),
        root: "".into(),
        sha256: "ab".repeat(32),
        md5: Some("cd".repeat(16)),
        size: Some(5),
    };
    NewPackage {
        key: key(),
        name: "meter-v1.0".into(),
        source_versions: Vec::new(),
        delta: false,
        description: None,
        custom_info: None,
        artifact: NewArtifact::Uploaded { file, handle: "https://oss/a.bin".into() },
        verification: None,
    }
}

fn list_jobs(cursor: Cursor) -> Call {
    Call::ListJobs { kind: PackageKind::Firmware, cursor }
}

fn a_write() -> Call {
    Call::StopJob { id: "wahVIzGkCMuAUE2gDERM020000".into() }
}

#[tokio::test]
async fn an_answer_settles_who_must_act_and_whether_it_may_have_had_an_effect() {
    use Effect::{None as Nothing, Unknown};
    let gateway = |code: &str| json!({"RequestId": "r", "HostId": "h", "Code": code, "Message": "because"});
    let product =
        |code: &str| json!({"RequestId": "r", "Success": false, "Code": code, "ErrorMessage": "because"});
    let cases = [
        (404, gateway("InvalidAccessKeyId.NotFound"), ErrorClass::Unauthorized, Nothing),
        (400, gateway("SignatureDoesNotMatch"), ErrorClass::Unauthorized, Nothing),
        (400, gateway("SignatureNonceUsed"), ErrorClass::Unauthorized, Nothing),
        (400, gateway("InvalidTimeStamp.Expired"), ErrorClass::Unauthorized, Nothing),
        (400, gateway("InvalidSecurityToken.Expired"), ErrorClass::Unauthorized, Nothing),
        (403, gateway("Forbidden.RAM"), ErrorClass::Forbidden, Nothing),
        (400, gateway("Throttling.User"), ErrorClass::Throttled, Nothing),
        (400, gateway("Throttling"), ErrorClass::Throttled, Nothing),
        (400, gateway("MissingFirmwareId"), ErrorClass::Invalid, Nothing),
        (404, gateway("InvalidAction.NotFound"), ErrorClass::Invalid, Nothing),
        (500, gateway("InternalError"), ErrorClass::Unavailable, Unknown),
        (503, gateway("ServiceUnavailable"), ErrorClass::Unavailable, Unknown),
        (502, json!("<html>"), ErrorClass::Unavailable, Unknown),
        (418, json!(""), ErrorClass::Unintelligible, Unknown),
        (200, json!("<html>"), ErrorClass::Unintelligible, Unknown),
        (200, json!({}), ErrorClass::Unintelligible, Unknown),
        (200, json!({"Success": false}), ErrorClass::Unintelligible, Unknown),
        (200, product("iot.ota.FirmwareNotFound"), ErrorClass::NotFound, Nothing),
        (200, product("iot.system.SystemException"), ErrorClass::Unavailable, Unknown),
        (200, product("iot.Sre.IotInstanceNotFound"), ErrorClass::Forbidden, Nothing),
        (200, product("iot.prod.NotExistedProduct"), ErrorClass::Invalid, Nothing),
        (200, product("iot.ota.NobodyKnows"), ErrorClass::Conflict, Nothing),
    ];
    for (status, body, class, effect) in cases {
        let error = once(&a_write(), status, body.clone()).await.unwrap_err();
        assert_eq!((error.class, error.effect), (class, effect), "{status} {body}: {error}");
        assert!(!error.next_step.is_empty(), "{error}");
        let error = once(&list_jobs(Cursor::start()), status, body.clone()).await.unwrap_err();
        assert_eq!((error.class, error.effect), (class, Nothing), "read: {status} {body}: {error}");
    }
}

#[tokio::test]
async fn nothing_secret_is_shown_and_what_the_server_signed_is_left_out() {
    for signature in ["Acs3", "Rpc"] {
        let message =
            "Specified signature is not matched with our calculation. server string to sign is:POST&hunter2";
        let refusal = json!({"Code": "SignatureDoesNotMatch", "Message": message});
        let client = client(signature, &[(400, refusal)]);
        let error = client.perform(&a_write()).await.unwrap_err();
        assert!(
            error.to_string().contains("not matched") && !error.to_string().contains("hunter2"),
            "{error}"
        );
        let sent = client.transport.sent.lock().unwrap().clone();
        let shown = format!("{sent:?} {}", sent[0]);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// The answer of CreateOTAVerifyJob in its document, and those of the SDK's models.
#[tokio::test]
async fn examples_of_the_documents_are_read() {
    let created = json!(
        r#"{"RequestId":"29EC7245-0FA4-4BB6-B4F5-5F04818FDFB1","Data":{"JobId":"XUbmsMHmkqv0PiAG****010001","UtcCreate":"2019-11-04T06:22:19.566Z"},"Success":true}"#
    );
    let verify = Call::CreateJob(NewJob { purpose: JobPurpose::Verify, ..job() });
    let Reply::Job(made) = once(&verify, 200, created).await.unwrap() else { panic!() };
    assert_eq!(made.id, "XUbmsMHmkqv0PiAG****010001");
    assert_eq!(made.created_at, Some("2019-11-04T06:22:19.566Z".parse().unwrap()));
    let row = |status: i64| {
        json!({"FirmwareId": "s8SSHiKjpBfrM3BSN0z803****", "FirmwareName": "Firmware2", "DestVersion": "1.0.0",
            "ProductKey": "a1VJwBwExmp", "SrcVersion": null, "Status": status, "FirmwareSign": "93230c3bde425a9d****",
            "FirmwareSize": 87657, "ModuleName": "default", "Type": 0, "UtcCreate": "2019-11-04T06:21:55.000Z"})
    };
    let list = |rows: Value| {
        ok(
            json!({"FirmwareInfo": {"SimpleFirmwareInfo": rows}, "Total": 1, "CurrentPage": 1, "PageSize": 100, "PageCount": 1}),
        )
    };
    let call =
        Call::ListPackages { kind: PackageKind::Firmware, exactly: Some(key()), cursor: Cursor::start() };
    for (status, wanted) in [
        (-1, CloudVerification::NotNeeded),
        (0, CloudVerification::Pending),
        (1, CloudVerification::Passed),
        (2, CloudVerification::Running),
        (3, CloudVerification::Failed),
        (4, CloudVerification::Unknown("4".into())),
    ] {
        let Reply::Packages(page) = once(&call, 200, list(json!([row(status)]))).await.unwrap() else {
            panic!()
        };
        assert_eq!(page.items[0].verification, Some(wanted));
        assert_eq!((page.items[0].source_versions.len(), page.next), (0, None));
    }
}

#[tokio::test]
async fn packages_of_one_product_and_version_in_two_modules_are_two_packages() {
    let row = |id: &str, module: Option<&str>| json!({"FirmwareId": id, "DestVersion": "1.0.0", "ProductKey": "a1VJwBwExmp", "Status": -1, "ModuleName": module});
    let rows = json!([row("whole", Some("default")), row("old", None), row("scanner", Some("scanner"))]);
    let body = ok(json!({"FirmwareInfo": {"SimpleFirmwareInfo": rows}, "PageCount": 1}));
    let scanner = PackageKey { module: Some("scanner".into()), ..key() };
    let find = |exactly: Option<PackageKey>| Call::ListPackages {
        kind: PackageKind::Firmware,
        exactly,
        cursor: Cursor::start(),
    };
    for (exactly, wanted) in [
        (Some(key()), &["whole", "old"][..]),
        (Some(scanner.clone()), &["scanner"]),
        (None, &["whole", "old", "scanner"]),
    ] {
        let Reply::Packages(page) = once(&find(exactly), 200, body.clone()).await.unwrap() else { panic!() };
        assert_eq!(page.items.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), wanted);
    }
    let named = |key: PackageKey| {
        let call = Call::CreatePackage(NewPackage { key, ..package() });
        let request = client("Acs3", &[(200, json!({}))]).cloud.render(&call).unwrap().remove(0);
        let of = |name: &str| {
            let query = sign::parse_query(&request.query);
            query.into_iter().find(|(given, _)| given == name).map(|(_, value)| value)
        };
        (of("FirmwareName").unwrap(), of("ModuleName"))
    };
    assert_eq!((named(key()).1, named(scanner.clone()).1), (None, Some("scanner".to_owned())));
    assert_ne!(named(key()).0, named(scanner).0, "names are unique in the account");
}

/// The answers of ListOTAModuleByProduct and ListOTAModuleVersionsByDevice have the members of their documents.
#[tokio::test]
async fn a_module_must_be_one_of_the_product_before_anything_is_uploaded_for_it() {
    let row = |name: &str| {
        json!({"ModuleName": name, "AliasName": "x", "Desc": "y", "ProductKey": "a1VJwBwExmp",
            "GmtCreate": "2020-10-13T09:46Z", "GmtModified": "2020-10-19T09:46Z"})
    };
    let modules = ok(json!({"Data": [row("default"), row("scanner")]}));
    let check =
        |module: &str| Call::CheckModule { package: PackageKey { module: Some(module.into()), ..key() } };
    assert_eq!(once(&check("scanner"), 200, modules.clone()).await, Ok(Reply::Done));
    let client = client("Acs3", &[(200, modules.clone())]);
    let error = client.perform(&check("Scanner")).await.unwrap_err();
    let said = error.to_string();
    assert_eq!((error.class, error.effect), (ErrorClass::Invalid, Effect::None), "{said}");
    assert!(said.contains("no module \"Scanner\"; it has default, scanner"), "{said}");
    assert!(error.next_step.contains("console"), "{said}");
    let sent: Vec<String> = client.sent().into_iter().map(|(action, _)| action).collect();
    assert_eq!(sent, ["ListOTAModuleByProduct"]);
    assert_eq!(client.transport.sent.lock().unwrap()[0].method, "GET", "as the SDKs send it");
}

#[tokio::test]
async fn versions_of_a_module_are_read_device_by_device() {
    let scope = DeviceScope { product: "p".into(), module: Some("scanner".into()) };
    let versions = |device: &str, rows: &[(&str, &str)]| {
        let row = |(module, version): &(&str, &str)| json!({"DeviceName": device, "IotId": "i", "ModuleName": module, "ModuleVersion": version, "ProductKey": "p"});
        let rows: Vec<Value> = rows.iter().map(row).collect();
        ok(json!({"Data": {"SimpleOTAModuleInfo": rows}, "PageCount": 1, "Total": rows.len()}))
    };
    let gone = json!({"RequestId": "r", "Success": false, "Code": "iot.device.NotExistedDevice", "ErrorMessage": "x"});
    let names = json!([{"DeviceName": "a"}, {"DeviceName": "b"}, {"DeviceName": "c"}]);
    let answers = [
        (200, ok(json!({"Data": {"DeviceInfo": names}, "PageCount": 1, "Total": 3}))),
        (200, versions("a", &[("default", "V1"), ("scanner", "S2")])),
        (200, gone),
        (200, versions("c", &[("default", "V1")])),
    ];
    let client = client("Acs3", &answers);
    let (mut cursor, mut found): (_, Vec<Device>) = (Some(Cursor::start()), Vec::new());
    while let Some(cursor_at) = cursor {
        let call = Call::ListDevices { scope: scope.clone(), cursor: cursor_at };
        let Reply::Devices(page) = client.perform(&call).await.unwrap() else { panic!() };
        found.extend(page.items);
        cursor = page.next;
        assert!(cursor.as_ref().is_none_or(|cursor| cursor.pages == 1), "devices are no pages");
    }
    let told: Vec<_> = found.iter().map(|device| (device.id.as_str(), device.firmware.as_deref())).collect();
    assert_eq!(
        told,
        [("a", Some("S2")), ("c", None)],
        "the version of the module, and who has gone is no error"
    );
    assert_eq!(client.sent().len(), 4);
    let show = Call::ShowDevice { scope, id: "a".into() };
    for wrong in [versions("b", &[("scanner", "S2")]), ok(json!({"Data": {}, "PageCount": 2}))] {
        assert_eq!(once(&show, 200, wrong).await.unwrap_err().class, ErrorClass::Unintelligible);
    }
}

#[tokio::test]
async fn both_spellings_of_a_status_are_known_and_others_are_kept_as_they_are() {
    let show = Call::ShowJob { id: "wahVIzGkCMuAUE2gDERM020000".into() };
    for (status, wanted) in [
        ("PLANNED", JobState::Queued),
        ("IN_PROGRESS", JobState::Running),
        ("COMPLETED", JobState::Succeeded),
        ("COMPLETE", JobState::Succeeded),
        ("CANCELED", JobState::Stopped),
        ("FROZEN", JobState::Unknown("FROZEN".into())),
    ] {
        let body =
            ok(json!({"Data": {"JobId": "wahVIzGkCMuAUE2gDERM020000", "JobStatus": status, "NewField": 1,
            "Tags": {"OtaTagDTO": [{"Key": "rollwave", "Value": "0123456789abcdef"}]}}}));
        let Reply::Job(job) = once(&show, 200, body).await.unwrap() else { panic!() };
        assert_eq!((job.state, job.token.as_deref()), (wanted, Some("0123456789abcdef")));
    }
    let list = Call::ListJobDevices {
        id: "wahVIzGkCMuAUE2gDERM020000".into(),
        outcome: None,
        only: None,
        cursor: Cursor::start(),
    };
    let rows: Vec<Value> = ["CONFIRM", "QUEUED", "NOTIFIED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "CANCELED", "FROZEN"]
        .iter()
        .zip(0..)
        .map(|(status, n)| json!({"DeviceName": format!("d{n}"), "TaskStatus": status, "Progress": "0", "Timeout": null}))
        .collect();
    let body = ok(json!({"Data": {"SimpleOTATaskInfo": rows}, "Total": 8, "PageCount": 1}));
    let Reply::JobDevices(page) = once(&list, 200, body).await.unwrap() else { panic!() };
    use DeviceOutcome::{Failed, InFlight, Queued, Stopped, Succeeded, Unknown};
    let outcomes: Vec<DeviceOutcome> = page.items.into_iter().map(|row| row.outcome).collect();
    let wanted = [Queued, Queued, InFlight, InFlight, Succeeded, Failed, Stopped, Unknown("FROZEN".into())];
    assert_eq!(outcomes, wanted);
}

#[tokio::test]
async fn an_answer_about_something_else_is_no_success() {
    let firmware =
        |id: &str| json!({"FirmwareInfo": {"FirmwareId": id, "DestVersion": "1", "ProductKey": "p"}});
    let device = |product: &str, name: &str| json!({"Data": {"DeviceName": name, "ProductKey": product}});
    let cases = [
        (Call::ShowPackage { id: "a".into() }, firmware("b")),
        (Call::ShowPackage { id: "a".into() }, firmware("")),
        (Call::ShowDevice { scope: DeviceScope::whole("p"), id: "d".into() }, device("q", "d")),
        (Call::ShowDevice { scope: DeviceScope::whole("p"), id: "d".into() }, device("p", "e")),
        (Call::CreateJob(job()), json!({"Data": {"JobId": ""}})),
        (Call::CreatePackage(package()), json!({"Data": {}})),
    ];
    for (call, body) in cases {
        let error = once(&call, 200, ok(body.clone())).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unintelligible, "{body}: {error}");
    }
}

#[tokio::test]
async fn jobs_are_listed_package_by_package_of_whatever_module_one_request_a_call() {
    let firmwares = |rows: &[(&str, &str)], pages: u64| {
        let row = |(id, module): &(&str, &str)| json!({"FirmwareId": id, "DestVersion": "1", "ProductKey": "p", "ModuleName": module});
        let rows: Vec<Value> = rows.iter().map(row).collect();
        ok(json!({"FirmwareInfo": {"SimpleFirmwareInfo": rows}, "PageCount": pages}))
    };
    let jobs = |ids: &[&str]| {
        let rows: Vec<Value> = ids.iter().map(|id| json!({"JobId": id, "JobStatus": "COMPLETE"})).collect();
        ok(json!({"Data": {"SimpleOTAJobInfo": rows}, "PageCount": 1}))
    };
    // A page that is not the last one is full.
    let first_page: Vec<(&str, &str)> =
        [("f1", "default"), ("f2", "modem")].into_iter().chain([("f", "other"); 98]).collect();
    let mut answers =
        vec![(200, firmwares(&first_page, 2)), (200, jobs(&["j1", "j2"])), (200, jobs(&["j3"]))];
    answers.extend(std::iter::repeat_n((200, jobs(&[])), 98));
    answers.extend([(200, firmwares(&[("f4", "default")], 2)), (200, jobs(&["j4"]))]);
    let client = client("Rpc", &answers);
    let (mut cursor, mut found) = (Some(Cursor::start()), Vec::new());
    while let Some(at) = cursor {
        let Reply::Jobs(page) = client.perform(&list_jobs(at)).await.unwrap() else { panic!() };
        found.extend(page.items.into_iter().map(|job| (job.id, job.module)));
        cursor = page.next;
    }
    let found: Vec<_> = found.iter().map(|(id, module)| (id.as_str(), module.as_deref())).collect();
    assert_eq!(found, [("j1", None), ("j2", None), ("j3", Some("modem")), ("j4", None)]);
    let of = |query: &sign::Pairs, name: &str| {
        query.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    };
    let mut sent: Vec<String> = client
        .sent()
        .iter()
        .map(|(action, query)| {
            format!("{action} {}", of(query, "FirmwareId").or(of(query, "CurrentPage")).unwrap())
        })
        .collect();
    assert_eq!(sent.len(), answers.len());
    sent.dedup();
    assert_eq!(
        sent,
        [
            "ListOTAFirmware 1",
            "ListOTAJobByFirmware f1",
            "ListOTAJobByFirmware f2",
            "ListOTAJobByFirmware f",
            "ListOTAFirmware 2",
            "ListOTAJobByFirmware f4"
        ]
    );
    let software = Call::ListJobs { kind: PackageKind::Software, cursor: Cursor::start() };
    assert!(matches!(client.perform(&software).await, Ok(Reply::Jobs(page)) if page.items.is_empty()));
    assert_eq!(client.sent().len(), answers.len(), "software is not asked for");
}

#[tokio::test]
async fn devices_are_named_page_by_page_and_described_in_batches_of_100() {
    let names = |from: u32, to: u32, pages: u64| {
        let rows: Vec<Value> =
            (from..to).map(|n| json!({"DeviceName": format!("d{n}"), "ProductKey": "p"})).collect();
        ok(json!({"Data": {"DeviceInfo": rows}, "PageCount": pages, "Total": 120, "NextToken": "t"}))
    };
    let details = |from: u32, to: u32| {
        let rows: Vec<Value> = (from..to)
            .map(|n| json!({"DeviceName": format!("d{n}"), "ProductKey": "p", "Status": "ONLINE", "FirmwareVersion": "V1"}))
            .collect();
        ok(json!({"Data": {"Data": rows}}))
    };
    let answers = [
        (200, names(0, 50, 3)),
        (200, names(50, 100, 3)),
        (200, details(0, 100)),
        (200, names(100, 120, 3)),
        (200, details(100, 120)),
    ];
    let client = client("Acs3", &answers);
    let (mut cursor, mut found): (_, Vec<Device>) = (Some(Cursor::start()), Vec::new());
    while let Some(cursor_at) = cursor {
        let call = Call::ListDevices { scope: DeviceScope::whole("p"), cursor: cursor_at };
        let Reply::Devices(page) = client.perform(&call).await.unwrap() else { panic!() };
        found.extend(page.items);
        cursor = page.next;
    }
    assert_eq!((found.len(), client.sent().len()), (120, 5));
    assert!(
        found.iter().all(|device| device.firmware.as_deref() == Some("V1") && device.online == Some(true))
    );
    let stranger = ok(json!({"Data": {"Data": [{"DeviceName": "d", "ProductKey": "q"}]}}));
    let marker = json!({"names": ["d"], "names_at": null}).to_string();
    let call = Call::ListDevices {
        scope: DeviceScope::whole("p"),
        cursor: Cursor { marker: Some(marker), ..Cursor::start() },
    };
    assert_eq!(once(&call, 200, stranger).await.unwrap_err().class, ErrorClass::Unintelligible);
}

#[tokio::test]
async fn a_member_of_another_product_is_no_target() {
    let rows = json!([{"DeviceName": "a", "ProductKey": "p"}, {"DeviceName": "b", "ProductKey": "q"}]);
    let body = ok(json!({"Data": {"SimpleDeviceInfo": rows}, "PageCount": 1}));
    let call = Call::ListGroupDevices { product: "p".into(), group: "g".into(), cursor: Cursor::start() };
    let Reply::DeviceIds(page) = once(&call, 200, body).await.unwrap() else { panic!() };
    assert_eq!(page.items, ["a"]);
}

#[test]
fn limits_are_refused_with_field_value_and_next_step_and_what_is_at_the_limit_passes() {
    let client = client("Acs3", &[(200, json!({}))]);
    let devices = |count: usize| (0..count).map(|n| format!("d{n}")).collect::<Vec<_>>();
    let with = |change: &dyn Fn(&mut NewJob)| {
        let mut job = job();
        change(&mut job);
        Call::CreateJob(job)
    };
    let of_package = |change: &dyn Fn(&mut NewPackage)| {
        let mut package = package();
        change(&mut package);
        Call::CreatePackage(package)
    };
    let delivery = |text: &str| serde_json::from_str::<Delivery>(text).unwrap();
    let upload = |path: &str, md5: Option<String>| Call::PermitUpload {
        package: key(),
        file: LocalFile { path: path.into(), root: "".into(), sha256: String::new(), md5, size: None },
    };
    let verify = |job: &mut NewJob| job.purpose = JobPurpose::Verify;
    let passes = [
        with(&|job| job.devices = devices(200)),
        with(&|job| (job.devices = devices(10), verify(job)).1),
        with(&|job| {
            job.delivery = delivery(
                r#"{"timeout": {"inProgress": "24h"}, "retry": {"limit": 5, "interval": "1h"}, "ratePerMinute": 10}"#,
            );
        }),
        of_package(&|package| package.description = Some("更".repeat(100))),
        of_package(&|package| package.key.version = "v".repeat(64)),
    ];
    for call in passes {
        assert!(client.cloud.render(&call).is_ok(), "{:?}", client.cloud.render(&call));
    }
    let refused = [
        with(&|job| job.devices = devices(201)),
        with(&|job| (job.devices = devices(11), verify(job)).1),
        with(&|job| job.devices = vec!["a/b".into()]),
        with(&|job| job.token = "a-b".into()),
        with(&|job| job.package.kind = PackageKind::Software),
        with(&|job| job.delivery = delivery(r#"{"start": "Now"}"#)),
        with(&|job| job.delivery = delivery(r#"{"deviceInitiated": true}"#)),
        with(&|job| job.delivery = delivery(r#"{"timeout": {"inProgress": "90s"}}"#)),
        with(&|job| job.delivery = delivery(r#"{"timeout": {"inProgress": "25h"}}"#)),
        with(&|job| job.delivery = delivery(r#"{"ratePerMinute": 9}"#)),
        with(&|job| job.delivery = delivery(r#"{"retry": {"limit": 3}}"#)),
        with(&|job| job.delivery = delivery(r#"{"retry": {"limit": 1, "interval": "20m"}}"#)),
        with(&|job| {
            job.delivery =
                delivery(r#"{"timeout": {"inProgress": "1h"}, "retry": {"limit": 1, "interval": "1h"}}"#);
        }),
        with(&|job| job.delivery = delivery(r#"{"tags": {"rollwave": "x"}}"#)),
        with(&|job| (job.delivery = delivery(r#"{"overwrite": true}"#), verify(job)).1),
        of_package(&|package| package.description = Some("更".repeat(101))),
        of_package(&|package| package.custom_info = Some("x".repeat(4097))),
        of_package(&|package| package.key.version = "v".repeat(65)),
        of_package(&|package| package.source_versions = vec!["1".into(), "2".into()]),
        of_package(&|package| package.artifact = NewArtifact::Portal),
        upload("a.exe", Some(String::new())),
        upload("a.bin", None),
        of_package(&|package| package.key.module = Some("a b".into())),
        Call::DeleteJob { id: "j".into() },
        Call::ShowJob { id: "../j".into() },
    ];
    let errors: Vec<CallError> = refused.iter().map(|call| client.cloud.render(call).unwrap_err()).collect();
    assert!(errors.iter().all(|error| error.class == ErrorClass::Invalid));
    insta::assert_snapshot!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn requests_stand_for_the_documented_parameters() {
    let client = client("Acs3", &[(200, json!({}))]);
    let delivery = r#"{"timeout": {"inProgress": "2h"}, "retry": {"limit": 2, "interval": "30m"}, "ratePerMinute": 50, "push": false,
        "confirm": true, "downloadProtocol": "Mqtt", "overwrite": true, "tags": {"site": "north"}}"#;
    let plain = r#"{"timeout": {"inProgress": "2h"}, "push": true}"#;
    let job_with =
        |text: &str, purpose| NewJob { delivery: serde_json::from_str(text).unwrap(), purpose, ..job() };
    let calls = [
        Call::CreateJob(job_with(delivery, JobPurpose::Upgrade)),
        Call::CreateJob(job_with(plain, JobPurpose::Verify)),
        Call::CreatePackage(package()),
        a_write(),
        Call::ListTaggedDevices {
            product: "p".into(),
            key: "site".into(),
            values: vec!["north".into()],
            cursor: Cursor::start(),
        },
    ];
    let shown: Vec<String> =
        calls.iter().map(|call| client.cloud.render(call).unwrap()[0].to_string()).collect();
    insta::assert_snapshot!(shown.join("\n"));
}
