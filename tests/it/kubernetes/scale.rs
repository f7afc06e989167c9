//! Many objects at once, and one new object among many: what they cost, as numbers of writes and of calls. Figures that take
//! time are printed, and stand in `docs/benchmarks.md`; the engine goes `ROLLWAVE_TEST_FACTOR` times as fast as the clock:
//! `ROLLWAVE_TEST_SCALE=1000 cargo test --release --test it -- kubernetes::scale --nocapture`.

use super::control_plane::shared;
use super::harness::{Field, condition};
use crate::engine::harness::{Lab, Process};
use jiff::Timestamp;
use rollwave::api::OtaPackage;
use rollwave::cloud::{
    Call, Cloud as _, NewArtifact, NewPackage, ObsArtifact, PackageKey, PackageKind, Reply,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What the account is asked at most, a second of the engine's time: the default of its cloud.
const CALLS_PER_SECOND: f64 = 10.0;
/// Writes that an object may cost on its way: the finalizer, each step of its journal, and what is told of each phase.
const WRITES: [(&str, usize); 2] = [("otapackages", 5), ("otarollouts", 8)];

/// Packages that are applied at once; a tenth of them is rolled out.
fn scale() -> usize {
    std::env::var("ROLLWAVE_TEST_SCALE").map_or(40, |number| number.parse().unwrap())
}

/// How fast the engine's time goes. A write to the API server takes the machine's time, and so this much more of the engine's.
fn factor() -> u32 {
    std::env::var("ROLLWAVE_TEST_FACTOR").map_or(20, |number| number.parse().unwrap())
}

/// One product and two devices for each rollout, and a product without devices for the other packages.
fn lab(rollouts: usize) -> Lab {
    let factor = factor();
    let mut world = format!(
        "seed: 3\ntimeFactor: {factor}\nclouds:\n  huaweiIotda:\n    searchesPerSecond: 0\n    accounts:\n    \
         - {{projectId: project-1, appId: app-1, region: cn-north-4, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}}\n\
         behaviours: [{{version: V2, duration: {{min: 5s, max: 20s}}}}]\nproducts:\n- {{id: shelf}}\n"
    );
    (0..rollouts).for_each(|i| writeln!(world, "- {{id: product-{i}}}").unwrap());
    world.push_str("devices:\n- {id: idle, product: shelf, firmware: V1}\n");
    for i in 0..rollouts {
        writeln!(world, "- {{count: 2, idPrefix: product-{i}-, product: product-{i}, firmware: V1}}")
            .unwrap();
    }
    Lab::with_world(&world)
}

fn package(name: &str, product: &str, version: &str) -> Value {
    json!({
        "apiVersion": rollwave::api::API_VERSION, "kind": "OtaPackage", "metadata": {"name": name},
        "spec": {
            "cloudRef": {"name": "lab"}, "type": "Firmware", "product": {"id": product}, "version": version,
            "artifact": {
                "sha256": "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a",
                "obs": {"region": "cn-north-4", "bucket": "firmware", "key": format!("{name}.bin")}}}
    })
}

fn rollout(name: &str) -> Value {
    json!({
        "apiVersion": rollwave::api::API_VERSION, "kind": "OtaRollout", "metadata": {"name": name},
        "spec": {"packageRef": {"name": name}, "targets": {"all": true}, "stages": [{"name": "all", "select": {"rest": true}}]}
    })
}

/// Calls, how long they took, and what part of the budget that is.
fn share(calls: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64() * f64::from(factor());
    let share = 100.0 * f64::from(u32::try_from(calls).unwrap()) / (seconds * CALLS_PER_SECOND);
    format!("{calls} calls in {seconds:.0} s of the engine's time, {share:.0} % of the budget")
}

fn is_ready(object: &Value) -> bool {
    condition(object, "Ready")["status"] == "True"
}

fn field(rollouts: usize) -> Field<'static> {
    let field = Field::with_lab(shared(), lab(rollouts));
    field.apply_keys("the-secret-key");
    field.apply(&field.account());
    field
}

/// Writes of the controller by kind, each object's.
fn writes_by_kind(field: &Field<'_>) -> BTreeMap<String, Vec<usize>> {
    let mut by_object = BTreeMap::<(String, String), usize>::new();
    for write in field.writes() {
        let mut words = write.split([' ', '/']).skip(1);
        let (kind, name) = (words.next().unwrap(), words.last().unwrap());
        *by_object.entry((kind.to_owned(), name.to_owned())).or_default() += 1;
    }
    let mut by_kind = BTreeMap::<String, Vec<usize>>::new();
    for ((kind, _), writes) in by_object {
        by_kind.entry(kind).or_default().push(writes);
    }
    by_kind
}

/// Packages that a controller has written to.
fn written_packages(field: &Field<'_>) -> usize {
    writes_by_kind(field)["otapackages"].len()
}

/// Peak of its resident memory, in MB.
fn peak_memory(process: &Process) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

