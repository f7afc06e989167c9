//! Alibaba Cloud IoT Platform, as the world must know it.

use super::{
    Deed, JobTruth, Order, Run, Side, SimulatedPackage, StrangeDeed, Switches, Topic, ask, standing_at,
};
use crate::{files, parts};
use jiff::Timestamp;
use rollwave::api::{CloudKind, Kind, OtaCloud};
use rollwave::cloud::aliyun_iot::sign::{self, Pairs, Scheme, Signer};
use rollwave::cloud::aliyun_iot::{self, Keys};
use rollwave::cloud::{Cloud, PackageKind, Transport, WireRequest, WireResponse};
use rollwave::simulator::aliyun_iot::{Action, STORE, operation_of};
use rollwave::simulator::{End, Simulator, TaskTruth};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, sync::Arc};

const HOST: &str = "127.0.0.1:3";
const ENDPOINT: &str = "http://127.0.0.1:3";
const REGION: &str = "cn-shanghai";
/// Tasks to which something may still happen.
const OPEN: [&str; 4] = ["CONFIRM", "QUEUED", "NOTIFIED", "IN_PROGRESS"];
const ANSWERED: [&str; 2] = ["SUCCEEDED", "FAILED"];
const FINAL: [&str; 2] = ["COMPLETED", "CANCELED"];
/// Parameters that are others in every request, or are nobody's business.
const OF_ONE_REQUEST: [&str; 4] = ["SignatureNonce", "Timestamp", "Signature", "AccessKeyId"];
const TOKEN_LENGTH: usize = 16;

/// Alibaba Cloud IoT Platform.
pub(super) struct Aliyun;

fn instance(n: u64) -> String {
    format!("iot-instance{n}")
}

fn access_key(instance: &str) -> String {
    format!("AK-of-{instance}")
}

fn secret(instance: &str) -> String {
    format!("S3CRET-key-of-{instance}-never-to-be-seen")
}

impl Side for Aliyun {
    fn lists_jobs_without_package(&self) -> bool {
        false
    }

    fn account(&self, n: u64) -> String {
        instance(n)
    }

