//! EnOS in process: what the world file switches, and laws of its jobs. `tests/conformance/enos.py` goes through its calls.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rollwave::{
    cloud::{WireRequest, enos::sign},
    simulator::{End, Simulator, TaskTruth, World},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FLEET: &str = "
seed: 11
devices:
- {product: meter, count: 40, idPrefix: m-, firmware: V1, offline: 10%}
- {product: meter, count: 10, idPrefix: night-, firmware: V1, onlineHours: '22:00-02:00'}
behaviours:
- {version: V2, failureRate: 20%, silentRate: 10%, stuckRate: 10%, lieRate: 10%, revertRate: 20%, revertAfter: 1h}
";

struct Bench {
    simulator: Simulator,
    wall: Timestamp,
    token: SecretString,
}

impl Bench {
    /// `switches` stand in the world file beside the accounts.
    fn new(switches: &str, rest: &str) -> Self {
        let text = format!(
            "clouds:\n  enos:\n{switches}    accounts: [{{orgId: o1, appKey: key, appSecret: secret}}]\n{rest}"
        );
        let wall: Timestamp = super::START.parse().unwrap();
        let simulator = Simulator::new(&World::parse("world.yaml", &text).unwrap(), wall).unwrap();
        let mut bench = Self { simulator, wall, token: String::new().into() };
        bench.sign_in();
        bench
    }

    fn sign_in(&mut self) {
        let at = self.later();
        let encryption = sign::encryption("key", &"secret".into(), at);
        let body = json!({"appKey": "key", "timestamp": at, "encryption": encryption});
        let answer = self.send("/apim-token-service/v2.0/token/get", "", &[], body.to_string().into());
        self.token = answer["data"]["accessToken"].as_str().unwrap().into();
    }

    /// The wall time in milliseconds, a moment later: no digest is good twice.
    fn later(&mut self) -> i64 {
        self.wall += SignedDuration::from_millis(1);
        self.wall.as_millisecond()
    }

    fn send(&mut self, path: &str, query: &str, headers: &[(&str, &str)], body: Bytes) -> Value {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (path, query) = (path.to_owned(), query.to_owned());
        let request =
            WireRequest { method: "POST", origin: String::new(), path, query, headers, body, upload: None };
        match self.simulator.handle(&request, self.wall).end {
            End::Reply(reply) => serde_json::from_slice(&reply.body).unwrap(),
            other => panic!("{request}: {other:?}"),
        }
    }

    fn signed(&mut self, path: &str, query: &[(&str, &str)], kind: &str, body: &str) -> Value {
        let query = sign::wire_query(&[&[("orgId", "o1")], query].concat());
        let at = self.later();
        let signed = if kind == "application/json" { body } else { "" };
        let pairs = sign::parse_query(&query);
        let signature = sign::signature(&self.token, &"secret".into(), &pairs, signed.as_bytes(), at);
        let token = secrecy::ExposeSecret::expose_secret(&self.token).to_owned();
        let at = at.to_string();
        let headers = [
            ("content-type", kind),
            (sign::TOKEN_HEADER, &token),
            (sign::SIGNATURE_HEADER, &signature),
            (sign::TIMESTAMP_HEADER, &at),
        ];
        self.send(&format!("/connect-service/{path}"), &query, &headers, body.to_owned().into())
    }

    fn jobs(&mut self, query: &[(&str, &str)], body: &Value) -> Value {
        self.signed("v2.1/ota-jobs", query, "application/json", &body.to_string())
    }

    /// Search Device.
    fn devices(&mut self, version: &str, body: &Value) -> Value {
        let path = format!("{version}/devices");
        self.signed(&path, &[("action", "search")], "application/json", &body.to_string())
    }

    /// Keys and states of the devices that an expression finds.
    fn states(&mut self, expression: &str) -> Vec<(String, String)> {
        let body = json!({"expression": expression, "projection": ["deviceKey", "status"]});
        let found = self.devices("v2.1", &body);
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let rows = found["data"].as_array().unwrap_or_else(|| panic!("{expression}: {found}"));
        rows.iter().map(|row| (text(row, "deviceKey"), text(row, "status"))).collect()
    }

