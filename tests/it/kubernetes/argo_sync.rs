//! A fleet in git, synced by Argo CD itself: `integrations/argocd/example/`, with the simulated cloud as its account.

use super::argo_cd::{ArgoCd, NAMESPACE};
use super::control_plane::{ADMIN, ControlPlane, DEADLINE, api_of, apply, runtime};
use super::harness::{Field, says};
use crate::engine::harness::{Lab, Process};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const WORLD: &str = "
seed: 7
timeFactor: 120
clouds:
  huaweiIotda:
    searchesPerSecond: 0
    accounts:
    - projectId: 84ffa6b1c9d0446b8f5d3e2a1b0c9d8e
      appId: app-meters
      region: cn-north-4
      accessKey: THE-ACCESS-KEY
      secretKey: the-secret-key
products: [{id: meter}]
devices:
- {count: 200, idPrefix: meter-, product: meter, firmware: V1.0}
behaviours:
- {version: V2.0, duration: {min: 5s, max: 20s}}
- {version: V3.0, failureRate: 100%, duration: {min: 5s, max: 20s}}
";

/// The git repository of the fleet.
struct Fleet(PathBuf);

impl Fleet {
    /// The example, with the lab in the place of the cloud.
    fn new(lab: &Lab) -> Self {
        let fleet = Self(lab.path().join("fleet.git"));
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("integrations/argocd/example/fleet");
        fs_err::create_dir_all(fleet.0.join("fleet")).unwrap();
        for file in ["1-cloud.yaml", "2-v2.0.yaml"] {
            let text = fs_err::read_to_string(example.join(file)).unwrap();
            let endpoint = "https://9bc34a0001.st1.iotda-app.cn-north-4.myhuaweicloud.com";
            assert!(file != "1-cloud.yaml" || text.contains(endpoint), "{text}");
            fleet.write(file, &text.replace(endpoint, &lab.url()));
        }
        fleet.git(&["init", "--quiet", "--initial-branch", "main"]);
        fleet.commit("V2.0");
        fleet
    }

    fn read(&self, file: &str) -> String {
        fs_err::read_to_string(self.0.join("fleet").join(file)).unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        fs_err::write(self.0.join("fleet").join(file), text).unwrap();
    }

