//! EnOS with the real program: uploads, its own verification, jobs that count nothing and never end by themselves.

use super::harness::{Ended, Lab, PACKAGE, Process, ROLLOUT, VERIFY_DEVICES, each};
use jiff::Timestamp;
use rollwave::{
    cloud::{WireRequest, enos::sign},
    simulator::{
        End, Simulator,
        faults::{Kind, When},
    },
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const WORLD: &str = "
seed: 11
timeFactor: 120
clouds:
  enos:
    wrongDigests: reject
    accounts: [{orgId: o15504722874071, appKey: THE-ACCESS-KEY, appSecret: the-secret-key}]
devices:
- {id: verify-1, product: meter, firmware: V1}
- {id: verify-2, product: meter, firmware: V1}
- {count: 20, idPrefix: meter-, product: meter, firmware: V1}
behaviours:
- {version: V2, duration: {min: 5s, max: 20s}}
- {version: V3, duration: {min: 5s, max: 20s}}
- {version: bad, failureRate: 100%, duration: {min: 5s, max: 20s}}
";

fn cloud(lab: &Lab) -> String {
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {{name: lab}}\nspec:\n  \
         enos: {{endpoint: {:?}, orgId: o15504722874071}}\n  \
         credentials: {{accessKey: env:LAB_AK, secretKey: env:LAB_SK}}\n",
        lab.url()
    )
}

/// The package of a version, whose bytes are its name.
fn package(lab: &Lab, name: &str, version: &str) -> String {
    lab.write(&format!("{version}.bin"), version);
    let digest = hex::encode(Sha256::digest(version));
    let (head, rest) = PACKAGE.split_once("  artifact:").unwrap();
    let (_, verification) = rest.split_once("  verification:").unwrap();
    let head = head.replace("name: meter-v2", &format!("name: {name}"));
    let head = head.replace("version: V2", &format!("version: {version}"));
    format!("{head}  artifact: {{sha256: {digest}, file: {version}.bin}}\n  verification:{verification}")
}

fn lab() -> Lab {
    lab_of(20)
}

pub fn lab_of(devices: u32) -> Lab {
    lab_in(&WORLD.replace("count: 20", &format!("count: {devices}")))
}

fn lab_in(world: &str) -> Lab {
    let lab = Lab::with_world(world);
    lab.write("cloud.yaml", &cloud(&lab));
    lab.write("package.yaml", &package(&lab, "meter-v2", "V2"));
    lab
}

/// What is being created when it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Package,
    VerifyJob,
    StageJob,
}

const ALL: [What; 3] = [What::Package, What::VerifyJob, What::StageJob];

impl What {
    fn noun(self) -> &'static str {
        if self == Self::Package { "Package" } else { "Job" }
    }

    fn operation(self) -> &'static str {
        if self == Self::Package { "CreateFirmware" } else { "CreateJob" }
    }

    /// A world where this is the next thing to be created of its kind.
    fn lab(self) -> Lab {
        let lab = lab();
        if self == Self::StageJob {
            lab.converge();
        }
        lab.write("rollout.yaml", ROLLOUT);
        lab
    }

    fn exist(self, lab: &Lab) -> usize {
        let before = if self == Self::StageJob { 1 } else { 0 };
        if self == Self::Package { lab.packages().len() } else { lab.tasks().len() - before }
    }
}

/// One firmware, and one job each for the verification, the canary and the rest.
fn assert_converges_once(lab: &Lab, case: &str) {
    let ended = lab.apply();
    assert_eq!(ended.code, Some(0), "{case}\n{}\n{}", ended.out, ended.err);
    assert_eq!(lab.packages().len(), 1, "{case}: {:#?}", lab.packages());
    let jobs = lab.tasks();
    let sizes: Vec<usize> =
        jobs.iter().map(|job| job.targets.values().map(std::collections::BTreeSet::len).sum()).collect();
    assert_eq!(sizes, [2, 5, 15], "{case}: {jobs:#?}");
    let kinds: Vec<&str> = jobs.iter().map(|job| job.kind.as_str()).collect();
    assert_eq!(kinds, ["verify", "upgrade", "upgrade"], "{case}");
    assert!(lab.sent().values().all(|times| *times == 1), "{case}: {:?}", lab.sent());
    assert!(VERIFY_DEVICES.iter().chain(&["meter-0000"]).all(|id| lab.firmware(id).as_deref() == Some("V2")));
    assert_eq!(lab.journal(), Vec::<Value>::new(), "{case}");
}

