//! The simulator's laws, in process: no sockets, no real time. `http` alone opens a socket.

mod enos;
mod faults;
mod fleet;
mod gateway;
mod http;
mod ocean_connect;
mod paging;
mod rules;
mod verb;
mod world;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rollwave::{
    cloud::{WireRequest, WireResponse},
    simulator::{End, Outcome, Simulator, World},
};
use serde_json::{Value, json};

const PROJECT: &str = "p1";

/// Start of every test's wall time.
const START: &str = "2026-03-01T12:00:00Z";

fn account() -> &'static str {
    "clouds:
  huaweiIotda:
    searchesPerSecond: 0
    accounts:
    - projectId: p1
      appId: app
      region: r1
      accessKey: AK
      secretKey: SK
      users: [{username: u, password: p, domain: d}]
"
}

/// A simulator in process, a wall clock that the test holds, and a token.
struct Bench {
    simulator: Simulator,
    wall: Timestamp,
    token: String,
}

impl Bench {
    fn new(rest: &str) -> Self {
        let world = World::parse("world.yaml", &format!("{}{rest}", account())).unwrap();
        let wall: Timestamp = START.parse().unwrap();
        let simulator = Simulator::new(&world, wall).unwrap();
        let mut bench = Self { simulator, wall, token: String::new() };
        bench.sign_in();
        bench
    }

    fn sign_in(&mut self) {
        let user = json!({"name": "u", "password": "p", "domain": {"name": "d"}});
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                                   "scope": {"project": {"name": "r1"}}}});
        let reply = self.reply("POST", "/v3/auth/tokens", "", Some(&body));
        self.token = reply.header("x-subject-token").unwrap().to_owned();
    }

    fn outcome(&mut self, method: &'static str, path: &str, query: &str, body: Option<&Value>) -> Outcome {
        let request = WireRequest {
            method,
            origin: String::new(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: vec![
                ("X-Auth-Token".to_owned(), self.token.clone()),
                ("Content-Type".to_owned(), "application/json".to_owned()),
            ],
            body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
            upload: None,
        };
        self.simulator.handle(&request, self.wall)
    }

    fn reply(&mut self, method: &'static str, path: &str, query: &str, body: Option<&Value>) -> WireResponse {
        match self.outcome(method, path, query, body).end {
            End::Reply(reply) => reply,
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    /// A call below the project; its status and its body.
    fn call(&mut self, method: &'static str, path: &str, query: &str, body: Option<&Value>) -> (u16, Value) {
        let reply = self.reply(method, &format!("/v5/iot/{PROJECT}/{path}"), query, body);
        let body =
            if reply.body.is_empty() { Value::Null } else { serde_json::from_slice(&reply.body).unwrap() };
        (reply.status, body)
    }

    fn step(&mut self, seconds: i64) {
        self.simulator.step(SignedDuration::from_secs(seconds), self.wall);
    }

    fn package(&mut self, version: &str) -> String {
        let (status, body) = self.call("POST", "ota-upgrades/packages", "", Some(&new_package(version)));
        assert_eq!(status, 201, "{body}");
        body["package_id"].as_str().unwrap().to_owned()
    }

    fn task(&mut self, package: &str, targets: &[String], other: &Value) -> String {
        let mut body = json!({"task_name": "t", "task_type": "firmwareUpgrade", "targets": targets,
                              "document": {"package_ids": [package]}});
        body.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let (status, body) = self.call("POST", "batchtasks", "", Some(&body));
        assert_eq!(status, 201, "{body}");
        body["task_id"].as_str().unwrap().to_owned()
    }

    fn show(&mut self, task: &str) -> Value {
        let (status, body) = self.call("GET", &format!("batchtasks/{task}"), "limit=50", None);
        assert_eq!(status, 200, "{body}");
        body
    }

    fn status(&mut self, task: &str) -> String {
        self.show(task)["batchtask"]["status"].as_str().unwrap().to_owned()
    }
}

fn new_package(version: &str) -> Value {
    json!({"app_id": "app", "package_type": "firmwarePackage", "product_id": "meter", "version": version,
           "file_location": {"obs_location": {"region_name": "r", "bucket_name": "bucket", "object_key": "a.bin"}}})
}

fn meters(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("m-{n:04}")).collect()
}
