//! An account of each cloud that gives one answer to everything, and every call that it can be asked.

use async_trait::async_trait;
use futures::FutureExt as _;
use jiff::Timestamp;
use rollwave::api::CloudKind;
use rollwave::cloud::{
    Call, CallError, Cloud, Cursor, DeviceOutcome, DeviceScope, Effect, ErrorClass, JobPurpose, LocalFile,
    NamedDevices, NewArtifact, NewJob, NewPackage, NewVerification, ObsArtifact, PackageKey, PackageKind,
    Reply, Transport, TransportError, UploadPermit, WireRequest, WireResponse, aliyun_iot, enos,
    huawei_iotda, huawei_iotda::wire::parse_time, ocean_connect,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

pub const SECRET: &str = "SK-of-tests";
pub const TOKEN: &str = "0123456789abcdef";
const ID: &str = "5c8ba99030344005c02316ad";

/// The cloud that a word names; IoTDA when there is none.
pub fn cloud_of(word: &str) -> Option<CloudKind> {
    match word {
        "" | "huaweiIotda" => Some(CloudKind::HuaweiIotda),
        "oceanConnect" => Some(CloudKind::OceanConnect),
        "aliyunIot" => Some(CloudKind::AliyunIot),
        "enos" => Some(CloudKind::Enos),
        _ => None,
    }
}

/// Whether signing in is answered like everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    Works,
    Answered,
}

/// Gives one answer to everything, or breaks every connection.
struct Always {
    answer: Option<WireResponse>,
    sign_in: SignIn,
    sent: AtomicBool,
}

#[async_trait]
impl Transport for Always {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        if let (SignIn::Works, Some(token)) = (self.sign_in, token(&request.path)) {
            return Ok(WireResponse { status: 200, headers: vec![], body: token.to_string().into() });
        }
        self.sent.store(true, Ordering::Relaxed);
        let broken = || TransportError {
            class: ErrorClass::Unavailable,
            effect: Effect::Unknown,
            message: "reset".into(),
            next_step: String::new(),
        };
        self.answer.clone().ok_or_else(broken)
    }
}

/// What signing in gives, where it is a request of its own.
pub fn token(path: &str) -> Option<Value> {
    if path.contains("/apim-token-service/") {
        return Some(json!({"status": 0, "data": {"accessToken": "token-1", "expire": 7200}}));
    }
    path.contains("/sec/").then(|| json!({"accessToken": "token-1", "refreshToken": "r", "expiresIn": 3600}))
}

/// What came of a call, and whether the call itself was sent.
pub fn perform(
    kind: CloudKind,
    sign_in: SignIn,
    answer: Option<WireResponse>,
    call: &Call,
) -> (Result<Reply, CallError>, bool) {
    let transport = Arc::new(Always { answer, sign_in, sent: AtomicBool::new(false) });
    let client = client(kind, sign_in, transport.clone());
    let result = client.perform(call, now()).now_or_never().expect("nothing to wait for");
    (result, transport.sent.load(Ordering::Relaxed))
}

/// Whether a cloud has such a call.
pub fn is_sent(kind: CloudKind, call: &Call) -> bool {
    let transport = Arc::new(Always { answer: None, sign_in: SignIn::Works, sent: AtomicBool::new(false) });
    client(kind, SignIn::Works, transport).render(call).is_ok_and(|requests| !requests.is_empty())
}

fn now() -> Timestamp {
    parse_time("20240305T060708Z").unwrap()
}

