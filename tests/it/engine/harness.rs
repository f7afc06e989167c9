//! Rollwave against a simulated cloud, each as people run it: the simulator listens in this process, so that a test sees
//! what is true and not only what lists say; the program is a child process that can be killed.

use rollwave::simulator::{
    DeviceChange, PackageTruth, Running, Simulator, TaskTruth, World,
    faults::{Fault, Kind},
    serve,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

/// The engine's time and the devices' time run so many times as fast as the clock.
pub const FACTOR: u32 = 120;

/// Generous: nothing waits for it unless the test fails.
const DEADLINE: Duration = Duration::from_secs(120);

pub const VERIFY_DEVICES: [&str; 2] = ["verify-1", "verify-2"];

const WORLD: &str = "
seed: 11
timeFactor: 120
clouds:
  huaweiIotda:
    duplicatePackages: allow
    searchesPerSecond: 0
    accounts:
    - projectId: project-1
      appId: app-1
      region: cn-north-4
      accessKey: THE-ACCESS-KEY
      secretKey: the-secret-key
      users: [{username: operator, password: the-password, domain: the-domain}]
products: [{id: meter}]
devices:
- {id: verify-1, product: meter, firmware: V1}
- {id: verify-2, product: meter, firmware: V1}
- {count: 20, idPrefix: meter-, product: meter, firmware: V1}
behaviours:
- {version: V2, duration: {min: 5s, max: 20s}}
- {version: V3, duration: {min: 5s, max: 20s}}
- {version: bad, failureRate: 100%, duration: {min: 5s, max: 20s}}
";

pub const PACKAGE: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {name: meter-v2}
spec:
  cloudRef: {name: lab}
  type: Firmware
  product: {id: meter}
  version: V2
  artifact:
    sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
    obs: {region: cn-north-4, bucket: firmware, key: meter/V2.bin}
  verification: {devices: [verify-1, verify-2], timeout: 2h}
";

/// Another version of the package, named `meter-VERSION`, without a verification.
pub fn package(version: &str, more: &str) -> String {
    let name = version.to_lowercase();
    let package = PACKAGE.replace("meter-v2", &format!("meter-{name}")).replace("V2", version);
    let (package, _) = package.split_once("  verification").unwrap();
    format!("{package}{more}")
}

pub const ROLLOUT: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {name: meter}
spec:
  packageRef: {name: meter-v2}
  targets: {all: true}
  stages:
  - name: canary
    select: {count: 5}
    soak: 1m
    gates: [{name: proven, outcome: {method: Ratio, minSuccess: 90%}}]
  - name: rest
    select: {rest: true}
  stop:
  - {name: too-many-failures, method: Count, maxFailure: 2, action: Pause}
";

/// A simulated cloud, a folder of manifests, and a state.
pub struct Lab {
    dir: TempDir,
    cloud: Running,
    _runtime: Runtime,
}

impl Lab {
    /// The usual world, and a manifest of its account.
    pub fn new() -> Self {
        Self::with_world(WORLD)
    }

    pub fn with_world(world: &str) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let world = World::parse("world.yaml", world).unwrap();
        let cloud = runtime.block_on(serve(&world, "127.0.0.1:0".parse().unwrap())).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("fleet")).unwrap();
        let lab = Self { dir, cloud, _runtime: runtime };
        lab.write("cloud.yaml", &lab.cloud_manifest());
        lab
    }

    /// An instance of Alibaba Cloud with devices that take 5 to 20 s for V2. The engine's time runs 120 times as fast as the
    /// gateway's, which therefore throttles nobody. A package may be deleted while a job needs it.
    pub fn of_aliyun(devices: &str, requests_per_second: u32) -> Self {
        let lab = Self::with_world(&format!(
            "
seed: 11
timeFactor: 120
clouds:
  aliyunIot:
    throttled: false
    deletePackageInUse: allow
    accounts:
    - {{regionId: cn-shanghai, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}}
devices:
{devices}
behaviours:
- {{version: V2, duration: {{min: 5s, max: 20s}}}}
"
        ));
        let cloud = format!(
            "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {{name: lab}}\nspec:\n  aliyunIot: \
             {{endpoint: {:?}, regionId: cn-shanghai}}\n  credentials: {{accessKey: env:LAB_AK, secretKey: env:LAB_SK}}\n  \
             budget: {{requestsPerSecond: {requests_per_second}, burst: {requests_per_second}}}\n",
            lab.url()
        );
        lab.write("cloud.yaml", &cloud);
        lab
    }

    pub fn cloud_manifest(&self) -> String {
        let url = self.cloud.url();
        format!(
            "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {{name: lab}}\nspec:\n  \
             huaweiIotda: {{endpoint: {url:?}, region: cn-north-4, projectId: project-1, appId: app-1}}\n  \
             credentials: {{accessKey: env:LAB_AK, secretKey: env:LAB_SK}}\n"
        )
    }

    pub fn url(&self) -> String {
        self.cloud.url()
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where a manifest is.
    pub fn manifest(&self, name: &str) -> PathBuf {
        self.path().join("fleet").join(name)
    }

    /// Writes a manifest, whole or not at all.
    pub fn write(&self, name: &str, text: &str) {
        let half = self.path().join("half-written");
        fs_err::write(&half, text).unwrap();
        fs_err::rename(half, self.manifest(name)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs_err::remove_file(self.manifest(name)).unwrap();
    }

    /// The program, in the folder above the manifests, with the right keys and nothing else from outside.
    pub fn rollwave(&self, args: &[&str]) -> Command {
        self.rollwave_with_state("state", args)
    }

    /// The same with a state in another folder.
    pub fn rollwave_with_state(&self, state: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollwave"));
        command.args(args).args(["--state", state]).current_dir(self.path());
        for variable in ["ROLLWAVE_STATE", "ROLLWAVE_CRASH_AT", "RUST_LOG", "HTTP_PROXY", "HTTPS_PROXY"] {
            command.env_remove(variable);
        }
        command.env("LAB_AK", "THE-ACCESS-KEY").env("LAB_SK", "the-secret-key");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `rollwave VERB fleet` with time running fast.
    pub fn verb(&self, verb: &str, more: &[&str]) -> Command {
        let factor = FACTOR.to_string();
        let args: Vec<&str> =
            [verb, "fleet", "--time-factor", &factor].into_iter().chain(more.iter().copied()).collect();
        self.rollwave(&args)
    }

    /// `rollwave apply fleet --wait`, to its end.
    pub fn apply(&self) -> Ended {
        Ended::of(&mut self.verb("apply", &["--wait", "--timeout", "60s"]))
    }

    /// `rollwave apply fleet --wait`, which must converge.
    pub fn converge(&self) -> Ended {
        let ended = self.apply();
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
        ended
    }

    /// Looks at, or changes, the cloud.
    pub fn cloud<T>(&self, act: impl FnOnce(&mut Simulator) -> T) -> T {
        self.cloud.handle.with(|cloud, _| act(cloud))
    }

    pub fn packages(&self) -> Vec<PackageTruth> {
        self.cloud(|cloud| cloud.packages())
    }

    pub fn tasks(&self) -> Vec<TaskTruth> {
        self.cloud(|cloud| cloud.tasks())
    }

    pub fn calls(&self, operation: &str) -> u64 {
        self.cloud(|cloud| cloud.calls(operation))
    }

    /// Calls of all operations.
    pub fn all_calls(&self) -> u64 {
        self.cloud(|cloud| cloud.counters().values().map(|calls| calls.total).sum())
    }

    /// How often each device was sent something.
    pub fn sent(&self) -> BTreeMap<String, usize> {
        let mut sent = BTreeMap::new();
        for id in self.tasks().into_iter().flat_map(|task| task.targets.into_values().flatten()) {
            *sent.entry(id).or_default() += 1;
        }
        sent
    }

    /// The firmware that a device runs.
    pub fn firmware(&self, device: &str) -> Option<String> {
        self.cloud.handle.with(|cloud, wall| cloud.device(device, wall)).unwrap().firmware
    }

    /// Connects a device, or cuts it off.
    pub fn connect(&self, device: &str, online: bool) {
        let change = DeviceChange { online: Some(online), ..DeviceChange::default() };
        self.cloud.handle.with(|cloud, wall| cloud.change_device(device, change, wall)).unwrap();
    }

    /// A device runs another firmware from now on.
    pub fn set_firmware(&self, device: &str, version: &str) {
        let change = DeviceChange { firmware: Some(version.to_owned()), ..DeviceChange::default() };
        self.cloud.handle.with(|cloud, wall| cloud.change_device(device, change, wall)).unwrap();
    }

    /// What goes wrong with the next `count` calls of an operation.
    pub fn fault(&self, operation: &str, count: Option<u32>, kind: Kind) {
        let fault = Fault { cloud: None, operation: operation.to_owned(), count, probability: None, kind };
        self.cloud.handle.with(|cloud, wall| cloud.inject(fault, wall)).unwrap();
    }

    /// Waits until something is true, of the cloud as a rule.
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < DEADLINE, "never: {what}; {:#?}", self.tasks());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until something is true of an object, as `get` shows it.
    pub fn until_object(&self, object: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let ended = Ended::of(&mut self.rollwave(&["get", object, "-o", "json"]));
            let value = serde_json::from_str(&ended.out).unwrap_or_default();
            if is_so(&value) {
                return value;
            }
            assert!(begin.elapsed() < DEADLINE, "never: {what}; {value:#}");
        }
    }

    /// An object, or the list of all of them, as `get` prints it.
    pub fn get(&self, what: &[&str]) -> Value {
        let args: Vec<&str> = ["get", "-o", "json"].into_iter().chain(what.iter().copied()).collect();
        let ended = Ended::of(&mut self.rollwave(&args));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        serde_json::from_str(&ended.out).unwrap()
    }

    /// A package waits for its file to be put right, and says so; its account answers.
    pub fn assert_stopped_by_its_file(&self, package: &str, words: &str) {
        let found = self.get(&[package]);
        let message = found["status"]["message"].as_str().unwrap_or_default();
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").cloned();
        assert_eq!(ready.unwrap_or_default()["reason"], "Invalid", "{found:#}");
        assert!(conditions.iter().any(|condition| condition["type"] == "Stalled"), "{found:#}");
        let told = "the package's file is not usable";
        let next_step = "put the right file in place, or correct spec.artifact";
        assert!([told, words, next_step].iter().all(|part| message.contains(part)), "{words}: {message}");
        let cloud = self.get(&["cloud/lab"]);
        assert!(cloud["status"]["message"].to_string().contains(" answers"), "{cloud:#}");
    }

    /// Intents that are not settled, of all objects.
    pub fn journal(&self) -> Vec<Value> {
        let list = self.get(&[]);
        let pending =
            list["items"].as_array().unwrap().iter().filter_map(|o| o["status"]["pending"].as_array());
        pending.flatten().cloned().collect()
    }
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Everything that it said.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// A process that runs; it is killed when the test is over.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Starts it with what it logs going into a file.
    pub fn start_with_log(command: &mut Command, log: &Path) -> Self {
        let log = fs_err::File::create(log).unwrap().into_file();
        Self(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it ends by itself; gives how.
    pub fn ended(mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < DEADLINE, "it goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL; gives how it ended.
    pub fn kill(mut self) -> ExitStatus {
        self.0.kill().unwrap();
        self.0.wait().unwrap()
    }

    /// SIGTERM; gives how it ended, and after how long.
    pub fn terminate(mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
        (self.0.wait().unwrap(), begin.elapsed())
    }
}

impl From<Child> for Process {
    fn from(child: Child) -> Self {
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the cases side by side: they wait most of their time.
pub fn each<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(case));
        }
    });
}
