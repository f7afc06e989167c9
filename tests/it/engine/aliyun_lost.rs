//! Somebody deletes a package on Alibaba Cloud while the answer of a job's create is lost: jobs are listed by package there, and
//! nothing tells any more whether this one exists.

use super::harness::{Ended, Lab, Process, ROLLOUT};
use jiff::Timestamp;
use rollwave::api::AliyunIot;
use rollwave::cloud::{
    Call,
    aliyun_iot::{self, Keys},
    transport::{HttpOptions, HttpTransport},
};
use serde_json::{Value, json};
use std::sync::Arc;

const BYTES: &[u8] = b"the image of V2";

const PACKAGE: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {name: meter-v2}
spec:
  cloudRef: {name: lab}
  type: Firmware
  product: {id: meter}
  version: V2
  driftPolicy: Correct
  artifact: {file: image.bin, sha256: SHA256, md5: MD5, size: 15}
  verification: {devices: [verify-1, verify-2], timeout: 2h}
";

fn package() -> String {
    use md5::Digest;
    let (sha256, md5) = (sha2::Sha256::digest(BYTES), md5::Md5::digest(BYTES));
    PACKAGE.replace("SHA256", &hex::encode(sha256)).replace("MD5", &hex::encode(md5))
}

fn lab() -> Lab {
    let lab = Lab::of_aliyun(
        "- {id: verify-1, product: meter, firmware: V1}
- {id: verify-2, product: meter, firmware: V1}
- {count: 20, idPrefix: meter-, product: meter, firmware: V1}",
        10,
    );
    fs_err::write(lab.manifest("image.bin"), BYTES).unwrap();
    lab
}

/// Its upgrades never end: nothing but a list could tell of a job.
fn never_end(lab: &Lab) {
    let behaviour = json!([{"version": "V2", "stuckRate": "100%"}]);
    lab.cloud(|cloud| cloud.set_behaviours(serde_json::from_value(behaviour).unwrap()).unwrap());
}

fn dies_after_its_create(lab: &Lab) {
    let died = Ended::of(lab.verb("apply", &["--wait"]).env("ROLLWAVE_CRASH_AT", "CreateJob.after"));
    assert_eq!(died.signal, Some(9), "{died:?}");
}

fn somebody_deletes_the_package(lab: &Lab) {
    let [package] = &lab.packages()[..] else { panic!("{:?}", lab.packages()) };
    let spec = json!({"endpoint": lab.url(), "regionId": "cn-shanghai"});
    let spec: AliyunIot = serde_json::from_value(spec).unwrap();
    let keys = Keys { id: "THE-ACCESS-KEY".into(), secret: "the-secret-key".into(), security_token: None };
    let transport = Arc::new(HttpTransport::new(HttpOptions::default()).unwrap());
    let cloud = aliyun_iot::connect(&spec, keys, transport, "somebody");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let delete = Call::DeletePackage { id: package.id.clone() };
    runtime.block_on(cloud.perform(&delete, Timestamp::now())).unwrap();
}

fn held_as_lost(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions
        .iter()
        .any(|c| c["type"] == "Stalled" && c["status"] == "True" && c["reason"] == "OutcomeUnresolved")
}

#[test]
fn a_job_that_nothing_can_tell_of_is_never_sent_again_and_its_rollout_says_so_and_can_go() {
    let lab = lab();
    lab.write("package.yaml", &package());
    lab.converge();
    lab.write("rollout.yaml", ROLLOUT);
    never_end(&lab);
    dies_after_its_create(&lab);
    somebody_deletes_the_package(&lab);
    let process = Process::start(&mut lab.verb("run", &[]));
    let held = lab.until_object("rollout/meter", "it holds", held_as_lost);
    let said = held["status"]["message"].as_str().unwrap();
    assert!(said.contains("somebody has deleted package") && said.contains("delete this rollout"), "{said}");
    assert_eq!(held["status"]["pending"][0]["state"], "Lost");
    lab.until_object("package/meter-v2", "it is there again", |o| o["status"]["packageId"] != Value::Null);
    assert_eq!(lab.calls("CreateOTAStaticUpgradeJob"), 1);
    let why = Ended::of(&mut lab.rollwave(&["why", "rollout/meter"]));
    assert!(why.out.contains("it is never sent again"), "{}", why.said());
    lab.remove("rollout.yaml");
    lab.until("the rollout goes", || lab.get(&["rollout"])["items"] == json!([]));
    assert_eq!(lab.calls("CreateOTAStaticUpgradeJob"), 1);
    drop(process);
}

#[test]
fn a_verification_that_nothing_can_tell_of_is_made_anew_once_somebody_asks_for_it() {
    let lab = lab();
    never_end(&lab);
    lab.write("package.yaml", &package());
    dies_after_its_create(&lab);
    somebody_deletes_the_package(&lab);
    let process = Process::start(&mut lab.verb("run", &[]));
    lab.until_object("package/meter-v2", "it holds", held_as_lost);
    assert_eq!(lab.calls("CreateOTAVerifyJob"), 1);
    let asked = Ended::of(&mut lab.rollwave(&["retry", "package/meter-v2"]));
    assert_eq!(asked.code, Some(0), "{asked:?}");
    lab.until("it is sent under a new token", || lab.calls("CreateOTAVerifyJob") == 2);
    lab.until_object("package/meter-v2", "nothing is lost any more", |o| {
        o["status"]["verification"]["attempt"] == 1 && o["status"]["pending"].is_null()
    });
    drop(process);
}
