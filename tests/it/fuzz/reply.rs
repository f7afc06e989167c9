//! Answers of IoTDA: whatever comes back, nobody takes for done what is not, and nobody takes a write for undone that may
//! have happened. The first line is `CALL STATUS`, where a status of 0 is a connection that breaks.

use super::message::Message;
use async_trait::async_trait;
use futures::FutureExt as _;
use rollwave::api::HuaweiIotda;
use rollwave::cloud::huawei_iotda::{IotdaClient, Keys, User, token_of, wire::parse_time};
use rollwave::cloud::{
    Call, CallClass, CallError, Cloud as _, Cursor, DeviceOutcome, Effect, ErrorClass, NewArtifact, NewJob,
    NewPackage, ObsArtifact, PackageKey, PackageKind, Page, Reply, Transport, TransportError, WireRequest,
    WireResponse,
};
use serde_json::{Value, json};
use std::sync::Arc;

const SECRET: &str = "SK-of-tests";
const TOKEN: &str = "0123456789abcdef";

struct Always(Option<WireResponse>);

#[async_trait]
impl Transport for Always {
    async fn send(&self, _: WireRequest) -> Result<WireResponse, TransportError> {
        let broken = || TransportError {
            class: ErrorClass::Unavailable,
            effect: Effect::Unknown,
            message: "reset".into(),
            next_step: String::new(),
        };
        self.0.clone().ok_or_else(broken)
    }
}

pub fn check(data: &[u8]) {
    let message = Message::read(&String::from_utf8_lossy(data));
    let Some(call) = calls().into_iter().find(|call| call.operation() == message.word(0)) else { return };
    let status: u16 = message.word(1).parse().unwrap_or(0);
    let headers = message.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    let response = WireResponse { status, headers, body: message.body.clone().into() };
    let transport = Arc::new(Always((status != 0).then_some(response)));
    let now = parse_time("20240305T060708Z").unwrap();
    let perform = |keys, auth: &str| {
        let client = IotdaClient::new(&spec(auth), keys, transport.clone());
        client.perform(&call, now).now_or_never().expect("nothing to wait for")
    };
    let secret = || SECRET.into();
    let signed = perform(Keys::AccessKey { id: "AK".into(), secret: secret(), security_token: None }, "V11");
    let user = User { name: "ann".into(), password: secret(), domain: "acme".into() };
    let with_token = perform(Keys::User(user), "Token");
    for result in [&signed, &with_token] {
        match result {
            Ok(reply) => check_success(&call, reply, status, &message.body),
            Err(error) => assert!(!format!("{error} {error:?}").contains(SECRET), "{error}"),
        }
    }
    if let Err(error) = &signed {
        check_failure(&call, error, status, &message.body);
    }
}

/// A success has everything that the noun needs, and is of what was asked for.
fn check_success(call: &Call, reply: &Reply, status: u16, body: &str) {
    assert!((200..300).contains(&status), "{call:?}: {status}");
    let deletes = matches!(call, Call::DeletePackage { .. } | Call::DeleteJob { .. });
    assert!(deletes || serde_json::from_str::<Value>(body).is_ok_and(|body| body.is_object()), "{body}");
    match (call, reply) {
        (Call::CreatePackage(new), Reply::Package(package)) => {
            assert!(!package.row.id.is_empty(), "{body}");
            assert_eq!(package.row.key, new.key, "{body}");
        }
        (Call::ShowPackage { id }, Reply::Package(package)) => assert_eq!(&package.row.id, id, "{body}"),
        (Call::CreateJob(new), Reply::Job(job)) => {
            assert!(!job.id.is_empty(), "{body}");
            assert_eq!((job.kind, job.token.as_deref()), (new.kind(), Some(new.token.as_str())), "{body}");
        }
        (Call::ShowJob { id }, Reply::Job(job)) => assert_eq!(&job.id, id, "{body}"),
        (Call::ShowDevice { id, .. }, Reply::Device(device)) => assert_eq!(&device.id, id, "{body}"),
        (Call::ListPackages { cursor, .. }, Reply::Packages(page)) => check_page(page, cursor, |row| &row.id),
        (Call::ListJobs { cursor, .. }, Reply::Jobs(page)) => check_page(page, cursor, |job| &job.id),
        (Call::ListJobDevices { cursor, .. }, Reply::JobDevices(page)) => {
            check_page(page, cursor, |row| &row.device);
        }
        (Call::ListDevices { cursor, .. }, Reply::Devices(page)) => {
            check_page(page, cursor, |device| &device.id);
        }
        (
            Call::ListGroupDevices { cursor, .. } | Call::ListTaggedDevices { cursor, .. },
            Reply::DeviceIds(page),
        ) => {
            check_page(page, cursor, |id| id);
        }
        (Call::StopJob { .. } | Call::RetryJob { .. }, Reply::Refused(_)) => {}
        (_, Reply::Done) if deletes => {}
        (call, reply) => panic!("{call:?} was answered by {reply:?}"),
    }
}

