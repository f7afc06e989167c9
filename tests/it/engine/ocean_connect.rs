//! OceanConnect: packages that people upload, tasks that carry nothing of ours, and no call that stops one.

use super::harness::{Ended, Lab, Process, each};
use rollwave::simulator::{
    faults::{Kind, When},
    ocean_connect::UploadSpec,
};
use serde_json::{Value, json};

const WORLD: &str = "
seed: 11
timeFactor: 120
clouds:
  oceanConnect:
    apps: [{appId: app-1, secret: the-secret-key, callsPerMinute: 0}]
devices:
- {id: verify-1, product: Acme/Meter/WM1, firmware: V1}
- {count: 300, idPrefix: meter-, product: Acme/Meter/WM1, firmware: V1}
behaviours: [{version: V2, duration: {min: 5s, max: 20s}}]
";

const PACKAGE: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {name: wm1-v2}
spec:
  cloudRef: {name: lab}
  type: Firmware
  product: {manufacturer: Acme, deviceType: Meter, model: WM1}
  version: V2
  sourceVersions: [V1]
  artifact:
    sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
    portal: {}
  verification: {devices: [verify-1], timeout: 2h}
";

const ROLLOUT: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {name: wm1}
spec:
  packageRef: {name: wm1-v2}
  targets: {all: true, exclude: {devices: [verify-1]}}
  stages:
  - name: canary
    select: {count: 5}
    gates: [{name: proven, outcome: {method: Ratio, minSuccess: 90%}}]
  - name: rest
    select: {rest: true}
";

const CREATE: &str = "CreateFirmwareUpgradeTask";

fn lab() -> Lab {
    let lab = Lab::with_world(WORLD);
    let url = lab.url();
    let cloud = format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {{name: lab}}\nspec:\n  \
         oceanConnect: {{endpoint: {url:?}, appId: app-1}}\n  credentials: {{appSecret: env:LAB_SK}}\n"
    );
    lab.write("cloud.yaml", &cloud);
    lab.write("package.yaml", PACKAGE);
    lab
}

fn upload(lab: &Lab, name: &str) {
    let package = json!({"fileType": "firmwarePackage", "product": "Acme/Meter/WM1", "version": "V2",
                         "sourceVersions": ["V1"], "name": name});
    let package: UploadSpec = serde_json::from_value(package).unwrap();
    lab.cloud(|cloud| {
        let wall = jiff::Timestamp::now();
        cloud.upload_by_hand(&package, wall).unwrap()
    });
}

/// A lab whose package is there and verified, so that the next thing to be created is the canary's task.
fn verified() -> Lab {
    let lab = lab();
    upload(&lab, "a");
    lab.converge();
    assert_eq!(lab.tasks().len(), 1, "the verification");
    lab.write("rollout.yaml", ROLLOUT);
    lab
}

fn ready(lab: &Lab, object: &str) -> (String, String) {
    let object = lab.get(&[object]);
    let conditions = object["status"]["conditions"].as_array().unwrap().clone();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap();
    let text = |field: &str| ready[field].as_str().unwrap().to_owned();
    (text("reason"), text("message"))
}

/// Verification 1, canary 5, rest 295 in tasks of 256 and 39; nobody twice.
fn assert_everything_once(lab: &Lab, case: &str) {
    let sizes: Vec<usize> = lab
        .tasks()
        .iter()
        .map(|task| task.targets.values().map(std::collections::BTreeSet::len).sum())
        .collect();
    assert_eq!(sizes, [1, 5, 256, 39], "{case}");
    assert!(lab.sent().values().all(|times| *times == 1), "{case}");
    assert_eq!(lab.firmware("meter-0299").as_deref(), Some("V2"), "{case}");
    assert_eq!(lab.journal(), Vec::<Value>::new(), "{case}");
}

fn assert_converges(lab: &Lab, case: &str) {
    let ended = lab.apply();
    assert_eq!(ended.code, Some(0), "{case}\n{}", ended.said());
    assert_everything_once(lab, case);
}

