//! The state file: what is not exactly what was written is refused as corrupt, and never a panic.

use futures::FutureExt as _;
use redb::{Database, ReadableDatabase as _, TableDefinition};
use rollwave::api::{Kind, Object};
use rollwave::decide::explain::explain;
use rollwave::state::{StateError, Store as _, local::Local};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;

const STATUS: &str = "\n-----8<-----\n";

/// Bytes of a state file with one package and one rollout in it.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = folder();
    let local = Local::open(dir.path()).unwrap();
    let objects = [package(), rollout()].map(|object| (object.key(), object));
    local.apply_desired(&objects.into(), true, jiff::Timestamp::UNIX_EPOCH).unwrap();
    drop(local);
    fs::read(dir.path().join("state.redb")).unwrap()
});

/// In memory where the machine has such a place: every case waits for its disk several times.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "ota.rollwave.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn package() -> Object {
    let spec = json!({
        "cloudRef": {"name": "lab"}, "type": "Firmware", "product": {"id": "meter"}, "version": "V2",
        "artifact": {"sha256": "ab".repeat(32), "obs": {"region": "r", "bucket": "fw", "key": "v2.bin"}},
    });
    Object::Package(serde_json::from_value(object("OtaPackage", "p", &spec)).unwrap())
}

fn rollout() -> Object {
    let spec = json!({"packageRef": {"name": "p"}, "targets": {"all": true},
                      "stages": [{"name": "rest", "select": {"rest": true}}]});
    Object::Rollout(serde_json::from_value(object("OtaRollout", "r", &spec)).unwrap())
}

fn opened(dir: &TempDir) -> Option<Vec<Object>> {
    match Local::open(dir.path()) {
        Ok(local) => {
            let keys = local.keys().now_or_never().expect("it never waits").unwrap();
            let load = |key| local.load(key).now_or_never().expect("it never waits").unwrap();
            Some(keys.iter().filter_map(load).map(|object| (*object).clone()).collect())
        }
        Err(error) => {
            assert!(matches!(error, StateError::Corrupt { .. }), "{error}");
            None
        }
    }
}

/// A row as it may stand in a damaged or foreign file: `KIND`, its spec, and its status.
pub fn check_record(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (kind, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let (spec, status) = rest.split_once(STATUS).unwrap_or((rest, "null"));
    let Some(kind) = Kind::ALL.into_iter().find(|known| known.as_str() == kind.trim()) else { return };
    let dir = folder();
    let file = dir.path().join("state.redb");
    fs::write(&file, &*SOUND).unwrap();
    let name = if kind == Kind::OtaRollout { "r" } else { "p" };
    put_rows(&file, &format!("{kind}/default/{name}"), [("specs", spec), ("statuses", status)]);
    let Some(objects) = opened(&dir) else { return };
    assert_eq!(opened(&dir).as_ref(), Some(&objects), "opening it changes nothing");
    for object in &objects {
        assert!(!explain(object, &objects, jiff::Timestamp::UNIX_EPOCH).object.is_empty());
    }
}

fn put_rows(file: &Path, row: &str, tables: [(&str, &str); 2]) {
    let database = Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    for (table, value) in tables {
        let table = TableDefinition::<&str, &[u8]>::new(table);
        transaction.open_table(table).unwrap().insert(row, value.as_bytes()).unwrap();
    }
    transaction.commit().unwrap();
    assert!(database.begin_read().is_ok());
}

/// Damage: five bytes each, a place and what is done there (255 cuts the file off, anything else is XORed).
pub fn check_damage(data: &[u8]) {
    let mut bytes = SOUND.clone();
    for damage in data.as_chunks::<5>().0.iter().take(64) {
        let [a, b, c, d, what] = *damage;
        if bytes.is_empty() {
            break;
        }
        let place = u32::from_le_bytes([a, b, c, d]) as usize % bytes.len();
        if what == 255 { bytes.truncate(place) } else { bytes[place] ^= what }
    }
    let dir = folder();
    fs::write(dir.path().join("state.redb"), &bytes).unwrap();
    if let Some(objects) = opened(&dir) {
        let sound = folder();
        fs::write(sound.path().join("state.redb"), &*SOUND).unwrap();
        assert_eq!(Some(objects), opened(&sound), "damage never changes an object");
    }
}
