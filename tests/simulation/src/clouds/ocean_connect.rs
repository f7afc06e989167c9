//! Huawei OceanConnect, as the world must know it: packages come by hand, jobs carry nothing of ours, and no call stops one.

use super::{
    Deed, JobTruth, Order, Run, Side, SimulatedPackage, StrangeDeed, Switches, Topic, ask, standing_at,
};
use jiff::Timestamp;
use rollwave::api::{CloudKind, Kind, OtaCloud};
use rollwave::cloud::{Cloud, PackageKind, Transport, WireRequest, WireResponse, ocean_connect};
use rollwave::simulator::ocean_connect::{Operation, Route, UploadSpec};
use rollwave::simulator::{End, Simulator, TaskTruth};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, sync::Arc};

const ENDPOINT: &str = "http://127.0.0.1:4";
const PRODUCT: &str = "Acme/Meter/M1";
/// Sub tasks to which something may still happen.
const OPEN: [&str; 2] = ["wait", "processing"];
const ANSWERED: [&str; 2] = ["success", "fail"];
const FINAL: [&str; 3] = ["failed", "success", "stop"];
/// The token is not the application's last one.
const BAD_TOKEN: &str = "1010005";

/// Huawei OceanConnect.
pub(super) struct OceanConnect;

fn app(n: u64) -> String {
    format!("app{n}")
}

fn secret(app: &str) -> String {
    format!("S3CRET-of-{app}-never-to-be-seen")
}

impl Side for OceanConnect {
    fn account(&self, n: u64) -> String {
        app(n)
    }