/// The client of an account.
pub fn client(kind: CloudKind, sign_in: SignIn, transport: Arc<dyn Transport>) -> Arc<dyn Cloud> {
    match kind {
        CloudKind::HuaweiIotda => iotda(sign_in, transport),
        CloudKind::OceanConnect => {
            let spec = spec(json!({"endpoint": "https://na.example:8743/", "appId": "app1"}));
            ocean_connect::connect(&spec, SECRET.into(), &ocean_connect::Sessions::default(), transport)
        }
        CloudKind::AliyunIot => {
            let spec = spec(json!({"endpoint": "https://iot.example", "regionId": "cn-shanghai"}));
            let keys = aliyun_iot::Keys { id: "AK".into(), secret: SECRET.into(), security_token: None };
            aliyun_iot::connect(&spec, keys, transport, "tests")
        }
        CloudKind::Enos => {
            let spec = spec(json!({"endpoint": "https://apim.example/", "orgId": "o1"}));
            let keys = enos::Keys { app_key: "AK".into(), app_secret: SECRET.into() };
            Arc::new(enos::EnosClient::new(&spec, keys, transport))
        }
    }
}

/// IoTDA signs each request, or signs in once.
fn iotda(sign_in: SignIn, transport: Arc<dyn Transport>) -> Arc<dyn Cloud> {
    use huawei_iotda::{IotdaClient, Keys, User};
    let (auth, keys) = match sign_in {
        SignIn::Works => {
            ("V11", Keys::AccessKey { id: "AK".into(), secret: SECRET.into(), security_token: None })
        }
        SignIn::Answered => {
            let user = User { name: "ann".into(), password: SECRET.into(), domain: "acme".into() };
            ("Token", Keys::User(user))
        }
    };
    let spec = json!({
        "endpoint": "https://iot.example", "region": "r", "projectId": "p", "appId": "a", "auth": auth,
        "iamEndpoint": "https://iam.example",
    });
    Arc::new(IotdaClient::new(&self::spec(spec), keys, transport))
}

fn spec<T: DeserializeOwned>(spec: Value) -> T {
    serde_json::from_value(spec).unwrap()
}

/// The call of an operation: lists go on from their second page, or begin.
pub fn call(cloud: CloudKind, operation: &str, begins: bool) -> Option<Call> {
    calls(cloud, begins).into_iter().find(|call| call.operation() == operation)
}

/// Where a list goes on: each client has markers of its own.
fn cursor(cloud: CloudKind, list: &str) -> Cursor {
    let marker = match (cloud, list) {
        (CloudKind::Enos, _) => "51".to_owned(),
        (CloudKind::AliyunIot, "jobs") => {
            json!({"Jobs": {"of": [{"id": "f1", "module": null}, {"id": "f2", "module": "modem"}], "page": 2, "then": 3}})
                .to_string()
        }
        (CloudKind::AliyunIot, "devices") => json!({"names": ["d1"], "names_at": {"page": 2}}).to_string(),
        (CloudKind::AliyunIot, "tagged") => json!({"value": 0, "page": 2}).to_string(),
        (CloudKind::AliyunIot, _) => "2".to_owned(),
        _ => "marker-1".to_owned(),
    };
    Cursor { marker: Some(marker), seen: 50, pages: 1 }
}

