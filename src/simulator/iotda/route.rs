//! The operations: where each is found, and what answers it. Names are those of the official SDK's operations.

use super::{Iotda, codes, devices, groups, packages, request::Handled, search, tags, tasks, tasks::Order};
use crate::simulator::{
    request::Request,
    router::{self, Call, Places, operations},
};

operations!(
    /// An operation of the API; `CreateToken` and `ListProjects` are those of identity and access management, which answers them
    /// before an account is known.
    Operation at &'static str, |cloud: Iotda, fleet, account, id, request: Request| -> Handled;
    CreateOtaPackage "POST ota-upgrades/packages" => packages::create(cloud, account, request),
    ListOtaPackageInfo "GET ota-upgrades/packages" => packages::list(cloud, account, request),
    ShowOtaPackage "GET ota-upgrades/packages/{id}" => packages::show(cloud, account, id),
    DeleteOtaPackage "DELETE ota-upgrades/packages/{id}" => packages::delete(cloud, account, id),
    CreateBatchTask "POST batchtasks" => tasks::create(cloud, fleet, account, request),
    ListBatchTasks "GET batchtasks" => tasks::list(cloud, account, request),
    ShowBatchTask "GET batchtasks/{id}" => tasks::show(cloud, account, id, request),
    StopBatchTask "POST batchtasks/{id}/stop" =>
        tasks::order(cloud, fleet, account, id, Order::Stop, request),
    RetryBatchTask "POST batchtasks/{id}/retry" =>
        tasks::order(cloud, fleet, account, id, Order::Retry, request),
    ConfirmBatchTask "POST batchtasks/{id}/confirm" =>
        tasks::order(cloud, fleet, account, id, Order::Confirm, request),
    DeleteBatchTask "DELETE batchtasks/{id}" => tasks::delete(cloud, account, id),
    AddDevice "POST devices" => devices::create(cloud, fleet, account, request),
    ListDevices "GET devices" => devices::list(cloud, fleet, account, request),
    ShowDevice "GET devices/{id}" => devices::show(cloud, fleet, account, id, request.times.fleet),
    DeleteDevice "DELETE devices/{id}" => devices::delete(cloud, fleet, account, id, request.times.fleet),
    ShowDeviceShadow "GET devices/{id}/shadow" => devices::shadow(cloud, account, id),
    SearchDevices "POST search/query-devices" => search::query(cloud, fleet, account, request),
    AddDeviceGroup "POST device-group" => groups::create(cloud, account, request),
    ListDeviceGroups "GET device-group" => groups::list(cloud, account, request),
    ShowDeviceGroup "GET device-group/{id}" => groups::show(cloud, account, id),
    UpdateDeviceGroup "PUT device-group/{id}" => groups::update(cloud, account, id, request),
    DeleteDeviceGroup "DELETE device-group/{id}" => groups::delete(cloud, account, id),
    CreateOrDeleteDeviceInGroup "POST device-group/{id}/action" =>
        groups::action(cloud, account, id, request),
    ShowDevicesInGroup "GET device-group/{id}/devices" => groups::devices(cloud, fleet, account, id, request),
    ListDeviceGroupsByDevice "POST|GET devices/{id}/list-device-group" =>
        groups::of_device(cloud, fleet, account, id, request.times.fleet),
    TagDevice "POST tags/bind-resource" => tags::bind(cloud, account, request),
    UntagDevice "POST tags/unbind-resource" => tags::unbind(cloud, account, request),
    ListResourcesByTags "POST tags/query-resources" => tags::query(cloud, account, request),
    CreateToken "POST /v3/auth/tokens" => Err((&codes::NO_API).into()),
    ListProjects "GET /v3/projects" => Err((&codes::NO_API).into()),
);

impl Operation {
    /// Whether identity and access management answers it.
    #[must_use]
    pub const fn is_iam(self) -> bool {
        matches!(self, Self::CreateToken | Self::ListProjects)
    }
}

/// What a request is for.
pub type Route = router::Route<Operation>;

impl Route {
    /// The route of a request, if there is one. `path` is the wire's.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Option<Self> {
        let places = Places { base: "v5/iot/{project}", all: Operation::ALL, place: Operation::place };
        places.find(method, path, &[])
    }
}
