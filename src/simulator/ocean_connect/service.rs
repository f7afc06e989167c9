//! OceanConnect as one of the simulator's clouds.

use super::devices::Registered;
use super::spec::Product;
use super::task::Sub;
use super::upgrade::{NEVER_ONLINE, NOT_ONLINE};
use super::{App, OceanConnect, Operation, Package, Refusal, Route, Task, UploadSpec, codes, respond};
use crate::api::CloudKind;
use crate::cloud::{WireRequest, WireResponse};
use crate::simulator::{
    Event,
    clock::Times,
    fleet::Fleet,
    request::Received,
    service::{NewDevice, Service},
    truth::{PackageTruth, TaskTruth, by_status},
    world::WorldError,
};
use jiff::Timestamp;
use std::collections::BTreeSet;

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

    fn handle(&mut self, fleet: &mut Fleet, received: Received<'_>) -> WireResponse {
        if received.wire.body.len() > MAX_BODY {
            return respond(Err(Refusal::new(&codes::BAD_REQUEST, "The body is too long.")));
        }
        let route = Route::of(received.wire.method, &received.wire.path);
        respond(self.dispatch(fleet, route, received))
    }

    fn happen(&mut self, fleet: &mut Fleet, event: Event, at: Timestamp) {
        if let Event::OceanConnect { app, task, step } = event {
            self.upgrade(fleet, app, task, at, |upgrade| upgrade.step(step));
        }
    }

    fn throttled(&self, _: &str) -> WireResponse {
        respond(Err((&codes::THROTTLED).into()))
    }

    fn failed(&self, status: u16, _: &str) -> WireResponse {
        respond(Err(Refusal { status, ..Refusal::new(&codes::INTERNAL, "An injected fault.") }))
    }

    fn expire_tokens(&mut self) {
        Self::expire_tokens(self);
    }

    fn account_names(&self) -> Vec<&str> {
        self.apps.iter().map(|app| app.spec.app_id.as_str()).collect()
    }

    fn add_device(
        &mut self,
        fleet: &mut Fleet,
        account: usize,
        new: NewDevice<'_>,
        times: Times,
    ) -> Result<(), WorldError> {
        if !new.tags.is_empty() {
            return Err(WorldError(format!("device {}: tags: this cloud has none (try groups)", new.id)));
        }
        let product = Product::parse(&new.running.product)?;
        let no_account = || WorldError("the application does not exist".to_owned());
        let holder = self.apps.get_mut(account).ok_or_else(no_account)?;
        let (created, created_wall) = (times.fleet, times.wall);
        holder.devices.insert(Registered { id: new.id.to_owned(), product, created, created_wall });
        fleet.devices.insert(new.id.to_owned(), new.running);
        for name in new.groups {
            self.ensure_group(account, name, None);
            let holder = self.apps.get_mut(account).ok_or_else(no_account)?;
            let group = holder.groups.iter_mut().find(|group| group.name == *name);
            group.ok_or_else(no_account)?.members.insert(new.id.to_owned());
        }
        Ok(())
    }

    fn add_group(&mut self, account: usize, name: &str, id: Option<&str>, _: Times) {
        self.ensure_group(account, name, id);
    }

    fn remove_device(&mut self, fleet: &mut Fleet, device: &str, now: Times) -> bool {
        let Some(app) = self.apps.iter_mut().position(|app| app.devices.remove(device)) else { return false };
        self.forget(fleet, app, device, now.fleet);
        true
    }

    fn wake(&mut self, fleet: &mut Fleet, device: &str, now: Timestamp) {
        let mut apps = self.apps.iter().enumerate();
        let busy = apps.find_map(|(index, app)| Some((index, *app.busy.get(device)?)));
        if let Some((app, (task, sub))) = busy {
            self.upgrade(fleet, app, task, now, |upgrade| upgrade.wake(sub));
        }
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
            targets: by_status(task.subs.iter().map(|sub| (sub.status.counter(), &sub.device))),
            never_began: never_began(task),
            retried: devices(task, |sub| sub.retried),
        };
        self.apps.iter().flat_map(|app| app.tasks.iter().map(move |task| of(app, task))).collect()
    }

    fn upload_by_hand(&mut self, package: &UploadSpec, times: Times) -> Result<String, WorldError> {
        self.upload(package, times)
    }

    fn stop_by_hand(&mut self, fleet: &mut Fleet, task: &str, now: Timestamp) -> bool {
        let place = |app: &App| app.tasks.iter().position(|known| known.id == task);
        let found = self.apps.iter().enumerate().find_map(|(index, app)| Some((index, place(app)?)));
        if let Some((app, task)) = found {
            self.upgrade(fleet, app, task, now, |upgrade| {
                upgrade.stop();
            });
        }
        found.is_some()
    }
}

/// Devices that failed because they never came online.
fn never_began(task: &Task) -> BTreeSet<String> {
    devices(task, |sub| sub.detail == NOT_ONLINE || sub.detail == NEVER_ONLINE)
}

fn devices(task: &Task, is_one: impl Fn(&Sub) -> bool) -> BTreeSet<String> {
    task.subs.iter().filter(|sub| is_one(sub)).map(|sub| sub.device.clone()).collect()
}
