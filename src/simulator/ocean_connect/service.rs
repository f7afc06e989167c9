//! OceanConnect as one of the simulator's clouds.

use super::task::Sub;
use super::upgrade::{NEVER_ONLINE, NOT_ONLINE};
use super::{App, OceanConnect, Operation, Package, Route, SubStatus, Task, UploadSpec, codes, refused};
use crate::api::CloudKind;
use crate::cloud::{WireRequest, WireResponse};
use crate::simulator::{
    Event,
    clock::Times,
    fleet::Fleet,
    service::{NewDevice, Service},
    truth::{PackageTruth, TaskTruth},
    world::WorldError,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Longest body that is read; no document gives a limit.
const MAX_BODY: usize = 1024 * 1024;

impl Service for OceanConnect {
    fn kind(&self) -> CloudKind {
        CloudKind::OceanConnect
    }

    fn operations(&self) -> Vec<&'static str> {
        Operation::ALL.iter().map(|operation| operation.as_str()).collect()
    }

    fn serves(&self, path: &str) -> bool {
        ["/iocm/", "/iodm/"].iter().any(|prefix| path.starts_with(prefix))
    }

    fn operation_of(&self, request: &WireRequest) -> Option<&'static str> {
        Route::of(request.method, &request.path).map(|route| route.operation.as_str())
    }

    fn max_body(&self) -> usize {
        MAX_BODY
    }

    fn handle(
        &mut self,
        fleet: &mut Fleet<Event>,
        request: &WireRequest,
        times: Times,
        lag: Option<SignedDuration>,
    ) -> WireResponse {
        if request.body.len() > MAX_BODY {
            return refused(&codes::BAD_REQUEST, "The body is too long.");
        }
        let route = Route::of(request.method, &request.path);
        Self::handle(self, fleet, route, request, times, lag)
    }

    fn happen(&mut self, fleet: &mut Fleet<Event>, event: Event, at: Timestamp) {
        if let Event::OceanConnect { app, task, step } = event {
            self.step(fleet, app, task, step, at);
        }
    }

    fn throttled(&self, _: &str) -> WireResponse {
        refused(&codes::THROTTLED, "")
    }

    fn failed(&self, status: u16, _: &str) -> WireResponse {
        WireResponse { status, ..refused(&codes::INTERNAL, "An injected fault.") }
    }

    fn expire_tokens(&mut self) {
        Self::expire_tokens(self);
    }

    fn account(&self, name: Option<&str>) -> Option<usize> {
        self.index_of(name)
    }

    fn add_device(
        &mut self,
        fleet: &mut Fleet<Event>,
        account: usize,
        new: NewDevice<'_>,
        times: Times,
    ) -> Result<(), WorldError> {
        if !new.tags.is_empty() {
            return Err(WorldError(format!("device {}: tags: this cloud has none (try groups)", new.id)));
        }
        self.add(fleet, account, (new.id, new.running), new.groups, times)
    }

    fn add_group(&mut self, account: usize, name: &str, id: Option<&str>, _: Times) {
        self.ensure_group(account, name, id);
    }

    fn remove_device(&mut self, fleet: &mut Fleet<Event>, device: &str, now: Times) -> bool {
        let Some(app) = self.apps.iter_mut().position(|app| app.devices.remove(device)) else { return false };
        self.forget(fleet, app, device, now.fleet);
        true
    }

    fn wake(&mut self, fleet: &mut Fleet<Event>, device: &str, now: Timestamp) {
        Self::wake(self, fleet, device, now);
    }

    fn packages(&self) -> Vec<PackageTruth> {
        let of = |app: &App, package: &Package| PackageTruth {
            cloud: CloudKind::OceanConnect,
            account: app.spec.app_id.clone(),
            id: package.id.clone(),
            kind: package.file_type.as_str().to_owned(),
            product: package.product.to_string(),
            version: package.version.clone(),
        };
        self.apps.iter().flat_map(|app| app.packages.iter().map(move |package| of(app, package))).collect()
    }

    fn tasks(&self) -> Vec<TaskTruth> {
        let of = |app: &App, task: &Task| TaskTruth {
            cloud: CloudKind::OceanConnect,
            account: app.spec.app_id.clone(),
            id: task.id.clone(),
            name: String::new(),
            kind: task.operate_type().to_owned(),
            status: task.status().as_str().to_owned(),
            packages: vec![task.package.id.clone()],
            targets: targets_by_status(task),
            never_began: never_began(task),
            tried_again: devices(task, |sub| sub.tried_again),
        };
        self.apps.iter().flat_map(|app| app.tasks.iter().map(move |task| of(app, task))).collect()
    }

    fn upload_by_hand(&mut self, package: &UploadSpec, times: Times) -> Result<String, WorldError> {
        self.upload(package, times)
    }

    fn stop_by_hand(&mut self, fleet: &mut Fleet<Event>, task: &str, now: Timestamp) -> bool {
        self.stop(fleet, task, now)
    }
}

fn targets_by_status(task: &Task) -> BTreeMap<&'static str, BTreeSet<String>> {
    let of = |status: SubStatus| {
        let subs = task.subs.iter().filter(move |sub| sub.status == status);
        (status.counter(), subs.map(|sub| sub.device.clone()).collect::<BTreeSet<_>>())
    };
    SubStatus::ALL.into_iter().map(of).filter(|(_, devices)| !devices.is_empty()).collect()
}

/// Devices that failed because they never came online.
fn never_began(task: &Task) -> BTreeSet<String> {
    devices(task, |sub| sub.detail == NOT_ONLINE || sub.detail == NEVER_ONLINE)
}

fn devices(task: &Task, is_one: impl Fn(&Sub) -> bool) -> BTreeSet<String> {
    task.subs.iter().filter(|sub| is_one(sub)).map(|sub| sub.device.clone()).collect()
}
