//! `rollwave plan` against a cloud: it shows what `apply` sends, changes nothing, and says what it means by its exit code.

use rollwave::simulator::{Running, World, serve};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

const WORLD: &str = "
timeFactor: 1000
clouds:
  huaweiIotda:
    searchesPerSecond: 0
    accounts: [{projectId: p1, appId: app, region: r1, accessKey: AK, secretKey: SK}]
products: [{id: meter}]
devices:
- {count: 40, idPrefix: meter-, product: meter, firmware: V1.0}
- {id: odd, product: meter, firmware: V0.1}
behaviours:
- {version: V2.0, duration: {min: 5s, max: 20s}}
- {version: V3.0, duration: {min: 5s, max: 20s}}
";

const CLOUD: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaCloud
metadata: {name: lab}
spec:
  huaweiIotda: {endpoint: URL, region: r1, projectId: p1, appId: app}
  credentials: {accessKey: env:TEST_AK, secretKey: env:TEST_SK}
";

const PACKAGE: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {name: meter-v2}
spec:
  cloudRef: {name: lab}
  type: Firmware
  product: {id: meter}
  version: V2.0
  sourceVersions: [V1.0]
  description: first
  artifact:
    sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
    obs: {region: r1, bucket: firmware, key: meter/V2.0.bin}
  verification: {devices: [meter-0000, meter-0001]}
  deletionPolicy: Delete
  driftPolicy: Correct
";

const ROLLOUT: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {name: meter-v2}
spec:
  packageRef: {name: meter-v2}
  targets: {fromVersions: [V1.0], all: true}
  stages:
    - {name: canary, select: {count: 10}, soak: 30m, gates: [{name: proven, outcome: {method: Ratio, minSuccess: 90%}}]}
    - {name: rest, select: {rest: true}}
  stop:
    - {name: failures, method: Ratio, maxFailure: 10%, minSample: 5, action: Pause}
";

/// A simulated cloud, and a folder of manifests for it.
pub(super) struct Bench {
    pub(super) cloud: Running,
    dir: TempDir,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let world = World::parse("world.yaml", WORLD).unwrap();
        let cloud = serve(&world, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("fleet")).unwrap();
        let bench = Self { cloud, dir };
        bench.write("cloud.yaml", &CLOUD.replace("URL", &bench.cloud.url()));
        bench.write("package.yaml", PACKAGE);
        bench.write("rollout.yaml", ROLLOUT);
        bench
    }

    /// Everything is applied and has converged.
    pub(super) async fn released() -> Self {
        let bench = Self::new().await;
        bench.apply();
        bench
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("fleet").join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).unwrap();
    }

    pub(super) fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollwave"));
        command.args(args).current_dir(self.dir.path()).env("TEST_AK", "AK").env("TEST_SK", "SK");
        for variable in ["ROLLWAVE_STATE", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command.output().unwrap()
    }

    pub(super) fn apply(&self) {
        let output = self.run(&["apply", "fleet", "--wait", "--timeout", "40s", "--time-factor", "1000"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }

    /// Exit code, and what was printed, with the address taken out.
    pub(super) fn plan(&self) -> (Option<i32>, String) {
        let output = self.run(&["plan", "fleet"]);
        (output.status.code(), said(&output).replace(&self.cloud.url(), "URL"))
    }

    fn plan_json(&self) -> (Option<i32>, Value) {
        let output = self.run(&["plan", "fleet", "-o", "json"]);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    }
}

/// Everything that was printed.
pub(super) fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// Bodies of the planned requests of one operation, in order.
fn planned<'a>(plan: &'a Value, operation: &str) -> Vec<&'a Value> {
    let objects = plan["objects"].as_array().unwrap().iter();
    let orders = objects.flat_map(|object| object["orders"].as_array().unwrap());
    let wanted = orders.filter(|order| order["operation"] == operation);
    wanted.flat_map(|order| order["requests"].as_array().unwrap()).map(|request| &request["body"]).collect()
}