#[test]
fn a_release_is_uploaded_verified_and_rolled_out_and_a_quiet_account_costs_pages() {
    let lab = lab();
    lab.write("rollout.yaml", ROLLOUT);
    assert_converges_once(&lab, "release");
    assert_eq!(lab.calls("CreateFirmware"), 1);
    lab.cloud(Simulator::reset_counters);
    lab.converge();
    for (operation, most) in [("SearchJobs", 2), ("SearchDeviceUpgrades", 2), ("SearchFirmwares", 2)] {
        assert!(lab.calls(operation) <= most, "{operation}: {}", lab.calls(operation));
    }
    // A token, and after a restart one look at the tasks of each of the three jobs.
    assert!(lab.all_calls() <= 14, "{}", lab.all_calls());
    assert_eq!(lab.calls("CreateFirmware") + lab.calls("CreateJob") + lab.calls("StopJob"), 0);
}

fn assert_lists_alone(lab: &Lab) {
    let counters = lab.cloud(|cloud| cloud.counters());
    assert!(counters.keys().eq(["GetToken", "SearchFirmwares"]), "{counters:?}");
}

#[test]
fn a_drift_check_of_thirty_packages_costs_what_one_of_three_does() {
    for count in [3, 30] {
        let lab = lab();
        lab.remove("package.yaml");
        let other = |n: usize| {
            let text = package(&lab, &format!("other-{n}"), &format!("V3.{n}"));
            let (text, _) = text.split_once("  verification").unwrap();
            text.to_owned()
        };
        lab.write("packages.yaml", &(0..count).map(other).collect::<Vec<_>>().join("---\n"));
        lab.converge();
        assert_eq!(lab.packages().len(), count);
        // What was created is read once, to be compared.
        lab.converge();
        lab.cloud(Simulator::reset_counters);
        lab.converge();
        assert_lists_alone(&lab);
        // A list each time that the drift interval has passed.
        assert!(lab.all_calls() <= 5, "{count}: {}", lab.all_calls());
        lab.cloud(Simulator::reset_counters);
        let _running = Process::start(&mut lab.verb("run", &[]));
        lab.until("three rounds", || lab.calls("SearchFirmwares") >= 3);
        assert_lists_alone(&lab);
    }
}

#[test]
fn a_finished_job_that_still_says_started_does_not_hold_its_devices() {
    let lab = lab();
    lab.write("rollout.yaml", ROLLOUT);
    lab.converge();
    lab.write("next.yaml", &package(&lab, "meter-v3", "V3"));
    lab.write("rollout.yaml", &ROLLOUT.replace("meter-v2", "meter-v3"));
    lab.converge();
    assert!((0..20).all(|n| lab.firmware(&format!("meter-{n:04}")).as_deref() == Some("V3")));
    assert!(lab.tasks().iter().all(|job| job.status == "started"), "{:#?}", lab.tasks());
}

#[test]
fn a_bad_build_is_held_at_its_canary() {
    let lab = lab();
    let bad = package(&lab, "meter-v2", "bad");
    let (bad, _) = bad.split_once("  verification").unwrap();
    lab.write("package.yaml", bad);
    lab.write("rollout.yaml", ROLLOUT);
    let ended = lab.apply();
    assert_eq!(ended.code, Some(3), "{}", ended.said());
    let jobs = lab.tasks();
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    assert_eq!(jobs[0].targets["failed"].len(), 5, "{jobs:#?}");
}

#[test]
fn killed_at_each_moment_of_a_create() {
    let moments = ["_Intent.before", "_Intent.after", "Create_.before", "Create_.after"];
    let cases: Vec<_> = ALL.into_iter().flat_map(|what| moments.map(|moment| (what, moment))).collect();
    each(&cases, |(what, moment)| {
        let lab = what.lab();
        let point = moment.replace('_', what.noun());
        let ended = Ended::of(lab.verb("apply", &["--wait"]).env("ROLLWAVE_CRASH_AT", &point));
        assert_eq!(ended.signal, Some(9), "{what:?} {moment}: {ended:?}");
        assert_eq!(what.exist(&lab), usize::from(*moment == "Create_.after"), "{what:?} {moment}");
        assert_converges_once(&lab, &format!("{what:?} {moment}"));
    });
}

