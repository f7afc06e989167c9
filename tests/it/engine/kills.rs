//! A hundred SIGKILLs at drawn moments, while manifests change and the cloud misbehaves: nothing is created twice, nothing
//! is lost, and once the trouble is over everything converges.
//!
//! `KILLS_SEED` and `KILLS` ask for another course of events, and for a longer one. A delay before a kill is the input of
//! this test, not a wait for something.

use super::harness::{Ended, Lab, Process, each};
use fastrand::Rng;
use rollwave::api::Object;
use rollwave::cloud::huawei_iotda::token_of;
use rollwave::simulator::TaskTruth;
use rollwave::simulator::faults::{Kind, When};
use rollwave::state::local::View;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Worlds side by side: they wait most of their time.
const WORLDS: u64 = 4;
/// Kills of each world.
const KILLS: u64 = 26;
/// So that lists lag longer than a restart takes, and an unsettled create is settled within two seconds.
const FACTOR: &str = "60";
const CANARY: usize = 5;
const METERS: usize = 20;

const WORLD: &str = "
seed: SEED
timeFactor: 60
clouds:
  huaweiIotda:
    duplicatePackages: allow
    searchesPerSecond: 0
    accounts:
    - {projectId: project-1, appId: app-1, region: cn-north-4, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}
products: [{id: meter}, GATEWAYS]
devices:
- {count: 30, idPrefix: verify-, product: meter, firmware: V1}
- {count: 20, idPrefix: meter-, product: meter, firmware: V1}
DEVICESbehaviours:
BEHAVIOURS";

const GATEWAYS: u32 = 30;