    fn account_of<'a>(&self, cloud: &'a OtaCloud) -> Option<&'a str> {
        cloud.spec.ocean_connect.as_ref().map(|platform| platform.app_id.as_str())
    }

    fn secrets(&self, n: u64) -> Vec<String> {
        vec![secret(&app(n))]
    }

    fn manifest(&self, n: u64, _: u64) -> Value {
        json!({
            "oceanConnect": {"endpoint": ENDPOINT, "appId": app(n)},
            "credentials": {"appSecret": "env:SECRET"},
        })
    }

    fn simulated(&self, accounts: &[u64], switches: Switches) -> Value {
        let app = |n: &u64| {
            let id = app(*n);
            // A crowd comes by hand, but its lists are long.
            json!({"appId": id, "secret": secret(&id), "callsPerMinute": if switches.is_crowded { 0 } else { 100 }})
        };
        json!({"apps": accounts.iter().map(app).collect::<Vec<_>>()})
    }

    fn product(&self) -> &'static str {
        PRODUCT
    }

    fn has_software(&self) -> bool {
        true
    }

    fn fit(&self, kind: Kind, spec: &mut Value) {
        match kind {
            Kind::OtaCloud => {}
            Kind::OtaPackage => fit_package(spec),
            Kind::OtaRollout => {
                let targets = &mut spec["targets"];
                if targets.get("tags").is_some() {
                    *targets = json!({"all": true});
                }
            }
        }
    }

    /// There is little of a package that can be changed here.
    fn edit_of_package(&self, pick: u64) -> (&'static str, Value) {
        ("/spec/driftPolicy", json!(if pick.is_multiple_of(2) { "Report" } else { "Correct" }))
    }

    fn fit_devices(&self, devices: &mut Value) {
        devices["tags"] = json!({});
    }

    fn connect(&self, cloud: &OtaCloud, wire: Arc<dyn Transport>, run: &Run) -> Option<Arc<dyn Cloud>> {
        let spec = cloud.spec.ocean_connect.as_ref()?;
        Some(ocean_connect::connect(spec, secret(&spec.app_id).into(), &run.sessions, wire))
    }

    fn order_of(&self, request: &WireRequest) -> Option<Order> {
        let route = Route::of(request.method, &request.path)?;
        let (operation, id) = (route.operation, route.id);
        let key = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("app_key"));
        let goes_on = request.query.split('&').any(|pair| pair.starts_with("pageNo=") && pair != "pageNo=0");
        let topic = topic(operation, &id);
        let deed = match operation {
            Operation::Login | Operation::RefreshToken => Deed::SignIn,
            Operation::CreateFirmwareUpgradeTask => job(PackageKind::Firmware, &request.body),
            Operation::CreateSoftwareUpgradeTask => job(PackageKind::Software, &request.body),
            Operation::DeleteUpgradePackage => Deed::DeletePackage { id },
            Operation::ListUpgradePackages
            | Operation::ListUpgradeTasks
            | Operation::ListUpgradeSubTasks
            | Operation::ListDevices
            | Operation::ListGroupMembers => Deed::List { goes_on },
            Operation::ShowUpgradePackage | Operation::ShowUpgradeTask | Operation::ShowDevice => Deed::Show,
            _ => Deed::Never,
        };
        Some(Order {
            cloud: CloudKind::OceanConnect,
            operation: operation.as_str(),
            account: key.map(|(_, key)| key.clone()).unwrap_or_default(),
            deed,
            topic,
            shows_versions: matches!(operation, Operation::ListDevices | Operation::ShowDevice),
            question: request.to_string(),
        })
    }

    fn refuses_token(&self, answer: &WireResponse) -> bool {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        body["error_code"] == json!(BAD_TOKEN)
    }

    fn jobs_carry_tokens(&self) -> bool {
        false
    }

    fn packages_come_by_hand(&self) -> bool {
        true
    }

    fn default_budget(&self) -> (u32, u32) {
        (1, 30)
    }

    fn lag_secs(&self) -> u64 {
        30
    }

    fn page(&self) -> usize {
        100
    }

    fn kind_of(&self, package: &SimulatedPackage) -> PackageKind {
        kind(&package.kind)
    }

    /// A task has no name, and so no token: whoever saw it come to exist knows whose it is.
    fn job(&self, task: TaskTruth) -> JobTruth {
        let (open, answered) = (standing_at(&task, &OPEN), standing_at(&task, &ANSWERED));
        JobTruth {
            account: task.account,
            name: format!("task {}", task.id),
            id: task.id,
            token: None,
            kind: kind(&task.kind),
            is_final: FINAL.contains(&task.status.as_str()),
            packages: task.packages,
            devices: Some(task.targets.into_values().flatten().collect()),
            open,
            answered,
            never_began: task.never_began,
            tried_again: task.retried,
            untold: BTreeSet::new(),
        }
    }

    fn act(&self, simulator: &mut Simulator, n: u64, deed: &StrangeDeed, now: Timestamp) -> String {
        match deed {
            StrangeDeed::CreatePackage { kind, version, file } => {
                let upload =
                    upload(&app(n), *kind, version, &format!("file-{file}")).map_err(|e| e.to_string());
                let uploaded = upload
                    .and_then(|upload| simulator.upload_by_hand(&upload, now).map_err(|e| e.to_string()));
                uploaded.map_or_else(|why| why, |id| format!("package {id} is there"))
            }
            StrangeDeed::CreateJob { kind, package, devices, .. } => {
                create_job(simulator, n, *kind, package, devices, now)
            }
            StrangeDeed::DeletePackage { id } => delete_package(simulator, n, id, now),
            StrangeDeed::StopJob { id } => {
                if simulator.stop_by_hand(id, now) { "stopped" } else { "no such task" }.to_owned()
            }
            StrangeDeed::DeleteJob { .. } => "nobody can delete a task".to_owned(),
            StrangeDeed::DeleteDevice { id } => super::removed(simulator, id, now),
        }
    }
}

fn topic(operation: Operation, id: &str) -> Topic {
    match operation {
        Operation::ShowDevice => Topic::Device(id.to_owned()),
        Operation::ShowUpgradeTask => Topic::Job(id.to_owned()),
        Operation::ListUpgradeSubTasks => Topic::JobDevices(id.to_owned()),
        Operation::ShowUpgradePackage => Topic::Package(id.to_owned()),
        Operation::ListUpgradePackages
        | Operation::ListUpgradeTasks
        | Operation::ListDevices
        | Operation::ListGroupMembers => Topic::List,
        _ => Topic::Other,
    }
}

