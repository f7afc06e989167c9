//! IoTDA as one of the simulator's clouds.

use super::task::{Sub, SubStatus, Task};
use super::upgrade::NEVER_ONLINE;
use super::{Iotda, MAX_BODY, Operation, Route, codes, refused, storm, targets_by_status, task_type};
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

    fn handle(
        &mut self,
        fleet: &mut Fleet<Event>,
        request: &WireRequest,
        times: Times,
        lag: Option<SignedDuration>,
    ) -> WireResponse {
        let route = Route::of(request.method, &request.path);
        Self::handle(self, fleet, route, request, times, lag)
    }

    fn happen(&mut self, fleet: &mut Fleet<Event>, event: Event, at: Timestamp) {
        if let Event::Iotda { account, task, step } = event {
            self.step(fleet, account, task, step, at);
        }
    }

    fn throttled(&self, request_id: &str) -> WireResponse {
        storm(request_id)
    }

    fn failed(&self, status: u16, request_id: &str) -> WireResponse {
        let error = refused(&codes::INTERNAL, "An injected fault.".to_owned(), request_id);
        WireResponse { status, ..error }
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
        self.add(fleet, account, new, times)
    }

    fn add_group(&mut self, account: usize, name: &str, id: Option<&str>, times: Times) {
        self.ensure_group(account, name, id, times);
    }

    fn remove_device(&mut self, fleet: &mut Fleet<Event>, device: &str, now: Times) -> bool {
        (0..self.accounts.len())
            .any(|account| super::devices::delete(self, fleet, account, device, now.fleet).is_ok())
    }

    fn wake(&mut self, fleet: &mut Fleet<Event>, device: &str, now: Timestamp) {
        Self::wake(self, fleet, device, now);
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
            targets: targets_by_status(task),
            never_began: never_began(task),
            tried_again: BTreeSet::new(),
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
