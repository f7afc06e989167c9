//! Jobs of somebody else on the clouds whose lists do not say whom a job holds: they are asked right before a stage is sent.

use super::harness::{Lab, Process, ROLLOUT, each};
use super::{aliyun, enos};
use jiff::Timestamp;
use rollwave::cloud::WireRequest;
use rollwave::cloud::aliyun_iot::sign::{self, Scheme, Signer};
use rollwave::simulator::{End, Simulator};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cloud {
    Aliyun,
    Enos,
}

use Cloud::{Aliyun, Enos};

impl Cloud {
    /// A lab with a package that is verified, and devices that never answer.
    fn lab(self, devices: u32) -> Lab {
        let lab = match self {
            Aliyun => aliyun::lab_of(&aliyun::world(devices, "reject"), "Acs3"),
            Enos => enos::lab_of(devices),
        };
        if self == Aliyun {
            lab.write("package.yaml", &aliyun::package("V2"));
        }
        lab.converge();
        let silent = serde_json::from_value(json!([{"version": "V2", "silentRate": "100%"}])).unwrap();
        lab.cloud(|cloud| cloud.set_behaviours(silent).unwrap());
        lab
    }

    /// The call that lists tasks of a job.
    fn question(self) -> &'static str {
        if self == Aliyun { "ListOTATaskByJob" } else { "SearchTasks" }
    }

    /// The call that lists jobs.
    fn list(self) -> &'static str {
        if self == Aliyun { "ListOTAJobByFirmware" } else { "SearchJobs" }
    }

    /// A job of somebody else for these devices, of which it is at one at a time; its id.
    fn job_of_somebody(self, lab: &Lab, devices: &[&str]) -> String {
        let package = lab.packages()[0].id.clone();
        let made = match self {
            Aliyun => {
                let named = devices.iter().zip(1..).map(|(id, n)| (format!("TargetDeviceName.{n}"), *id));
                let of = |name: &str, value| (name.to_owned(), value);
                let fixed = [
                    of("FirmwareId", package.as_str()),
                    of("ProductKey", "meter"),
                    of("TargetSelection", "SPECIFIC"),
                ];
                let made = ask_aliyun(lab, "CreateOTAStaticUpgradeJob", fixed.into_iter().chain(named));
                made["Data"]["JobId"].clone()
            }
            Enos => {
                let scope = json!({"type": "partial", "versionNumbers": ["V1"], "deviceKeys": devices});
                let body = json!({"type": "upgrade", "name": {"defaultValue": "by hand"}, "upgradeScope": scope,
                                  "upgradePolicy": "snapshot", "enableUpgradeRequest": false,
                                  "maximumConcurrency": 1});
                enos::ask(lab, &[("action", "create"), ("firmwareId", &package)], &body)["data"]["jobId"]
                    .clone()
            }
        };
        made.as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    /// Somebody takes a device out of the job, which goes on with the others.
    fn lets_go(self, lab: &Lab, job: &str, device: &str) {
        let answer = match self {
            Aliyun => {
                let package = lab.packages()[0].id.clone();
                let of = |name: &str, value| (name.to_owned(), value);
                let parameters = [
                    of("FirmwareId", package.as_str()),
                    of("ProductKey", "meter"),
                    of("JobId", job),
                    of("DeviceName.1", device),
                ];
                ask_aliyun(lab, "CancelOTATaskByDevice", parameters.into_iter())
            }
            Enos => {
                let body = json!({"deviceKeys": [device]});
                enos::ask(lab, &[("action", "cancelTask"), ("jobId", job)], &body)
            }
        };
        assert!(answer["Success"] == json!(true) || answer["code"] == json!(0), "{answer}");
    }

    /// Somebody ends a job that has one device left.
    fn stop(self, lab: &Lab, job: &str, last: &str) {
        match self {
            Aliyun => self.lets_go(lab, job, last),
            Enos => drop(enos::ask(lab, &[("action", "stop"), ("jobId", job)], &json!({}))),
        }
    }
}

