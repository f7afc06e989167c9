//! Calls are the scarce resource: they are counted where they arrive.

use super::harness::{Ended, FACTOR, Lab, PACKAGE, Process, ROLLOUT};
use super::somebody::{post, sign_in};
use jiff::Timestamp;
use rollwave::simulator::Simulator;
use serde_json::json;

/// A package that nothing has to be done for but to be there.
fn manifest(number: usize) -> String {
    let (package, _) = PACKAGE.split_once("  verification").unwrap();
    package.replace("meter-v2", &format!("meter-{number}")).replace("V2", &format!("V2.{number}"))
}

fn manifests(count: usize) -> String {
    (0..count).map(manifest).collect::<Vec<_>>().join("---\n")
}

fn set_budget(lab: &Lab, requests_per_second: u32, burst: u32) {
    let budget = format!("  budget: {{requestsPerSecond: {requests_per_second}, burst: {burst}}}\n");
    lab.write("cloud.yaml", &(lab.cloud_manifest() + &budget));
}

/// Packages that somebody else has created, as the manifests say them.
fn create_packages(lab: &Lab, count: usize) {
    lab.cloud(|cloud| {
        let token = sign_in(cloud);
        for number in 0..count {
            let location = json!({"region_name": "cn-north-4", "bucket_name": "firmware",
                                  "object_key": format!("meter/V2.{number}.bin"),
                                  "sign": "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"});
            let package = json!({"app_id": "app-1", "package_type": "firmwarePackage", "product_id": "meter",
                                 "version": format!("V2.{number}"), "file_location": {"obs_location": location}});
            let reply = post(cloud, "/v5/iot/project-1/ota-upgrades/packages", &token, &package);
            assert_eq!(reply.status, 201, "{:?}", reply.body);
        }
    });
}

#[test]
fn a_converged_folder_costs_no_create_call() {
    let lab = Lab::new();
    lab.write("package.yaml", PACKAGE);
    lab.write("rollout.yaml", ROLLOUT);
    lab.converge();
    lab.cloud(Simulator::reset_counters);
    lab.converge();
    let counters = lab.cloud(|cloud| cloud.counters().clone());
    assert!(counters.keys().all(|operation| !operation.starts_with("Create")), "{counters:?}");
    assert!(lab.all_calls() <= 10, "{counters:?}");
}

#[test]
fn all_objects_of_an_account_share_one_budget() {
    const RATE: u32 = 2;
    const BURST: u32 = 10;
    let lab = Lab::new();
    set_budget(&lab, RATE, BURST);
    lab.write("packages.yaml", &manifests(100));
    lab.converge();
    assert_eq!(lab.packages().len(), 100);
    let arrivals: Vec<Timestamp> = lab.cloud(|cloud| cloud.recent_calls().iter().copied().collect());
    assert!(arrivals.len() > 100);
    // A worker makes one call at a time: all calls after the one that arrived at `begin` left after that.
    for (first, begin) in arrivals.iter().enumerate() {
        for (last, end) in arrivals.iter().enumerate().skip(first + 1) {
            let seconds = end.duration_since(*begin).as_secs_f64() * f64::from(FACTOR);
            let allowed = f64::from(BURST) + f64::from(RATE) * seconds;
            let calls = f64::from(u32::try_from(last - first).unwrap());
            assert!(
                calls <= allowed,
                "{calls} calls in {seconds} s: {first} to {last} of {}",
                arrivals.len()
            );
        }
    }
}

/// How many of the 10,000 packages are ours. The first apply reads each of ours once, which takes a debug build three
/// minutes for all of them: `ROLLWAVE_TEST_OURS=10000` asks for that.
fn ours() -> usize {
    std::env::var("ROLLWAVE_TEST_OURS").map_or(500, |number| number.parse().unwrap())
}

#[test]
fn a_drift_check_of_ten_thousand_packages_costs_two_hundred_and_five_calls_at_most() {
    const PACKAGES: usize = 10_000;
    let (lab, ours) = (Lab::new(), ours());
    set_budget(&lab, 1000, 1000);
    create_packages(&lab, PACKAGES);
    lab.write("packages.yaml", &manifests(ours));
    // By the clock, so that no drift interval passes meanwhile.
    let apply = || Ended::of(&mut lab.rollwave(&["apply", "fleet", "--quiet"]));
    let adopted = apply();
    assert_eq!(adopted.code, Some(0), "{}", adopted.err);
    assert_eq!(lab.calls("ShowOtaPackage"), ours as u64, "each is compared once");

    lab.cloud(Simulator::reset_counters);
    let again = apply();
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(lab.all_calls() <= 205, "{:?}", lab.cloud(|cloud| cloud.counters().clone()));
    assert_eq!(lab.packages().len(), PACKAGES);
}

#[test]
fn a_drift_round_reads_lists_and_nothing_else() {
    let lab = Lab::new();
    set_budget(&lab, 100, 100);
    create_packages(&lab, 1_000);
    lab.write("packages.yaml", &manifests(50));
    lab.converge();
    lab.cloud(Simulator::reset_counters);
    let _running = Process::start(&mut lab.verb("run", &[]));
    // 20 pages at the start, and 20 in each of two rounds.
    lab.until("two rounds", || lab.calls("ListOtaPackageInfo") > 60);
    let counters = lab.cloud(|cloud| cloud.counters().clone());
    assert!(counters.keys().eq(["ListOtaPackageInfo"]), "{counters:?}");
}
