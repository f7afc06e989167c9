//! The quick start as it is written: its lines are run by a shell with the real `kubectl` and `helm`. Only what needs a container
//! engine is left out, and the containers of the Pod are processes.

use super::chart::{of_kind, render_with};
use super::control_plane::{ADMIN, ControlPlane, find_parts};
use crate::engine::harness::Process;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const README: &str = include_str!("../../../examples/kubernetes/README.md");
const NAMESPACE: &str = "rollwave";
/// Where the simulated cloud of the quick start listens, inside of its Pod.
const CLOUD: &str = "127.0.0.1:8090";

/// What a reader types, one line each.
fn lines() -> Vec<&'static str> {
    let mut is_code = false;
    let mut is_typed = |line: &str| {
        is_code = if line.starts_with("```") { line == "```sh" } else { is_code };
        is_code && !line.starts_with("```")
    };
    let typed = README.lines().filter(|line| is_typed(line));
    typed
        .map(|line| line.split(" # ").next().unwrap_or(line).trim())
        .filter(|line| !line.is_empty())
        .collect()
}

/// A reader's machine: the project's folder, a shell, and a cluster.
struct Reader {
    plane: ControlPlane,
    folder: TempDir,
    path: String,
    /// Where the cloud listens here.
    cloud: String,
    pod: Vec<Process>,
}

impl Reader {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tools = find_parts(&["kubectl", "helm"]);
        let folders =
            tools.values().filter_map(|tool| tool.parent()).map(|folder| folder.display().to_string());
        let path = folders.chain([std::env::var("PATH").unwrap()]).collect::<Vec<_>>().join(":");
        let cloud = format!("127.0.0.1:{port}");
        let folder = tempfile::tempdir().unwrap();
        for part in ["charts", "examples"] {
            copy(&root().join(part), &folder.path().join(part), &cloud);
        }
        Self { plane: ControlPlane::empty(), folder, path, cloud, pod: Vec::new() }
    }

    /// Types a line, and gives what is printed.
    fn types(&self, line: &str) -> String {
        let output = Command::new("sh")
            .args(["-ec", line])
            .current_dir(self.folder.path())
            .env("PATH", &self.path)
            .env("KUBECONFIG", self.plane.kubeconfig_file(ADMIN))
            // Helm and kubectl keep what they know of a cluster there.
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (printed, complaint) =
            (String::from_utf8(output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{line}: {complaint}");
        printed.unwrap()
    }

    /// What the kubelet does: the processes of the Pod, with its account and its arguments but for ports and paths.
    fn starts_the_pod(&mut self) {
        let rendered = render_with(NAMESPACE, &["-f", "examples/kubernetes/rehearsal.values.yaml"]);
        let pod = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"];
        let account =
            self.plane.kubeconfig_of_account(NAMESPACE, pod["serviceAccountName"].as_str().unwrap());
        for container in pod["containers"].as_array().unwrap() {
            let args = container["args"].as_array().unwrap().iter().map(|arg| {
                let arg = arg.as_str().unwrap().replace(CLOUD, &self.cloud).replace("/world/", "examples/");
                arg.replace("0.0.0.0:8080", "127.0.0.1:0")
            });
            let mut command = Command::new(env!("CARGO_BIN_EXE_rollwave"));
            command
                .args(args)
                .env("KUBECONFIG", &account)
                .stdin(Stdio::null())
                .current_dir(self.folder.path());
            self.pod.push(Process::start(&mut command));
        }
    }

    /// Watches until the newest rollout has come to this phase, and gives the table at that moment.
    fn watches(&self, rollout: &str, phase: &str) -> String {
        self.types(&format!(
            "kubectl wait otarollout/{rollout} --for=jsonpath='{{.status.phase}}'={phase} --timeout=120s"
        ));
        self.types("kubectl get otarollouts")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder, with the cloud's address in it replaced.
fn copy(from: &Path, to: &PathBuf, cloud: &str) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target, cloud);
        } else {
            let bytes = fs_err::read(entry.path()).unwrap();
            let text = String::from_utf8(bytes).map(|text| text.replace(CLOUD, cloud).into_bytes());
            fs_err::write(target, text.unwrap_or_else(std::string::FromUtf8Error::into_bytes)).unwrap();
        }
    }
}

#[test]
fn the_quick_start_goes_as_it_is_written() {
    let mut reader = Reader::new();
    let mut watched = [("meter-v2.0", "Completed"), ("meter-v3.0", "Held")].into_iter();
    let mut tables = Vec::new();
    for line in lines() {
        let needs_an_engine = ["docker ", "kind "].iter().any(|tool| line.starts_with(tool));
        if needs_an_engine {
            continue;
        }
        if line == "kubectl get otarollouts -w" {
            let (rollout, phase) = watched.next().unwrap();
            tables.push(reader.watches(rollout, phase));
            continue;
        }
        // No kubelet says that a Pod is ready.
        let printed = reader.types(line.trim_end_matches(" --wait"));
        if line.starts_with("helm install") {
            reader.starts_the_pod();
        }
        assert!(!printed.is_empty(), "{line} says what it did");
    }
    let told = |table: &str, rollout: &str| {
        table.lines().find(|line| line.starts_with(rollout)).unwrap_or_default().to_owned()
    };
    assert_eq!(tables.len(), 2, "both releases are watched");
    let [good, bad] = [told(&tables[0], "meter-v2.0"), told(&tables[1], "meter-v3.0")];
    assert!(good.contains("completed") && good.contains("of 398 devices run V2.0"), "{good}");
    // More failures than the gate allows; or, where many came at once, enough for the stop rule.
    let by_gate = bad.contains("needs 90 %: may have 2 failures and has");
    let by_rule = bad.contains("stop rule too-many-failures fires at 20 to 1");
    assert!(bad.contains("canary") && (by_gate || by_rule), "{bad}");
    let left = reader.types("kubectl get rollwave -A --ignore-not-found");
    assert_eq!(left, "", "everything was deleted");
}
