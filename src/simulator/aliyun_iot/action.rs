//! The actions: how many calls of each a second an account may make (10 where no document has a number: *assumed*), and what
//! answers it.

use super::{
    AliyunIot, codes, devices, firmware, jobs, modules, object_store,
    request::{Handled, Request},
    tasks,
};
use crate::simulator::router::{Call, operations};

operations!(
    /// An action of the API, or the upload to the object store.
    Action at u32, |cloud: AliyunIot, fleet, account, _id, request: Request| -> Handled;
    GenerateOTAUploadURL 10 => object_store::generate(cloud, account, request),
    CreateOTAFirmware 10 => firmware::create(cloud, account, request),
    ModifyOTAFirmware 10 => firmware::modify(cloud, account, request),
    ListOTAFirmware 10 => firmware::list(cloud, account, request),
    QueryOTAFirmware 20 => firmware::query(cloud, account, request),
    DeleteOTAFirmware 10 => firmware::delete(cloud, account, request),
    CreateOTAVerifyJob 10 => jobs::create_verify(cloud, fleet, account, request),
    CreateOTAStaticUpgradeJob 20 => jobs::create_static(cloud, fleet, account, request),
    CreateOTADynamicUpgradeJob 20 => jobs::create_dynamic(cloud, fleet, account, request),
    QueryOTAJob 10 => tasks::query_job(cloud, account, request),
    ListOTAJobByFirmware 10 => tasks::jobs_by_firmware(cloud, account, request),
    ListOTAJobByDevice 10 => tasks::jobs_by_device(cloud, account, request),
    ListOTATaskByJob 10 => tasks::tasks_by_job(cloud, account, request),
    ListOTAUnfinishedTaskByDevice 10 => tasks::unfinished_by_device(cloud, account, request),
    CancelOTAStrategyByJob 10 => tasks::cancel_strategy(cloud, fleet, account, request),
    CancelOTATaskByJob 5 => tasks::cancel_by_job(cloud, fleet, account, request),
    CancelOTATaskByDevice 10 => tasks::cancel_by_device(cloud, fleet, account, request),
    ConfirmOTATask 20 => tasks::confirm(cloud, fleet, account, request),
    ReupgradeOTATask 20 => tasks::reupgrade(cloud, fleet, account, request),
    CreateOTAModule 10 => modules::create(cloud, account, request),
    UpdateOTAModule 10 => modules::update(cloud, account, request),
    DeleteOTAModule 10 => modules::delete(cloud, account, request),
    ListOTAModuleByProduct 10 => modules::list(cloud, account, request),
    ListOTAModuleVersionsByDevice 10 => devices::module_versions(cloud, fleet, account, request),
    QueryDevice 10 => devices::query(cloud, fleet, account, request),
    QueryDeviceDetail 50 => devices::show(cloud, fleet, account, request),
    BatchQueryDeviceDetail 5 => devices::batch(cloud, fleet, account, request),
    QueryDeviceByTags 5 => devices::by_tags(cloud, account, request),
    QueryDeviceGroupList 100 => devices::groups(cloud, account, request),
    QueryDeviceGroupInfo 30 => devices::group_info(cloud, fleet, account, request),
    QueryDeviceListByDeviceGroup 5 => devices::of_group(cloud, account, request),
    PostObject 1000 => Err((&codes::NO_ACTION).into()),
);

impl Action {
    /// The action of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name && *action != Self::PostObject)
    }

    /// Calls a second.
    #[must_use]
    pub const fn queries_per_second(self) -> u32 {
        self.place()
    }
}
