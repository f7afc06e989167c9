//! Examples that the manuals of the clouds print, byte for byte, against the clients: what an answer is understood as, and
//! that our request says the same as theirs. An example is a file `tests/manuals/CLOUD/CALL.(answer|request|part).json`; a part
//! is a member that stands within a larger body.

use crate::fuzz::accounts::{self, SignIn};
use async_trait::async_trait;
use jiff::Timestamp;
use rollwave::api::CloudKind::{self, AliyunIot, Enos, HuaweiIotda, OceanConnect};
use rollwave::cloud::{
    Call, Cloud, Cursor, JobPurpose, NewJob, PackageKey, PackageKind, Transport, TransportError, WireRequest,
    WireResponse,
    huawei_iotda::{IotdaClient, Keys, User},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The package of the examples; some write `<id>` for it.
const PACKAGE: &str = "28f61af50fc9452aa0ed5ea25c3cc3d3";

/// What an example is held against.
enum Held {
    /// The answer to a call, with its status.
    Answer(CloudKind, u16, Call),
    /// The answer to signing in, with its status: the token that the next request carries, or the error.
    SignIn(CloudKind, u16),
    /// A part of an answer: the whole of it is made around the part.
    Around(CloudKind, fn(&str) -> String, Call),
    /// The body of the request that a client of IoTDA makes of a call, or of signing in for it; `document_key` as in its spec.
    Request { call: Call, document_key: &'static str, part: &'static str, differs: Differs },
}

/// Pointers of members whose values are not compared, with why.
type Differs = &'static [(&'static str, &'static str)];

fn examples() -> Vec<(&'static str, Held)> {
    let jobs = || Call::ListJobs { kind: PackageKind::Firmware, cursor: Cursor::start() };
    let packages =
        |exactly| Call::ListPackages { kind: PackageKind::Firmware, exactly, cursor: Cursor::start() };
    let answers = [
        (
            "aliyunIot/CreateOTAVerifyJob",
            Held::Answer(AliyunIot, 200, new_job("dev-0001", JobPurpose::Verify)),
        ),
        ("aliyunIot/gateway-error", Held::Answer(AliyunIot, 400, jobs())),
        ("aliyunIot/product-error", Held::Answer(AliyunIot, 200, jobs())),
        ("enos/token-get", Held::SignIn(Enos, 200)),
        ("huaweiIotda/error", Held::Answer(HuaweiIotda, 403, jobs())),
        ("oceanConnect/create-task", Held::Answer(OceanConnect, 201, new_job("d1", JobPurpose::Upgrade))),
        ("oceanConnect/error", Held::SignIn(OceanConnect, 401)),
        ("oceanConnect/list-packages", Held::Answer(OceanConnect, 200, packages(None))),
        ("oceanConnect/login", Held::SignIn(OceanConnect, 200)),
        ("oceanConnect/login-short", Held::SignIn(OceanConnect, 200)),
        ("oceanConnect/show-task", Held::Answer(OceanConnect, 200, Call::ShowJob { id: "..".into() })),
    ];
    let part = |part: &str| {
        let row = |id: &str| {
            json!({"firmwareId": id, "productKey": "p", "version": id, "signMethod": "sha256",
                "sign": "ab".repeat(32), "enableVerification": false, "isVerified": false})
        };
        let rows = json!([row("2"), row("1")]);
        format!(r#"{{"code":0,"msg":"OK","requestId":"r","data":{rows},"pagination":{part}}}"#)
    };
    let parts = [("enos/pagination", Held::Around(Enos, part, packages(None)))];
    let answers = answers.into_iter().map(|(name, held)| (name, "answer", held));
    let parts = parts.into_iter().map(|(name, held)| (name, "part", held));
    let named = answers.chain(parts).chain(requests_of_iotda());
    named
        .map(|(name, kind, held)| (&*Box::leak(format!("{name}.{kind}.json").into_boxed_str()), held))
        .collect()
}

fn requests_of_iotda() -> [(&'static str, &'static str, Held); 5] {
    const IDENTITY: Differs = &[
        ("/task_name", "carries our token"),
        ("/task_policy/schedule_time", "a job starts when its stage is sent"),
    ];
    let create = |id: &str| match new_job("dev-0001", JobPurpose::Upgrade) {
        Call::CreateJob(mut job) => {
            job.devices.push("dev-0002".into());
            job.package_id = id.into();
            Call::CreateJob(job)
        }
        call => call,
    };
    let document =
        |document_key| Held::Request { call: create(PACKAGE), document_key, part: "/document", differs: &[] };
    let whole = |call, differs| Held::Request { call, document_key: "package_ids", part: "", differs };
    [
        ("huaweiIotda/CreateBatchTask", "request", whole(create(PACKAGE), IDENTITY)),
        (
            "huaweiIotda/StopBatchTask",
            "request",
            whole(Call::StopJob { id: "5c8ba99030344005c02316ad".into() }, &[]),
        ),
        (
            "huaweiIotda/iam-tokens",
            "request",
            whole(
                Call::ShowPackage { id: "p".into() },
                &[(
                    "/auth/scope/project",
                    "named by the id that the OtaCloud gives, which the manual allows, too",
                )],
            ),
        ),
        ("huaweiIotda/document", "part", document("package_ids")),
        ("huaweiIotda/document-of-older-sdks", "part", document("package_id")),
    ]
}

fn new_job(device: &str, purpose: JobPurpose) -> Call {
    let delivery = match purpose {
        JobPurpose::Upgrade => json!({"retry": {"limit": 2, "interval": "5m"}}),
        JobPurpose::Verify => json!({}),
    };
    let of_ocean_connect = device == "d1";
    let delivery = if of_ocean_connect { json!({}) } else { delivery };
    let product = if of_ocean_connect { "Acme/WaterMeter/WM1" } else { "meter" };
    Call::CreateJob(NewJob {
        token: accounts::TOKEN.into(),
        title: "meter/canary".into(),
        purpose,
        package: PackageKey {
            kind: PackageKind::Firmware,
            product: product.into(),
            version: "V1.1".into(),
            module: None,
        },
        package_id: "5c8ba99030344005c02316ad".into(),
        devices: vec![device.into()],
        from_versions: vec!["V1.0".into()],
        delivery: serde_json::from_value(delivery).unwrap(),
    })
}

/// Gives the answer to signing in, another one to everything else, and keeps what was sent.
struct Desk {
    sign_in: WireResponse,
    answer: WireResponse,
    sent: Mutex<Vec<WireRequest>>,
}

fn answer(status: u16, body: impl Into<String>) -> WireResponse {
    let token = ("x-subject-token".to_owned(), "t".to_owned());
    WireResponse { status, headers: vec![token], body: body.into().into() }
}

fn signs_in(request: &WireRequest) -> bool {
    accounts::token(&request.path).is_some() || request.path == "/v3/auth/tokens"
}

#[async_trait]
impl Transport for Desk {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        let answer = if signs_in(&request) { &self.sign_in } else { &self.answer };
        self.sent.lock().unwrap().push(request);
        Ok(answer.clone())
    }
}

impl Desk {
    fn new(sign_in: Option<WireResponse>, other: Option<WireResponse>, cloud: CloudKind) -> Arc<Self> {
        let path = if cloud == Enos { "/apim-token-service/" } else { "/sec/" };
        let token = accounts::token(path).unwrap().to_string();
        let sign_in = sign_in.unwrap_or_else(|| answer(200, token));
        Arc::new(Self { sign_in, answer: other.unwrap_or_else(|| answer(200, "{}")), sent: Mutex::default() })
    }
}

fn now() -> Timestamp {
    "2024-03-06T01:02:03Z".parse().unwrap()
}

async fn understood(held: &Held, text: &str) -> String {
    let asked = |cloud, desk: Arc<Desk>, call: Call| async move {
        let client = accounts::client(cloud, SignIn::Works, desk);
        match client.perform(&call, now()).await {
            Ok(reply) => format!("{reply:?}"),
            Err(error) => format!("{:?}, effect {:?}: {error}", error.class, error.effect),
        }
    };
    match held {
        Held::Answer(cloud, status, call) => {
            asked(*cloud, Desk::new(None, Some(answer(*status, text)), *cloud), call.clone()).await
        }
        Held::Around(cloud, whole, call) => {
            asked(*cloud, Desk::new(None, Some(answer(200, whole(text))), *cloud), call.clone()).await
        }
        Held::SignIn(cloud, status) => {
            let desk = Desk::new(Some(answer(*status, text)), None, *cloud);
            let call =
                Call::ListPackages { kind: PackageKind::Firmware, exactly: None, cursor: Cursor::start() };
            let said = asked(*cloud, desk.clone(), call).await;
            let sent = desk.sent.lock().unwrap();
            let carried = sent.iter().filter(|request| !signs_in(request)).find_map(|request| {
                let names = ["authorization", "apim-accesstoken"];
                let is_token = |(name, _): &&(String, String)| names.contains(&name.to_lowercase().as_str());
                request.headers.iter().find(is_token).map(|(name, value)| format!("{name}: {value}"))
            });
            carried.unwrap_or(said)
        }
        Held::Request { call, document_key, part, differs } => {
            assert_same_request(call, document_key, part, differs, text).await;
            "the same as ours".to_owned()
        }
    }
}

/// A client of the account that the manual's examples speak of.
fn iotda(document_key: &str, transport: Arc<dyn Transport>) -> Arc<dyn Cloud> {
    let spec = json!({"endpoint": "https://iot.example", "region": "cn-north-4", "projectId": "p",
        "appId": "61f7e74d036aca5be29e1ed4", "auth": "Token", "iamEndpoint": "https://iam.example",
        "documentKey": document_key});
    let keys = Keys::User(User { name: "U".into(), password: "P".into(), domain: "ACCOUNT".into() });
    Arc::new(IotdaClient::new(&serde_json::from_value(spec).unwrap(), keys, transport))
}

async fn assert_same_request(call: &Call, document_key: &str, part: &str, differs: Differs, text: &str) {
    let token = answer(201, r#"{"token":{"expires_at":"2024-03-07T01:02:03.000000Z"}}"#);
    let desk = Desk::new(Some(token), None, HuaweiIotda);
    let made = iotda(document_key, desk.clone()).perform(call, now()).await;
    let sent = desk.sent.lock().unwrap();
    let is_meant = |request: &&WireRequest| match call {
        Call::ShowPackage { .. } => signs_in(request),
        _ => !signs_in(request),
    };
    let request = sent.iter().find(is_meant).unwrap_or_else(|| panic!("not sent: {made:?}"));
    let ours: Value = serde_json::from_slice(&request.body).unwrap();
    let mut ours = ours.pointer(part).cloned().unwrap();
    let mut theirs: Value = serde_json::from_str(&text.replace("<id>", PACKAGE)).unwrap();
    for (pointer, why) in differs {
        let members = [remove(&mut ours, pointer), remove(&mut theirs, pointer)];
        assert!(members[0] != members[1], "{pointer} does not differ: {why}");
    }
    assert_eq!(ours, theirs);
}

fn remove(value: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent)?.as_object_mut()?.remove(name)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manuals")
}

fn names_of_files() -> BTreeSet<String> {
    let clouds = fs_err::read_dir(folder()).unwrap().map(|cloud| cloud.unwrap().path());
    let files = clouds.flat_map(|cloud| fs_err::read_dir(cloud).unwrap().map(|file| file.unwrap().path()));
    files.map(|file| file.strip_prefix(folder()).unwrap().to_string_lossy().replace('\\', "/")).collect()
}

#[tokio::test]
async fn every_example_of_the_manuals_is_understood_or_is_what_we_write() {
    let examples = examples();
    let names: BTreeSet<String> = examples.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!((names_of_files(), names.len()), (names, examples.len()), "each file has one assertion");
    let mut told = Vec::new();
    for (name, held) in &examples {
        let text = fs_err::read_to_string(folder().join(name)).unwrap();
        told.push(format!("{name}\n  {}", understood(held, &text).await));
    }
    told.sort();
    insta::assert_snapshot!(told.join("\n"));
}

/// Every cloud has its page in the facts, and its examples here.
#[test]
fn every_cloud_has_examples() {
    let files = names_of_files();
    for cloud in CloudKind::ALL {
        assert!(files.iter().any(|file| file.starts_with(&format!("{cloud}/"))), "{cloud}: {files:?}");
    }
}