    fn firmware(&mut self, version: &str) -> String {
        let metadata = json!({"name": {"defaultValue": version}, "version": version, "signMethod": "md5",
                              "sign": "dummy", "enableVerification": false});
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\r\n--b\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\nbytes\r\n--b--\r\n"
        );
        let query = [("action", "create"), ("productKey", "meter")];
        let made = self.signed("v2.1/ota-firmwares", &query, "multipart/form-data; boundary=b", &form);
        made["data"]["firmwareId"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    fn create(&mut self, firmware: &str, other: &Value) -> Value {
        let scope = json!({"type": "total", "versionNumbers": ["V1"]});
        let mut body = json!({"type": "upgrade", "upgradePolicy": "snapshot", "enableUpgradeRequest": false,
                              "upgradeScope": scope});
        body.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        self.jobs(&[("action", "create"), ("firmwareId", firmware)], &body)
    }

    fn step(&mut self, seconds: i64) {
        self.simulator.step(SignedDuration::from_secs(seconds), self.wall);
    }

    fn task(&self) -> TaskTruth {
        self.simulator.tasks().pop().unwrap()
    }

    fn count(&self, status: &str) -> usize {
        self.task().targets.get(status).map_or(0, BTreeSet::len)
    }
}

/// Three days of a job, advanced in steps of this many seconds: what devices run, and where their tasks stand.
fn three_days(step: i64) -> (Vec<Value>, TaskTruth) {
    let mut bench = Bench::new("", FLEET);
    let firmware = bench.firmware("V2");
    let retry = json!({"enableRetry": true, "retryCount": 1, "retryInterval": 600});
    bench.create(&firmware, &json!({"retryPolicy": retry, "maximumConcurrency": 7}));
    for _ in 0..(3 * 86_400 / step) {
        bench.step(step);
    }
    let devices = bench.simulator.devices(bench.wall).iter().map(|device| json!(device)).collect();
    (devices, bench.task())
}

#[test]
fn outcomes_do_not_depend_on_how_often_time_is_advanced() {
    let whole = three_days(3 * 86_400);
    for step in [600, 3600, 43_200] {
        assert_eq!(three_days(step), whole, "steps of {step} s");
    }
    let (devices, task) = whole;
    for status in ["succeeded", "failed", "published"] {
        assert!(task.targets.contains_key(status), "the world is lively: {task:?}");
    }
    assert!(devices.iter().any(|device| device["firmware"] == "V2"));
    assert_eq!(task.targets.values().map(BTreeSet::len).sum::<usize>(), 50, "no device is lost");
}

#[test]
fn silent_devices_hold_their_places_and_a_stopped_job_sends_nothing() {
    let fleet = "devices: [{product: meter, count: 9, idPrefix: m-, firmware: V1}]\n\
                 behaviours: [{version: V2, silentRate: 100%}]\n";
    let mut bench = Bench::new("", fleet);
    let firmware = bench.firmware("V2");
    let made = bench.create(&firmware, &json!({"maximumConcurrency": 4}));
    let id = made["data"]["jobId"].as_str().unwrap();
    bench.step(86_400);
    assert_eq!((bench.count("published"), bench.count("init")), (4, 5), "an upgrade's time begins later");
    bench.jobs(&[("action", "cancelTask"), ("jobId", id)], &json!({"deviceKeys": ["m-0000"]}));
    assert_eq!((bench.count("published"), bench.count("init"), bench.count("failed")), (4, 4, 1));
    bench.jobs(&[("action", "stop"), ("jobId", id)], &json!({}));
    let refused = bench.jobs(&[("action", "cancelTask"), ("jobId", id)], &json!({"deviceKeys": ["m-0001"]}));
    assert_eq!(refused["code"], 24617);
    bench.step(86_400);
    assert_eq!((bench.count("published"), bench.count("init")), (4, 4));
}

#[test]
fn what_no_document_settles_is_switched_by_the_world_file() {
    let code = |switches: &str, other: &Value| {
        let mut bench = Bench::new(switches, FLEET);
        let firmware = bench.firmware("V2");
        let code = bench.create(&firmware, other)["code"].as_i64().unwrap();
        (code, bench.simulator.tasks().pop().map(|task| task.status))
    };
    let started = (0, Some("started".to_owned()));
    let keys =
        |key: &str| json!({"type": "partial", "versionNumbers": ["V1"], "deviceKeys": ["m-0000", key]});
    let unknown = json!({"upgradeScope": keys("nobody")});
    let policy = json!({"upgradePolicy": "upgrade"});
    for (switches, other, expected) in [
        ("", json!({}), started.clone()),
        ("    newJobs: stopped\n", json!({}), (0, Some("stopped".to_owned()))),
        ("", policy.clone(), (99400, None)),
        ("    policyUpgrade: allow\n", policy, started.clone()),
        ("", unknown.clone(), started),
        ("    unknownTargets: reject\n", unknown, (-24002, None)),
    ] {
        assert_eq!(code(switches, &other), expected, "{switches} {other}");
    }
}

#[test]
fn a_search_shows_what_is_older_than_the_settle_time_and_what_a_fault_lets_through() {
    let mut bench = Bench::new("    settleSeconds: 5\n", FLEET);
    let firmware = bench.firmware("V2");
    bench.create(&firmware, &json!({}));
    let found = |bench: &mut Bench| {
        let jobs = bench.jobs(&[("action", "search")], &json!({}))["pagination"]["totalSize"].as_u64();
        let tasks = bench.jobs(&[("action", "searchTask")], &json!({}))["pagination"]["totalSize"].as_u64();
        (jobs.unwrap(), tasks.unwrap())
    };
    bench.step(4);
    assert_eq!(found(&mut bench), (0, 0));
    bench.step(1);
    assert_eq!(found(&mut bench), (1, 50));
    let fault = serde_json::from_value(json!({"kind": "stale", "seconds": 3600})).unwrap();
    bench.simulator.inject(fault, bench.wall).unwrap();
    assert_eq!(found(&mut bench), (0, 0));
}

/// At noon.
const FEW: &str = "
start: 2026-03-01T12:00:00Z
devices:
- {id: day, product: meter, firmware: V1, tags: {site: north}}
- {id: night, product: meter, firmware: V1, onlineHours: '22:00-02:00'}
- {id: cellar, product: meter, firmware: V1, online: false, attributes: {floor: '-1'}}
- {id: other, product: pump, firmware: P1}
";

#[test]
fn search_device_shows_whether_devices_are_connected() {
    let mut bench = Bench::new("", FEW);
    assert_eq!(bench.states("productKey = 'meter'"), [], "two seconds after they were registered");
    bench.step(2);
    let state = |key: &str, state: &str| (key.to_owned(), state.to_owned());
    let all = [state("cellar", "offline"), state("day", "online"), state("night", "offline")];
    assert_eq!(bench.states("productKey = 'meter'"), all);
    for (expression, found) in [
        ("productKey in ('pump', 'none')", &[state("other", "online")][..]),
        (
            "productKey = 'meter' and status = 'offline'",
            &[state("cellar", "offline"), state("night", "offline")],
        ),
        ("deviceKey in ('day', 'other') and productKey = 'meter'", &[state("day", "online")]),
        ("deviceName like 'ell'", &[state("cellar", "offline")]),
        ("deviceTags.site = 'north'", &[state("day", "online")]),
        ("exists(deviceAttributes.floor)", &[state("cellar", "offline")]),
    ] {
        assert_eq!(bench.states(expression), found, "{expression}");
    }
    bench.step(11 * 3600);
    assert_eq!(bench.states("deviceKey = 'night'"), [state("night", "online")]);
    for refused in [
        json!({"expression": "firmwareVersion = 'V1'"}),
        json!({"expression": "status in ('online')"}),
        json!({"projection": "deviceKey"}),
        json!({"pagination": {"pageSize": 201}}),
        json!({"pagination": {"sorters": [{"field": "deviceKey"}]}}),
    ] {
        assert_eq!(bench.devices("v2.1", &refused)["code"], 99400, "{refused}");
    }
}

#[test]
fn search_device_shows_the_secrets_of_devices_unless_a_projection_leaves_them_out() {
    let mut bench = Bench::new("", FEW);
    bench.step(12 * 3600);
    let body = json!({"expression": "deviceKey = 'night'"});
    let row = bench.devices("v2.4", &body)["data"][0].clone();
    assert_eq!(row, bench.devices("v2.1", &body)["data"][0], "both paths are one search");
    assert_eq!(row["deviceSecret"].as_str().map(str::len), Some(32), "{row}");
    let at = |text: &str| json!(text.parse::<Timestamp>().unwrap().as_millisecond());
    assert_eq!(row["lastOnlineTime"], at("2026-03-01T22:00:00Z"), "{row}");
    assert_eq!(row["activeTime"], at("2026-03-01T12:00:00Z"), "{row}");
    let cellar = bench.devices("v2.1", &json!({"expression": "deviceKey = 'cellar'"}))["data"][0].clone();
    assert_eq!(cellar["lastOfflineTime"], at("2026-03-01T12:00:00Z"), "{cellar}");
    let day = bench.devices("v2.1", &json!({"expression": "deviceKey = 'day'"}))["data"][0].clone();
    assert_eq!((&day["status"], &day["lastOfflineTime"]), (&json!("online"), &json!(0)), "{day}");
    let page = bench.devices(
        "v2.1",
        &json!({"pagination": {"pageNo": 2, "pageSize": 3}, "projection": ["deviceKey", "deviceName.defaultValue"]}),
    );
    assert_eq!(page["data"], json!([{"deviceKey": "other", "deviceName": {"defaultValue": "other"}}]));
    assert_eq!(page["pagination"], json!({"sortedBy": null, "pageNo": 2, "pageSize": 3, "totalSize": 4}));
}

#[test]
fn an_application_may_lack_the_permission_for_one_operation() {
    let mut bench = Bench::new("", FEW);
    bench.step(2);
    assert_eq!(bench.devices("v2.1", &json!({}))["code"], 0);
    let text = "clouds:\n  enos: {accounts: [{orgId: o1, appKey: key, appSecret: secret, forbidden: [SearchDevices]}]}\n";
    bench.simulator = Simulator::new(&World::parse("world.yaml", text).unwrap(), bench.wall).unwrap();
    bench.sign_in();
    assert_eq!(bench.devices("v2.1", &json!({}))["code"], 99403);
    assert_eq!(bench.jobs(&[("action", "search")], &json!({}))["code"], 0);
}