#[test]
fn what_is_applied_at_once_costs_a_few_writes_an_object_and_calls_as_the_budget_allows() {
    let (packages, rollouts) = (scale(), scale() / 10);
    let field = field(rollouts);
    let rolled_out = (0..rollouts).map(|i| package(&format!("r{i}"), &format!("product-{i}"), "V2"));
    let kept = (rollouts..packages).map(|i| package(&format!("p{i}"), "shelf", &format!("V{i}")));
    let controller = Process::start(&mut field.controller_at(factor()));
    let begin = Instant::now();
    field.apply_all(rolled_out.chain(kept).chain((0..rollouts).map(|i| rollout(&format!("r{i}")))));
    let applied = begin.elapsed();
    field.until_all("OtaPackage", packages, is_ready);
    let (in_cloud, calls_until_then) = (begin.elapsed(), field.lab.all_calls());
    field.until_all("OtaRollout", rollouts, |rollout| rollout["status"]["phase"] == "Completed");
    let took = begin.elapsed();

    let calls = field.lab.all_calls();
    assert_eq!(field.lab.packages().len(), packages, "each is created once");
    assert_eq!(field.lab.tasks().len(), rollouts, "each is sent once");
    let by_operation = field.lab.cloud(|cloud| {
        let counters = cloud.counters().into_iter().map(|(name, calls)| format!("{name} {}", calls.total));
        counters.collect::<Vec<_>>().join(", ")
    });
    println!("{by_operation}");
    let by_kind = writes_by_kind(&field);
    for (kind, most) in WRITES {
        let writes = &by_kind[kind];
        let total: usize = writes.iter().sum();
        println!(
            "{kind}: {} objects, {total} writes, at most {} for one",
            writes.len(),
            writes.iter().max().unwrap()
        );
        assert!(writes.iter().all(|writes| *writes <= most), "{kind}: {writes:?}");
    }
    println!("{packages} packages, {rollouts} rollouts; {} MB", peak_memory(&controller));
    println!("applied: {:.1} s of the machine's time", applied.as_secs_f64());
    println!("until every package was ready: {}", share(calls_until_then, in_cloud));
    println!("until every rollout was completed: {}", share(calls, took));
}

/// The call that makes a package of [`package`].
fn creation(i: usize) -> Call {
    let object: OtaPackage = serde_json::from_value(nth(i)).unwrap();
    let obs = object.spec.artifact.obs.unwrap();
    Call::CreatePackage(NewPackage {
        key: PackageKey {
            kind: PackageKind::Firmware,
            product: "shelf".to_owned(),
            version: object.spec.version,
            module: None,
        },
        name: String::new(),
        source_versions: Vec::new(),
        delta: false,
        description: None,
        custom_info: None,
        artifact: NewArtifact::Obs(ObsArtifact {
            region: obs.region,
            bucket: obs.bucket,
            key: obs.key,
            sha256: object.spec.artifact.sha256,
        }),
        verification: None,
    })
}

fn nth(i: usize) -> Value {
    package(&format!("p{i}"), "shelf", &format!("V{i}"))
}

/// Puts packages of the shelf there that are in the cloud already, each with the status that the controller itself left at the
/// first of them: what stands there when all is well, for two writes each and no turn of a controller.
fn put_settled(field: &Field<'_>, packages: usize) {
    field.apply_all([nth(0)]);
    let controller = Process::start(&mut field.controller_at(1));
    let first = field.until("OtaPackage", "p0", "it is ready", is_ready);
    assert!(controller.terminate().0.success());
    let text = |name: &str| first["status"][name].as_str().unwrap();
    let (status, id, row) = (first["status"].to_string(), text("packageId"), text("comparedRow"));
    let cloud = field.somebody();
    field.put_all(1..packages, async |i| {
        let made = cloud.perform(&creation(i), Timestamp::now()).await.unwrap();
        let Reply::Package(made) = made else { panic!("{made:?}") };
        let status = status.replace(id, &made.row.id).replace(row, &made.row.hash());
        let mut object = nth(i);
        object["status"] = serde_json::from_str(&status).unwrap();
        object
    });
}

/// Turns of packages so far.
fn turns(figures: &str) -> usize {
    let of_packages = figures.lines().filter(|line| line.starts_with("rollwave_reconciles_total{"));
    let of_packages = of_packages.filter(|line| line.contains("kind=\"OtaPackage\""));
    of_packages.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok()).sum()
}

#[test]
fn a_new_object_among_idle_ones_waits_behind_no_poll() {
    let idle = scale() * 5;
    let (field, begin) = (field(0), Instant::now());
    put_settled(&field, idle);
    println!("{idle} packages put there in {:?}", begin.elapsed());
    let (log, begin) = (field.lab.path().join("controller.log"), Instant::now());
    let mut controller = field.controller_at(factor());
    let controller = Process::start_with_log(controller.args(["--listen", "127.0.0.1:0"]), &log);
    field.until_figures(&log, "as many turns as packages", |figures| turns(figures) >= idle);
    println!("as many turns as packages after {:?}", begin.elapsed());
    assert_eq!(written_packages(&field), 1, "nothing is new about any but the first, which was made here");

    let (creates, calls, begin) =
        (field.lab.calls("CreateOtaPackage"), field.lab.all_calls(), Instant::now());
    field.apply_all([package("new", "shelf", "new")]);
    field.lab.until("the new package is created", || field.lab.calls("CreateOtaPackage") > creates);
    let (before, took) = (field.lab.all_calls() - calls - 1, begin.elapsed());
    let memory = peak_memory(&controller);
    println!(
        "among {idle} idle packages: {before} calls before the create of a new one, {took:?}; {memory} MB"
    );
    assert!(before <= 6, "{before} calls went before it");
    assert_eq!(written_packages(&field), 2, "and the new one");
    drop(controller);
}
