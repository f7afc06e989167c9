//! `kubectl diff`: nothing that the API server or the controller writes makes an applied manifest differ.

use super::control_plane::{ADMIN, find_parts, shared};
use super::harness::Field;
use crate::engine::harness::{PACKAGE, Process, ROLLOUT};
use std::path::PathBuf;
use std::process::{Command, Output};

/// kubectl with the manifests of the account, the package and the rollout in one file.
struct Kubectl<'a> {
    field: &'a Field<'a>,
    file: PathBuf,
}

impl<'a> Kubectl<'a> {
    fn new(field: &'a Field<'a>) -> Self {
        let file = field.lab.path().join("fleet.yaml");
        fs_err::write(&file, [&field.account(), PACKAGE, ROLLOUT].join("\n---\n")).unwrap();
        Self { field, file }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&find_parts(&["kubectl"])["kubectl"]);
        command.args(args).arg("--filename").arg(&self.file).args(["--namespace", &self.field.namespace]);
        command.env("KUBECONFIG", self.field.plane.kubeconfig_file(ADMIN)).env("HOME", self.field.lab.path());
        command.output().unwrap()
    }

    fn assert_clean(&self, when: &str, how: &[&str]) {
        let diff = self.run(&[&["diff"], how].concat());
        let said =
            String::from_utf8_lossy(&diff.stdout).into_owned() + &String::from_utf8_lossy(&diff.stderr);
        assert!(diff.status.success() && diff.stdout.is_empty(), "{when}: {said}");
    }
}

#[test]
fn what_was_applied_does_not_differ_at_any_point_of_a_rollout() {
    for how in [&[][..], &["--server-side"]] {
        let field = Field::without_account(shared());
        field.apply_keys("the-secret-key");
        let kubectl = Kubectl::new(&field);
        let applied = kubectl.run(&[&["apply"], how].concat());
        assert!(applied.status.success(), "{applied:?}");
        kubectl.assert_clean("nobody has looked at it", how);
        let controller = Process::start(&mut field.controller());
        field.lab.until("the package is verified", || !field.lab.tasks().is_empty());
        kubectl.assert_clean("it is verified", how);
        field.lab.until("the canary is sent", || field.lab.tasks().len() >= 2);
        kubectl.assert_clean("the canary is sent", how);
        field.assert_converges("with an eye on the difference");
        kubectl.assert_clean("it is completed", how);
        drop(controller);
    }
}
