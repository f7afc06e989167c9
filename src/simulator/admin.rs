//! The admin API under `/_rollwave`: JSON, loopback only, without authentication. `docs/reference/simulator.md` shows each route.

use super::{
    Simulator, WorldError,
    faults::Fault,
    ocean_connect::UploadSpec,
    truth::DeviceChange,
    world::{Behaviour, DeviceSpec},
};
use crate::cloud::WireResponse;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Start of every path of this API.
pub const PREFIX: &str = "/_rollwave";

struct Wrong(u16, String);

impl From<WorldError> for Wrong {
    fn from(WorldError(why): WorldError) -> Self {
        Self(400, why)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepBody {
    seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactorBody {
    factor: u32,
}

/// Answers a request. `path` is what follows [`PREFIX`].
#[must_use]
pub fn handle(
    simulator: &mut Simulator,
    method: &str,
    path: &str,
    body: &[u8],
    wall: Timestamp,
) -> WireResponse {
    let (status, body) = match dispatch(simulator, method, path, body, wall) {
        Ok(body) => (200, body),
        Err(Wrong(status, why)) => (status, json!({"error": why})),
    };
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    WireResponse { status, headers, body: format!("{body}\n").into() }
}

fn dispatch(
    simulator: &mut Simulator,
    method: &str,
    path: &str,
    body: &[u8],
    wall: Timestamp,
) -> Result<Value, Wrong> {
    // Without the slash it is another path that only begins like [`PREFIX`].
    let parts: Vec<&str> = path.strip_prefix('/').map_or(Vec::new(), |path| path.split('/').collect());
    match (method, parts.as_slice()) {
        ("GET", ["health"]) => Ok(json!({"status": "ok", "time": time(simulator, wall)})),
        ("GET", ["counters"]) => Ok(json!(simulator.counters_by_cloud())),
        ("DELETE", ["counters"]) => {
            simulator.reset_counters();
            Ok(json!({}))
        }
        ("GET", ["packages"]) => Ok(json!({"packages": simulator.packages()})),
        ("GET", ["tasks"]) => Ok(json!({"tasks": simulator.tasks()})),
        ("GET", ["devices"]) => Ok(json!({"devices": simulator.devices(wall)})),
        ("POST", ["devices"]) => {
            let added = simulator.add_devices(&read::<DeviceSpec>(body)?, wall)?;
            Ok(json!({"added": added}))
        }
        ("GET", ["devices", id]) => {
            let missing = || Wrong(404, format!("device {id} does not exist"));
            Ok(json!(simulator.device(id, wall).ok_or_else(missing)?))
        }
        ("PATCH", ["devices", id]) => {
            simulator.change_device(id, read::<DeviceChange>(body)?, wall)?;
            Ok(json!(simulator.device(id, wall)))
        }
        ("DELETE", ["devices", id]) => {
            let missing = || Wrong(404, format!("device {id} does not exist"));
            simulator.remove_device(id, wall).then(|| json!({})).ok_or_else(missing)
        }
        ("POST", ["portal", "packages"]) => {
            Ok(json!({"id": simulator.upload_by_hand(&read::<UploadSpec>(body)?, wall)?}))
        }
        ("POST", ["portal", "tasks", id, "stop"]) => {
            let missing = || Wrong(404, format!("task {id}: no cloud has it and a portal that stops it"));
            simulator.stop_by_hand(id, wall).then(|| json!({})).ok_or_else(missing)
        }
        ("PUT", ["behaviours"]) => {
            simulator.set_behaviours(read::<Vec<Behaviour>>(body)?)?;
            Ok(json!({}))
        }
        ("GET", ["faults"]) => Ok(json!({"faults": simulator.faults()})),
        ("POST", ["faults"]) => {
            simulator.inject(read::<Fault>(body)?, wall)?;
            Ok(json!({"faults": simulator.faults()}))
        }
        ("DELETE", ["faults"]) => {
            simulator.clear_faults();
            Ok(json!({}))
        }
        ("GET", ["time"]) => Ok(time(simulator, wall)),
        ("POST", ["time", "step"]) => {
            let StepBody { seconds } = read(body)?;
            simulator.step(SignedDuration::from_secs(i64::from(seconds)), wall);
            Ok(time(simulator, wall))
        }
        ("PUT", ["time"]) => {
            let FactorBody { factor } = read(body)?;
            simulator.set_factor(factor, wall);
            Ok(time(simulator, wall))
        }
        _ => Err(Wrong(404, format!("{method} {PREFIX}{path}: no route; see docs/reference/simulator.md"))),
    }
}

fn time(simulator: &Simulator, wall: Timestamp) -> Value {
    json!({"fleet": simulator.times(wall).fleet, "wall": wall, "factor": simulator.factor()})
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body).map_err(|error| Wrong(400, format!("the body does not fit: {error}")))
}
