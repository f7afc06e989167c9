//! The operations: where each is found, and what answers it.

use super::{OceanConnect, codes, devices, groups, packages, request::Handled, tasks};
use crate::simulator::{
    fleet::Part,
    request::Request,
    router::{self, Call, Places, operations},
};

operations!(
    /// An operation of the northbound API. Names are ours where the documents have none. The first three are answered before an
    /// application is known.
    Operation at &'static str, |cloud: OceanConnect, fleet, account, id, request: Request| -> Handled;
    Login "POST iocm/app/sec/v1.1.0/login" => Err((&codes::NO_API).into()),
    RefreshToken "POST iocm/app/sec/v1.1.0/refreshToken" => Err((&codes::NO_API).into()),
    Logout "POST iocm/app/sec/v1.1.0/logout" => Err((&codes::NO_API).into()),
    ListUpgradePackages "GET iodm/northbound/v1.5.0/category" => packages::list(cloud, account, request),
    ShowUpgradePackage "GET iodm/northbound/v1.5.0/category/{id}" => packages::show(cloud, account, id),
    DeleteUpgradePackage "DELETE iodm/northbound/v1.5.0/category/{id}" =>
        packages::delete(cloud, account, id),
    CreateSoftwareUpgradeTask "POST iodm/northbound/v1.5.0/operations/softwareUpgrade" =>
        tasks::create(cloud, fleet, account, Part::Software, request),
    CreateFirmwareUpgradeTask "POST iodm/northbound/v1.5.0/operations/firmwareUpgrade" =>
        tasks::create(cloud, fleet, account, Part::Firmware, request),
    ShowUpgradeTask "GET iodm/northbound/v1.5.0/operations/{id}" => tasks::show(cloud, account, id),
    ListUpgradeSubTasks "GET iodm/northbound/v1.5.0/operations/{id}/subOperations" =>
        tasks::subs(cloud, account, id, request),
    ListUpgradeTasks "GET iodm/northbound/v1.5.0/operations" => tasks::list(cloud, account, request),
    ListDevices "GET iocm/app/dm/v1.4.0/devices" => devices::list(cloud, fleet, account, request),
    ShowDevice "GET iocm/app/dm/v1.4.0/devices/{id}" => devices::show(cloud, fleet, account, id, request),
    CreateDeviceGroup "POST iocm/app/devgroup/v1.3.0/devGroups" => groups::create(cloud, account, request),
    ListDeviceGroups "GET iocm/app/devgroup/v1.3.0/devGroups" => groups::list(cloud, account, request),
    ShowDeviceGroup "GET iocm/app/devgroup/v1.3.0/devGroups/{id}" =>
        groups::show(cloud, account, id, request),
    UpdateDeviceGroup "PUT iocm/app/devgroup/v1.3.0/devGroups/{id}" =>
        groups::update(cloud, account, id, request),
    DeleteDeviceGroup "DELETE iocm/app/devgroup/v1.3.0/devGroups/{id}" =>
        groups::delete(cloud, account, id, request),
    ListGroupMembers "GET iocm/app/dm/v1.2.0/devices/ids" => groups::members(cloud, account, request),
    AddGroupMembers "POST iocm/app/dm/v1.1.0/devices/addDevGroupTagToDevices" =>
        groups::change_members(cloud, account, true, request),
    DeleteGroupMembers "POST iocm/app/dm/v1.1.0/devices/deleteDevGroupTagFromDevices" =>
        groups::change_members(cloud, account, false, request),
);

/// What a request is for.
pub type Route = router::Route<Operation>;

impl Route {
    /// The route of a request, if there is one. `path` is the wire's.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Option<Self> {
        let places = Places { base: "", all: Operation::ALL, place: Operation::place };
        places.find(method, path, &[])
    }
}
