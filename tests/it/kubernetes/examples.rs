//! The examples for a cluster: a real API server takes them, and the quick start comes to its end.

use super::chart::{install, of_kind, render_with};
use super::control_plane::{ADMIN, ControlPlane, DEADLINE, api_of, apply, runtime, shared};
use super::definitions::refusals;
use crate::engine::harness::Process;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn read(file: &str) -> String {
    fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn manifests(text: &str, namespace: &str) -> Vec<Value> {
    let mut manifests: Vec<Value> = serde_yaml::from_multiple(text).unwrap();
    manifests.iter_mut().for_each(|manifest| manifest["metadata"]["namespace"] = namespace.into());
    manifests
}

#[test]
fn an_api_server_takes_the_examples() {
    let plane = shared();
    let namespace = plane.namespace();
    let fleet = "integrations/argocd/example/fleet";
    let files =
        ["examples/kubernetes/fleet.yaml", &format!("{fleet}/1-cloud.yaml"), &format!("{fleet}/2-v2.0.yaml")];
    runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        for manifest in files.iter().flat_map(|file| manifests(&read(file), &namespace)) {
            let refused = refusals(&client, &manifest).await;
            assert!(refused.is_empty(), "{}: {refused:?}", manifest["metadata"]["name"]);
        }
    });
}

/// The quick start with processes in the place of containers: the arguments are those of the Pod, but for ports and paths.
#[test]
fn the_quick_start_comes_to_its_end() {
    let plane = ControlPlane::bare();
    plane.install_definitions();
    let namespace = plane.namespace();
    let more = ["-f", "examples/kubernetes/rehearsal.values.yaml"];
    let rendered = render_with(&namespace, &more);
    let pod = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"];
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let here = |text: &str| text.replace("127.0.0.1:8090", &address);
    let fleet = manifests(&here(&read("examples/kubernetes/fleet.yaml")), &namespace);
    let waiting = runtime();
    waiting.block_on(async {
        let client = plane.client(ADMIN).await;
        install(&client, &rendered).await;
        for manifest in &fleet {
            apply(&client, manifest).await.unwrap();
        }
    });
    let account = plane.kubeconfig_of_account(&namespace, pod["serviceAccountName"].as_str().unwrap());
    let containers = pod["containers"].as_array().unwrap();
    let processes: Vec<Process> = containers
        .iter()
        .map(|container| {
            let args = container["args"].as_array().unwrap().iter().map(|arg| {
                let arg = here(arg.as_str().unwrap()).replace("/world/", "examples/");
                arg.replace("0.0.0.0:8080", "127.0.0.1:0")
            });
            let mut command = Command::new(env!("CARGO_BIN_EXE_rollwave"));
            command.args(args).env("KUBECONFIG", &account).stdin(Stdio::null());
            Process::start(command.current_dir(env!("CARGO_MANIFEST_DIR")))
        })
        .collect();
    assert_eq!(processes.len(), 2);
    let rollout = fleet.iter().find(|manifest| manifest["kind"] == "OtaRollout").unwrap();
    waiting.block_on(async {
        let client = plane.client(ADMIN).await;
        let begin = Instant::now();
        loop {
            let api = api_of(&client, rollout);
            let object = api.get(rollout["metadata"]["name"].as_str().unwrap()).await.unwrap();
            if object.data["status"]["phase"] == "Completed" {
                break;
            }
            assert!(begin.elapsed() < DEADLINE, "never completed: {:#}", object.data);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    drop(processes);
}
