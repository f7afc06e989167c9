//! Several controllers share the accounts, each is worked on by one of them, and nobody shares in two ways at once.

use super::control_plane::shared;
use super::harness::Field;
use crate::engine::harness::{Lab, PACKAGE, Process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

/// So many that no shard is empty but once in tens of thousands of runs.
const ACCOUNTS: usize = 16;

fn sharing(field: &Field<'_>, shards: &str) -> Command {
    let mut command = field.controller();
    command.args(["--shards", shards]);
    command
}

/// A simulated cloud with an application and an access key for each account.
fn lab() -> Lab {
    let mut world = "seed: 11\ntimeFactor: 120\nclouds:\n  huaweiIotda:\n    accounts:\n".to_owned();
    for n in 0..ACCOUNTS {
        let keys = format!("accessKey: KEY-{n}, secretKey: the-secret-key");
        writeln!(world, "    - {{projectId: project-1, appId: app-{n}, region: cn-north-4, {keys}}}")
            .unwrap();
    }
    Lab::with_world(&(world + "products: [{id: meter}]\n"))
}

fn apply_accounts(field: &Field<'_>) {
    for n in 0..ACCOUNTS {
        field.apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys-{n}}}\nstringData: {{accessKey: KEY-{n}, secretKey: the-secret-key}}\n"
        ));
        let account = field.account().replace("name: lab}", &format!("name: lab-{n}}}"));
        field.apply(
            &account
                .replace("app-1}", &format!("app-{n}}}"))
                .replace("name: keys}", &format!("name: keys-{n}}}")),
        );
    }
}

/// A package of each account, with a version of its own.
fn apply_packages(field: &Field<'_>, release: &str) {
    let (package, _) = PACKAGE.split_once("  verification").unwrap();
    for account in 0..ACCOUNTS {
        let named = package.replace("meter-v2", &format!("{release}-{account}"));
        let named = named.replace("name: lab}", &format!("name: lab-{account}}}"));
        field.apply(&named.replace("version: V2", &format!("version: {release}.{account}")));
    }
}

fn is_ready(object: &Value) -> bool {
    super::harness::condition(object, "Ready")["status"] == "True"
}

fn holder(field: &Field<'_>, lease: &str) -> String {
    let found = field.get("Lease", lease).unwrap_or_default();
    found["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

fn holders(field: &Field<'_>) -> BTreeSet<String> {
    ["rollwave-shard-0", "rollwave-shard-1"].map(|lease| holder(field, lease)).into()
}

#[test]
fn accounts_are_shared_taken_over_and_never_shared_in_two_ways() {
    let field = Field::with_lab(shared(), lab());
    apply_accounts(&field);
    let mut sharers: Vec<Process> = (0..3)
        .map(|n| {
            let mut command = sharing(&field, "2");
            Process::start(command.env("POD_NAME", format!("sharer-{n}")))
        })
        .collect();
    apply_packages(&field, "first");
    field.until_all("OtaPackage", ACCOUNTS, is_ready);
    assert_eq!(field.lab.packages().len(), ACCOUNTS, "each is created once");
    assert_eq!(holder(&field, "rollwave"), "2 shards");
    let before = holders(&field);
    assert_eq!(before.len(), 2, "two controllers, and one that waits: {before:?}");

    // Whoever has the first shard dies, and the one that waits takes it over.
    let first = holder(&field, "rollwave-shard-0");
    let number: usize = first["sharer-".len()..].split('_').next().unwrap().parse().unwrap();
    sharers.remove(number).kill();
    field.lab.until("its shard is taken over", || holder(&field, "rollwave-shard-0") != first);
    apply_packages(&field, "second");
    field.until_all("OtaPackage", 2 * ACCOUNTS, is_ready);
    assert_eq!(field.lab.packages().len(), 2 * ACCOUNTS);

    // One that would work on everything waits until the last of them is gone.
    let log = field.lab.path().join("alone.log");
    let mut command = field.controller();
    let alone = Process::start_with_log(command.args(["--listen", "127.0.0.1:0"]), &log);
    field.lab.until("it has looked", || field.ask(&log, "/readyz").1 == "ready to take over\n");
    let (status, _) = sharers.remove(0).terminate();
    assert!(status.success(), "{status:?}");
    field.lab.until("its shard is given back", || holders(&field).contains(""));
    apply_packages(&field, "third");
    field.lab.until("the shard that is left goes on", || field.lab.packages().len() > 2 * ACCOUNTS);
    assert!(field.lab.packages().len() < 3 * ACCOUNTS, "the other one is nobody's");
    assert_eq!(field.ask(&log, "/readyz").1, "ready to take over\n");
    drop(sharers);
    field.until_all("OtaPackage", 3 * ACCOUNTS, is_ready);
    assert_eq!(field.lab.packages().len(), 3 * ACCOUNTS, "each is created once, whoever worked on it");
    drop(alone);
}