#[test]
fn a_missing_package_is_named_exactly_and_the_release_goes_on_once_it_is_uploaded() {
    let lab = lab();
    lab.write("rollout.yaml", ROLLOUT);
    assert_eq!(lab.apply().code, Some(1), "stuck until a person acts");
    let (reason, message) = ready(&lab, "package/wm1-v2");
    assert_eq!(reason, "AwaitingManualUpload");
    let tuple = "fileType firmwarePackage, manufacturer Acme, deviceType Meter, model WM1, version V2, source versions V1";
    assert!(message.contains(tuple), "{message}");
    assert_eq!(lab.tasks().len(), 0);
    upload(&lab, "a");
    assert_converges(&lab, "uploaded");
    let calls = lab.calls("ListDevices");
    assert!(calls < 60, "{calls} pages of devices");
}

#[test]
fn a_running_process_notices_the_upload_by_itself() {
    let lab = lab();
    let factor = super::harness::FACTOR.to_string();
    let process = Process::start(&mut lab.rollwave(&["run", "fleet", "--time-factor", &factor]));
    lab.until_object("package/wm1-v2", "it is missed", |object| {
        object.to_string().contains("AwaitingManualUpload")
    });
    upload(&lab, "a");
    lab.until("the verification", || lab.firmware("verify-1").as_deref() == Some("V2"));
    process.terminate();
}

#[test]
fn several_equal_packages_are_never_chosen_between_but_one_may_be_named() {
    let lab = lab();
    upload(&lab, "a");
    upload(&lab, "b");
    assert_eq!(lab.apply().code, Some(1));
    let (reason, message) = ready(&lab, "package/wm1-v2");
    assert_eq!((reason.as_str(), lab.tasks().len()), ("Ambiguous", 0), "{message}");
    lab.write("package.yaml", &PACKAGE.replace("portal: {}", "portal: {name: b}"));
    lab.converge();
    let named = lab.packages()[1].id.clone();
    assert_eq!(lab.tasks()[0].packages, [named]);
}

#[test]
fn killed_at_each_phase_of_the_journal_leaves_one_task() {
    each(&["JobIntent.before", "JobIntent.after", "CreateJob.before", "CreateJob.after"], |moment| {
        let lab = verified();
        let ended = Ended::of(lab.verb("apply", &["--wait"]).env("ROLLWAVE_CRASH_AT", moment));
        assert_eq!(ended.signal, Some(9), "{moment}: {ended:?}");
        assert_eq!(lab.tasks().len(), if *moment == "CreateJob.after" { 2 } else { 1 }, "{moment}");
        assert_converges(&lab, moment);
    });
}

#[test]
fn a_lost_answer_is_settled_by_looking_for_the_same_devices() {
    let failures = [
        Kind::Reset { when: When::After },
        Kind::Reset { when: When::Before },
        Kind::Error { status: 503, when: When::After },
        Kind::Garbage {},
        Kind::Truncated {},
    ];
    each(&failures, |kind| {
        let lab = verified();
        lab.fault("*", None, Kind::Stale { seconds: 25 });
        lab.fault(CREATE, Some(1), *kind);
        assert_converges(&lab, &format!("{kind:?}"));
    });
}

/// The look-alike of the list is somebody else's: for other devices.
#[test]
fn a_task_of_somebody_else_is_never_taken_over() {
    let lab = verified();
    lab.fault(CREATE, Some(1), Kind::Reset { when: When::Before });
    let process = Process::start(&mut lab.verb("apply", &["--wait"]));
    lab.until("the call in doubt", || lab.calls(CREATE) == 2);
    process.kill();
    let foreign = somebody_creates_a_task(&lab, "meter-0000");
    assert_eq!(lab.apply().code, Some(0));
    let rollout = lab.get(&["rollout/wm1"]);
    let ours = rollout["status"]["stages"].to_string();
    assert!(!ours.contains(&foreign), "{ours}");
    assert_eq!(lab.firmware("meter-0299").as_deref(), Some("V2"));
}

fn somebody_creates_a_task(lab: &Lab, device: &str) -> String {
    let file = lab.packages()[0].id.clone();
    let send = |method: &'static str, path: &str, headers: Vec<(String, String)>, body: String| {
        let request = rollwave::cloud::WireRequest {
            method,
            origin: String::new(),
            path: path.to_owned(),
            query: String::new(),
            headers,
            body: body.into(),
            upload: None,
        };
        let end = lab.cloud(|cloud| cloud.handle(&request, jiff::Timestamp::now()).end);
        let rollwave::simulator::End::Reply(reply) = end else { panic!("{end:?}") };
        serde_json::from_slice::<Value>(&reply.body).unwrap()
    };
    let form = vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    let login = "appId=app-1&secret=the-secret-key".to_owned();
    let token = send("POST", "/iocm/app/sec/v1.1.0/login", form, login)["accessToken"].clone();
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let headers = vec![("app_key".to_owned(), "app-1".to_owned()), ("authorization".to_owned(), bearer)];
    let body = json!({"fileId": file, "targets": {"devices": [device]}}).to_string();
    let answer = send("POST", "/iodm/northbound/v1.5.0/operations/firmwareUpgrade", headers, body);
    answer["operationId"].as_str().unwrap().to_owned()
}