/// Every call once.
pub fn calls(cloud: CloudKind, begins: bool) -> Vec<Call> {
    let id = || ID.to_owned();
    let cursor = |list: &str| if begins { Cursor::start() } else { cursor(cloud, list) };
    let kind = PackageKind::Firmware;
    let product = || product(cloud).to_owned();
    let module = DeviceScope { product: product(), module: Some("modem".into()) };
    let of_module = [
        Call::ListDevices { scope: module.clone(), cursor: cursor("devices") },
        Call::ShowDevice { scope: module, id: id() },
        Call::CheckModule { package: PackageKey { module: Some("modem".into()), ..key(cloud) } },
    ];
    let of_module = of_module.into_iter().filter(|_| cloud == CloudKind::AliyunIot);
    let whole = vec![
        Call::ListPackages { kind, exactly: None, cursor: cursor("packages") },
        Call::ShowPackage { id: id() },
        Call::PermitUpload { package: key(cloud), file: file() },
        Call::Upload { file: file(), permit: permit() },
        Call::CreatePackage(new_package(cloud)),
        Call::DeletePackage { id: id() },
        Call::ListJobs { kind, cursor: cursor("jobs") },
        Call::ShowJob { id: id() },
        Call::ListJobDevices {
            id: id(),
            outcome: Some(DeviceOutcome::Failed),
            only: None,
            cursor: cursor("results"),
        },
        Call::CreateJob(new_job(cloud)),
        Call::StopJob { id: id() },
        Call::DeleteJob { id: id() },
        Call::ListDevices { scope: DeviceScope::whole(product()), cursor: cursor("devices") },
        Call::ListPresence { product: product(), cursor: cursor("presence") },
        Call::ShowDevice { scope: DeviceScope::whole(product()), id: id() },
        Call::ListGroupDevices {
            product: product(),
            group: "5e5f1a2b-0000-4000-8000-000000000001".into(),
            cursor: cursor("members"),
        },
        Call::ListTaggedDevices {
            product: product(),
            key: "site".into(),
            values: vec!["north".into(), "south".into()],
            cursor: cursor("tagged"),
        },
        Call::ListDevicesByAttribute {
            product: product(),
            name: "site".into(),
            values: vec!["north".into(), "south".into()],
            cursor: cursor("attribute"),
        },
    ];
    let named = Call::ListJobDevices {
        id: id(),
        outcome: None,
        only: Some(NamedDevices { product: product(), ids: vec!["d-1".into(), "d-2".into()] }),
        cursor: Cursor::start(),
    };
    let named = Some(named).filter(|_| matches!(cloud, CloudKind::AliyunIot | CloudKind::Enos));
    whole.into_iter().chain(of_module).chain(named).collect()
}

fn product(cloud: CloudKind) -> &'static str {
    if cloud == CloudKind::OceanConnect { "Acme/Meter/WM1" } else { "meter" }
}

fn key(cloud: CloudKind) -> PackageKey {
    PackageKey {
        kind: PackageKind::Firmware,
        product: product(cloud).into(),
        version: "V2".into(),
        module: None,
    }
}

fn permit() -> UploadPermit {
    let fields = vec![("key", "ota/a.bin".into()), ("policy", "e30=".into())];
    UploadPermit { handle: "https://oss/a.bin".into(), address: "https://oss".into(), fields }
}

fn file() -> LocalFile {
    LocalFile {
        path: "v2.bin".into(),
        root: "".into(),
        sha256: "ab".repeat(32),
        md5: Some("cd".repeat(16)),
        size: Some(4),
    }
}

fn new_package(cloud: CloudKind) -> NewPackage {
    let object = ObsArtifact {
        region: "r".into(),
        bucket: "firmware".into(),
        key: "v2.bin".into(),
        sha256: Some("ab".repeat(32)),
    };
    let (artifact, verification) = match cloud {
        CloudKind::AliyunIot => {
            (NewArtifact::Uploaded { file: file(), handle: "https://oss/a.bin".into() }, None)
        }
        CloudKind::Enos => (NewArtifact::File(file()), Some(NewVerification { devices: 3, min_success: 2 })),
        _ => (NewArtifact::Obs(object), None),
    };
    NewPackage {
        key: key(cloud),
        source_versions: vec![],
        delta: false,
        description: None,
        custom_info: None,
        name: "meter-v2".into(),
        artifact,
        verification,
    }
}

fn new_job(cloud: CloudKind) -> NewJob {
    assert_eq!(huawei_iotda::token_of(&format!("rw_x_{TOKEN}")), Some(TOKEN));
    NewJob {
        token: TOKEN.into(),
        title: "meter/canary".into(),
        purpose: JobPurpose::Upgrade,
        package: key(cloud),
        from_versions: vec!["V1".into()],
        delivery: rollwave::api::Delivery::default(),
        package_id: ID.into(),
        devices: vec!["d1".into()],
    }
}
