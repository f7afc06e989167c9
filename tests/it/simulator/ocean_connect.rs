//! OceanConnect: one token an application, 100 calls a minute, the upgrade calls with every documented refusal, and tasks
//! that only the portal stops.

mod rules;
mod tokens;
mod upgrades;

use super::START;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rollwave::{
    cloud::{WireRequest, WireResponse},
    simulator::{End, Simulator, World, admin},
};
use serde_json::{Value, json};

const PRODUCT: &str = "Acme/WaterMeter/WM1";
const UPGRADE: &str = "/iodm/northbound/v1.5.0";

fn clouds(switches: &str) -> String {
    format!(
        "clouds:
  oceanConnect:
    apps:
    - appId: app1
      secret: secret1
      packages:
      - {{fileType: firmwarePackage, product: {PRODUCT}, version: V2, sourceVersions: [V1]}}
    - {{appId: app2, secret: secret2}}
    {switches}
"
    )
}

/// A simulator in process, a wall clock that the test holds, and a token of `app1`.
struct Bench {
    simulator: Simulator,
    wall: Timestamp,
    token: String,
}

impl Bench {
    fn new(rest: &str) -> Self {
        Self::with("", rest)
    }

    fn with(switches: &str, rest: &str) -> Self {
        let world = World::parse("world.yaml", &format!("{}{rest}", clouds(switches))).unwrap();
        let wall: Timestamp = START.parse().unwrap();
        let mut bench = Self { simulator: Simulator::new(&world, wall).unwrap(), wall, token: String::new() };
        bench.token = bench.log_in("app1", "secret1").1["accessToken"].as_str().unwrap().to_owned();
        bench
    }

    fn send(
        &mut self,
        method: &'static str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (u16, Value) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (path, query) = (path.to_owned(), query.to_owned());
        let body = body.into();
        let request = WireRequest { method, origin: String::new(), path, query, headers, body, upload: None };
        match self.simulator.handle(&request, self.wall).end {
            End::Reply(WireResponse { status, body, .. }) => {
                (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
            }
            other => panic!("{method} {}: {other:?}", request.path),
        }
    }

    fn log_in(&mut self, app: &str, secret: &str) -> (u16, Value) {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let form = format!("appId={app}&secret={secret}");
        self.send("POST", "/iocm/app/sec/v1.1.0/login", "", &headers, form)
    }

    fn refresh(&mut self, token: &str) -> (u16, Value) {
        let body = json!({"appId": "app1", "secret": "secret1", "refreshToken": token}).to_string();
        self.send("POST", "/iocm/app/sec/v1.1.0/refreshToken", "", &[], body)
    }

    fn call(&mut self, method: &'static str, path: &str, query: &str, body: Option<&Value>) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("app_key", "app1"), ("Authorization", bearer.as_str())];
        self.send(method, path, query, &headers, body.map(Value::to_string).unwrap_or_default())
    }

    fn upgrade(&mut self, method: &'static str, path: &str, query: &str) -> (u16, Value) {
        self.call(method, &format!("{UPGRADE}/{path}"), query, None)
    }

    fn package(&mut self) -> String {
        self.simulator.packages()[0].id.clone()
    }

    fn create(&mut self, body: &Value) -> (u16, Value) {
        self.call("POST", &format!("{UPGRADE}/operations/firmwareUpgrade"), "", Some(body))
    }

    /// Creates a task for these devices; its id.
    fn task(&mut self, devices: &[&str], policy: &Value) -> String {
        let body = json!({"fileId": self.package(), "targets": {"devices": devices}, "policy": policy});
        let (status, answer) = self.create(&body);
        assert_eq!(status, 201, "{answer}");
        answer["operationId"].as_str().unwrap().to_owned()
    }

    fn show(&mut self, task: &str) -> Value {
        let (status, answer) = self.upgrade("GET", &format!("operations/{task}"), "");
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Status and detail of each of a task's devices.
    fn subs(&mut self, task: &str) -> Vec<(String, String, String)> {
        let (status, answer) =
            self.upgrade("GET", &format!("operations/{task}/subOperations"), "pageSize=100");
        assert_eq!(status, 200, "{answer}");
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let rows = answer["data"].as_array().unwrap().iter();
        rows.map(|row| (text(row, "deviceId"), text(row, "status"), text(row, "detailInfo"))).collect()
    }

    fn step(&mut self, time: SignedDuration) {
        self.simulator.step(time, self.wall);
    }

    fn firmware(&self, device: &str) -> Option<String> {
        self.simulator.device(device, self.wall).unwrap().firmware
    }
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error_code"].as_str().unwrap_or_default())
}

/// What people do in the portal, over the admin API.
#[test]
fn the_portal_uploads_and_stops() {
    let mut bench =
        Bench::new("devices: [{id: m, product: Acme/WaterMeter/WM1, firmware: V1, online: false}]");
    let task = bench.task(&["m"], &json!({"executeType": "device_online"}));
    let wall = bench.wall;
    let mut post = |path: &str, body: &str| {
        let reply = admin::handle(&mut bench.simulator, "POST", path, body.as_bytes(), wall);
        (reply.status, String::from_utf8(reply.body.to_vec()).unwrap())
    };
    let package =
        json!({"fileType": "softwarePackage", "product": PRODUCT, "version": "S2", "sourceVersions": ["S1"]});
    assert_eq!(post("/portal/packages", &package.to_string()).0, 200);
    assert!(post("/portal/packages", r#"{"version": "S2"}"#).1.contains("missing field"));
    let mut wrong = package.clone();
    wrong["product"] = json!("WM1");
    assert!(post("/portal/packages", &wrong.to_string()).1.contains("manufacturer/deviceType/model"));
    assert_eq!(post(&format!("/portal/tasks/{task}/stop"), "").0, 200);
    assert_eq!(post("/portal/tasks/none/stop", "").0, 404);
    assert_eq!(bench.show(&task)["status"], "stop");
    assert_eq!(bench.simulator.packages().len(), 2);
}
