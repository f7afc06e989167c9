//! IoTDA as one of the simulator's clouds.

use super::task::{Sub, SubStatus, Task};
use super::upgrade::NEVER_ONLINE;
use super::{Iotda, MAX_BODY, Operation, Refusal, Route, codes, respond, task_type, throttle_detail};
use super::{devices::Registered, request::DEVICE_ID};
use crate::api::CloudKind;
use crate::cloud::{WireRequest, WireResponse};
use crate::simulator::{
    Event,
    clock::Times,
    draw,
    fleet::Fleet,
    request::Received,
    service::{NewDevice, Service},
    truth::{PackageTruth, TaskTruth, by_status},
    world::WorldError,
};
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Service for Iotda {
    fn kind(&self) -> CloudKind {
        CloudKind::HuaweiIotda
    }

    fn operations(&self) -> Vec<&'static str> {
        Operation::ALL.iter().map(|operation| operation.as_str()).collect()
    }

    fn serves(&self, path: &str) -> bool {
        ["/v5/iot/", "/v3/"].iter().any(|prefix| path.starts_with(prefix))
    }

    fn operation_of(&self, request: &WireRequest) -> Option<&'static str> {
        Route::of(request.method, &request.path).map(|route| route.operation.as_str())
    }

    fn max_body(&self) -> usize {
        MAX_BODY
    }

    fn handle(&mut self, fleet: &mut Fleet, received: Received<'_>) -> WireResponse {
        let route = Route::of(received.wire.method, &received.wire.path);
        let is_iam = route.as_ref().is_some_and(|route| route.operation.is_iam());
        let handled = self.dispatch(fleet, route, received);
        let id = draw::hex_id(self.seed, 32, &["request", &self.records.number().to_string()]);
        respond(handled, &id, is_iam)
    }

    fn happen(&mut self, fleet: &mut Fleet, event: Event, at: Timestamp) {
        if let Event::Iotda { account, task, step } = event {
            self.upgrade(fleet, account, task, at, |upgrade| upgrade.step(step));
        }
    }

    fn throttled(&self, request_id: &str) -> WireResponse {
        let refusal = Refusal::new(&codes::THROTTLED, throttle_detail(0.0));
        respond(Err(refusal), request_id, false)
    }

    fn failed(&self, status: u16, request_id: &str) -> WireResponse {
        let refusal = Refusal { status, ..Refusal::new(&codes::INTERNAL, "An injected fault.") };
        respond(Err(refusal), request_id, false)
    }

    fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    fn account_names(&self) -> Vec<&str> {
        self.accounts.iter().map(|account| account.spec.project_id.as_str()).collect()
    }

    fn add_device(
        &mut self,
        fleet: &mut Fleet,
        account: usize,
        new: NewDevice<'_>,
        times: Times,
    ) -> Result<(), WorldError> {
        DEVICE_ID.check("device id", new.id).map_err(|refusal| WorldError(refusal.detail))?;
        let no_account = |_| WorldError("the account does not exist".to_owned());
        let app = self.account(account).map_err(no_account)?.spec.app_id.clone();
        let mut device = Registered::plain(new.id, &app, &new.running.product, times.fleet, times.wall);
        device.tags = new.tags.clone();
        self.products.entry(device.product.clone()).or_insert_with(|| device.product.clone());
        let record = self.register(fleet, account, device, new.running, times.fleet).map_err(no_account)?;
        for name in new.groups {
            let id = self.ensure_group(account, name, None, times);
            if let Some(group) = self.account_mut(account).map_err(no_account)?.groups.get_mut(&id) {
                group.members.insert(record);
            }
        }
        Ok(())
    }

    fn add_group(&mut self, account: usize, name: &str, id: Option<&str>, times: Times) {
        self.ensure_group(account, name, id, times);
    }

    fn remove_device(&mut self, fleet: &mut Fleet, device: &str, now: Times) -> bool {
        (0..self.accounts.len())
            .any(|account| super::devices::delete(self, fleet, account, device, now.fleet).is_ok())
    }

    fn wake(&mut self, fleet: &mut Fleet, device: &str, now: Timestamp) {
        let mut accounts = self.accounts.iter().enumerate();
        let busy = accounts.find_map(|(index, account)| Some((index, *account.busy.get(device)?)));
        if let Some((account, (task, sub))) = busy {
            self.upgrade(fleet, account, task, now, |upgrade| upgrade.wake(sub));
        }
    }

    fn packages(&self) -> Vec<PackageTruth> {
        let all = self.accounts.iter().flat_map(|account| account.packages.iter().map(move |p| (account, p)));
        all.map(|(account, package)| PackageTruth {
            cloud: CloudKind::HuaweiIotda,
            account: account.spec.project_id.clone(),
            id: package.id.clone(),
            kind: package.kind.clone(),
            product: package.product.clone(),
            version: package.version.clone(),
        })
        .collect()
    }

    fn tasks(&self) -> Vec<TaskTruth> {
        let all =
            self.accounts.iter().flat_map(|account| account.tasks.iter().map(move |task| (account, task)));
        all.map(|(account, task)| TaskTruth {
            cloud: CloudKind::HuaweiIotda,
            account: account.spec.project_id.clone(),
            id: task.id.clone(),
            name: task.name().to_owned(),
            kind: task_type(task.part),
            status: task.status.as_str().to_owned(),
            packages: task.packages.iter().map(|package| package.id.clone()).collect(),
            targets: by_status(task.subs().iter().map(|sub| (sub.status.as_str(), &sub.target))),
            never_began: never_began(task),
            retried: BTreeSet::new(),
        })
        .collect()
    }
}

/// Devices that failed because they never came online.
fn never_began(task: &Task) -> BTreeSet<String> {
    let is_silent = |sub: &&Sub| {
        let text = sub.error.as_ref().filter(|_| sub.status == SubStatus::Fail);
        text.is_some_and(|(_, text)| text == NEVER_ONLINE)
    };
    task.subs().iter().filter(is_silent).map(|sub| sub.target.clone()).collect()
}
