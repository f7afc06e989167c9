//! What `rollwave plan` says that orders and looks cost is what the clouds count.

use super::harness::{Ended, Lab, each};
use rollwave::api::CloudKind;
use serde_json::Value;
use sha2::Digest as _;

const BYTES: &[u8] = b"the image of V2";
/// Three pages of IoTDA and EnOS, three of names and two of versions of Alibaba Cloud, one of OceanConnect.
const DEVICES: u32 = 120;
const SIGN_INS: [&str; 2] = ["GetToken", "Login"];

fn lab(cloud: CloudKind) -> Lab {
    let (served, product) = match cloud {
        CloudKind::HuaweiIotda => (
            "huaweiIotda: {accounts: [{projectId: p1, appId: a1, region: cn-north-4, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}]}",
            "meter",
        ),
        CloudKind::OceanConnect => (
            "oceanConnect: {apps: [{appId: a1, secret: the-secret-key, callsPerMinute: 0, packages: \
             [{fileType: firmwarePackage, product: Acme/Meter/WM1, version: V2, sourceVersions: [V1]}]}]}",
            "Acme/Meter/WM1",
        ),
        CloudKind::AliyunIot => (
            "aliyunIot: {throttled: false, accounts: [{regionId: cn-shanghai, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}]}",
            "meter",
        ),
        CloudKind::Enos => {
            ("enos: {accounts: [{orgId: o1, appKey: THE-ACCESS-KEY, appSecret: the-secret-key}]}", "meter")
        }
    };
    let lab = Lab::with_world(&format!(
        "seed: 11\ntimeFactor: 120\nclouds:\n  {served}\ndevices:\n\
         - {{count: {DEVICES}, idPrefix: m-, product: {product}, firmware: V1}}\n\
         behaviours: [{{version: V2, duration: {{min: 5s, max: 20s}}}}]\n"
    ));
    lab.write("cloud.yaml", &account(cloud, &lab.url()));
    fs_err::write(lab.manifest("image.bin"), BYTES).unwrap();
    lab
}

fn account(cloud: CloudKind, url: &str) -> String {
    let keys = "{accessKey: env:LAB_AK, secretKey: env:LAB_SK}";
    let (section, keys) = match cloud {
        CloudKind::HuaweiIotda => ("region: cn-north-4, projectId: p1, appId: a1", keys),
        CloudKind::OceanConnect => ("appId: a1", "{appSecret: env:LAB_SK}"),
        CloudKind::AliyunIot => ("regionId: cn-shanghai", keys),
        CloudKind::Enos => ("orgId: o1", keys),
    };
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {{name: lab}}\nspec:\n  \
         {cloud}: {{endpoint: {url:?}, {section}}}\n  credentials: {keys}\n  budget: {{requestsPerSecond: 100, burst: 100}}\n"
    )
}

fn package(cloud: CloudKind) -> String {
    let sha256 = hex::encode(sha2::Sha256::digest(BYTES));
    let (product, artifact) = match cloud {
        CloudKind::HuaweiIotda => {
            ("{id: meter}", "obs: {region: cn-north-4, bucket: firmware, key: V2.bin}".to_owned())
        }
        CloudKind::OceanConnect => {
            ("{manufacturer: Acme, deviceType: Meter, model: WM1}", "portal: {}".to_owned())
        }
        CloudKind::AliyunIot => {
            let md5 = hex::encode(md5::Md5::digest(BYTES));
            ("{id: meter}", format!("file: image.bin, md5: {md5}"))
        }
        CloudKind::Enos => ("{id: meter}", "file: image.bin".to_owned()),
    };
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaPackage\nmetadata: {{name: v2}}\nspec:\n  \
         cloudRef: {{name: lab}}\n  type: Firmware\n  product: {product}\n  version: V2\n  \
         artifact: {{sha256: {sha256}, {artifact}}}\n  verification: {{devices: [m-0000], timeout: 2h}}\n"
    )
}

fn rollout(targets: &str) -> String {
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaRollout\nmetadata: {{name: v2}}\nspec:\n  packageRef: {{name: v2}}\n  \
         targets: {targets}\n  stages: [{{name: canary, select: {{count: 2}}}}, {{name: rest, select: {{rest: true}}}}]\n"
    )
}

fn plan(lab: &Lab) -> Value {
    let ended = Ended::of(&mut lab.rollwave(&["plan", "fleet", "-o", "json"]));
    serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}", ended.said()))
}

/// Calls that the cloud has counted since, but for signing in.
fn counted(lab: &Lab, is_meant: impl Fn(&str) -> bool) -> u64 {
    let counters = lab.cloud(|cloud| cloud.counters());
    let meant = counters.iter().filter(|(name, _)| !SIGN_INS.contains(&name.as_str()) && is_meant(name));
    meant.map(|(_, calls)| calls.total).sum()
}

fn sum(values: impl Iterator<Item = Value>) -> u64 {
    values.map(|value| value.as_u64().unwrap()).sum()
}

#[test]
fn what_a_plan_says_that_orders_and_looks_cost_is_what_the_cloud_counts() {
    let targets = ["{all: true}", "{devices: [m-0001, m-0002, m-0003]}"];
    let cases: Vec<(CloudKind, &str)> =
        CloudKind::ALL.into_iter().flat_map(|cloud| targets.map(|targets| (cloud, targets))).collect();
    each(&cases, |(cloud, targets)| {
        let lab = lab(*cloud);
        lab.write("package.yaml", &package(*cloud));
        lab.converge();
        lab.write("rollout.yaml", &rollout(targets));
        let planned = plan(&lab);
        let orders = planned["budgets"][0]["orderCalls"].as_u64().unwrap();
        lab.cloud(rollwave::simulator::Simulator::reset_counters);
        lab.converge();
        let creates = counted(&lab, |name| name.starts_with("Create"));
        assert_eq!((orders, orders), (2, creates), "{cloud} {targets}");

        // What was created is read once, to be compared.
        lab.converge();
        lab.cloud(rollwave::simulator::Simulator::reset_counters);
        let quiet = plan(&lab);
        let objects = quiet["objects"].as_array().unwrap().clone();
        let looks =
            objects.iter().flat_map(|object| object["watching"].as_array().cloned().unwrap_or_default());
        // The account itself is asked whether it answers.
        let said = 1 + sum(looks.map(|look| look["calls"].clone()));
        let made = sum(quiet["callsMade"].as_object().unwrap().values().cloned());
        let counted = counted(&lab, |_| true);
        assert_eq!((said, made), (counted, counted), "{cloud} {targets}: {quiet:#}");
    });
}