/// Rows have ids, and the list goes on to somewhere else.
fn check_page<T>(page: &Page<T>, from: &Cursor, id: impl Fn(&T) -> &String) {
    assert!(page.items.iter().all(|item| !id(item).is_empty()));
    if let Some(next) = &page.next {
        assert!(next.marker.as_ref().is_some_and(|marker| !marker.is_empty()));
        assert!(next.marker != from.marker && next.seen > from.seen);
    }
}

/// A write that may have happened is not called undone; a read has no effect however it ends.
fn check_failure(call: &Call, error: &CallError, status: u16, body: &str) {
    if call.class() == CallClass::Read {
        return assert_eq!(error.effect, Effect::None, "{error}");
    }
    let said: Value = serde_json::from_str(body).unwrap_or_default();
    let refused = said["error_code"].as_str().is_some_and(|code| !code.is_empty());
    let unreadable = error.class == ErrorClass::Unintelligible;
    let may_have_happened = !(200..500).contains(&status) || unreadable || (status < 300 && !refused);
    if may_have_happened {
        assert_eq!(error.effect, Effect::Unknown, "{status}: {error}\n{body}");
    }
}

fn spec(auth: &str) -> HuaweiIotda {
    let spec = json!({
        "endpoint": "https://iot.example", "region": "r", "projectId": "p", "appId": "a", "auth": auth,
        "iamEndpoint": "https://iam.example",
    });
    serde_json::from_value(spec).unwrap()
}

/// Every call once.
fn calls() -> Vec<Call> {
    let id = || "5c8ba99030344005c02316ad".to_owned();
    let cursor = || Cursor { marker: Some("marker-1".into()), seen: 50 };
    let kind = PackageKind::Firmware;
    let key = PackageKey { kind, product: "meter".into(), version: "V2".into() };
    let object = ObsArtifact {
        region: "r".into(),
        bucket: "firmware".into(),
        key: "v2.bin".into(),
        sha256: Some("ab".repeat(32)),
    };
    assert_eq!(token_of(&format!("rw_x_{TOKEN}")), Some(TOKEN));
    vec![
        Call::ListPackages { kind, exactly: None, cursor: cursor() },
        Call::ShowPackage { id: id() },
        Call::CreatePackage(NewPackage {
            key,
            source_versions: vec![],
            description: None,
            custom_info: None,
            name: "meter-v2".into(),
            artifact: NewArtifact::Obs(object),
            verification: None,
        }),
        Call::DeletePackage { id: id() },
        Call::ListJobs { kind, cursor: cursor() },
        Call::ShowJob { id: id() },
        Call::ListJobDevices { id: id(), outcome: Some(DeviceOutcome::Failed), cursor: cursor() },
        Call::CreateJob(NewJob {
            token: TOKEN.into(),
            title: "meter/canary".into(),
            purpose: rollwave::cloud::JobPurpose::Upgrade,
            package: PackageKey { kind, product: "meter".into(), version: "V2".into() },
            from_versions: vec![],
            delivery: rollwave::api::Delivery::default(),
            package_id: id(),
            devices: vec!["d1".into()],
        }),
        Call::StopJob { id: id(), devices: vec![] },
        Call::RetryJob { id: id(), devices: vec![] },
        Call::DeleteJob { id: id() },
        Call::ListDevices { product: "meter".into(), cursor: cursor() },
        Call::ShowDevice { product: "meter".into(), id: id() },
        Call::ListGroupDevices {
            product: "meter".into(),
            group: "5e5f1a2b-0000-4000-8000-000000000001".into(),
            cursor: cursor(),
        },
        Call::ListTaggedDevices {
            product: "meter".into(),
            key: "site".into(),
            values: vec!["north".into()],
            cursor: cursor(),
        },
    ]
}
