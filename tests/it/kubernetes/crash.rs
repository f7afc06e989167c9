//! Nothing is created twice, wherever a controller dies, whoever leads, and whatever becomes of the API server.

use super::control_plane::{ControlPlane, shared};
use super::harness::Field;
use crate::engine::harness::{Ended, PACKAGE, Process, ROLLOUT, each};
use std::process::{Command, Stdio};

/// Dies at a point of `engine::points`, by SIGKILL.
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
    field.lab.until("the package is verified", || field.lab.tasks().len() == 1);
    signal(&first, "-STOP");
    field.apply(ROLLOUT);
    field.lab.until("the other one leads", || field.leader() != leader);
    field.lab.until("the canary is sent", || field.lab.tasks().len() == 2);
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
    field.lab.until("the package is verified", || field.lab.tasks().len() == 1);
    let (status, _) = first.terminate();
    assert!(status.success(), "{status:?}");
    assert_eq!(field.leader(), "");
    field.apply(ROLLOUT);
    let second = Process::start(&mut field.controller());
    field.assert_converges("after a change of controllers");
    drop(second);
}

#[test]
fn definitions_that_come_late_and_an_api_server_that_goes_away_are_waited_for() {
    let plane = ControlPlane::bare();
    let field = Field::without_account(&plane);
    let controller = Process::start(&mut field.controller());
    field.lab.until("it leads", || !field.leader().is_empty());
    plane.install_definitions();
    field.apply_keys("the-secret-key");
    field.apply(&field.account());
    field.apply(PACKAGE);
    field.apply(ROLLOUT);
    field.lab.until("the canary is sent", || field.lab.tasks().len() == 2);
    plane.kill_api_server();
    let is_updated = |n| field.lab.firmware(&format!("meter-{n:04}")).as_deref() == Some("V2");
    field.lab.until("the canary is updated", || (0..20).filter(|n| is_updated(*n)).count() == 5);
    plane.start_api_server();
    field.assert_converges("after the API server came back");
    drop(controller);
}
