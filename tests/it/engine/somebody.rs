//! Somebody else who uses the same account of Huawei Cloud IoTDA.

use super::harness::{Lab, PACKAGE, Process, ROLLOUT};
use bytes::Bytes;
use jiff::Timestamp;
use rollwave::{
    cloud::{WireRequest, WireResponse},
    simulator::{End, Simulator},
};
use serde_json::{Value, json};

/// A call to the simulated cloud that does not go over the network.
pub fn post(cloud: &mut Simulator, path: &str, token: &str, body: &Value) -> WireResponse {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let request = WireRequest {
        method: "POST",
        origin: String::new(),
        path: path.to_owned(),
        query: String::new(),
        headers: vec![header("X-Auth-Token", token), header("Content-Type", "application/json")],
        body: Bytes::from(body.to_string()),
        upload: None,
    };
    match cloud.handle(&request, Timestamp::now()).end {
        End::Reply(reply) => reply,
        end => panic!("{end:?}"),
    }
}

/// A token for such calls.
pub fn sign_in(cloud: &mut Simulator) -> String {
    let user = json!({"name": "operator", "password": "the-password", "domain": {"name": "the-domain"}});
    let sign_in = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                                  "scope": {"project": {"name": "cn-north-4"}}}});
    let reply = post(cloud, "/v3/auth/tokens", "", &sign_in);
    reply.header("x-subject-token").unwrap().to_owned()
}

/// Sends these devices what they never finish; the task's id.
fn creates_a_task(lab: &Lab, devices: &[&str]) -> String {
    let package = lab.packages()[0].id.clone();
    let task = json!({"app_id": "app-1", "task_name": "by_hand", "task_type": "firmwareUpgrade",
                      "targets": devices, "document": {"package_ids": [package]}});
    let reply = lab.cloud(|cloud| {
        let token = sign_in(cloud);
        post(cloud, "/v5/iot/project-1/batchtasks", &token, &task)
    });
    assert_eq!(reply.status, 201, "{:?}", reply.body);
    let created: Value = serde_json::from_slice(&reply.body).unwrap();
    created["task_id"].as_str().unwrap().to_owned()
}

fn stops(lab: &Lab, task: &str) {
    let path = format!("/v5/iot/project-1/batchtasks/{task}/stop");
    let reply = lab.cloud(|cloud| {
        let token = sign_in(cloud);
        post(cloud, &path, &token, &json!({}))
    });
    assert_eq!(reply.status, 200, "{:?}", reply.body);
}

/// The cloud fails a device that two tasks want, and the package would be blamed for it.
#[test]
fn a_stage_waits_for_devices_that_a_task_of_somebody_else_still_holds() {
    let lab = Lab::new();
    lab.write("package.yaml", PACKAGE);
    lab.converge();
    lab.cloud(|cloud| {
        let behaviour = json!([{"version": "V2", "stuckRate": "100%"}]);
        cloud.set_behaviours(serde_json::from_value(behaviour).unwrap()).unwrap();
    });
    let foreign = creates_a_task(&lab, &["meter-0000", "meter-0001"]);
    lab.write("rollout.yaml", &ROLLOUT.replace("count: 5", "devices: [meter-0001, meter-0002]"));
    let _running = Process::start(&mut lab.verb("run", &[]));
    let waiting =
        format!("stage canary (2 devices) is not dispatched: 1 of its devices are still in job {foreign}");
    lab.until_object("rollout/meter", "it waits", |object| object["status"]["message"] == waiting.as_str());
    assert_eq!(lab.tasks().len(), 2, "the verification, and somebody's");
    stops(&lab, &foreign);
    lab.until("the stage is sent", || lab.tasks().len() >= 3);
}