fn world(seed: u64) -> String {
    let gateways: Vec<String> = (1..=GATEWAYS).map(|n| format!("{{id: gateway-{n}}}")).collect();
    let device = |n| format!("- {{count: 3, idPrefix: gateway-{n}-, product: gateway-{n}, firmware: V1}}\n");
    let devices: String = (1..=GATEWAYS).map(device).collect();
    let behaviour = |n| format!("- {{version: V{n}, duration: {{min: 5s, max: 20s}}}}\n");
    let behaviours: String = (2..30).map(behaviour).collect();
    WORLD
        .replace("BEHAVIOURS", &behaviours)
        .replace("SEED", &seed.to_string())
        .replace("GATEWAYS", &gateways.join(", "))
        .replace("DEVICES", &devices)
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn a_hundred_kills_create_nothing_twice_and_lose_nothing() {
    let first = number("KILLS_SEED", 1);
    let kills = number("KILLS", WORLDS * KILLS).div_ceil(WORLDS);
    let seeds: Vec<u64> = (first..first + WORLDS).collect();
    println!("KILLS_SEED={first} KILLS={}", kills * WORLDS);
    each(&seeds, |seed| {
        let mut story = Story::new(*seed);
        for round in 0..kills {
            story.round(round);
        }
        story.end();
        story.tell(kills);
    });
}

/// One world, and what is wanted of it.
struct Story {
    seed: u64,
    rng: Rng,
    lab: Lab,
    /// Version that all meters are to run.
    release: u32,
    /// Meter packages whose manifests are there.
    packages: BTreeSet<u32>,
    /// Gateway rollouts that are there, and that were there.
    gateways: BTreeSet<u32>,
    gone: BTreeSet<u32>,
    /// Kills that left a create of which nobody knew whether it had happened.
    in_doubt: u32,
}

impl Story {
    fn new(seed: u64) -> Self {
        let lab = Lab::with_world(&world(seed));
        let mut story = Self {
            seed,
            rng: Rng::with_seed(seed),
            lab,
            release: 1,
            packages: BTreeSet::new(),
            gateways: BTreeSet::new(),
            gone: BTreeSet::new(),
            in_doubt: 0,
        };
        story.release_next();
        story
    }

    fn round(&mut self, round: u64) {
        self.break_the_cloud();
        let before = self.rng.bool();
        if before {
            self.change_manifests();
        }
        let calls = self.lab.cloud(|cloud| cloud.total_calls());
        let process = Process::start(&mut self.lab.rollwave(&["run", "fleet", "--time-factor", FACTOR]));
        if !before {
            self.change_manifests();
        }
        self.await_the_moment(calls);
        let ended = process.kill();
        let signal = std::os::unix::process::ExitStatusExt::signal(&ended);
        assert_eq!(signal, Some(9), "seed {} round {round}: it ended by itself: {ended:?}", self.seed);
        self.in_doubt += u32::from(self.has_intents());
        self.check_safety(&format!("seed {} round {round}", self.seed));
    }

    fn has_intents(&self) -> bool {
        let view = View::open(&self.lab.path().join("state"));
        let objects = view.and_then(|view| view.objects()).unwrap_or_default();
        objects.iter().any(|object| match object {
            Object::Cloud(_) => false,
            Object::Package(package) => {
                package.status.as_ref().is_some_and(|status| !status.pending.is_empty())
            }
            Object::Rollout(rollout) => {
                rollout.status.as_ref().is_some_and(|status| !status.pending.is_empty())
            }
        })
    }

    /// During start-up, soon after a call, or any time.
    fn await_the_moment(&mut self, calls_before: u64) {
        let millis = |rng: &mut Rng, most| Duration::from_millis(rng.u64(0..most));
        match self.rng.u32(0..6) {
            0 => std::thread::sleep(millis(&mut self.rng, 60)),
            1 => {
                let calls = calls_before + self.rng.u64(1..20);
                self.patiently(|lab| lab.cloud(|cloud| cloud.total_calls()) >= calls);
                std::thread::sleep(millis(&mut self.rng, 12));
            }
            2 | 3 => {
                let creates = |lab: &Lab| lab.calls("CreateOtaPackage") + lab.calls("CreateBatchTask");
                let before = creates(&self.lab);
                self.patiently(|lab| creates(lab) > before);
                std::thread::sleep(Duration::from_micros(self.rng.u64(0..6_000)));
            }
            _ => std::thread::sleep(millis(&mut self.rng, 700)),
        }
    }

    /// Waits for something that may not come.
    fn patiently(&self, is_so: impl Fn(&Lab) -> bool) {
        let patience = Instant::now() + Duration::from_millis(600);
        while !is_so(&self.lab) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn break_the_cloud(&mut self) {
        self.lab.cloud(rollwave::simulator::Simulator::clear_faults);
        if self.rng.u32(0..4) > 0 {
            // Just within what the engine allows for.
            self.lab.fault("*", None, Kind::Stale { seconds: 28 });
        }
        for _ in 0..self.rng.u32(0..4) {
            let when = if self.rng.u32(0..3) == 0 { When::Before } else { When::After };
            let kind = match self.rng.u32(0..6) {
                0 => Kind::Reset { when },
                1 => Kind::Error { status: 503, when },
                2 => Kind::Hang { when },
                3 => Kind::Garbage {},
                4 => Kind::Truncated {},
                _ => Kind::Latency { millis: self.rng.u64(0..60) },
            };
            let operations = ["CreateOtaPackage", "CreateBatchTask", "CreateBatchTask", "StopBatchTask", "*"];
            let operation = operations[self.rng.usize(0..operations.len())];
            self.lab.fault(operation, Some(self.rng.u32(1..4)), kind);
        }
    }

    fn change_manifests(&mut self) {
        match self.rng.u32(0..7) {
            0 => self.release_next(),
            1 => self.remove_gateway(),
            2 => self.remove_old_package(),
            _ => self.add_gateway(),
        }
    }

    /// The next version of the meters: another package, and the rollout turns to it.
    fn release_next(&mut self) {
        self.release += 1;
        self.packages.insert(self.release);
        // A device of its own: an old release may still be verified when a new one is sent out.
        let verification = format!("{{devices: [verify-{:04}], timeout: 24h}}", self.release);
        self.lab.write(
            &format!("package-{}.yaml", self.release),
            &package("meter", self.release, &verification, "Orphan"),
        );
        self.lab.write("rollout.yaml", &rollout("meter", self.release));
    }

    /// Its jobs may still run, and then they are stopped.
    fn remove_old_package(&mut self) {
        if let Some(old) = self.packages.iter().copied().find(|number| *number < self.release) {
            self.packages.remove(&old);
            self.lab.remove(&format!("package-{old}.yaml"));
        }
    }

    fn add_gateway(&mut self) {
        let new = (1..=GATEWAYS).find(|n| !self.gateways.contains(n) && !self.gone.contains(n));
        if let Some(n) = new {
            self.gateways.insert(n);
            let product = format!("gateway-{n}");
            let both = format!("{}---{}", package(&product, 2, "null", "Delete"), rollout(&product, 2));
            self.lab.write(&format!("{product}.yaml"), &both);
        }
    }

    fn remove_gateway(&mut self) {
        if let Some(n) = self.gateways.pop_first() {
            self.gone.insert(n);
            self.lab.remove(&format!("gateway-{n}.yaml"));
        }
    }

    /// What holds at every moment, whatever happened before.
    fn check_safety(&self, when: &str) {
        let (packages, tasks) = self.lab.cloud(|cloud| (cloud.packages(), cloud.tasks()));
        let mut keys = BTreeSet::new();
        for package in &packages {
            assert!(keys.insert((&package.product, &package.version)), "{when}: two packages: {packages:#?}");
        }
        let (mut tokens, mut sent, mut live) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        for task in &tasks {
            let token = token_of(&task.name).expect("ours");
            assert!(tokens.insert(token), "{when}: two tasks of one token: {tasks:#?}");
            for device in devices(task) {
                assert!(
                    sent.insert((task.packages.clone(), device)),
                    "{when}: {device} was sent one package twice: {tasks:#?}"
                );
            }
            for device in unfinished(task) {
                let other = live.insert(device, &task.name);
                assert_eq!(other, None, "{when}: {device} is in two live tasks: {tasks:#?}");
            }
            let canary = task.name.contains("_canary_");
            assert!(
                !canary || devices(task).count() == CANARY,
                "{when}: a canary of another size: {task:#?}"
            );
        }
        check_stages(&tasks, when);
    }

    /// The trouble is over: everything converges, and the cloud holds exactly what is wanted.
    fn end(&mut self) {
        self.lab.cloud(rollwave::simulator::Simulator::clear_faults);
        let when = format!("seed {} at the end", self.seed);
        let ended = Ended::of(&mut self.lab.rollwave(&[
            "apply",
            "fleet",
            "--time-factor",
            FACTOR,
            "--wait",
            "--timeout",
            "50s",
            // Many manifests may be gone since a life was last long enough to see it, and that is intended.
            "--allow-prune",
        ]));
        let truth = self.lab.cloud(|cloud| (cloud.packages(), cloud.tasks()));
        assert_eq!(ended.code, Some(0), "{when}: {}\n{truth:#?}", ended.said());
        self.check_safety(&when);
        assert_eq!(self.lab.journal(), Vec::<serde_json::Value>::new(), "{when}");
        self.check_what_is_there(
            &truth.0.iter().map(|p| (p.product.clone(), p.version.clone())).collect(),
            &when,
        );
        for task in &truth.1 {
            assert_eq!(unfinished(task).count(), 0, "{when}: {task:#?}");
        }
        assert!(
            truth.1.len() <= 4 * (self.release as usize) + 2 * (self.gateways.len() + self.gone.len()),
            "{when}"
        );
        for n in 0..METERS {
            assert_eq!(
                self.lab.firmware(&format!("meter-{n:04}")),
                Some(format!("V{}", self.release)),
                "{when}: {n}"
            );
        }
    }

    /// What happened, for people; and that something did.
    fn tell(&self, kills: u64) {
        let (packages, tasks, calls) =
            self.lab.cloud(|cloud| (cloud.packages().len(), cloud.tasks().len(), cloud.total_calls()));
        let creates = self.lab.calls("CreateOtaPackage") + self.lab.calls("CreateBatchTask");
        println!(
            "KILLS_SEED={}: {kills} kills, {} of them with a create in doubt; {} releases, {} gateways removed; {packages} packages, {tasks} tasks, {creates} creates, {calls} calls",
            self.seed,
            self.in_doubt,
            self.release - 1,
            self.gone.len()
        );
        assert!(packages > 0 && tasks > 0);
    }

    fn check_what_is_there(&self, there: &BTreeSet<(String, String)>, when: &str) {
        let key = |product: String, number: u32| (product, format!("V{number}"));
        let meters = self.packages.iter().map(|number| key("meter".into(), *number));
        let gateways = self.gateways.iter().map(|n| key(format!("gateway-{n}"), 2));
        for wanted in meters.chain(gateways) {
            assert!(there.contains(&wanted), "{when}: {wanted:?} is not among {there:?}");
        }
        for n in &self.gone {
            assert!(
                !there.contains(&key(format!("gateway-{n}"), 2)),
                "{when}: gateway-{n} was to be deleted"
            );
        }
    }
}

/// No stage of a package before the one before it.
fn check_stages(tasks: &[TaskTruth], when: &str) {
    let rank = |task: &TaskTruth| {
        ["_verify_", "_canary_", "_rest_"].iter().position(|stage| task.name.contains(stage))
    };
    let mut last = BTreeMap::new();
    for task in tasks {
        let before = last.insert(task.packages.clone(), rank(task));
        assert!(rank(task).is_some() && before < Some(rank(task)), "{when}: out of order: {tasks:#?}");
    }
}

fn devices(task: &TaskTruth) -> impl Iterator<Item = &String> {
    task.targets.values().flatten()
}

fn unfinished(task: &TaskTruth) -> impl Iterator<Item = &String> {
    let live = ["Waitting", "Processing", "FailWaitRetry"];
    task.targets.iter().filter(move |(status, _)| live.contains(status)).flat_map(|(_, devices)| devices)
}

fn package(product: &str, number: u32, verification: &str, policy: &str) -> String {
    let verification =
        if verification == "null" { String::new() } else { format!("\n  verification: {verification}") };
    format!(
        "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {{name: {product}-v{number}}}
spec:
  cloudRef: {{name: lab}}
  type: Firmware
  product: {{id: {product}}}
  version: V{number}
  deletionPolicy: {policy}
  artifact:
    sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
    obs: {{region: cn-north-4, bucket: firmware, key: {product}/V{number}.bin}}{verification}
"
    )
}

fn rollout(product: &str, number: u32) -> String {
    let canary = format!(
        "- {{name: canary, select: {{count: {CANARY}}}, soak: 1m, gates: [{{name: proven, outcome: {{method: Ratio, minSuccess: 90%}}}}]}}\n  "
    );
    let canary = if product == "meter" { canary } else { String::new() };
    let verifiers: Vec<String> = (0..30).map(|n| format!("verify-{n:04}")).collect();
    let verifiers = verifiers.join(", ");
    format!(
        "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {{name: {product}}}
spec:
  packageRef: {{name: {product}-v{number}}}
  targets: {{all: true, exclude: {{devices: [{verifiers}]}}}}
  stop: []
  stages:
  {canary}- {{name: rest, select: {{rest: true}}}}
"
    )
}
