//! The simulator: whatever is asked of it, it answers in a documented envelope, and counts it. Requests stand one after the
//! other; `{N}` is the id that the answer to request N gave.

use super::message::Message;
use jiff::Timestamp;
use rollwave::cloud::{WireRequest, WireResponse};
use rollwave::simulator::iotda::codes;
use rollwave::simulator::{End, Simulator, World, admin};
use serde_json::{Value, json};

const NEXT_REQUEST: &str = "\n-----8<-----\n";

const WORLD: &str = "
seed: 3
timeFactor: 60
clouds:
  huaweiIotda:
    accounts:
    - projectId: p1
      appId: app
      region: r1
      accessKey: AK
      secretKey: SK
      users: [{username: u, password: p, domain: d}]
products: [{id: meter}]
groups: [{name: field, id: 5e5f1a2b-0000-4000-8000-000000000001}]
devices:
- {count: 3, idPrefix: m-, product: meter, firmware: V1, tags: {site: north}, groups: [field]}
- {id: night, product: meter, firmware: V1, onlineHours: '22:00-04:00'}
- {id: off, product: meter, online: false}
behaviours:
- {version: V3, failureRate: 50%, revertRate: 25%, lieRate: 25%, failingAttempts: 1}
";

const ADMIN: &str = "ADMIN";

struct Bench {
    simulator: Simulator,
    wall: Timestamp,
    token: String,
    ids: Vec<String>,
    calls: u64,
}

pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut bench = Bench::new();
    for request in text.split(NEXT_REQUEST).take(24) {
        let text = bench.filled_in(request);
        let message = Message::read(&text);
        bench.wall = bench.wall.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap();
        let id = if message.word(0) == ADMIN { bench.administer(&message) } else { bench.call(&message) };
        bench.ids.push(id.unwrap_or_default());
        bench.check_counters();
    }
}

impl Bench {
    fn new() -> Self {
        let wall: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let simulator = Simulator::new(&World::parse("w.yaml", WORLD).unwrap(), wall).unwrap();
        let mut bench = Self { simulator, wall, token: String::new(), ids: Vec::new(), calls: 0 };
        let user = json!({"name": "u", "password": "p", "domain": {"name": "d"}});
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                                   "scope": {"project": {"name": "r1"}}}});
        let text = format!("POST /v3/auth/tokens\n\n{body}");
        bench.call(&Message::read(&text));
        assert!(!bench.token.is_empty());
        bench
    }

    fn filled_in(&self, text: &str) -> String {
        let fill = |text: String, (number, id): (usize, &String)| text.replace(&format!("{{{number}}}"), id);
        self.ids.iter().enumerate().fold(text.to_owned(), fill)
    }

    fn call(&mut self, message: &Message) -> Option<String> {
        let methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
        let method = methods.into_iter().find(|method| *method == message.word(0))?;
        let (path, query) = message.target(1);
        let mut headers = message.headers.clone();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-auth-token")) {
            headers.push(("X-Auth-Token".to_owned(), self.token.clone()));
        }
        let body = message.body.clone().into();
        let request = WireRequest { method, origin: String::new(), path, query, headers, upload: None, body };
        let faults = self.simulator.faults().to_vec();
        let outcome = self.simulator.handle(&request, self.wall);
        self.calls += 1;
        let End::Reply(reply) = outcome.end else {
            assert!(!faults.is_empty(), "nobody asked for {:?}", outcome.end);
            return None;
        };
        if let Some(token) = reply.header("x-subject-token") {
            token.clone_into(&mut self.token);
        }
        if faults.is_empty() { check_envelope(&request, &reply) } else { None }
    }

    fn administer(&mut self, message: &Message) -> Option<String> {
        let (path, _) = message.target(2);
        let reply =
            admin::handle(&mut self.simulator, message.word(1), &path, message.body.as_bytes(), self.wall);
        let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
        match reply.status {
            200 => assert_eq!(body.get("error"), None),
            400 | 404 => assert!(body["error"].as_str().is_some_and(|why| !why.is_empty()), "{body}"),
            other => panic!("{other}: {body}"),
        }
        if message.word(1) == "DELETE" && path == "/counters" {
            self.calls = 0;
        }
        None
    }

    fn check_counters(&self) {
        assert_eq!(self.simulator.total_calls(), self.calls);
        for calls in self.simulator.counters().values() {
            assert_eq!(calls.by_end.values().sum::<u64>(), calls.total);
        }
    }
}

/// The documented form of an answer; gives the id that it names.
fn check_envelope(request: &WireRequest, reply: &WireResponse) -> Option<String> {
    assert!(reply.header("x-request-id").is_some_and(|id| id.len() == 32), "{request}");
    let body: Value = match reply.status {
        204 => {
            assert!(reply.body.is_empty(), "{request}");
            return None;
        }
        200 if reply.body.is_empty() => {
            let silent = ["/action", "/bind-resource", "/unbind-resource"];
            assert!(silent.iter().any(|end| request.path.ends_with(end)), "{request}");
            return None;
        }
        _ => serde_json::from_slice(&reply.body).expect("JSON"),
    };
    if (200..300).contains(&reply.status) {
        assert!(body.is_object() && body.get("error_code").is_none(), "{request}: {body}");
        let id =
            ["package_id", "task_id", "device_id", "group_id"].iter().find_map(|name| body[name].as_str());
        return id.map(str::to_owned);
    }
    assert!([400, 401, 403, 404, 409, 413, 429].contains(&reply.status), "{request}: {}", reply.status);
    if request.path.starts_with("/v3/") && body.get("error").is_some() {
        assert_eq!(body["error"]["code"], reply.status, "{body}");
        assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    } else {
        let code = body["error_code"].as_str().unwrap_or_default();
        assert!(code.starts_with("IOTDA.") || code.starts_with("APIGW."), "{request}: {body}");
        assert_ne!(code, codes::INTERNAL.code, "{request}: {body}");
        assert!(body["error_msg"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    None
}