#[test]
fn what_cannot_be_stopped_is_said_with_its_numbers_and_no_stop_is_sent() {
    let lab = verified();
    lab.cloud(|cloud| {
        let behaviour = json!([{"version": "V2", "stuckRate": "100%"}]);
        cloud.set_behaviours(serde_json::from_value(behaviour).unwrap()).unwrap();
    });
    let factor = super::harness::FACTOR.to_string();
    let process = Process::start(&mut lab.rollwave(&["run", "fleet", "--time-factor", &factor]));
    lab.until("the canary", || lab.tasks().len() >= 2);
    lab.write("rollout.yaml", &(ROLLOUT.to_owned() + "  suspend: true\n"));
    let task = lab.tasks()[1].id.clone();
    lab.until_object("rollout/wm1", "it says so", |object| {
        let message = object["status"]["message"].as_str().unwrap_or_default().to_owned();
        message.contains(&format!("5 devices are still reached by what runs ({task})"))
    });
    assert_eq!(lab.calls("unknown"), 0, "no call that the cloud does not have");
    let wall = jiff::Timestamp::now();
    assert!(lab.cloud(|cloud| cloud.stop_by_hand(&task, wall)));
    lab.until_object("rollout/wm1", "the portal's stop is seen", |object| {
        !object["status"]["message"].as_str().unwrap_or_default().contains("still reached")
    });
    process.terminate();
}

#[test]
fn a_drift_round_reads_lists_and_nothing_else() {
    const PACKAGES: usize = 250;
    let lab = lab();
    let wall = jiff::Timestamp::now();
    for number in 0..PACKAGES {
        let package = json!({"fileType": "firmwarePackage", "product": "Acme/Meter/WM1",
                             "version": format!("V2.{number}"), "sourceVersions": ["V1"]});
        let package: UploadSpec = serde_json::from_value(package).unwrap();
        lab.cloud(|cloud| cloud.upload_by_hand(&package, wall).unwrap());
    }
    let (one, _) = PACKAGE.split_once("  verification").unwrap();
    let ours = |number: usize| {
        one.replace("wm1-v2", &format!("wm1-{number}"))
            .replace("version: V2", &format!("version: V2.{number}"))
    };
    lab.write("package.yaml", &(0..20).map(ours).collect::<Vec<_>>().join("---\n"));
    lab.converge();
    lab.cloud(rollwave::simulator::Simulator::reset_counters);
    let _running = Process::start(&mut lab.verb("run", &[]));
    // Three pages of packages at the start, and three in each of two rounds.
    lab.until("two rounds", || lab.calls("ListUpgradePackages") > 9);
    let counters = lab.cloud(|cloud| cloud.counters().clone());
    let calls: Vec<&str> = counters.keys().map(String::as_str).collect();
    // `apply` has left its token for it.
    assert_eq!(calls, ["ListUpgradePackages"], "{counters:?}");
}

/// `plan` and `get` beside `run`: whoever signs in puts everybody else out, so that they share one token.
#[test]
fn a_plan_beside_a_run_does_not_put_it_out() {
    let lab = lab();
    upload(&lab, "a");
    lab.write("rollout.yaml", ROLLOUT);
    let run = Process::start(&mut lab.verb("run", &[]));
    lab.until("the canary is sent", || lab.tasks().len() > 1);
    for _ in 0..3 {
        let planned = Ended::of(&mut lab.rollwave(&["plan", "fleet"]));
        assert!(matches!(planned.code, Some(0 | 2)), "{}", planned.said());
    }
    lab.until_object("rollout/wm1", "it completes", |object| object["status"]["phase"] == "Completed");
    run.terminate();
    assert_everything_once(&lab, "with plans beside it");
    assert_eq!(lab.calls("Login"), 1, "one session for all of them");
    let files: Vec<_> = fs_err::read_dir(lab.path().join("state/sessions")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let path = files[0].as_ref().unwrap().path();
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "for its owner only");
}
