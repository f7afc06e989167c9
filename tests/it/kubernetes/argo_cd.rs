//! Argo CD itself, as processes beside a control plane: its controller, its repository server, and a Redis in memory.

use super::control_plane::{ADMIN, ControlPlane, DEADLINE, apply, find_parts, free_ports, runtime};
use crate::engine::harness::Process;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where Applications and the settings of Argo CD are.
pub const NAMESPACE: &str = "argocd";

/// They end with it.
pub struct ArgoCd {
    parts: BTreeMap<String, PathBuf>,
    kubeconfig: PathBuf,
    logs: PathBuf,
    redis: String,
    processes: Vec<Process>,
}

impl ArgoCd {
    /// With our health checks and actions in its settings, and nothing else of ours.
    pub fn start(plane: &ControlPlane, logs: &Path) -> Self {
        install(plane);
        let [redis, repositories, metrics] = free_ports().map(|port| format!("127.0.0.1:{port}"));
        let mut argo = Self {
            parts: find_parts(&["argocd", "argocd-redis"]),
            kubeconfig: plane.kubeconfig_file(ADMIN),
            logs: logs.to_owned(),
            redis,
            processes: Vec::new(),
        };
        argo.start_redis();
        argo.start_repository_server(&repositories);
        argo.start_controller(&repositories, &metrics);
        argo
    }

    fn start_redis(&mut self) {
        let mut command = Command::new(&self.parts["argocd-redis"]);
        command.arg(&self.redis);
        self.spawn("redis", command);
        wait_until_open(&self.redis);
    }

    fn start_repository_server(&mut self, address: &str) {
        let mut command = self.part("argocd-repo-server");
        command.args(["--disable-tls", "--address", "127.0.0.1", "--port", port_of(address)]);
        command.args(["--metrics-address", "127.0.0.1", "--metrics-port", "0"]);
        self.spawn("repo-server", command);
        wait_until_open(address);
    }

    fn start_controller(&mut self, repositories: &str, metrics: &str) {
        let mut command = self.part("argocd-application-controller");
        command.args(["--namespace", NAMESPACE, "--repo-server-plaintext", "--repo-server", repositories]);
        command.args(["--metrics-port", port_of(metrics), "--app-resync", "5", "--app-resync-jitter", "0"]);
        // What it says of each resource is written into the Application, where a test can read it.
        command.arg("--persist-resource-health");
        self.spawn("controller", command);
    }

    fn part(&self, name: &str) -> Command {
        let mut command = Command::new(&self.parts["argocd"]);
        command.env("ARGOCD_BINARY_NAME", name).env("KUBECONFIG", &self.kubeconfig);
        // The server that it is told to sync to is the one of the kubeconfig; commits are not signed.
        command.env("ARGOCD_FAKE_IN_CLUSTER", "true").env("ARGOCD_GPG_ENABLED", "false");
        command.args(["--redis", &self.redis]);
        command
    }

    fn spawn(&mut self, name: &str, mut command: Command) {
        command.current_dir(&self.logs).stdin(Stdio::null());
        self.processes
            .push(Process::start_with_log(&mut command, &self.logs.join(format!("argocd-{name}.log"))));
    }
}

fn port_of(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

fn wait_until_open(address: &str) {
    let begin = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begin.elapsed() < DEADLINE, "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn install(plane: &ControlPlane) {
    let runtime = runtime();
    runtime.block_on(async {
        let client = plane.client(ADMIN).await;
        for manifest in definitions().into_iter().chain(settings()) {
            apply(&client, &manifest).await.unwrap();
        }
    });
    plane.wait_until_served(&json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject"}));
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "default", "namespace": NAMESPACE},
        "spec": {
            "sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]},
    });
    runtime.block_on(async { apply(&plane.client(ADMIN).await, &project).await.unwrap() });
    plane.wait_until_served(&json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}));
}

/// Those of the very version that runs.
fn definitions() -> Vec<Value> {
    let module = ["list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-cd/v3"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/argocd");
    let output = Command::new("go").args(module).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let module = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
    let read = |name| {
        let text = fs_err::read_to_string(module.join("manifests/crds").join(name)).unwrap();
        serde_yaml::from_str(&text).unwrap()
    };
    ["application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml"].map(read).to_vec()
}

/// What Argo CD looks for when it starts; `argocd-cm` is the one that users are told to apply.
fn settings() -> Vec<Value> {
    let ours = include_str!("../../../integrations/argocd/argocd-cm.yaml");
    let labels = json!({"app.kubernetes.io/part-of": "argocd"});
    let metadata = |name: &str| json!({"name": name, "namespace": NAMESPACE, "labels": labels});
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name)});
    let key = json!({"server.secretkey": "the-key-of-a-server-that-does-not-run"});
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        serde_yaml::from_str(ours).unwrap(),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata("argocd-secret"), "stringData": key}),
        map("argocd-rbac-cm"),
        map("argocd-ssh-known-hosts-cm"),
        map("argocd-tls-certs-cm"),
        map("argocd-gpg-keys-cm"),
    ]
}
