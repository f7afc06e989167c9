//! Huawei Cloud IoTDA, as the world must know it.

use super::{
    Deed, JobTruth, Order, Run, Side, SimulatedPackage, StrangeDeed, Switches, Topic, ask, standing_at,
};
use jiff::Timestamp;
use rollwave::api::{CloudKind, IotdaAuth, Kind, OtaCloud};
use rollwave::cloud::huawei_iotda::sign::{self, AccountHeaders, Algorithm, Signer, Subject};
use rollwave::cloud::huawei_iotda::{self, Keys, User, token_of};
use rollwave::cloud::{Cloud, PackageKind, Transport, WireRequest, WireResponse};
use rollwave::simulator::iotda::{Operation, Route};
use rollwave::simulator::{Simulator, TaskTruth};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

/// Sub tasks to which something may still happen.
const OPEN: [&str; 3] = ["Waitting", "Processing", "FailWaitRetry"];
const ANSWERED: [&str; 2] = ["Success", "Fail"];
const FINAL: [&str; 4] = ["Success", "Fail", "PartialSuccess", "Stopped"];
const ENDPOINT: &str = "http://127.0.0.1:1";
const REGION: &str = "cn-north-4";

fn project(n: u64) -> String {
    format!("project{n}")
}

fn secret(name: &str, project: &str) -> String {
    format!("S3CRET-{name}-of-{project}-never-to-be-seen")
}

fn access_key(project: &str) -> String {
    format!("AK{}", project.to_uppercase())
}

fn user(project: &str) -> String {
    format!("operator-{project}")
}

/// Huawei Cloud IoTDA.
pub(super) struct Iotda;

impl Side for Iotda {
    fn account(&self, n: u64) -> String {
        project(n)
    }

    fn account_of<'a>(&self, cloud: &'a OtaCloud) -> Option<&'a str> {
        cloud.spec.huawei_iotda.as_ref().map(|iotda| iotda.project_id.as_str())
    }

    fn secrets(&self, n: u64) -> Vec<String> {
        ["key", "password"].map(|name| secret(name, &project(n))).to_vec()
    }

    fn manifest(&self, n: u64, way: u64) -> Value {
        let auth = ["V11", "SdkHmac", "V11", "Token"][usize::try_from(way % 4).unwrap_or(0)];
        json!({
            "huaweiIotda": {
                "endpoint": ENDPOINT, "iamEndpoint": ENDPOINT, "region": REGION,
                "projectId": project(n), "appId": "app", "auth": auth,
            },
            "credentials": if auth == "Token" {
                json!({"username": "env:USER", "password": "env:PASSWORD", "domain": "env:DOMAIN"})
            } else {
                json!({"accessKey": "env:AK", "secretKey": "env:SK"})
            },
        })
    }

    fn simulated(&self, accounts: &[u64], switches: Switches) -> Value {
        let account = |n: &u64| {
            let project = project(*n);
            json!({
                "projectId": project, "appId": "app", "region": REGION,
                "accessKey": access_key(&project), "secretKey": secret("key", &project),
                "users": [{"username": user(&project), "password": secret("password", &project), "domain": "world"}],
            })
        };
        let duplicates = if switches.rejects_duplicates { "reject" } else { "allow" };
        let accounts: Vec<Value> = accounts.iter().map(account).collect();
        json!({"accounts": accounts, "duplicatePackages": duplicates})
    }

    fn has_software(&self) -> bool {
        true
    }

    fn fit(&self, _: Kind, _: &mut Value) {}

    fn connect(&self, cloud: &OtaCloud, wire: Arc<dyn Transport>, _: &Run) -> Option<Arc<dyn Cloud>> {
        let spec = cloud.spec.huawei_iotda.as_ref()?;
        let keys = match spec.auth {
            IotdaAuth::Token => Keys::User(User {
                name: user(&spec.project_id).into(),
                password: secret("password", &spec.project_id).into(),
                domain: "world".into(),
            }),
            _ => Keys::AccessKey {
                id: access_key(&spec.project_id).into(),
                secret: secret("key", &spec.project_id).into(),
                security_token: None,
            },
        };
        Some(huawei_iotda::connect(spec, keys, wire))
    }

    fn order_of(&self, request: &WireRequest) -> Option<Order> {
        let route = Route::of(request.method, &request.path)?;
        let id = route.id;
        let shows_versions = matches!(route.operation, Operation::ListDevices | Operation::ShowDevice);
        let topic = topic(route.operation, &id);
        let deed = match route.operation {
            Operation::CreateToken | Operation::ListProjects => Deed::SignIn,
            Operation::CreateOtaPackage => {
                let version = text(&body(request), "version");
                Deed::CreatePackage { version }
            }
            Operation::CreateBatchTask => job(&body(request)),
            Operation::DeleteOtaPackage => Deed::DeletePackage { id },
            Operation::StopBatchTask => Deed::StopJob { id },
            Operation::ListOtaPackageInfo
            | Operation::ListBatchTasks
            | Operation::ListDevices
            | Operation::ShowDevicesInGroup
            | Operation::ListResourcesByTags => Deed::List { goes_on: request.query.contains("marker=") },
            Operation::ShowOtaPackage | Operation::ShowBatchTask | Operation::ShowDevice => Deed::Show,
            _ => Deed::Never,
        };
        Some(Order {
            cloud: CloudKind::HuaweiIotda,
            operation: route.operation.as_str(),
            account: route.project,
            deed,
            topic,
            shows_versions,
            question: request.to_string(),
        })
    }

    fn refuses_token(&self, answer: &WireResponse) -> bool {
        answer.status == 401
    }

    fn default_budget(&self) -> (u32, u32) {
        (10, 20)
    }

    fn lag_secs(&self) -> u64 {
        30
    }

    fn page(&self) -> usize {
        50
    }

    fn kind_of(&self, package: &SimulatedPackage) -> PackageKind {
        kind(&package.kind)
    }

    fn job(&self, task: TaskTruth) -> JobTruth {
        let (open, answered) = (standing_at(&task, &OPEN), standing_at(&task, &ANSWERED));
        JobTruth {
            account: task.account,
            id: task.id,
            token: token_of(&task.name).map(str::to_owned),
            name: task.name,
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
        ask(simulator, &of_a_stranger(n, deed, now), now)
    }
}

