//! Accounts, on the shipped program: rollouts that move, an account that is replaced, and two states of one account.

use super::harness::{Ended, FACTOR, Lab, Process, ROLLOUT, package};

const WORLD: &str = "
seed: 11
timeFactor: 120
clouds:
  huaweiIotda:
    searchesPerSecond: 0
    accounts:
    - {projectId: project-1, appId: app-1, region: cn-north-4, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}
    - {projectId: project-2, appId: app-1, region: cn-north-4, accessKey: OTHER-KEY, secretKey: the-secret-key}
products: [{id: meter}]
devices:
- {count: 20, idPrefix: meter-, product: meter, account: project-1, firmware: V1}
- {count: 20, idPrefix: other-, product: meter, account: project-2, firmware: V1}
behaviours:
- {version: V2, duration: {min: 2h, max: 2h}}
";

/// The canary of a rollout runs in the first account.
fn running() -> (Lab, Process) {
    let lab = Lab::with_world(WORLD);
    lab.write("package.yaml", &package("V2", ""));
    lab.write("rollout.yaml", ROLLOUT);
    let process = Process::start(&mut lab.verb("run", &[]));
    lab.until("the canary is sent", || lab.tasks().len() == 1);
    (lab, process)
}

fn of_project_2(lab: &Lab) -> String {
    lab.cloud_manifest().replace("project-1", "project-2").replace("env:LAB_AK", "env:LAB_AK_2")
}

#[test]
fn a_rollout_that_moves_to_another_account_stops_its_job_before_it_begins_there() {
    let (lab, process) = running();
    drop(process);
    let mut second = lab.verb("run", &[]);
    let process = Process::start(second.env("LAB_AK_2", "OTHER-KEY"));
    lab.write("cloud-2.yaml", &of_project_2(&lab).replace("{name: lab}", "{name: other}"));
    let moved = package("V2", "").replace("meter-v2", "moved").replace("{name: lab}", "{name: other}");
    lab.write("package-2.yaml", &moved);
    lab.write("rollout.yaml", &ROLLOUT.replace("meter-v2", "moved"));
    lab.until("it begins in the other account", || lab.tasks().len() == 2);
    let tasks = lab.tasks();
    assert!(tasks[0].status.starts_with("Stop"), "{tasks:#?}");
    assert_eq!((&*tasks[0].account, &*tasks[1].account), ("project-1", "project-2"));
    drop(process);
}

#[test]
fn an_account_that_is_replaced_in_place_is_refused_until_it_is_put_back() {
    let (lab, process) = running();
    lab.write("cloud.yaml", &of_project_2(&lab).replace("env:LAB_AK_2", "env:LAB_AK"));
    let refused = lab.until_object("cloud/lab", "it is refused", |object| {
        object["status"]["message"].to_string().contains("now names account huaweiIotda project project-2")
    });
    let message = refused["status"]["message"].as_str().unwrap();
    assert!(
        message.ends_with("restore the previous account, and write another OtaCloud for the new one"),
        "{message}"
    );
    lab.write("cloud.yaml", &lab.cloud_manifest());
    lab.until_object("cloud/lab", "it answers", |object| {
        object["status"]["message"].to_string().contains("connected to ")
    });
    assert_eq!(lab.tasks().len(), 1);
    drop(process);
}

#[test]
fn two_states_of_one_account_end_with_every_device_upgraded_and_no_failure() {
    let lab = Lab::new();
    lab.write("package.yaml", &package("V2", ""));
    lab.write("rollout.yaml", ROLLOUT);
    let factor = FACTOR.to_string();
    let args = ["apply", "fleet", "--time-factor", &factor, "--wait", "--timeout", "60s"];
    let ended = std::thread::scope(|scope| {
        let both = ["one", "other"].map(|state| {
            let mut command = lab.rollwave_with_state(state, &args);
            scope.spawn(move || Ended::of(&mut command))
        });
        both.map(|thread| thread.join().unwrap())
    });
    for ended in &ended {
        assert_eq!(ended.code, Some(0), "{}", ended.said());
    }
    for n in 0..20 {
        assert_eq!(lab.firmware(&format!("meter-{n:04}")).as_deref(), Some("V2"));
    }
}
