//! What every simulated cloud is to the simulator around it: one folder each, side by side behind one listener.

use super::{
    Event,
    clock::Times,
    fleet::{Device, Fleet},
    form::Form,
    ocean_connect::UploadSpec,
    request::Received,
    truth::{PackageTruth, TaskTruth},
    world::WorldError,
};
use crate::api::CloudKind;
use crate::cloud::{WireRequest, WireResponse};
use jiff::Timestamp;
use std::{collections::BTreeMap, fmt};

/// A simulated cloud with its accounts. Devices live in the fleet, which all clouds share; what a cloud believes of them
/// is its own.
pub trait Service: fmt::Debug + Send {
    /// Which cloud it is.
    fn kind(&self) -> CloudKind;

    /// Names of all its operations, for faults and counters.
    fn operations(&self) -> Vec<&'static str>;

    /// Whether a request to this path is for it. Paths of different clouds never overlap.
    fn serves(&self, path: &str) -> bool;

    /// The operation of a request, if there is one.
    fn operation_of(&self, request: &WireRequest) -> Option<&'static str>;

    /// Longest body that it reads whole; one byte more is handed over, so that it can refuse by itself.
    fn max_body(&self) -> usize;

    /// Answers a request.
    fn handle(&mut self, fleet: &mut Fleet, received: Received<'_>) -> WireResponse;

    /// Whether the request with this head is an upload: its form is read piece by piece, and given to
    /// [`Self::handle_upload`].
    fn takes_upload(&self, _head: &WireRequest) -> bool {
        false
    }

    /// Answers an upload; called only for what [`Self::takes_upload`].
    fn handle_upload(&mut self, _form: Result<Form, String>, _times: Times) -> WireResponse {
        self.failed(501, "")
    }

    /// Lets something happen that it put into the fleet's queue. Events of other clouds never get here.
    fn happen(&mut self, fleet: &mut Fleet, event: Event, at: Timestamp);

    /// How it words throttling.
    fn throttled(&self, request_id: &str) -> WireResponse;

    /// How it words an error of its own with this HTTP status.
    fn failed(&self, status: u16, request_id: &str) -> WireResponse;

    /// Ends all tokens that it has given.
    fn expire_tokens(&mut self);

    /// Names of its accounts, in the order of the world file: the ids that their manifests give.
    fn account_names(&self) -> Vec<&str>;

    /// Index of the account of this name; of the first one when none is named.
    fn account(&self, name: Option<&str>) -> Option<usize> {
        let names = self.account_names();
        match name {
            None => (!names.is_empty()).then_some(0),
            Some(name) => names.iter().position(|known| *known == name),
        }
    }

    /// Registers a device, in groups that are created when they are not there.
    ///
    /// # Errors
    /// [`WorldError`]: its id is taken or not allowed, or the account does not exist.
    fn add_device(
        &mut self,
        fleet: &mut Fleet,
        account: usize,
        new: NewDevice<'_>,
        times: Times,
    ) -> Result<(), WorldError>;

    /// Creates a group when it is not there.
    fn add_group(&mut self, account: usize, name: &str, id: Option<&str>, times: Times);

    /// Takes a device out of service; false when this cloud has none of this id. *Assumed*: what has not ended for it fails.
    fn remove_device(&mut self, fleet: &mut Fleet, device: &str, now: Times) -> bool;

    /// A device has been switched on: an upgrade that waits for it continues.
    fn wake(&mut self, fleet: &mut Fleet, device: &str, now: Timestamp);

    /// All packages of all accounts, oldest first.
    fn packages(&self) -> Vec<PackageTruth>;

    /// All upgrade jobs of all accounts, oldest first.
    fn tasks(&self) -> Vec<TaskTruth>;

    /// Uploads a package as people do it in the cloud's portal; gives its id.
    ///
    /// # Errors
    /// [`WorldError`]: the cloud takes packages by its API, or there is something wrong with this one.
    fn upload_by_hand(&mut self, _package: &UploadSpec, _times: Times) -> Result<String, WorldError> {
        Err(WorldError(format!("cloud {}: packages are created by its API", self.kind())))
    }

    /// Stops a task as people do it in the cloud's portal, where its API cannot; false when there is no such task.
    fn stop_by_hand(&mut self, _fleet: &mut Fleet, _task: &str, _now: Timestamp) -> bool {
        false
    }
}

/// A device to be added by the world file or the admin API.
#[derive(Debug)]
pub struct NewDevice<'a> {
    /// Device id.
    pub id: &'a str,
    /// What it runs.
    pub running: Device,
    /// Tags.
    pub tags: &'a BTreeMap<String, String>,
    /// Attributes, where the cloud has them.
    pub attributes: &'a BTreeMap<String, String>,
    /// Versions of modules, where the cloud has them.
    pub modules: &'a BTreeMap<String, String>,
    /// Names of groups.
    pub groups: &'a [String],
}
