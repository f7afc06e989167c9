//! Nothing is created twice, wherever a controller dies, whoever leads, and whatever becomes of the API server.

use super::control_plane::{ControlPlane, SOMEBODY, shared};
use super::harness::{Field, condition, says};
use crate::engine::harness::{Ended, PACKAGE, Process, ROLLOUT, each};
use rollwave::api::GROUP;
use rollwave::simulator::faults::Kind;
use std::process::{Command, Stdio};

/// Dies at a point of `engine::failpoints`, by SIGKILL.
fn die_at(field: &Field<'_>, point: &str) {
    let mut command = field.controller();
    let ended =
        Ended::of(command.env("ROLLWAVE_CRASH_AT", point).stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert_eq!(ended.signal, Some(9), "{point}: {ended:?}");
}

#[test]
fn killed_at_each_step_of_the_journal() {
    let points = [
        "PackageIntent.before",
        "PackageIntent.after",
        "CreatePackage.after",
        "JobIntent.after",
        "CreateJob.after",
        "JobCreated.after",
    ];
    each(&points, |point| {
        let field = Field::new(shared());
        field.apply(PACKAGE);
        field.apply(ROLLOUT);
        die_at(&field, point);
        let controller = Process::start(&mut field.controller());
        field.assert_converges(point);
        drop(controller);
    });
}

#[test]
fn killed_while_the_jobs_of_a_rollout_are_sent() {
    each(&["JobIntent.after", "CreateJob.after"], |point| {
        let field = Field::new(shared());
        field.apply(PACKAGE);
        let controller = Process::start(&mut field.controller());
        field.until("OtaPackage", "meter-v2", "it is verified", |package| {
            condition(package, "Verified")["status"] == "True"
        });
        let (status, _) = controller.terminate();
        assert!(status.success(), "{status:?}");
        field.apply(ROLLOUT);
        die_at(&field, point);
        let rollout = field.get("OtaRollout", "meter").unwrap();
        assert_eq!(rollout["status"]["pending"][0]["state"], "Intended", "{rollout:#}");
        let controller = Process::start(&mut field.controller());
        field.assert_converges(point);
        drop(controller);
    });
}

fn signal(process: &Process, name: &str) {
    let sent = Command::new("kill").args([name, &process.pid().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn one_of_two_works_and_the_other_one_takes_over_from_a_frozen_one() {
    let field = Field::new(shared());
    let first = Process::start(&mut field.controller());
    field.lab.until("somebody leads", || !field.leader().is_empty());
    let leader = field.leader();
    let second = Process::start(&mut field.controller());
    field.apply(PACKAGE);
    field.lab.until("the package is verified", || !field.lab.tasks().is_empty());
    signal(&first, "-STOP");
    field.apply(ROLLOUT);
    field.lab.until("the other one leads", || field.leader() != leader);
    field.lab.until("the canary is sent", || field.lab.tasks().len() >= 2);
    signal(&first, "-CONT");
    field.assert_converges("with two controllers, one of them woken");
    assert_ne!(field.leader(), leader);
    drop((first, second));
}

#[test]
fn a_controller_that_is_told_to_end_gives_the_lease_back() {
    let field = Field::new(shared());
    field.apply(PACKAGE);
    let first = Process::start(&mut field.controller());
    field.lab.until("the package is verified", || !field.lab.tasks().is_empty());
    let (status, _) = first.terminate();
    assert!(status.success(), "{status:?}");
    assert_eq!(field.leader(), "");
    field.apply(ROLLOUT);
    let second = Process::start(&mut field.controller());
    field.assert_converges("after a change of controllers");
    drop(second);
}

#[test]
fn a_create_that_is_under_way_is_finished_before_the_controller_ends() {
    let field = Field::new(shared());
    field.lab.fault("CreateBatchTask", Some(1), Kind::Latency { millis: 2_000 });
    field.apply(PACKAGE);
    let controller = Process::start(&mut field.controller());
    field.lab.until("the create is under way", || field.lab.calls("CreateBatchTask") == 1);
    let (status, _) = controller.terminate();
    assert!(status.success(), "{status:?}");
    let package = field.get("OtaPackage", "meter-v2").unwrap();
    assert!(package["status"]["pending"].is_null(), "{package:#}");
    assert_eq!(package["status"]["verification"]["jobId"], field.lab.tasks()[0].id, "{package:#}");
}

#[test]
fn a_controller_whose_writes_are_refused_creates_nothing_and_does_not_hurry() {
    let field = Field::new(shared());
    field.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: reader}}\nrules:\n\
         - {{apiGroups: [{GROUP}], resources: [\"*\"], verbs: [get, list, watch]}}\n\
         - {{apiGroups: [\"\"], resources: [secrets], verbs: [get]}}\n\
         - {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}}\n"
    ));
    field.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: reader}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}\n\
         subjects: [{{kind: User, name: {SOMEBODY}}}]\n"
    ));
    field.apply(PACKAGE);
    let mut command = field.controller();
    let controller = Process::start(command.env("KUBECONFIG", field.plane.kubeconfig_file(SOMEBODY)));
    let tried = || field.plane.writes(SOMEBODY, &field.namespace).len();
    field.lab.until("it tried several times", || tried() >= 6);
    assert_eq!(field.lab.packages(), []);
    let (calls, before) = (field.lab.all_calls(), tried());
    field.lab.until("it looked again", || field.lab.all_calls() > calls);
    assert!(tried() < before + 20, "{} more", tried() - before);
    let (status, _) = controller.terminate();
    assert!(status.success(), "{status:?}");
}

