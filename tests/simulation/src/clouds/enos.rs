//! Envision EnOS, as the world must know it.

use super::{
    Deed, JobTruth, Order, Run, Side, SimulatedPackage, StrangeDeed, Switches, Topic, ask, standing_at,
};
use crate::files;
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use rollwave::api::{CloudKind, Kind, OtaCloud};
use rollwave::cloud::enos::{self, Keys, sign, token_of};
use rollwave::cloud::{Cloud, PackageKind, Transport, WireRequest, WireResponse};
use rollwave::simulator::enos::Operation;
use rollwave::simulator::{Simulator, TaskTruth};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

const ENDPOINT: &str = "http://127.0.0.1:2";
const FIRMWARES: &str = "ota-firmwares";
const JOBS: &str = "ota-jobs";
/// The gateway says that a token has ended.
const TOKEN_EXPIRED: i64 = 1203;
/// Devices in these statuses may still be sent something, and are at it.
const WAITING: &str = "init";
const BUSY: [&str; 2] = ["published", "upgrading"];

/// Envision EnOS.
pub(super) struct Enos;

fn organisation(n: u64) -> String {
    format!("org{n}")
}

fn key(name: &str, organisation: &str) -> String {
    format!("S3CRET-{name}-of-{organisation}-never-to-be-seen")
}

impl Side for Enos {
    fn account(&self, n: u64) -> String {
        organisation(n)
    }