fn operations(plan: &Value) -> Vec<&str> {
    let objects = plan["objects"].as_array().unwrap().iter();
    let orders = objects.flat_map(|object| object["orders"].as_array().unwrap());
    orders.map(|order| order["operation"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_plan_shows_is_what_apply_sends() {
    let bench = Bench::new().await;
    let (code, plan) = bench.plan_json();
    assert_eq!((code, &plan["changes"]), (Some(2), &Value::Bool(true)));
    bench.apply();
    let promised: BTreeMap<String, BTreeSet<String>> = planned(&plan, "CreateJob")
        .iter()
        .map(|body| serde_json::from_value(json!([body["task_name"], body["targets"]])).unwrap())
        .collect();
    bench.cloud.handle.with(|cloud, _| {
        let sent: BTreeMap<String, BTreeSet<String>> = cloud
            .tasks()
            .into_iter()
            .map(|task| (task.name, task.targets.into_values().flatten().collect()))
            .collect();
        assert_eq!(sent, promised);
        assert_eq!(sent.len(), 3, "verification, canary and rest");
        assert_eq!(cloud.packages().len(), planned(&plan, "CreatePackage").len());
        assert_eq!(plan["devices"], 40);
    });
    let (code, again) = bench.plan_json();
    assert_eq!((code, &again["changes"], operations(&again).len()), (Some(0), &Value::Bool(false), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_only_reads_and_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let before = bench.cloud.handle.with(|cloud, wall| cloud.devices(wall));
    let (_, plan) = bench.plan_json();
    bench.cloud.handle.with(|cloud, wall| {
        let counters = cloud.counters();
        let writes: Vec<&String> = counters
            .keys()
            .filter(|operation| !["List", "Show"].iter().any(|read| operation.starts_with(read)))
            .collect();
        assert_eq!(writes, Vec::<&String>::new());
        assert_eq!(cloud.devices(wall), before);
        let made: u64 = plan["callsMade"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        assert_eq!(made, cloud.total_calls(), "every call is told");
    });
    let files: Vec<_> =
        std::fs::read_dir(bench.dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["fleet"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_requests_stages_and_what_it_comes_to() {
    let bench = Bench::new().await;
    let (code, text) = bench.plan();
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(text);
    assert!(!text.contains("SK\""), "no secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_cannot_prove_its_gate_is_warned_of() {
    let bench = Bench::new().await;
    bench.write("rollout.yaml", &ROLLOUT.replace("method: Ratio, minSuccess: 90%", "minSuccess: 95%"));
    let (_, text) = bench.plan();
    assert!(text.contains("warning: stage canary (10 devices) cannot prove 95 %: needs 52\n"), "{text}");
    assert!(text.contains("OtaRollout/meter-v2  will be held: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_manifest_is_planned_as_its_policy_says() {
    let bench = Bench::released().await;
    bench.remove("rollout.yaml");
    bench.remove("package.yaml");
    let (code, text) = bench.plan();
    let id = bench.cloud.handle.with(|cloud, _| cloud.packages()[0].id.clone());
    let text = text.replace(&id, "PACKAGE-ID");
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(text, @r"
    OtaCloud/lab  nothing to do

    OtaPackage/meter-v2  will be deleted: its manifest was removed
      - DeletePackage, now
          DELETE /v5/iot/p1/ota-upgrades/packages/PACKAGE-ID
      ~ Release, after the previous step
      cannot be undone: package PACKAGE-ID is deleted from the cloud

    OtaRollout/meter-v2  will be deleted: its manifest was removed
      STAGE   DEVICES  DISPATCHED  SOAK  FIRST DEVICES
      canary  10       10          30m
      rest    28       28
      ~ Release, now

    Total
      orders   1 DeletePackage, 2 Release
      calls    OtaCloud/lab: 1 call for orders and one poll of 3 calls every 30s; budget 10 per second, burst 20
               4 calls to make this plan
    ");
    bench.apply();
    assert_eq!(bench.cloud.handle.with(|cloud, _| cloud.packages().len()), 0);
    assert_eq!(bench.plan_json().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_corrected_by_deleting_and_creating() {
    let bench = Bench::new().await;
    bench.remove("rollout.yaml");
    let package = PACKAGE.replace("  verification: {devices: [meter-0000, meter-0001]}\n", "");
    bench.write("package.yaml", &package);
    assert_eq!(bench.run(&["apply", "fleet"]).status.code(), Some(0));
    bench.write("package.yaml", &package.replace("description: first", "description: second"));
    let (code, plan) = bench.plan_json();
    assert_eq!((code, operations(&plan)), (Some(2), vec!["DeletePackage", "CreatePackage"]));
    assert_eq!(planned(&plan, "CreatePackage")[0]["description"], "second");
    let (_, text) = bench.plan();
    assert!(text.contains("cannot be undone: package "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_is_immutable_is_refused_with_its_place() {
    let bench = Bench::released().await;
    bench.write("package.yaml", &PACKAGE.replace("version: V2.0", "version: V2.1"));
    let calls = bench.cloud.handle.with(|cloud, _| cloud.total_calls());
    let (code, text) = bench.plan();
    assert_eq!(code, Some(1));
    assert!(text.starts_with("fleet/package.yaml:9:12: spec.version: "), "{text}");
    assert!(text.ends_with("1 problem: nothing was planned\n"), "{text}");
    assert_eq!(bench.cloud.handle.with(|cloud, _| cloud.total_calls()), calls, "nothing was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_ends_with_1() {
    let bench = Bench::new().await;
    bench.write("cloud.yaml", &CLOUD.replace("URL", &bench.cloud.url()).replace("TEST_SK", "TEST_AK"));
    let (code, text) = bench.plan();
    assert_eq!(code, Some(1));
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("OtaCloud/lab  ListPackages: The request is unauthorized."), "{first}");
    assert!(first.contains("check spec.credentials"), "{first}");
    bench.write("cloud.yaml", "kind: [");
    assert_eq!(bench.plan().0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_release_does_not_make_the_last_one_unhealthy() {
    let bench = Bench::released().await;
    bench.write("package-3.yaml", &next(PACKAGE));
    bench.write("rollout-3.yaml", &next(ROLLOUT));
    let (_, plan) = bench.plan_json();
    assert_eq!(plan["orders"], json!({"CreatePackage": 1, "CreateJob": 3}));
    bench.apply();
    std::fs::remove_dir_all(bench.dir.path().join(".rollwave")).unwrap();
    // Without a state, everything is found again in the cloud.
    bench.apply();
    let rollout = bench.run(&["get", "rollout/meter-v2", "-o", "json"]);
    let rollout: Value = serde_json::from_slice(&rollout.stdout).unwrap();
    let status = &rollout["status"];
    let healthy = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Healthy").unwrap();
    assert_eq!((&healthy["status"], &status["phase"]), (&"True".into(), &"Completed".into()), "{status:#}");
    assert_eq!(status["stages"][0]["counts"]["superseded"], 10);
    assert_eq!(bench.cloud.handle.with(|cloud, _| cloud.tasks().len()), 6, "nothing was sent again");
}

/// The same for V3.0, which comes after V2.0.
fn next(text: &str) -> String {
    text.replace("V1.0", "OLD").replace("V2.0", "V3.0").replace("OLD", "V2.0").replace("meter-v2", "meter-v3")
}