/// Calls Alibaba Cloud, not over the network.
fn ask_aliyun<'a>(lab: &Lab, action: &str, parameters: impl Iterator<Item = (String, &'a str)>) -> Value {
    let mut parameters: sign::Pairs = parameters.map(|(name, value)| (name, value.to_owned())).collect();
    parameters.push(("IotInstanceId".to_owned(), "iot-lab".to_owned()));
    let (now, secret, host) = (Timestamp::now(), "the-secret-key".to_owned().into(), "127.0.0.1");
    let signer = Signer { id: "THE-ACCESS-KEY", secret: &secret, token: None, scheme: Scheme::Rpc };
    let added = sign::sign(&signer, "POST", host, action, &parameters, &format!("{action} {now}"), now);
    let query: sign::Pairs = added.query.into_iter().chain(parameters).collect();
    let request = WireRequest {
        method: "POST",
        origin: String::new(),
        path: "/".to_owned(),
        query: sign::canonical_query(&query),
        headers: added.headers,
        body: Vec::new().into(),
        upload: None,
    };
    match lab.cloud(|cloud| cloud.handle(&request, now).end) {
        End::Reply(reply) => serde_json::from_slice(&reply.body).unwrap(),
        end => panic!("{end:?}"),
    }
}

#[test]
fn a_stage_waits_for_devices_that_a_job_of_somebody_else_has_still_to_do() {
    each(&[Aliyun, Enos], |cloud| {
        let lab = cloud.lab(20);
        // It is at the first one; nothing but the job itself tells that the second one waits.
        let foreign = cloud.job_of_somebody(&lab, &["meter-0000", "meter-0001"]);
        lab.write("rollout.yaml", &ROLLOUT.replace("count: 5", "devices: [meter-0001, meter-0002]"));
        let _running = Process::start(&mut lab.verb("run", &[]));
        let waiting = format!(
            "stage canary (2 devices) is not dispatched: 1 of its devices are still in job {foreign}"
        );
        lab.until_object("rollout/meter", "it waits", |object| {
            object["status"]["message"] == waiting.as_str()
        });
        assert_eq!(lab.tasks().len(), 2, "{cloud:?}: the verification, and somebody's");
        lab.cloud(Simulator::reset_counters);
        lab.until("it is asked again and again", || lab.calls(cloud.question()) >= 5);
        let counters = lab.cloud(|cloud| cloud.counters());
        assert!(lab.calls(cloud.list()) <= 2, "{cloud:?}: lists are not read for it: {counters:?}");
        cloud.lets_go(&lab, &foreign, "meter-0001");
        lab.until("the stage is sent", || lab.tasks().len() >= 3);
    });
}

#[test]
fn a_job_of_somebody_else_with_other_devices_blocks_nothing_and_costs_a_call_for_fifty_devices() {
    // One call reads the devices of the verification: nothing is known of it after a restart.
    for (cloud, calls) in [(Aliyun, 1 + 3), (Enos, 1)] {
        let lab = cloud.lab(121);
        cloud.job_of_somebody(&lab, &["meter-0120"]);
        let named: Vec<String> = (0..120).map(|n| format!("meter-{n:04}")).collect();
        let stage = format!("devices: [{}]", named.join(", "));
        lab.write("rollout.yaml", &ROLLOUT.replace("count: 5", &stage));
        lab.cloud(Simulator::reset_counters);
        let _running = Process::start(&mut lab.verb("run", &[]));
        lab.until("the stage is sent", || lab.tasks().len() >= 3);
        assert_eq!(lab.calls(cloud.question()), calls, "{cloud:?}");
    }
}

#[test]
fn a_stage_is_held_while_more_external_jobs_than_may_be_queried_could_hold_its_devices() {
    each(&[Aliyun, Enos], |cloud| {
        let lab = cloud.lab(120);
        let others: Vec<String> = (0..41).map(|n| format!("meter-{n:04}")).collect();
        // Each was made for a device of the stage, and lets go of it at once: nothing but the job itself tells that.
        let jobs: Vec<String> = others
            .iter()
            .map(|other| {
                let job = cloud.job_of_somebody(&lab, &[other, "meter-0119"]);
                cloud.lets_go(&lab, &job, "meter-0119");
                job
            })
            .collect();
        lab.write("rollout.yaml", &ROLLOUT.replace("count: 5", "devices: [meter-0118, meter-0119]"));
        lab.cloud(Simulator::reset_counters);
        let running = Process::start(&mut lab.verb("run", &[]));
        let held = "stage canary (2 devices) is not dispatched: 41 external jobs may hold these devices, \
                    and at most 40 are queried before a dispatch; stop external jobs that are no longer needed";
        lab.until_object("rollout/meter", "it is held", |object| object["status"]["message"] == held);
        assert_eq!(lab.tasks().len(), 1 + jobs.len(), "{cloud:?}: the verification, and theirs");
        drop(running);
        cloud.stop(&lab, &jobs[0], &others[0]);
        let _running = Process::start(&mut lab.verb("run", &[]));
        lab.until("the stage is sent once 40 are left", || lab.tasks().len() >= 2 + jobs.len());
    });
}
