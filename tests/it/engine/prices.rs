//! What `rollwave plan` says that orders and looks cost is what the clouds count.

use super::four::{by_sets, in_sets, lab, lab_of, package, rollout};
use super::harness::{Ended, Lab, each};
use rollwave::api::CloudKind;
use serde_json::Value;

/// Three pages of IoTDA and EnOS, three of names and two of versions of Alibaba Cloud, one of OceanConnect.
const DEVICES: u32 = 120;
const SIGN_INS: [&str; 2] = ["GetToken", "Login"];
const UPLOADS: [&str; 2] = ["GenerateOTAUploadURL", "PostObject"];

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
    let usual = ["{all: true}", "{devices: [m-0001, m-0002, m-0003]}"];
    let targets = |cloud| usual.iter().chain(by_sets(cloud)).map(move |targets| (cloud, *targets));
    let cases: Vec<(CloudKind, &str)> = CloudKind::ALL.into_iter().flat_map(targets).collect();
    each(&cases, |(cloud, targets)| {
        let lab = lab_of(*cloud, &[&format!("count: {DEVICES}, idPrefix: m-{}", in_sets(*cloud))], "");
        let verification = "  verification: {devices: [m-0000], timeout: 2h}\n";
        lab.write("package.yaml", &(package(*cloud) + verification));
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

/// What a package costs is what creates it, and what uploads its file before that.
#[test]
fn what_a_plan_says_that_a_package_costs_is_what_the_cloud_counts_uploads_included() {
    let clouds = [(CloudKind::HuaweiIotda, 1), (CloudKind::AliyunIot, 3), (CloudKind::Enos, 1)];
    each(&clouds, |(cloud, calls)| {
        let lab = lab(*cloud, 1);
        lab.write("package.yaml", &package(*cloud));
        let planned = plan(&lab);
        lab.cloud(rollwave::simulator::Simulator::reset_counters);
        lab.converge();
        let counted = counted(&lab, |name| name.starts_with("Create") || UPLOADS.contains(&name));
        assert_eq!(
            (planned["budgets"][0]["orderCalls"].as_u64().unwrap(), counted),
            (*calls, *calls),
            "{cloud}"
        );
    });
}
