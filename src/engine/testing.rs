//! Engines over one simulated cloud, in one process and on paused time: each with a state of its own, as on laptops of their own.

#[cfg(test)]
pub(super) use bench::*;

#[cfg(test)]
mod bench {
    use super::super::Engine;
    use super::super::ports::{Clock, Connector, NoFaults, Ports, Rng, Silent, Sole};
    use crate::api::{Object, ObjectKey, OtaCloud};
    use crate::cloud::huawei_iotda::{self, Keys};
    use crate::cloud::{
        CallError, Cloud, Effect, ErrorClass, Transport, TransportError, WireRequest, WireResponse,
    };
    use crate::simulator::{End, Simulator, TaskTruth, World};
    use crate::source::manifest;
    use crate::state::memory::Memory;
    use async_trait::async_trait;
    use jiff::{SignedDuration, Timestamp};
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tokio::time::Instant;

    /// What every test begins with: projects `a` and `b`, each with a fleet of its own.
    pub(in crate::engine) const WORLD: &str = "
seed: 7
clouds:
  huaweiIotda:
    searchesPerSecond: 0
    accounts:
    - {projectId: a, appId: app, region: cn-north-4, accessKey: KEY-A, secretKey: secret}
    - {projectId: b, appId: app, region: cn-north-4, accessKey: KEY-B, secretKey: secret}
products: [{id: meter}]
devices:
- {count: 30, idPrefix: m-, product: meter, firmware: V1}
- {count: 30, idPrefix: n-, product: meter, account: b, firmware: V1}
behaviours:
- {version: V2, duration: {min: 10m, max: 20m}}
- {version: V3, duration: {min: 10m, max: 20m}}
";

    /// The clouds, and the time that everybody shares.
    pub(in crate::engine) struct Bench {
        simulator: Arc<Mutex<Simulator>>,
        clock: Arc<PausedClock>,
        line: Arc<Line>,
    }

    /// What is between the engines and the cloud.
    #[derive(Default)]
    struct Line {
        /// Requests that have left, as method and path, and when.
        sent: Mutex<Vec<(Timestamp, String)>>,
        /// Requests whose method and path have one of these in them are answered with 503.
        broken: Mutex<Vec<String>>,
        /// Requests whose method and path have one of these in them are never answered.
        silent: Mutex<Vec<String>>,
    }

    impl Bench {
        /// Must be made on a runtime whose time is paused.
        pub(in crate::engine) fn new(world: &str) -> Self {
            let clock = Arc::new(PausedClock {
                base: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000),
                begin: Instant::now(),
            });
            let world = World::parse("world.yaml", world).unwrap();
            let simulator = Simulator::new(&world, clock.now()).unwrap();
            Self { simulator: Arc::new(Mutex::new(simulator)), clock, line: Arc::default() }
        }

        /// One more engine, with an empty state.
        pub(in crate::engine) fn site(&self) -> Site {
            self.site_on(Memory::default())
        }

        /// One more engine, with this state.
        pub(in crate::engine) fn site_on(&self, store: Memory) -> Site {
            let store = Arc::new(store);
            Site {
                engine: Engine::new(store.clone(), self.ports()),
                store,
                clock: self.clock.clone(),
                wanted: BTreeMap::new(),
            }
        }

        /// The process ends, and another one begins on its state.
        pub(in crate::engine) async fn restart(&self, site: &mut Site) {
            site.engine = Engine::new(site.store.clone(), self.ports());
            site.engine.wake(site.store.objects().iter().map(|object| object.key())).await.unwrap();
        }

        /// What an engine needs from outside.
        pub(in crate::engine) fn ports(&self) -> Ports {
            Ports {
                clock: self.clock.clone(),
                rng: Arc::new(NoJitter),
                connector: Arc::new(Dialler {
                    simulator: self.simulator.clone(),
                    clock: self.clock.clone(),
                    line: self.line.clone(),
                }),
                leadership: Arc::new(Sole),
                recorder: Arc::new(Silent),
                faults: Arc::new(NoFaults),
            }
        }

        /// Looks at, or changes, the cloud.
        pub(in crate::engine) fn cloud<T>(&self, act: impl FnOnce(&mut Simulator, Timestamp) -> T) -> T {
            let mut simulator = self.simulator.lock().unwrap();
            let now = self.clock.now();
            simulator.advance(now);
            act(&mut simulator, now)
        }