    fn account_of<'a>(&self, cloud: &'a OtaCloud) -> Option<&'a str> {
        cloud.spec.enos.as_ref().map(|enos| enos.org_id.as_str())
    }

    fn secrets(&self, n: u64) -> Vec<String> {
        ["key", "secret"].map(|name| key(name, &organisation(n))).to_vec()
    }

    fn manifest(&self, n: u64, _: u64) -> Value {
        json!({
            "enos": {"endpoint": ENDPOINT, "orgId": organisation(n)},
            "credentials": {"accessKey": "env:AK", "secretKey": "env:SK"},
        })
    }

    /// Other people call as the Poseidon SDK does: their calls need no token and no time of their own.
    fn simulated(&self, accounts: &[u64], _: Switches) -> Value {
        let account = |n: &u64| {
            let id = organisation(*n);
            json!({"orgId": id, "appKey": key("key", &id), "appSecret": key("secret", &id), "poseidon": {}})
        };
        json!({"accounts": accounts.iter().map(account).collect::<Vec<_>>(), "wrongDigests": "reject"})
    }

    fn has_software(&self) -> bool {
        false
    }

    fn fit(&self, kind: Kind, spec: &mut Value) {
        match kind {
            Kind::OtaCloud => {}
            Kind::OtaPackage => files::upload_for(spec),
            Kind::OtaRollout => {
                let targets = &mut spec["targets"];
                if targets.get("groups").is_some() || targets.get("tags").is_some() {
                    *targets = json!({"all": true});
                }
            }
        }
    }

    fn fit_devices(&self, devices: &mut Value) {
        devices["groups"] = json!([]);
        devices["attributes"] = json!({"model": "x1"});
    }

    fn connect(&self, cloud: &OtaCloud, wire: Arc<dyn Transport>, _: &Run) -> Option<Arc<dyn Cloud>> {
        let spec = cloud.spec.enos.as_ref()?;
        let [app_key, app_secret] = ["key", "secret"].map(|name| key(name, &spec.org_id).into());
        Some(enos::connect(spec, Keys { app_key, app_secret }, wire))
    }

    fn order_of(&self, request: &WireRequest) -> Option<Order> {
        let query = sign::parse_query(&request.query);
        let operation = Operation::of(request.method, &request.path, &query)?;
        let of = |name: &str| {
            let found = query.iter().find(|(given, _)| given == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let deed = match operation {
            Operation::GetToken | Operation::RefreshToken => Deed::SignIn,
            Operation::CreateFirmware => Deed::CreatePackage { version: version_in(&request.body) },
            Operation::CreateJob => job(&body),
            Operation::DeleteFirmware => Deed::DeletePackage { id: of("firmwareId") },
            Operation::StopJob => Deed::StopJob { id: of("jobId") },
            Operation::DeleteJob => Deed::DeleteJob { id: of("jobId") },
            Operation::SearchFirmwares
            | Operation::SearchDeviceUpgrades
            | Operation::SearchDevices
            | Operation::SearchJobs
            | Operation::SearchTasks => Deed::List { goes_on: body["pagination"]["pageNo"] != json!(1) },
            Operation::GetFirmware | Operation::GetJob => Deed::Show,
            _ => Deed::Never,
        };
        let topic = match operation {
            Operation::GetJob => Topic::Job(of("jobId")),
            Operation::SearchTasks => Topic::JobDevices(job_in(&body)),
            Operation::GetFirmware => Topic::Package(of("firmwareId")),
            Operation::SearchFirmwares
            | Operation::SearchDeviceUpgrades
            | Operation::SearchDevices
            | Operation::SearchJobs => Topic::List,
            _ => Topic::Other,
        };
        let asked = if deed == Deed::SignIn { Value::Null } else { body };
        Some(Order {
            cloud: CloudKind::Enos,
            operation: operation.as_str(),
            account: of("orgId"),
            deed,
            topic,
            shows_versions: operation == Operation::SearchDeviceUpgrades,
            question: format!("{request} {asked}"),
        })
    }

    fn refuses_token(&self, answer: &WireResponse) -> bool {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        body["code"] == json!(TOKEN_EXPIRED)
    }

    fn default_budget(&self) -> (u32, u32) {
        (5, 10)
    }

    fn lag_secs(&self) -> u64 {
        10
    }

    fn page(&self) -> usize {
        50
    }

    fn kind_of(&self, _: &SimulatedPackage) -> PackageKind {
        PackageKind::Firmware
    }

    /// A stopped job lets devices finish that are at it, and sends nothing to those that wait, which look as if they had failed.
    fn job(&self, task: TaskTruth) -> JobTruth {
        let mut open = standing_at(&task, &BUSY);
        let (mut answered, mut untold) =
            (standing_at(&task, &["succeeded"]), standing_at(&task, &["failed"]));
        if task.status == "started" {
            open.extend(standing_at(&task, &[WAITING]));
            answered.append(&mut untold);
        }
        JobTruth {
            account: task.account,
            id: task.id,
            token: token_of(&task.name).map(str::to_owned),
            name: task.name,
            kind: PackageKind::Firmware,
            is_final: open.is_empty(),
            packages: task.packages,
            devices: None,
            open,
            answered,
            never_began: BTreeSet::new(),
            tried_again: BTreeSet::new(),
            untold,
        }
    }

    fn act(&self, simulator: &mut Simulator, n: u64, deed: &StrangeDeed, now: Timestamp) -> String {
        let order = |folder, action, query: &[(&str, &str)], body: Value| {
            let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
            request(n, folder, action, query, ("application/json", body))
        };
        let request = match deed {
            StrangeDeed::CreatePackage { version, file, .. } => upload(n, version, *file),
            StrangeDeed::CreateJob { name, package, devices, .. } => {
                let body = new_job(simulator, name, package, devices);
                order(JOBS, "create", &[("firmwareId", package)], body)
            }
            StrangeDeed::DeletePackage { id } => {
                order(FIRMWARES, "delete", &[("firmwareId", id)], Value::Null)
            }
            StrangeDeed::StopJob { id } => order(JOBS, "stop", &[("jobId", id)], Value::Null),
            StrangeDeed::DeleteJob { id } => {
                // What runs cannot be deleted, and a job that is done looks like one that runs.
                ask(simulator, &order(JOBS, "stop", &[("jobId", id)], Value::Null), now);
                order(JOBS, "delete", &[("jobId", id)], Value::Null)
            }
            StrangeDeed::DeleteDevice { id } => return super::removed(simulator, id, now),
        };
        ask(simulator, &request, now)
    }
}

/// The version in the form that a firmware is created with.
fn version_in(form: &[u8]) -> String {
    let text = String::from_utf8_lossy(form);
    let metadata = text.split("\r\n").find_map(|line| serde_json::from_str::<Value>(line).ok());
    metadata.and_then(|metadata| Some(metadata["version"].as_str()?.to_owned())).unwrap_or_default()
}

/// The job whose devices are searched for, as our client writes it.
fn job_in(search: &Value) -> String {
    let expression = search["expression"].as_str().unwrap_or_default();
    let named = expression.split_once("jobId = ").map_or("", |(_, named)| named);
    named.split(['\'', '"']).nth(1).unwrap_or_default().to_owned()
}

fn job(body: &Value) -> Deed {
    let name = body["name"]["defaultValue"].as_str().unwrap_or_default().to_owned();
    let devices = body["upgradeScope"]["deviceKeys"].as_array().into_iter().flatten();
    let devices = devices.filter_map(Value::as_str).map(str::to_owned).collect();
    Deed::CreateJob { token: token_of(&name).map(str::to_owned), name, likeness: None, devices }
}

fn request(
    n: u64,
    folder: &str,
    action: &str,
    query: &[(&str, &str)],
    (kind, body): (&str, Vec<u8>),
) -> WireRequest {
    let organisation = organisation(n);
    let query = [query, &[("action", action), ("orgId", &organisation)]].concat();
    WireRequest {
        method: "POST",
        origin: ENDPOINT.to_owned(),
        path: format!("/connect-service/v2.1/{folder}"),
        query: sign::wire_query(&query),
        headers: vec![
            ("content-type".to_owned(), kind.to_owned()),
            (sign::TOKEN_HEADER.to_owned(), BASE64_STANDARD.encode([7; 256])),
        ],
        body: body.into(),
        upload: None,
    }
}

/// Their firmware needs no verification.
fn upload(n: u64, version: &str, file: u64) -> WireRequest {
    let name = format!("theirs-{version}");
    let metadata = json!({
        "name": {"defaultValue": name, "i18nValue": {}}, "version": version, "signMethod": "sha256",
        "sign": files::sha256(file), "enableVerification": false,
    });
    let form = format!(
        "--theirs\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\r\n\
         --theirs\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n{}\r\n--theirs--\r\n",
        files::path(file)
    );
    let kind = "multipart/form-data; boundary=theirs";
    request(n, FIRMWARES, "create", &[("productKey", "meter")], (kind, form.into_bytes()))
}

fn new_job(simulator: &Simulator, name: &str, package: &str, devices: &[String]) -> Value {
    let own = super::packages(simulator).into_iter().find(|known| known.id == package);
    let own = own.map(|package| package.version).unwrap_or_default();
    let from: Vec<&str> = ["V1", "V2", "V3"].into_iter().filter(|version| *version != own).collect();
    json!({
        "name": {"defaultValue": name, "i18nValue": {}}, "type": "upgrade", "upgradePolicy": "snapshot",
        "enableUpgradeRequest": false,
        "upgradeScope": {"type": "partial", "versionNumbers": from, "deviceKeys": devices},
    })
}