fn kind(name: &str) -> PackageKind {
    if name.starts_with("software") { PackageKind::Software } else { PackageKind::Firmware }
}

fn fit_package(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    spec.remove("description");
    spec.remove("deletionPolicy");
    spec.insert("product".to_owned(), json!({"manufacturer": "Acme", "deviceType": "Meter", "model": "M1"}));
    let sha256 = spec.get("artifact").and_then(|artifact| artifact.get("sha256")).cloned();
    spec.insert("artifact".to_owned(), json!({"sha256": sha256, "portal": {}}));
}

/// What a create asks for, and what a task that came of it looks like: as the journal writes it down.
fn job(kind: PackageKind, body: &[u8]) -> Deed {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let devices = body["targets"]["devices"].as_array().into_iter().flatten();
    let devices: BTreeSet<String> = devices.filter_map(Value::as_str).map(str::to_owned).collect();
    let policy = &body["policy"];
    let start = if policy["executeType"] == "device_online" { "DeviceOnline" } else { "Now" };
    let retries = policy["retryTimes"].as_u64().unwrap_or(0);
    let text = json!([kind, devices, start, retries]).to_string();
    let digest = Sha256::digest(text).iter().take(16).copied().collect::<Vec<u8>>();
    let name = format!("a task for {} devices", devices.len());
    Deed::CreateJob { name, token: None, likeness: Some(hex::encode(digest)), devices }
}

/// Whatever runs on the devices of these worlds is among the versions that people name in the form.
fn upload(app: &str, kind: PackageKind, version: &str, name: &str) -> Result<UploadSpec, serde_json::Error> {
    let file_type = match kind {
        PackageKind::Firmware => "firmwarePackage",
        PackageKind::Software => "softwarePackage",
    };
    serde_json::from_value(json!({
        "app": app, "fileType": file_type, "product": PRODUCT, "version": version, "name": name,
        "sourceVersions": ["V1", "V2", "V3", "V4", "V5", "S1"],
    }))
}

/// Another program signs in with the application, and ends our token by that.
fn called(simulator: &mut Simulator, n: u64, mut request: WireRequest, now: Timestamp) -> String {
    let app = app(n);
    let login = WireRequest {
        method: "POST",
        path: "/iocm/app/sec/v1.1.0/login".to_owned(),
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
        body: format!("appId={app}&secret={}", secret(&app)).into(),
        ..request.clone()
    };
    let End::Reply(reply) = simulator.handle(&login, now).end else { return "no login".to_owned() };
    let reply: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let token = reply["accessToken"].as_str().unwrap_or_default();
    request.headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("app_key".to_owned(), app),
        ("authorization".to_owned(), format!("Bearer {token}")),
    ];
    ask(simulator, &request, now)
}

fn request(method: &'static str, path: &str, body: Vec<u8>) -> WireRequest {
    WireRequest {
        method,
        origin: ENDPOINT.to_owned(),
        path: format!("/iodm/northbound/v1.5.0/{path}"),
        query: String::new(),
        headers: Vec::new(),
        body: body.into(),
        upload: None,
    }
}

fn delete_package(simulator: &mut Simulator, n: u64, id: &str, now: Timestamp) -> String {
    called(simulator, n, request("DELETE", &format!("category/{id}"), Vec::new()), now)
}

fn create_job(
    simulator: &mut Simulator,
    n: u64,
    kind: PackageKind,
    package: &str,
    devices: &[String],
    now: Timestamp,
) -> String {
    let name = match kind {
        PackageKind::Firmware => "operations/firmwareUpgrade",
        PackageKind::Software => "operations/softwareUpgrade",
    };
    let body = json!({"fileId": package, "targets": {"devices": devices}, "policy": {"executeType": "now"}});
    called(simulator, n, request("POST", name, body.to_string().into_bytes()), now)
}