#[test]
fn killed_after_the_effect_and_before_the_reply() {
    each(&ALL, |what| {
        let lab = what.lab();
        lab.fault(what.operation(), Some(1), Kind::Hang { when: When::After });
        let process = Process::start(&mut lab.verb("apply", &["--wait"]));
        lab.until("the effect", || what.exist(&lab) == 1);
        process.kill();
        assert_converges_once(&lab, &format!("{what:?}"));
    });
}

#[test]
fn an_answer_that_says_nothing_is_settled_by_looking() {
    let failures = [
        Kind::Error { status: 500, when: When::After },
        Kind::Error { status: 503, when: When::Before },
        Kind::Reset { when: When::After },
        Kind::Reset { when: When::Before },
        Kind::Garbage {},
        Kind::Truncated {},
    ];
    let cases: Vec<_> = failures.iter().flat_map(|kind| ALL.map(|what| (what, *kind))).collect();
    each(&cases, |(what, kind)| {
        let lab = what.lab();
        lab.fault(what.operation(), Some(1), *kind);
        assert_converges_once(&lab, &format!("{what:?} {kind:?}"));
    });
}

#[test]
fn a_token_that_ends_early_is_renewed_and_wrong_keys_are_said_once() {
    let lab = lab();
    lab.write("rollout.yaml", ROLLOUT);
    for operation in ["SearchJobs", "CreateJob"] {
        lab.fault(operation, Some(1), Kind::Latency { millis: 1 });
    }
    let process = Process::start(&mut lab.verb("apply", &["--wait"]));
    lab.until("the first job", || !lab.tasks().is_empty());
    lab.fault("*", None, Kind::ExpireTokens {});
    drop(process);
    assert_converges_once(&lab, "a token ends");
    lab.cloud(Simulator::reset_counters);
    let mut wrong = lab.verb("apply", &["--wait", "--timeout", "2s"]);
    let ended = Ended::of(wrong.env("LAB_SK", "another"));
    assert_ne!(ended.code, Some(0));
    assert!(ended.said().contains("check spec.credentials.accessKey and secretKey"), "{}", ended.said());
    assert!(lab.all_calls() < 30, "no hot loop: {} calls", lab.all_calls());
}

#[test]
fn bytes_that_are_not_those_of_the_manifest_stop_their_package_and_no_other() {
    let lab = lab();
    let other = package(&lab, "other", "V3");
    let (other, _) = other.split_once("  verification").unwrap();
    lab.write("other.yaml", other);
    lab.write("V2.bin", "something else");
    let ended = Ended::of(&mut lab.verb("apply", &["--wait", "--timeout", "5s"]));
    assert_ne!(ended.code, Some(0), "{}", ended.said());
    // What is tried again later may be under way when `apply` ends, so its words are asked and not the status.
    let said = ended.said();
    assert!(said.contains("OtaPackage/meter-v2") && said.contains("has the SHA-256"), "{said}");
    assert!(said.contains("provide the correct file"), "{said}");
    assert_eq!(lab.packages().len(), 1, "the other one is there: {:#?}", lab.packages());
    assert!(lab.all_calls() < 60, "{} calls in ten minutes", lab.all_calls());
}