    fn remove(&self, file: &str) {
        fs_err::remove_file(self.0.join("fleet").join(file)).unwrap();
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn git(&self, args: &[&str]) {
        let who =
            ["-c", "user.name=fleet", "-c", "user.email=fleet@example.com", "-c", "commit.gpgsign=false"];
        let ended = Command::new("git").args(who).args(args).current_dir(&self.0).output().unwrap();
        assert!(ended.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

/// The example Application.
struct Application<'a> {
    field: &'a Field<'a>,
    manifest: Value,
}

impl<'a> Application<'a> {
    fn apply(field: &'a Field, fleet: &Fleet) -> Self {
        let text = include_str!("../../../integrations/argocd/example/application.yaml");
        let mut manifest: Value = serde_yaml::from_str(text).unwrap();
        manifest["spec"]["source"]["repoURL"] = format!("file://{}", fleet.0.display()).into();
        manifest["spec"]["destination"]["namespace"] = field.namespace.as_str().into();
        // Nothing here collects garbage, which the default, foreground, waits for.
        let options = manifest["spec"]["syncPolicy"]["syncOptions"].as_array_mut().unwrap();
        options.push("PrunePropagationPolicy=background".into());
        assert_eq!(manifest["metadata"]["namespace"], NAMESPACE);
        runtime().block_on(async { apply(&field.plane.client(ADMIN).await, &manifest).await.unwrap() });
        Self { field, manifest }
    }

    /// Has Argo CD look at git now, as a webhook does.
    fn refresh(&self) {
        let mut wish = self.manifest.clone();
        wish["metadata"]["annotations"] = json!({"argocd.argoproj.io/refresh": "hard"});
        runtime().block_on(async { apply(&self.field.plane.client(ADMIN).await, &wish).await.unwrap() });
    }

    fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let (runtime, begin) = (runtime(), Instant::now());
        let name = self.manifest["metadata"]["name"].as_str().unwrap();
        let client = runtime.block_on(self.field.plane.client(ADMIN));
        loop {
            let found = runtime.block_on(api_of(&client, &self.manifest).get(name)).unwrap();
            if is_so(&found.data) {
                return found.data;
            }
            assert!(begin.elapsed() < DEADLINE, "never: {what}: {:#}", found.data["status"]);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

fn is(application: &Value, health: &str) -> bool {
    application["status"]["health"]["status"] == health && application["status"]["sync"]["status"] == "Synced"
}

/// What Argo CD says of an object of the Application.
fn said_of(application: &Value, kind: &str, name: &str) -> Value {
    let resources = application["status"]["resources"].as_array().cloned().unwrap_or_default();
    let found = resources.into_iter().find(|object| object["kind"] == kind && object["name"] == name);
    found.unwrap_or_default()["health"].clone()
}

fn waits_for(application: &Value, object: &str) -> bool {
    let operation = &application["status"]["operationState"];
    let message = operation["message"].as_str().unwrap_or_default();
    operation["phase"] == "Running"
        && message.contains("waiting for healthy state")
        && message.contains(object)
}

/// V3.0 fails on every device; unlike V2.0 it is deleted in the cloud when it leaves git.
fn bad_release(good: &str) -> String {
    let bad = good.replace("2.0", "3.0").replace("V1.0", "V2.0");
    let (head, rest) = bad.split_once("  verification:").unwrap();
    let (_, rollout) = rest.split_once("---").unwrap();
    format!("{head}  deletionPolicy: Delete\n---{rollout}")
}

#[test]
fn waves_wait_health_follows_and_what_leaves_git_is_pruned_by_its_policy() {
    let plane = ControlPlane::bare();
    plane.install_definitions();
    let field = Field::with_lab(&plane, Lab::with_world(WORLD));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: huawei-keys}\nstringData: {accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}\n";
    field.apply(secret);
    let fleet = Fleet::new(&field.lab);
    field.lab.connect("meter-0001", false);
    let _argo = ArgoCd::start(&plane, field.lab.path());
    let application = Application::apply(&field, &fleet);

    // Nobody has looked at the account yet: nothing of the next wave is there.
    application.until("the first wave waits", |found| waits_for(found, "OtaCloud/meters"));
    assert!(field.get("OtaPackage", "meter-v2.0").is_none());
    let _controller = Process::start(&mut field.controller());

    application.until("the second wave waits", |found| waits_for(found, "OtaPackage/meter-v2.0"));
    field.until("OtaPackage", "meter-v2.0", "it is being verified", |package| says(package, "1 of 2"));
    assert!(field.get("OtaRollout", "meter-v2.0").is_none(), "sent before its package is verified");
    field.lab.connect("meter-0001", true);

    application
        .until("it rolls out", |found| said_of(found, "OtaRollout", "meter-v2.0")["status"] == "Progressing");
    application.until("it has rolled out", |found| is(found, "Healthy"));
    assert_eq!(field.lab.firmware("meter-0007").as_deref(), Some("V2.0"));

    fleet.write("3-v3.0.yaml", &bad_release(&fleet.read("2-v2.0.yaml")));
    fleet.commit("V3.0");
    application.refresh();
    let degraded = application.until("a bad canary degrades it", |found| is(found, "Degraded"));
    let rollout = field.get("OtaRollout", "meter-v3.0").unwrap();
    assert_eq!(said_of(&degraded, "OtaRollout", "meter-v3.0")["message"], rollout["status"]["message"]);
    let reasons = ["too-many-failures", "may have"];
    assert!(reasons.iter().any(|reason| says(&rollout, reason)), "{rollout:#}");
    assert_eq!(said_of(&degraded, "OtaRollout", "meter-v2.0")["status"], "Healthy");

    fleet.remove("3-v3.0.yaml");
    fleet.remove("2-v2.0.yaml");
    fleet.commit("Nothing is rolled out");
    application.refresh();
    for version in ["meter-v2.0", "meter-v3.0"] {
        field.until_gone("OtaRollout", version);
        field.until_gone("OtaPackage", version);
    }
    application.until("the rest is healthy", |found| is(found, "Healthy"));
    let left: Vec<String> = field.lab.packages().into_iter().map(|package| package.version).collect();
    assert_eq!(left, ["V2.0"], "V2.0 is orphaned, V3.0 is deleted");
}
