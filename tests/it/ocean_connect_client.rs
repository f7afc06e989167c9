//! The OceanConnect client: against the simulator in process, and against answers that it never gives.

mod refusals;
mod tokens;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::{
    api::{Delivery, DeliveryStart, OceanConnect, Retry},
    cloud::{
        Call, CallError, Cloud, Cursor, DeviceOutcome, DeviceScope, Effect, ErrorClass, JobIdentity,
        JobPurpose, JobState, NewJob, PackageKey, PackageKind, Reply, Transport, TransportError, WireRequest,
        WireResponse,
        ocean_connect::{OceanConnectClient, Sessions},
    },
    simulator::{End, Simulator, World},
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const PRODUCT: &str = "Acme/Water Meter/WM&1";

/// The simulator, or a script, behind a transport that keeps what was sent.
struct Wire {
    simulator: Mutex<Simulator>,
    wall: Mutex<Timestamp>,
    script: Mutex<Vec<WireResponse>>,
    sign_in_script: Mutex<Vec<WireResponse>>,
    sent: Mutex<Vec<WireRequest>>,
}

impl Wire {
    fn new(rest: &str) -> Arc<Self> {
        let text = format!(
            "clouds:
  oceanConnect:
    timeoutStatus: timeout
    apps:
    - appId: app1
      secret: s&cret=1
      packages: [{{fileType: firmwarePackage, product: \"{PRODUCT}\", version: V2, sourceVersions: [V1]}}]
{rest}"
        );
        let world = World::parse("world.yaml", &text).unwrap();
        let wall: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let simulator = Mutex::new(Simulator::new(&world, wall).unwrap());
        Arc::new(Self {
            simulator,
            wall: Mutex::new(wall),
            script: Mutex::default(),
            sign_in_script: Mutex::default(),
            sent: Mutex::default(),
        })
    }

    fn now(&self) -> Timestamp {
        *self.wall.lock().unwrap()
    }

    fn wait(&self, time: SignedDuration) {
        *self.wall.lock().unwrap() += time;
    }

    /// Paths that were sent since the last look.
    fn paths(&self) -> Vec<String> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        sent.into_iter().map(|request| request.path.rsplit('/').next().unwrap().to_owned()).collect()
    }

    /// The next answer, in the place of the simulator's.
    fn answer(&self, status: u16, body: &Value) {
        let body = body.to_string().into();
        self.script.lock().unwrap().push(WireResponse { status, headers: vec![], body });
    }

    /// The next sign-in fails, and the platform has done nothing.
    fn fail_sign_in(&self) {
        let failed = WireResponse { status: 503, headers: vec![], body: "".into() };
        self.sign_in_script.lock().unwrap().push(failed);
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        self.sent.lock().unwrap().push(request.clone());
        let is_sign_in = request.path.contains("/sec/");
        let script = if is_sign_in { &self.sign_in_script } else { &self.script };
        if !script.lock().unwrap().is_empty() {
            return Ok(script.lock().unwrap().remove(0));
        }
        let end = self.simulator.lock().unwrap().handle(&request, self.now()).end;
        let End::Reply(reply) = end else { panic!("{request}: {end:?}") };
        Ok(reply)
    }
}

fn spec() -> OceanConnect {
    serde_json::from_value(json!({"endpoint": "https://na.example:8743/", "appId": "app1"})).unwrap()
}

fn client(wire: &Arc<Wire>, sessions: &Sessions, secret: &str) -> OceanConnectClient {
    OceanConnectClient::new(&spec(), secret.into(), sessions, wire.clone())
}

async fn perform(wire: &Arc<Wire>, call: &Call) -> Result<Reply, CallError> {
    client(wire, &Sessions::default(), "s&cret=1").perform(call, wire.now()).await
}

fn key() -> PackageKey {
    PackageKey { kind: PackageKind::Firmware, product: PRODUCT.into(), version: "V2".into(), module: None }
}

fn list_packages() -> Call {
    Call::ListPackages { kind: PackageKind::Firmware, exactly: Some(key()), cursor: Cursor::start() }
}

fn new_job(package_id: &str, devices: usize, delivery: Delivery) -> NewJob {
    NewJob {
        token: "0123456789abcdef".into(),
        title: "meter/canary".into(),
        purpose: JobPurpose::Upgrade,
        package: key(),
        package_id: package_id.into(),
        devices: (0..devices).map(|n| format!("m-{n:04}")).collect(),
        from_versions: vec![],
        delivery,
    }
}

async fn package_id(wire: &Arc<Wire>) -> String {
    let Reply::Packages(page) = perform(wire, &list_packages()).await.unwrap() else {
        panic!("not packages")
    };
    assert_eq!((page.items.len(), page.next), (1, None));
    page.items[0].id.clone()
}

#[tokio::test]
async fn a_package_is_found_by_its_tuple_and_shown_without_a_digest() {
    let wire = Wire::new("");
    let id = package_id(&wire).await;
    let Reply::Package(package) = perform(&wire, &Call::ShowPackage { id: id.clone() }).await.unwrap() else {
        panic!("not a package")
    };
    assert_eq!((package.row.id, package.row.key), (id, key()));
    let other = PackageKey { version: "V3".into(), ..key() };
    let call = Call::ListPackages { kind: other.kind, exactly: Some(other), cursor: Cursor::start() };
    let Reply::Packages(page) = perform(&wire, &call).await.unwrap() else { panic!("not packages") };
    assert_eq!(page.items, []);
}

#[tokio::test]
async fn a_job_is_created_listed_with_its_devices_and_policy_and_its_timeouts_are_failures() {
    let wire = Wire::new(
        "
devices: [{count: 120, idPrefix: m-, product: \"Acme/Water Meter/WM&1\", firmware: V1}]
behaviours: [{version: V2, stuckRate: 100%}]
",
    );
    let delivery = Delivery {
        start: Some(DeliveryStart::DeviceOnline),
        retry: Some(Retry { limit: 2, interval: None }),
        ..Delivery::default()
    };
    let new = new_job(&package_id(&wire).await, 120, delivery.clone());
    let Reply::Job(made) = perform(&wire, &Call::CreateJob(new.clone())).await.unwrap() else {
        panic!("no job")
    };
    assert_eq!((made.token.as_deref(), made.counts.total), (Some("0123456789abcdef"), 120));
    let list = Call::ListJobs { kind: PackageKind::Firmware, cursor: Cursor::start() };
    let Reply::Jobs(page) = perform(&wire, &list).await.unwrap() else { panic!("not jobs") };
    let listed = &page.items[0];
    assert_eq!((&listed.id, &listed.devices, &listed.delivery), (&made.id, &new.devices, &Some(delivery)));
    assert_eq!(
        (listed.token.as_ref(), listed.created_at),
        (None, Some(wire.now())),
        "it carries nothing of ours"
    );
    wire.simulator.lock().unwrap().step(SignedDuration::from_hours(24 * 4), wire.now());
    let Reply::Job(shown) = perform(&wire, &Call::ShowJob { id: made.id.clone() }).await.unwrap() else {
        panic!("no job")
    };
    assert_eq!((shown.state, shown.counts.failed), (JobState::PartlyFailed, 120));
    let mut failed = Vec::new();
    let mut cursor = Some(Cursor::start());
    while let Some(at) = cursor {
        let call = Call::ListJobDevices {
            id: made.id.clone(),
            outcome: Some(DeviceOutcome::Failed),
            only: None,
            cursor: at,
        };
        let Reply::JobDevices(page) = perform(&wire, &call).await.unwrap() else { panic!("not devices") };
        failed.extend(page.items.into_iter().map(|row| row.device));
        cursor = page.next;
    }
    assert_eq!(failed, new.devices, "spelled `timeout`, which no document lists");
}

#[tokio::test]
async fn devices_are_read_in_pages_of_250_and_only_those_of_the_product() {
    let wire = Wire::new(
        "
devices:
- {count: 260, idPrefix: m-, product: \"Acme/Water Meter/WM&1\", firmware: V1, groups: [north]}
- {count: 5, idPrefix: x-, product: \"Acme/Water Meter/WM2\", firmware: V1}
groups: [{name: north, id: aa}]
",
    );
    let (mut cursor, mut seen) = (Some(Cursor::start()), Vec::new());
    while let Some(at) = cursor {
        let call = Call::ListDevices { scope: DeviceScope::whole(PRODUCT), cursor: at };
        let Reply::Devices(page) = perform(&wire, &call).await.unwrap() else { panic!("not devices") };
        seen.extend(page.items);
        cursor = page.next;
    }
    assert_eq!(seen.len(), 260);
    assert_eq!((seen[0].firmware.as_deref(), seen[0].online), (Some("V1"), Some(true)));
    let call = Call::ShowDevice { scope: DeviceScope::whole("m/t/o"), id: "none".into() };
    assert_eq!(perform(&wire, &call).await.unwrap_err().class, ErrorClass::NotFound);
    let call =
        Call::ListGroupDevices { product: "m/t/o".into(), group: "aa".into(), cursor: Cursor::start() };
    let Reply::DeviceIds(page) = perform(&wire, &call).await.unwrap() else { panic!("not ids") };
    assert_eq!((page.items.len(), page.total, page.next.is_some()), (250, Some(260), true));
}

#[tokio::test]
async fn what_this_cloud_cannot_do_is_refused_with_what_to_use_and_nothing_is_sent() {
    let wire = Wire::new("");
    let with = |change: Value| {
        let delivery: Delivery = serde_json::from_value(change).unwrap();
        Call::CreateJob(new_job("f", 1, delivery))
    };
    let cases = [
        (Call::CreateJob(new_job("f", 257, Delivery::default())), "257 devices are more than 256"),
        (Call::CreateJob(new_job("f", 0, Delivery::default())), "targets.devices"),
        (Call::StopJob { id: "j".into() }, "cannot be stopped"),
        (Call::DeleteJob { id: "j".into() }, "cannot be deleted"),
        (
            Call::ListTaggedDevices {
                product: "m/t/o".into(),
                key: "k".into(),
                values: vec![],
                cursor: Cursor::start(),
            },
            "spec.targets.groups",
        ),
        (
            Call::ListDevices { scope: DeviceScope::whole("meter"), cursor: Cursor::start() },
            "manufacturer/deviceType/model",
        ),
        (with(json!({"retry": {"limit": 1, "interval": "1m"}})), "spec.delivery.retry.interval"),
        (with(json!({"push": true})), "spec.delivery.push"),
        (with(json!({"confirm": true})), "spec.delivery.confirm"),
        (with(json!({"deviceInitiated": true})), "spec.delivery.deviceInitiated"),
        (with(json!({"downloadProtocol": "Https"})), "spec.delivery.downloadProtocol"),
        (with(json!({"overwrite": true})), "spec.delivery.overwrite"),
        (with(json!({"tags": {"a": "b"}})), "spec.delivery.tags"),
    ];
    for (call, expected) in cases {
        let error = perform(&wire, &call).await.unwrap_err();
        assert_eq!((error.class, error.effect), (ErrorClass::Invalid, Effect::None), "{error}");
        assert!(error.to_string().contains(expected) && !error.next_step.is_empty(), "{expected}: {error}");
    }
    assert_eq!(wire.paths(), Vec::<String>::new());
    let at_limit = OceanConnectClient::new(&spec(), "s".into(), &Sessions::default(), wire);
    assert!(at_limit.render(&Call::CreateJob(new_job("f", 256, Delivery::default()))).is_ok());
    let can = at_limit.capabilities();
    assert_eq!((can.creates_packages, can.stops_jobs), (false, false));
    assert_eq!(can.job_identity, JobIdentity::Devices);
    assert!(
        can.requests_per_second * 60 + can.burst <= 90,
        "below 100 calls a minute, whatever they ask for"
    );
}