/// A job of somebody else, by a call that does not go over the network; its id.
fn somebody_creates_a_job(lab: &Lab, devices: &[&str]) -> String {
    let firmware = lab.packages()[0].id.clone();
    let scope = json!({"type": "partial", "versionNumbers": ["V1"], "deviceKeys": devices});
    let body = json!({"type": "upgrade", "name": {"defaultValue": "by hand"}, "upgradePolicy": "snapshot",
                      "enableUpgradeRequest": false, "upgradeScope": scope});
    let made = ask(lab, &[("action", "create"), ("firmwareId", &firmware)], &body);
    made["data"]["jobId"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// Asks the service of jobs, signed as the documents say.
pub fn ask(lab: &Lab, query: &[(&str, &str)], body: &Value) -> Value {
    // A token that is asked for within the same millisecond is refused as a repeated request.
    std::thread::sleep(std::time::Duration::from_millis(2));
    let now = Timestamp::now();
    let at = now.as_millisecond();
    let secret: secrecy::SecretString = "the-secret-key".to_owned().into();
    let mut pairs = vec![("orgId".to_owned(), "o15504722874071".to_owned())];
    pairs.extend(query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let text = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let post = |path: &str, query: &str, headers: Vec<(String, String)>, body: String| {
        let request = WireRequest {
            method: "POST",
            origin: String::new(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.into(),
            upload: None,
        };
        let end = lab.cloud(|cloud| cloud.handle(&request, now).end);
        let End::Reply(reply) = end else { panic!("{end:?}") };
        serde_json::from_slice::<Value>(&reply.body).unwrap()
    };
    let json_header = ("content-type".to_owned(), "application/json;charset=UTF-8".to_owned());
    let encryption = hex::encode(Sha256::digest(format!("THE-ACCESS-KEY{at}the-secret-key")));
    let asked = json!({"appKey": "THE-ACCESS-KEY", "encryption": encryption, "timestamp": at});
    let granted =
        post("/apim-token-service/v2.0/token/get", "", vec![json_header.clone()], asked.to_string());
    let token = granted["data"]["accessToken"].as_str().unwrap_or_else(|| panic!("{granted}")).to_owned();
    let body = body.to_string();
    let signature = sign::signature(&token.clone().into(), &secret, &pairs, body.as_bytes(), at);
    let header = |name: &str, value: String| (name.to_owned(), value);
    let headers = vec![
        json_header,
        header("apim-accesstoken", token),
        header("apim-signature", signature),
        header("apim-timestamp", at.to_string()),
    ];
    post("/connect-service/v2.1/ota-jobs", &text, headers, body)
}

/// Jobs of EnOS look started for ever, so that only a device tells whether somebody's job is at it.
#[test]
fn a_stage_waits_for_devices_that_a_job_of_somebody_else_is_at() {
    let lab = lab();
    lab.converge();
    let silent = serde_json::from_value(json!([{"version": "V2", "silentRate": "100%"}])).unwrap();
    lab.cloud(|cloud| cloud.set_behaviours(silent).unwrap());
    let foreign = somebody_creates_a_job(&lab, &["meter-0000", "meter-0001"]);
    lab.write("rollout.yaml", &ROLLOUT.replace("count: 5", "devices: [meter-0001, meter-0002]"));
    let _running = Process::start(&mut lab.verb("run", &[]));
    let waiting =
        format!("stage canary (2 devices) is not dispatched: 1 of its devices are still in job {foreign}");
    lab.until_object("rollout/meter", "it waits", |object| object["status"]["message"] == waiting.as_str());
    assert_eq!(lab.tasks().len(), 2, "the verification, and somebody's");
    let cancelled =
        ask(&lab, &[("action", "cancelTask"), ("jobId", &foreign)], &json!({"deviceKeys": ["meter-0001"]}));
    assert_eq!(cancelled["code"], 0, "{cancelled}");
    lab.until("the stage is sent", || lab.tasks().len() >= 3);
}

/// The rows of devices do not report it: it is searched for while the stage waits.
#[test]
fn devices_of_a_stage_that_are_not_connected_are_named() {
    let lab = lab();
    lab.converge();
    ["meter-0001", "meter-0002"].iter().for_each(|id| lab.connect(id, false));
    lab.write("rollout.yaml", &ROLLOUT.replace("count: 5", "devices: [meter-0000, meter-0001, meter-0002]"));
    let _running = Process::start(&mut lab.verb("run", &[]));
    let offline = json!([{"kind": "Offline", "devices": 2, "examples": ["meter-0001", "meter-0002"]}]);
    lab.until_object("rollout/meter", "they are named", |object| {
        object["status"]["stages"][0]["findings"] == offline
    });
    assert!(lab.calls("SearchDevices") > 0);
}

#[test]
fn an_application_without_the_permission_to_search_for_devices_releases_all_the_same() {
    let world =
        WORLD.replace("appSecret: the-secret-key", "appSecret: the-secret-key, forbidden: [SearchDevices]");
    let lab = lab_in(&world);
    lab.write("rollout.yaml", ROLLOUT);
    assert_converges_once(&lab, "no permission");
    assert_eq!(lab.calls("SearchDevices"), 1, "it is refused once");
}

const TAGGED: &str = "
- {count: 3, idPrefix: north-, product: meter, firmware: V1, tags: {site: north, line: a}}
- {count: 4, idPrefix: east-, product: meter, firmware: V1, tags: {site: east, line: b}}
- {count: 2, idPrefix: other-, product: valve, firmware: V1, tags: {site: north, line: a}}
behaviours:";

fn lab_with_tags(more: &str) -> Lab {
    let world = WORLD.replace("\nbehaviours:", TAGGED);
    let lab =
        lab_in(&world.replace("appSecret: the-secret-key", &format!("appSecret: the-secret-key{more}")));
    lab.converge();
    lab
}

/// Devices of each upgrade job.
fn sent(lab: &Lab) -> Vec<Vec<String>> {
    let jobs = lab.tasks().into_iter().filter(|job| job.kind == "upgrade");
    jobs.map(|job| job.targets.into_values().flatten().collect::<std::collections::BTreeSet<_>>())
        .map(|ids| ids.into_iter().collect())
        .collect()
}

#[test]
fn targets_by_tag_send_jobs_to_exactly_the_devices_that_have_it() {
    let lab = lab_with_tags("");
    let tags = "{tags: {site: [north, east], line: [a]}}";
    lab.write("rollout.yaml", &ROLLOUT.replace("{all: true}", tags).replace("count: 5", "count: 1"));
    let ended = lab.apply();
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    let sent = sent(&lab);
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    let mut all = sent.concat();
    all.sort();
    assert_eq!(all, ["north-0000", "north-0001", "north-0002"]);
    assert_eq!(lab.firmware("east-0000").as_deref(), Some("V1"));
}

#[test]
fn a_stage_by_tag_has_the_devices_that_have_it_and_the_rest_follows() {
    let lab = lab_with_tags("");
    lab.write("rollout.yaml", &ROLLOUT.replace("{count: 5}", "{tags: {site: [east]}}"));
    let ended = Ended::of(&mut lab.rollwave(&["plan", "fleet"]));
    assert!(ended.out.contains("canary") && ended.out.contains("4 devices"), "{}", ended.said());
    let ended = lab.apply();
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    let sent = sent(&lab);
    assert_eq!(sent[0], ["east-0000", "east-0001", "east-0002", "east-0003"]);
    assert_eq!(sent[1].len(), 23, "{sent:?}");
}

#[test]
fn without_the_permission_to_search_nothing_is_sent_by_tag_and_the_permission_is_named() {
    let lab = lab_with_tags(", forbidden: [SearchDevices]");
    lab.write("stage.yaml", &ROLLOUT.replace("{count: 5}", "{tags: {site: [east]}}"));
    let targets =
        ROLLOUT.replace("{all: true}", "{tags: {site: [north]}}").replace("name: meter}", "name: north}");
    lab.write("targets.yaml", &targets.replace("  packageRef", "  priority: 1\n  packageRef"));
    let _running = Process::start(&mut lab.verb("run", &[]));
    for name in ["meter", "north"] {
        lab.until_object(&format!("rollout/{name}"), "it names the permission", |object| {
            let message = object["status"]["message"].as_str().unwrap_or_default();
            message.contains("permission Read of Device Management")
        });
    }
    assert_eq!(sent(&lab), Vec::<Vec<String>>::new());
}

#[test]
fn a_tag_that_no_device_has_is_named_and_completes_nothing() {
    let lab = lab_with_tags("");
    lab.write("rollout.yaml", &ROLLOUT.replace("{all: true}", "{tags: {site: [nort]}}"));
    let ended = lab.apply();
    assert_eq!(ended.code, Some(3), "{}", ended.said());
    assert!(ended.said().contains("tag site=nort matches no device"), "{}", ended.said());
    lab.write("rollout.yaml", &ROLLOUT.replace("{count: 5}", "{tags: {site: [nort]}}"));
    let ended = lab.apply();
    assert_eq!(ended.code, Some(3), "{}", ended.said());
    assert!(ended.said().contains("stage canary has no devices"), "{}", ended.said());
    assert_eq!(sent(&lab), Vec::<Vec<String>>::new());
}