        /// How many devices of a series run which firmware.
        pub(in crate::engine) fn versions(&self, prefix: &str) -> BTreeMap<String, usize> {
            let mut versions = BTreeMap::new();
            for device in self.cloud(|cloud, now| cloud.devices(now)) {
                if device.id.starts_with(prefix) {
                    *versions.entry(device.firmware.unwrap_or_default()).or_default() += 1;
                }
            }
            versions
        }

        pub(in crate::engine) fn tasks(&self) -> Vec<TaskTruth> {
            self.cloud(|cloud, _| cloud.tasks())
        }

        /// From now on requests whose method and path have one of these in them are answered with 503.
        pub(in crate::engine) fn break_paths(&self, parts: &[&str]) {
            *self.line.broken.lock().unwrap() = parts.iter().map(|part| (*part).to_owned()).collect();
        }

        /// From now on requests whose method and path have one of these in them are never answered.
        pub(in crate::engine) fn silence_paths(&self, parts: &[&str]) {
            *self.line.silent.lock().unwrap() = parts.iter().map(|part| (*part).to_owned()).collect();
        }

        /// How many requests of this method have left for a path that ends so.
        pub(in crate::engine) fn sent(&self, method: &str, end: &str) -> usize {
            self.times(method, end).len()
        }

        /// When they have left.
        pub(in crate::engine) fn times(&self, method: &str, end: &str) -> Vec<Timestamp> {
            let sent = self.line.sent.lock().unwrap();
            let of_kind = sent.iter().filter(|(_, sent)| sent.starts_with(method) && sent.ends_with(end));
            of_kind.map(|(at, _)| *at).collect()
        }

