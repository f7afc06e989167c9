//! Alibaba Cloud as one of the simulator's clouds.

use super::{
    Action, AliyunIot, Group, MAX_BODY, Refusal, STORE, Style, codes,
    devices::Registered,
    operation_of,
    request::{DEVICE_NAME, ID, MODULE},
    respond,
};
use crate::{
    api::CloudKind,
    cloud::{WireRequest, WireResponse},
    simulator::{
        Event,
        clock::Times,
        draw,
        fleet::Fleet,
        form::Form,
        request::Received,
        service::{NewDevice, Service},
        truth::{PackageTruth, TaskTruth, by_status},
        world::WorldError,
    },
};
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Service for AliyunIot {
    fn kind(&self) -> CloudKind {
        CloudKind::AliyunIot
    }

    fn operations(&self) -> Vec<&'static str> {
        Action::ALL.iter().map(|action| action.as_str()).collect()
    }

    fn serves(&self, path: &str) -> bool {
        path == "/" || path == STORE || path.strip_prefix(STORE).is_some_and(|rest| rest.starts_with('/'))
    }

    fn operation_of(&self, request: &WireRequest) -> Option<&'static str> {
        operation_of(request)
    }

    fn max_body(&self) -> usize {
        MAX_BODY
    }

    fn handle(&mut self, fleet: &mut Fleet, received: Received<'_>) -> WireResponse {
        self.reply(fleet, received)
    }

    fn takes_upload(&self, head: &WireRequest) -> bool {
        head.path.starts_with(STORE)
    }

    fn handle_upload(&mut self, form: Result<Form, String>, times: Times) -> WireResponse {
        let id = self.request_id();
        self.post_object(form, times.wall, times.fleet, &id)
    }

    fn happen(&mut self, fleet: &mut Fleet, event: Event, at: Timestamp) {
        if let Event::AliyunIot { account, step } = event {
            self.upgrade(fleet, account, at, |upgrade| upgrade.step(step));
        }
    }

    fn throttled(&self, request_id: &str) -> WireResponse {
        refused((&codes::THROTTLED).into(), request_id)
    }

    fn failed(&self, status: u16, request_id: &str) -> WireResponse {
        refused(Refusal { status, ..(&codes::INTERNAL).into() }, request_id)
    }

    fn expire_tokens(&mut self) {
        self.tokens_end = true;
    }

    fn account_names(&self) -> Vec<&str> {
        self.accounts.iter().map(|account| account.spec.name()).collect()
    }

    fn add_device(
        &mut self,
        fleet: &mut Fleet,
        account: usize,
        new: NewDevice<'_>,
        times: Times,
    ) -> Result<(), WorldError> {
        DEVICE_NAME.check("DeviceName", new.id).map_err(|refusal| WorldError(refusal.message()))?;
        ID.check("ProductKey", &new.running.product).map_err(|refusal| WorldError(refusal.message()))?;
        for name in new.modules.keys() {
            MODULE.check("ModuleName", name).map_err(|refusal| WorldError(refusal.message()))?;
        }
        let key = (new.running.product.clone(), new.id.to_owned());
        let iot_id = super::opaque_id(self.seed, &["device", &key.0, &key.1]);
        self.products.entry(key.0.clone()).or_insert_with(|| key.0.clone());
        let groups: Vec<String> =
            new.groups.iter().map(|name| self.ensure_group(account, name, None, times)).collect();
        let holder = self.accounts.get_mut(account);
        let holder = holder.ok_or_else(|| WorldError("the account does not exist".to_owned()))?;
        for id in groups {
            if let Some(group) = holder.groups.get_mut(&id) {
                group.members.push(key.clone());
            }
        }
        let software = new.running.software.as_ref().map(|_| super::SOFTWARE_MODULE);
        for name in new.modules.keys().map(String::as_str).chain(software) {
            holder.ensure_module(&key.0, name, times.fleet);
        }
        let (tags, modules) = (new.tags.clone(), new.modules.clone());
        holder.devices.insert(key, Registered { iot_id, tags, modules, created: times.fleet });
        fleet.devices.insert(new.id.to_owned(), new.running);
        Ok(())
    }

    fn add_group(&mut self, account: usize, name: &str, id: Option<&str>, times: Times) {
        self.ensure_group(account, name, id, times);
    }

    fn remove_device(&mut self, fleet: &mut Fleet, device: &str, now: Times) -> bool {
        let mut accounts = self.accounts.iter_mut().enumerate();
        let Some((index, key)) = accounts.find_map(|(index, a)| Some((index, a.devices.remove(device)?)))
        else {
            return false;
        };
        self.upgrade(fleet, index, now.fleet, |upgrade| upgrade.lose(&key));
        true
    }

    fn wake(&mut self, fleet: &mut Fleet, device: &str, now: Timestamp) {
        for index in 0..self.accounts.len() {
            self.upgrade(fleet, index, now, |upgrade| upgrade.wake(device));
        }
    }

    fn packages(&self) -> Vec<PackageTruth> {
        let all =
            self.accounts.iter().flat_map(|account| account.firmwares.values().map(move |f| (account, f)));
        all.map(|(account, firmware)| PackageTruth {
            cloud: CloudKind::AliyunIot,
            account: account.spec.name().to_owned(),
            id: firmware.id.clone(),
            kind: firmware.module.clone(),
            product: firmware.product.clone(),
            version: firmware.version.clone(),
        })
        .collect()
    }

    fn tasks(&self) -> Vec<TaskTruth> {
        let all =
            self.accounts.iter().flat_map(|account| account.jobs.values().map(move |job| (account, job)));
        all.map(|(account, job)| TaskTruth {
            cloud: CloudKind::AliyunIot,
            account: account.spec.name().to_owned(),
            id: job.id.clone(),
            name: job.settings.tags.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" "),
            kind: job.job_type().to_owned(),
            status: job.status.as_str(false).to_owned(),
            packages: vec![job.firmware.clone()],
            targets: by_status(job.tasks.iter().map(|task| (task.status.as_str(), &task.device))),
            never_began: BTreeSet::new(),
            retried: BTreeSet::new(),
        })
        .collect()
    }
}

impl AliyunIot {
    /// Id of the group of this name, which is created when it is not there.
    fn ensure_group(&mut self, account: usize, name: &str, id: Option<&str>, times: Times) -> String {
        let seed = self.seed;
        let Some(account) = self.accounts.get_mut(account) else { return String::new() };
        if let Some(group) = account.groups.values().find(|group| group.name == name) {
            return group.id.clone();
        }
        let id =
            id.map_or_else(|| draw::hex_id(seed, 16, &["group", account.spec.name(), name]), str::to_owned);
        let is_dynamic = account.spec.dynamic_groups.iter().any(|dynamic| dynamic == name);
        let group = Group {
            id: id.clone(),
            name: name.to_owned(),
            is_dynamic,
            members: Vec::new(),
            created: times.fleet,
        };
        account.groups.insert(id.clone(), group);
        id
    }
}

/// The gateway's refusal, as an answer on the wire.
fn refused(refusal: Refusal, request_id: &str) -> WireResponse {
    respond(Err(refusal), "", Style::Json, "localhost", request_id)
}