    fn account_of<'a>(&self, cloud: &'a OtaCloud) -> Option<&'a str> {
        cloud.spec.aliyun_iot.as_ref()?.iot_instance_id.as_deref()
    }

    fn secrets(&self, n: u64) -> Vec<String> {
        vec![secret(&instance(n))]
    }

    fn manifest(&self, n: u64, way: u64) -> Value {
        let signature = if way.is_multiple_of(2) { "Acs3" } else { "Rpc" };
        json!({
            "aliyunIot": {
                "endpoint": ENDPOINT, "regionId": REGION, "iotInstanceId": instance(n), "signature": signature,
            },
            "credentials": {"accessKey": "env:AK", "secretKey": "env:SK"},
        })
    }

    /// Calls of an action a second are limited but where a crowd would never come together.
    fn simulated(&self, accounts: &[u64], switches: Switches) -> Value {
        let account = |n: &u64| {
            let id = instance(*n);
            json!({"regionId": REGION, "iotInstanceId": id, "accessKey": access_key(&id), "secretKey": secret(&id)})
        };
        json!({
            "accounts": accounts.iter().map(account).collect::<Vec<_>>(),
            "duplicateVersions": if switches.rejects_duplicates { "reject" } else { "allow" },
            "throttled": !switches.is_crowded,
        })
    }

    fn has_software(&self) -> bool {
        false
    }

    fn has_parts(&self) -> bool {
        true
    }

    /// Every device of a verification must succeed here.
    fn fit(&self, kind: Kind, spec: &mut Value) {
        if kind == Kind::OtaPackage {
            parts::as_module(spec);
            files::upload_for(spec);
            files::add_md5(spec);
            if let Some(verification) = spec.get_mut("verification") {
                verification["minSuccess"] = json!("100%");
            }
        }
    }

    fn connect(&self, cloud: &OtaCloud, wire: Arc<dyn Transport>, run: &Run) -> Option<Arc<dyn Cloud>> {
        let spec = cloud.spec.aliyun_iot.as_ref()?;
        let id = spec.iot_instance_id.as_deref()?;
        let keys = Keys { id: access_key(id).into(), secret: secret(id).into(), security_token: None };
        let nonces = format!("process {}, client {}", run.number, run.next_client());
        Some(aliyun_iot::connect(spec, keys, wire, &nonces))
    }

    fn order_of(&self, request: &WireRequest) -> Option<Order> {
        if request.origin != ENDPOINT {
            return None;
        }
        let operation = operation_of(request)?;
        let query = sign::parse_query(&request.query);
        let of = |name: &str| {
            let found = query.iter().find(|(given, _)| given == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let deed = match Action::named(operation) {
            None => Deed::Upload,
            Some(Action::GenerateOTAUploadURL) => Deed::Upload,
            Some(Action::CreateOTAFirmware) => Deed::CreatePackage { version: of("DestVersion") },
            Some(Action::CreateOTAVerifyJob | Action::CreateOTAStaticUpgradeJob) => job(&query),
            Some(Action::DeleteOTAFirmware) => Deed::DeletePackage { id: of("FirmwareId") },
            Some(Action::CancelOTATaskByJob) => Deed::StopJob { id: of("JobId") },
            Some(
                Action::ListOTAFirmware
                | Action::ListOTAJobByFirmware
                | Action::ListOTATaskByJob
                | Action::QueryDevice
                | Action::QueryDeviceByTags
                | Action::QueryDeviceListByDeviceGroup,
            ) => Deed::List { goes_on: of("CurrentPage") != "1" },
            Some(
                Action::QueryOTAFirmware
                | Action::QueryOTAJob
                | Action::ListOTAModuleByProduct
                | Action::ListOTAModuleVersionsByDevice
                | Action::QueryDeviceDetail
                | Action::BatchQueryDeviceDetail,
            ) => Deed::Show,
            _ => Deed::Never,
        };
        let topic = match Action::named(operation) {
            // The versions of a device's modules are read one by one, by lists of devices, too.
            Some(Action::QueryDeviceDetail) => Topic::Device(of("DeviceName")),
            Some(Action::QueryOTAJob) => Topic::Job(of("JobId")),
            Some(Action::ListOTATaskByJob) => Topic::JobDevices(of("JobId")),
            Some(Action::QueryOTAFirmware) => Topic::Package(of("FirmwareId")),
            Some(_) if matches!(deed, Deed::List { .. }) => Topic::List,
            _ => Topic::Other,
        };
        let show_versions = ["QueryDeviceDetail", "BatchQueryDeviceDetail", "ListOTAModuleVersionsByDevice"];
        let shows_versions = show_versions.contains(&operation);
        let mut asked = query.clone();
        asked.retain(|(name, _)| !OF_ONE_REQUEST.contains(&name.as_str()));
        Some(Order {
            cloud: CloudKind::AliyunIot,
            operation,
            account: of("IotInstanceId"),
            deed,
            topic,
            shows_versions,
            question: format!("{operation} {}", sign::canonical_query(&asked)),
        })
    }

    /// Keys of these worlds are for good.
    fn refuses_token(&self, _: &WireResponse) -> bool {
        false
    }

    fn default_budget(&self) -> (u32, u32) {
        (5, 5)
    }

    fn lag_secs(&self) -> u64 {
        30
    }

    /// Of ListOTAJobByFirmware.
    fn page(&self) -> usize {
        200
    }

    fn kind_of(&self, package: &SimulatedPackage) -> PackageKind {
        if package.kind == parts::MODULE { PackageKind::Software } else { PackageKind::Firmware }
    }

    fn job(&self, task: TaskTruth) -> JobTruth {
        let (open, answered) = (standing_at(&task, &OPEN), standing_at(&task, &ANSWERED));
        // Its tags, of which ours is the first.
        let tag = task.name.split(' ').next().unwrap_or_default();
        JobTruth {
            account: task.account,
            id: task.id,
            token: token_of(tag),
            name: task.name,
            kind: PackageKind::Firmware,
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
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let (action, parameters) = match deed {
            StrangeDeed::CreatePackage { version, file, .. } => {
                return create_package(simulator, n, version, *file, now);
            }
            StrangeDeed::CreateJob { name, package, devices, .. } => {
                ("CreateOTAStaticUpgradeJob", new_job(name, package, devices))
            }
            StrangeDeed::DeletePackage { id } => ("DeleteOTAFirmware", vec![of("FirmwareId", id)]),
            StrangeDeed::StopJob { id } => {
                let flags = ["Scheduled", "Queued", "Notified", "InProgress", "Unconfirmed"];
                let flags = flags.map(|flag| of(&format!("Cancel{flag}Task"), "true"));
                ("CancelOTATaskByJob", [&[of("JobId", id)], &flags[..]].concat())
            }
            StrangeDeed::DeleteJob { .. } => return "no call deletes a job".to_owned(),
            StrangeDeed::DeleteDevice { id } => return super::removed(simulator, id, now),
        };
        let request = signed(simulator, n, action, &parameters, now);
        ask(simulator, &request, now)
    }
}

/// What may be a token of ours in the tags of a job.
fn token_of(tag: &str) -> Option<String> {
    let is_one = tag.len() == TOKEN_LENGTH && tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_one.then(|| tag.to_owned())
}

fn job(query: &Pairs) -> Deed {
    let all = |prefix: &'static str| {
        query.iter().filter(move |(name, _)| name.starts_with(prefix)).map(|(_, value)| value.clone())
    };
    let name = query.iter().find(|(name, _)| name == "Tag.1.Value").map(|(_, value)| value.clone());
    let name = name.unwrap_or_default();
    Deed::CreateJob {
        token: token_of(&name),
        name,
        likeness: None,
        devices: all("TargetDeviceName.").collect(),
    }
}

/// Their jobs have a tag of theirs, which may look like ours.
fn new_job(name: &str, package: &str, devices: &[String]) -> Pairs {
    let tag = name.rsplit_once('_').filter(|_| name.starts_with("rw_")).map_or(name, |(_, token)| token);
    let named = devices.iter().zip(1..).map(|(device, n)| (format!("TargetDeviceName.{n}"), device.clone()));
    let fixed = [
        ("FirmwareId", package),
        ("ProductKey", "meter"),
        ("TargetSelection", "SPECIFIC"),
        ("Tag.1.Key", "rollwave"),
        ("Tag.1.Value", tag),
    ];
    fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(named).collect()
}

/// A call of somebody else; no two have the same nonce.
fn signed(
    simulator: &Simulator,
    n: u64,
    action: &str,
    parameters: &[(String, String)],
    now: Timestamp,
) -> WireRequest {
    let instance = instance(n);
    let mut parameters = parameters.to_vec();
    parameters.push(("IotInstanceId".to_owned(), instance.clone()));
    let nonce = format!("{action} {now} {} {parameters:?}", simulator.total_calls());
    let nonce = hex::encode(Sha256::digest(nonce));
    let (id, secret) = (access_key(&instance), secret(&instance).into());
    let signer = Signer { id: &id, secret: &secret, token: None, scheme: Scheme::Rpc };
    let added = sign::sign(&signer, "POST", HOST, action, &parameters, &nonce, now);
    let query: Pairs = added.query.into_iter().chain(parameters).collect();
    WireRequest {
        method: "POST",
        origin: ENDPOINT.to_owned(),
        path: "/".to_owned(),
        query: sign::canonical_query(&query),
        headers: added.headers,
        body: Vec::new().into(),
        upload: None,
    }
}

/// Their packages need no verification.
fn create_package(simulator: &mut Simulator, n: u64, version: &str, file: u64, now: Timestamp) -> String {
    let request = signed(simulator, n, "GenerateOTAUploadURL", &[], now);
    let End::Reply(permit) = simulator.handle(&request, now).end else { return "no permit".to_owned() };
    let permit: Value = serde_json::from_slice(&permit.body).unwrap_or_default();
    let granted = |name: &str| permit["Data"][name].as_str().unwrap_or_default().to_owned();
    let fields = [
        ("key", granted("Key")),
        ("policy", granted("Policy")),
        ("OSSAccessKeyId", granted("OSSAccessKeyId")),
        ("Signature", granted("Signature")),
    ];
    let part = |(name, value): (&str, String)| {
        format!("--theirs\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = fields.map(part).concat();
    let form = format!(
        "{fields}--theirs\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n{}\r\n--theirs--\r\n",
        files::path(file)
    );
    let upload = WireRequest {
        method: "POST",
        origin: ENDPOINT.to_owned(),
        path: STORE.to_owned(),
        query: String::new(),
        headers: vec![
            ("content-type".to_owned(), "multipart/form-data; boundary=theirs".to_owned()),
            ("host".to_owned(), HOST.to_owned()),
        ],
        body: form.into(),
        upload: None,
    };
    simulator.handle(&upload, now);
    let parameters = [
        ("FirmwareName", format!("theirs-{version}-{file}")),
        ("DestVersion", version.to_owned()),
        ("ProductKey", "meter".to_owned()),
        ("FirmwareUrl", granted("FirmwareUrl")),
        ("FirmwareSign", files::md5(file)),
        ("SignMethod", "MD5".to_owned()),
        ("NeedToVerify", "false".to_owned()),
    ];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value));
    let request = signed(simulator, n, "CreateOTAFirmware", &parameters, now);
    ask(simulator, &request, now)
}
