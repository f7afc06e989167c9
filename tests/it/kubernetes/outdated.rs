//! A controller meets CustomResourceDefinitions that are older than itself: an API server drops fields that they do not have.

use super::control_plane::{ADMIN, ControlPlane, apply, runtime};
use super::harness::{Field, says};
use crate::engine::harness::{PACKAGE, Process, ROLLOUT};
use rollwave::api::{Kind, definition};
use serde_json::{Value, json};

/// The definition of a kind as it was before its status had a journal.
fn without_journal(kind: Kind) -> Value {
    let mut definition = definition(kind);
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    definition.pointer_mut(status).unwrap().as_object_mut().unwrap().remove("pending").unwrap();
    definition
}

fn install(plane: &ControlPlane, definitions: &[Value]) {
    runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        for definition in definitions {
            apply(&client, definition).await.unwrap();
        }
    });
    plane.wait_for_definitions();
}

#[test]
fn a_controller_waits_for_the_definitions_that_it_needs_and_says_which_fields_are_missing() {
    let plane = ControlPlane::bare();
    install(
        &plane,
        &[definition(Kind::OtaCloud), definition(Kind::OtaPackage), without_journal(Kind::OtaRollout)],
    );
    let field = Field::new(&plane);
    let log = field.lab.path().join("log");
    let controller = Process::start_with_log(field.controller().args(["--listen", "127.0.0.1:0"]), &log);
    field.apply(PACKAGE);
    field.apply(ROLLOUT);
    field.lab.until("it says so", || {
        let (code, said) = field.ask(&log, "/readyz");
        code == 503 && said.contains("OtaRollout lacks status.pending: apply those of this version")
    });
    assert_eq!(field.leader(), "", "it does not stand for election");
    assert_eq!((field.lab.packages(), field.lab.tasks().len()), (Vec::new(), 0));
    plane.install_definitions();
    field.assert_converges("with its definitions");
    assert_eq!(field.ask(&log, "/readyz").0, 200);
    drop(controller);
}

#[test]
fn nothing_is_sent_after_an_intent_that_the_api_server_did_not_keep() {
    let plane = ControlPlane::bare();
    plane.install_definitions();
    let field = Field::new(&plane);
    let log = field.lab.path().join("log");
    let controller = Process::start_with_log(&mut field.controller(), &log);
    field.apply(PACKAGE);
    let verified = |package: &Value| package["status"]["verification"]["counts"]["succeeded"] == 2;
    field.until("OtaPackage", "meter-v2", "it is verified", verified);
    install(&plane, &[without_journal(Kind::OtaRollout)]);
    let intent = json!({"pending": [{"token": "t", "operation": "CreateJob", "digest": "d",
                                     "at": "2026-01-01T00:00:00Z", "state": "Intended"}]});
    // Somewhere else, where the controller does not look: until the API server goes by the older definition.
    let probe = Field::without_account(&plane);
    probe.apply(&ROLLOUT.replace("name: meter", "name: probe"));
    field.lab.until("it drops the field", || {
        probe.patch_status("OtaRollout", "probe", &intent);
        probe.get("OtaRollout", "probe").is_some_and(|object| object["status"]["pending"].is_null())
    });
    let before = field.lab.tasks().len();
    field.apply(ROLLOUT);
    let said = || fs_err::read_to_string(&log).unwrap();
    field.lab.until("it says so", || said().contains("the API server dropped status.pending"));
    assert_eq!(field.lab.tasks().len(), before, "{}", said());
    plane.install_definitions();
    field.assert_converges("with its definitions");
    let rollout = field.get("OtaRollout", "meter").unwrap();
    assert!(!says(&rollout, "dropped"), "{rollout:#}");
    drop(controller);
}