        pub(in crate::engine) fn now(&self) -> Timestamp {
            self.clock.now()
        }
    }

    /// One engine and its state.
    pub(in crate::engine) struct Site {
        pub(in crate::engine) engine: Engine,
        pub(in crate::engine) store: Arc<Memory>,
        clock: Arc<PausedClock>,
        wanted: BTreeMap<ObjectKey, Object>,
    }

    impl Site {
        /// Takes over these manifests beside what is wanted already.
        pub(in crate::engine) async fn apply(&mut self, text: &str) {
            let (objects, problems) = manifest::parse(Path::new("test.yaml"), text);
            assert!(problems.is_empty(), "{problems:?}");
            self.wanted.extend(objects.into_iter().map(|sourced| (sourced.object.key(), sourced.object)));
            self.take().await;
        }

        /// An object is not wanted any more.
        pub(in crate::engine) async fn remove(&mut self, key: &ObjectKey) {
            self.wanted.remove(key).unwrap();
            self.take().await;
        }

        async fn take(&mut self) {
            let desired = self.store.apply_desired(&self.wanted, true, self.clock.now()).unwrap();
            self.engine.wake(desired.changed.into_iter().chain(desired.deleting)).await.unwrap();
        }

        /// Works for so long.
        pub(in crate::engine) async fn work(&mut self, length: SignedDuration) {
            let end = Instant::now() + Duration::try_from(length).unwrap();
            while let Ok(report) = tokio::time::timeout_at(end, self.engine.next()).await {
                let key = report.unwrap().key;
                // As the folder does: what was let go and is wanted again comes in anew.
                if self.store.get(&key).is_none() && self.wanted.contains_key(&key) {
                    self.take().await;
                }
            }
        }

        /// Works until something is true of the state.
        pub(in crate::engine) async fn until(&mut self, what: &str, is_so: impl Fn(&Memory) -> bool) {
            for _ in 0..500 {
                if is_so(&self.store) {
                    return;
                }
                self.work(SignedDuration::from_secs(30)).await;
            }
            panic!("never: {what}; {:#?}", self.store.objects());
        }

        pub(in crate::engine) fn object(&self, key: &ObjectKey) -> Arc<Object> {
            self.store.get(key).unwrap_or_else(|| panic!("there is no {key}"))
        }

        /// Why the object is not ready: the reason of `Ready`, and the sentence.
        pub(in crate::engine) fn said(&self, key: &ObjectKey) -> (String, String) {
            said(&self.object(key))
        }
    }

    pub(in crate::engine) fn said(object: &Object) -> (String, String) {
        let ready = crate::api::find_condition(object.conditions(), crate::api::READY);
        (ready.map(|ready| ready.reason.clone()).unwrap_or_default(), object.message().to_owned())
    }

    /// An `OtaCloud` of this project.
    pub(in crate::engine) fn cloud(name: &str, project: &str) -> String {
        format!(
            "---\napiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {{name: {name}}}\nspec:\n  huaweiIotda: \
         {{endpoint: \"http://127.0.0.1:1\", region: cn-north-4, projectId: {project}, appId: app}}\n  credentials: \
         {{accessKey: \"env:KEY\", secretKey: \"env:SECRET\"}}\n"
        )
    }

    /// A package without verification.
    pub(in crate::engine) fn package(name: &str, cloud: &str, version: &str) -> String {
        let sha256 = "ab".repeat(32);
        format!(
            "---\napiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaPackage\nmetadata: {{name: {name}}}\nspec:\n  cloudRef: \
         {{name: {cloud}}}\n  type: Firmware\n  product: {{id: meter}}\n  version: {version}\n  artifact: {{sha256: {sha256}, \
         obs: {{region: cn-north-4, bucket: firmware, key: meter.bin}}}}\n"
        )
    }

    /// A rollout to the whole fleet, with a gated canary of so many devices.
    pub(in crate::engine) fn rollout(name: &str, package: &str, canary: u32) -> String {
        format!(
            "---\napiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaRollout\nmetadata: {{name: {name}}}\nspec:\n  packageRef: \
         {{name: {package}}}\n  targets: {{all: true}}\n  stages:\n  - name: canary\n    select: {{count: {canary}}}\n    \
         gates: [{{name: proven, outcome: {{method: Ratio, minSuccess: 90%}}}}]\n  - {{name: rest, select: {{rest: true}}}}\n"
        )
    }

    struct PausedClock {
        base: Timestamp,
        begin: Instant,
    }

    #[async_trait]
    impl Clock for PausedClock {
        fn now(&self) -> Timestamp {
            self.base.saturating_add(self.begin.elapsed()).unwrap()
        }

        async fn sleep_until(&self, deadline: Timestamp) {
            while self.now() < deadline {
                let left = Duration::try_from(deadline.duration_since(self.now())).unwrap_or_default();
                // Timers of tokio are as fine as a millisecond.
                tokio::time::sleep(left.clamp(Duration::from_millis(1), Duration::from_hours(24))).await;
            }
        }
    }

    struct NoJitter;

    impl Rng for NoJitter {
        fn below(&self, bound: u64) -> u64 {
            bound / 2
        }
    }

    struct Dialler {
        simulator: Arc<Mutex<Simulator>>,
        clock: Arc<PausedClock>,
        line: Arc<Line>,
    }

    #[async_trait]
    impl Connector for Dialler {
        async fn connect(&self, cloud: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError> {
            let spec = cloud.spec.huawei_iotda.as_ref();
            let spec =
                spec.ok_or_else(|| CallError::new(ErrorClass::Invalid, "Connect", "not simulated here"))?;
            let id = if spec.project_id == "b" { "KEY-B" } else { "KEY-A" };
            let keys = Keys::AccessKey { id: id.into(), secret: "secret".into(), security_token: None };
            let (simulator, clock) = (self.simulator.clone(), self.clock.clone());
            let wire = Wire { simulator, clock, line: self.line.clone() };
            Ok(huawei_iotda::connect(spec, keys, Arc::new(wire)))
        }
    }

    struct Wire {
        simulator: Arc<Mutex<Simulator>>,
        clock: Arc<PausedClock>,
        line: Arc<Line>,
    }

    #[async_trait]
    impl Transport for Wire {
        async fn send(&self, mut request: WireRequest) -> Result<WireResponse, TransportError> {
            let sent = format!("{} {}", request.method, request.path);
            let is_broken = self.line.broken.lock().unwrap().iter().any(|part| sent.contains(part));
            let is_silent = self.line.silent.lock().unwrap().iter().any(|part| sent.contains(part));
            self.line.sent.lock().unwrap().push((self.clock.now(), sent));
            tokio::time::sleep(Duration::from_millis(20)).await;
            if is_silent {
                tokio::time::sleep(Duration::from_secs(60)).await;
                let (message, next_step) = ("took too long to answer".to_owned(), String::new());
                let (class, effect) = (ErrorClass::Unavailable, Effect::Unknown);
                return Err(TransportError { class, effect, message, next_step });
            }
            if is_broken {
                let body = r#"{"error_code": "IOTDA.000099", "error_msg": "broken"}"#.into();
                return Ok(WireResponse { status: 503, headers: Vec::new(), body });
            }
            let host = request.origin.split_once("://").map_or("", |(_, host)| host).to_owned();
            if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
                request.headers.push(("host".to_owned(), host));
            }
            let end = {
                let mut simulator = self.simulator.lock().unwrap();
                let now = self.clock.now();
                simulator.handle(&request, now).end
            };
            match end {
                End::Reply(reply) => Ok(reply),
                other => panic!("no fault was injected: {other:?}"),
            }
        }
    }
}