fn topic(operation: Operation, id: &str) -> Topic {
    match operation {
        Operation::ShowDevice => Topic::Device(id.to_owned()),
        // Job and devices are one answer.
        Operation::ShowBatchTask => Topic::JobDevices(id.to_owned()),
        Operation::ShowOtaPackage => Topic::Package(id.to_owned()),
        Operation::ListOtaPackageInfo
        | Operation::ListBatchTasks
        | Operation::ListDevices
        | Operation::ShowDevicesInGroup
        | Operation::ListResourcesByTags => Topic::List,
        _ => Topic::Other,
    }
}

fn kind(name: &str) -> PackageKind {
    if name.starts_with("software") { PackageKind::Software } else { PackageKind::Firmware }
}

fn body(request: &WireRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

fn text(body: &Value, field: &str) -> String {
    body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn job(body: &Value) -> Deed {
    let name = text(body, "task_name");
    let devices = body.get("targets").and_then(Value::as_array).into_iter().flatten();
    let devices = devices.filter_map(Value::as_str).map(str::to_owned).collect();
    Deed::CreateJob { token: token_of(&name).map(str::to_owned), name, likeness: None, devices }
}

fn of_a_stranger(n: u64, deed: &StrangeDeed, now: Timestamp) -> WireRequest {
    let project = project(n);
    let (method, path, body) = match deed {
        StrangeDeed::CreatePackage { kind, version, file } => {
            let kind = match kind {
                PackageKind::Firmware => "firmwarePackage",
                PackageKind::Software => "softwarePackage",
            };
            let object = json!({"region_name": REGION, "bucket_name": "theirs", "object_key": "a.bin", "sign": format!("{file:064x}")});
            let body = json!({
                "app_id": "app", "package_type": kind, "product_id": "meter", "version": version,
                "file_location": {"obs_location": object},
            });
            ("POST", "ota-upgrades/packages".to_owned(), body)
        }
        StrangeDeed::CreateJob { name, kind, package, devices } => {
            let kind = match kind {
                PackageKind::Firmware => "firmwareUpgrade",
                PackageKind::Software => "softwareUpgrade",
            };
            let body = json!({
                "app_id": "app", "task_name": name, "task_type": kind, "targets": devices,
                "document": {"package_ids": [package]},
            });
            ("POST", "batchtasks".to_owned(), body)
        }
        StrangeDeed::DeletePackage { id } => ("DELETE", format!("ota-upgrades/packages/{id}"), Value::Null),
        StrangeDeed::StopJob { id } => ("POST", format!("batchtasks/{id}/stop"), json!({})),
        StrangeDeed::DeleteJob { id } => ("DELETE", format!("batchtasks/{id}"), Value::Null),
        StrangeDeed::DeleteDevice { id } => ("DELETE", format!("devices/{id}"), Value::Null),
    };
    let request = WireRequest {
        method,
        origin: ENDPOINT.to_owned(),
        path: format!("/v5/iot/{project}/{path}"),
        query: String::new(),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: if body.is_null() { Vec::new().into() } else { body.to_string().into() },
        upload: None,
    };
    signed(request, &project, now)
}

fn signed(mut request: WireRequest, project: &str, now: Timestamp) -> WireRequest {
    let account = AccountHeaders { project_id: Some(project), domain_id: None, security_token: None };
    let host = request.origin.split_once("://").map_or("", |(_, host)| host).to_owned();
    sign::complete_headers(&mut request.headers, account, &host, now);
    let signer = Signer {
        access_key: &access_key(project),
        secret_key: &secret("key", project).into(),
        region: REGION,
        service: sign::SERVICE,
        algorithm: Algorithm::SdkHmacSha256,
    };
    let subject = Subject {
        method: request.method,
        path: &request.path,
        query: &[],
        headers: &request.headers,
        body: &request.body,
    };
    let authorization = sign::sign(&subject, &signer).authorization;
    request.headers.push(("authorization".to_owned(), authorization));
    request
}
