//! EnOS as one of the simulator's clouds.

use super::{Enos, MAX_BODY, Operation, Refusal, codes, devices::Registered, envelope, job::Status};
use crate::api::CloudKind;
use crate::cloud::{WireRequest, WireResponse, enos::sign};
use crate::simulator::{
    Event,
    clock::Times,
    draw,
    fleet::Fleet,
    request::Received,
    service::{NewDevice, Service},
    truth::{PackageTruth, TaskTruth},
    world::WorldError,
};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

impl Service for Enos {
    fn kind(&self) -> CloudKind {
        CloudKind::Enos
    }

    fn operations(&self) -> Vec<&'static str> {
        Operation::ALL.iter().map(|operation| operation.as_str()).collect()
    }

    fn serves(&self, path: &str) -> bool {
        ["/apim-token-service/", "/connect-service/"].iter().any(|prefix| path.starts_with(prefix))
    }

    fn operation_of(&self, request: &WireRequest) -> Option<&'static str> {
        let query = sign::parse_query(&request.query);
        Operation::of(request.method, &request.path, &query).map(Operation::as_str)
    }

    fn max_body(&self) -> usize {
        MAX_BODY
    }

    fn handle(&mut self, fleet: &mut Fleet, received: Received<'_>) -> WireResponse {
        self.answer(fleet, received)
    }

    fn happen(&mut self, fleet: &mut Fleet, event: Event, at: Timestamp) {
        if let Event::Enos { account, job, step } = event {
            let now = Times { wall: self.wall, fleet: at };
            self.upgrade(fleet, account, job, now, |upgrade| upgrade.step(step));
        }
    }

    fn throttled(&self, request_id: &str) -> WireResponse {
        envelope(Err((&codes::THROTTLED).into()), request_id)
    }

    fn failed(&self, status: u16, request_id: &str) -> WireResponse {
        envelope(Err(Refusal { status, ..(&codes::INTERNAL).into() }), request_id)
    }

    fn expire_tokens(&mut self) {
        self.accounts.iter_mut().for_each(|account| account.session.expire());
    }

    fn account_names(&self) -> Vec<&str> {
        self.accounts.iter().map(|account| account.spec.org_id.as_str()).collect()
    }

    /// A group `plant/hall-1` is the node `hall-1` of the asset tree `plant`.
    fn add_device(
        &mut self,
        fleet: &mut Fleet,
        account: usize,
        new: NewDevice<'_>,
        times: Times,
    ) -> Result<(), WorldError> {
        let no_account = || WorldError("the account does not exist".to_owned());
        let seed = self.seed;
        let holder = self.accounts.get_mut(account).ok_or_else(no_account)?;
        let mut trees: BTreeMap<String, _> = BTreeMap::new();
        for group in new.groups {
            let (tree, node) = group.split_once('/').unwrap_or((group, ""));
            let nodes: &mut BTreeSet<String> = trees.entry(tree.to_owned()).or_default();
            nodes.insert(node.to_owned());
        }
        let device = Registered {
            asset: draw::hex_id(seed, 8, &["enos asset", new.id]),
            product: new.running.product.clone(),
            attributes: new.attributes.clone(),
            tags: new.tags.clone(),
            trees,
            created: times,
        };
        fleet.devices.insert(new.id.to_owned(), new.running);
        holder.devices.insert(new.id.to_owned(), device);
        Ok(())
    }

    /// An asset tree begins to exist with the first device below it.
    fn add_group(&mut self, _account: usize, _name: &str, _id: Option<&str>, _times: Times) {}

    fn remove_device(&mut self, fleet: &mut Fleet, device: &str, now: Times) -> bool {
        let Some(account) = self.accounts.iter_mut().position(|account| account.devices.remove(device))
        else {
            return false;
        };
        for number in 0..self.accounts[account].jobs.len() {
            self.upgrade(fleet, account, number, now, |upgrade| upgrade.lose(device));
        }
        true
    }

    fn wake(&mut self, fleet: &mut Fleet, device: &str, now: Timestamp) {
        let now = Times { wall: self.wall, fleet: now };
        for account in 0..self.accounts.len() {
            let jobs = self.accounts[account].jobs.iter().enumerate();
            let waiting: Vec<(usize, u32)> =
                jobs.filter_map(|(number, job)| Some((number, job.find(device)?))).collect();
            for (number, task) in waiting {
                self.upgrade(fleet, account, number, now, |upgrade| upgrade.wake(task));
            }
        }
    }

    fn packages(&self) -> Vec<PackageTruth> {
        let accounts = self.accounts.iter();
        let all = accounts.flat_map(|account| account.firmwares.values().map(move |f| (account, f)));
        all.map(|(account, firmware)| PackageTruth {
            cloud: CloudKind::Enos,
            account: account.spec.org_id.clone(),
            id: firmware.id.clone(),
            kind: "firmware".to_owned(),
            product: firmware.product.clone().unwrap_or_default(),
            version: firmware.version.clone(),
        })
        .collect()
    }

    fn tasks(&self) -> Vec<TaskTruth> {
        let accounts = self.accounts.iter();
        let all = accounts.flat_map(|account| account.jobs.iter().map(move |job| (account, job)));
        let name = |shown: Option<&Value>| Some(shown?.get("defaultValue")?.as_str()?.to_owned());
        all.filter(|(_, job)| !job.is_deleted)
            .map(|(account, job)| TaskTruth {
                cloud: CloudKind::Enos,
                account: account.spec.org_id.clone(),
                id: job.id.clone(),
                name: name(job.shown.get("name")).unwrap_or_default(),
                kind: job.plan.kind.as_str().to_owned(),
                status: if job.is_started { "started" } else { "stopped" }.to_owned(),
                packages: vec![job.plan.firmware.id.clone()],
                targets: Status::ALL.iter().filter_map(|status| job.devices_in(*status)).collect(),
                never_began: BTreeSet::new(),
                retried: BTreeSet::new(),
            })
            .collect()
    }
}
