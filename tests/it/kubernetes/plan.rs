//! `rollwave plan` against a cluster: what an apply would do, with its objects, its statuses and its Secrets; nothing is written.

use super::control_plane::{ADMIN, CONTROLLER, shared};
use super::harness::Field;
use crate::engine::harness::{PACKAGE, Process, ROLLOUT};
use serde_json::Value;
use std::process::{Command, Output};

fn plan(field: &Field<'_>, manifests: &str) -> Output {
    plan_with(field, manifests, &[])
}

fn plan_with(field: &Field<'_>, manifests: &str, more: &[&str]) -> Output {
    let folder = field.lab.path().join("wanted");
    fs_err::create_dir_all(&folder).unwrap();
    fs_err::write(folder.join("all.yaml"), manifests).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollwave"));
    command.args(["plan", "wanted", "-o", "json", "-n", &field.namespace, "--kubeconfig"]);
    command.arg(field.plane.kubeconfig_file(ADMIN)).args(more).current_dir(field.lab.path());
    ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"].iter().for_each(|name| {
        command.env_remove(name);
    });
    command.output().unwrap()
}

fn orders(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let json: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    json["orders"].clone()
}

#[test]
fn a_plan_says_what_an_apply_to_the_cluster_would_do_and_writes_nothing() {
    let field = Field::new(shared());
    let everything = format!("{PACKAGE}---\n{ROLLOUT}");
    let fresh = plan(&field, &everything);
    assert_eq!(fresh.status.code(), Some(2), "{}", String::from_utf8_lossy(&fresh.stderr));
    assert_eq!(orders(&fresh)["CreatePackage"], 1, "{}", orders(&fresh));
    assert!(field.get("OtaPackage", "meter-v2").is_none() && field.lab.packages().is_empty());
    let secret = field.get("Secret", "keys").unwrap();
    assert!(secret["metadata"]["finalizers"].is_null(), "{secret:#}");
    field.apply(PACKAGE);
    field.apply(ROLLOUT);
    let controller = Process::start(&mut field.controller());
    field.assert_converges("before the second plan");
    drop(controller);
    let writes = field.writes();
    let done = plan(&field, &everything);
    assert_eq!((done.status.code(), orders(&done)), (Some(0), serde_json::json!({})));
    let next = PACKAGE.replace("meter-v2", "meter-v3").replace("V2", "V3");
    let release = plan(&field, &format!("{next}---\n{}", ROLLOUT.replace("meter-v2", "meter-v3")));
    assert_eq!(release.status.code(), Some(2));
    assert_eq!(orders(&release)["CreatePackage"], 1, "{}", orders(&release));
    assert_eq!(field.plane.writes(CONTROLLER, &field.namespace), writes);
    let pruning = plan_with(&field, &everything, &["--prune-all"]);
    let said = String::from_utf8_lossy(&pruning.stderr).into_owned();
    assert!(pruning.status.code() == Some(1) && said.contains("omit them"), "{said}");
    let astray = plan(&field, &ROLLOUT.replace("name: meter-v2", "name: meter-v9"));
    let said = String::from_utf8_lossy(&astray.stderr).into_owned();
    assert!(astray.status.code() == Some(1) && said.contains("there is no OtaPackage"), "{said}");
}

#[test]
fn a_plan_finds_the_account_of_another_namespace_and_says_when_that_does_not_allow_it() {
    let (platform, team) = (Field::new(shared()), Field::without_account(shared()));
    let of_platform = format!("cloudRef: {{name: lab, namespace: {}}}", platform.namespace);
    let package = PACKAGE.replace("cloudRef: {name: lab}", &of_platform);
    let release = format!("{package}---\n{ROLLOUT}");
    let refused = plan(&team, &release);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(refused.status.code() != Some(0) && said.contains("does not allow namespace"), "{said}");
    platform.apply(&format!("{}  allowedNamespaces: ['*']\n", platform.account()));
    let allowed = plan(&team, &release);
    assert_eq!(orders(&allowed)["CreatePackage"], 1, "{}", orders(&allowed));
    assert_eq!(platform.lab.packages(), []);
}