#[test]
fn definitions_that_come_late_and_an_api_server_that_is_away_longer_than_the_lease_are_waited_for() {
    let plane = ControlPlane::bare();
    let field = Field::without_account(&plane);
    let log = field.lab.path().join("controller.log");
    let logged = |words: &str| fs_err::read_to_string(&log).unwrap().matches(words).count();
    let mut command = field.controller_everywhere();
    let controller = Process::start_with_log(command.args(["--listen", "127.0.0.1:0"]), &log);
    field.lab.until("it tells what is missing", || logged("rollwave crds | kubectl apply") > 0);
    let (code, said) = field.ask(&log, "/readyz");
    assert!(code == 503 && said.contains("are not installed: apply those"), "{code}: {said}");
    assert_eq!(field.ask(&log, "/livez").0, 200);
    plane.install_definitions();
    field.apply_keys("the-secret-key");
    field.apply(&field.account());
    field.apply(PACKAGE);
    field.apply(ROLLOUT);
    field.lab.until("the package is verified", || !field.lab.tasks().is_empty());
    // Long enough for watches to break, and most likely too short for the Lease.
    plane.kill_api_server();
    plane.start_api_server();
    field.lab.until("the canary is sent", || field.lab.tasks().len() >= 2);
    let lost = logged("no longer leading");
    plane.kill_api_server();
    field.lab.until("it does not lead any more", || logged("no longer leading") == lost + 1);
    let (calls, lines) = (field.lab.all_calls(), logged("\n"));
    let looked = logged("Lease could not be read");
    field.lab.until("the Lease was looked for a few times more", || {
        logged("Lease could not be read") >= looked + 2
    });
    assert_eq!(field.lab.all_calls(), calls, "nobody works who does not lead");
    assert!(logged("\n") < lines + 30, "no hot loop: {} lines more", logged("\n") - lines);
    plane.start_api_server();
    field.assert_converges("after the API server came back");
    assert_eq!(field.ask(&log, "/readyz"), (200, "leading\n".to_owned()));
    assert_other_namespaces_are_out_of_reach(&plane);
    drop(controller);
}

/// The account and the keys of another namespace.
fn assert_other_namespaces_are_out_of_reach(plane: &ControlPlane) {
    let other = Field::without_account(plane);
    other.apply(PACKAGE);
    other.until("OtaPackage", "meter-v2", "it finds no account", |package| says(package, "does not exist"));
    other.apply(&other.account());
    other.until("OtaCloud", "lab", "it finds no keys", |cloud| says(cloud, "there is no Secret keys"));
    assert_eq!(other.lab.all_calls(), 0);
}
