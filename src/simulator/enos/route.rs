//! The operations: where each is found, and what answers it. GET and POST are the same: official samples send either.

use super::{Enos, codes, devices, firmwares, jobs, request::Handled, tasks};
use crate::simulator::{
    request::Request,
    router::{Call, Places, operations},
};

operations!(
    /// An operation of the API; the first two are those of the token service.
    Operation at &'static str, |cloud: Enos, fleet, account, _id, request: Request| -> Handled;
    GetToken "GET|POST /apim-token-service/v2.0/token/get" => Err((&codes::NO_API).into()),
    RefreshToken "GET|POST /apim-token-service/v2.0/token/refresh" => Err((&codes::NO_API).into()),
    CreateFirmware "GET|POST ota-firmwares?action=create" => firmwares::create(cloud, account, request),
    GetFirmware "GET|POST ota-firmwares?action=get" => firmwares::get(cloud, account, request),
    SearchFirmwares "GET|POST ota-firmwares?action=search" => firmwares::search(cloud, account, request),
    DeleteFirmware "GET|POST ota-firmwares?action=delete" => firmwares::delete(cloud, account, request),
    ListFirmwareVersions "GET|POST ota-firmwares?action=listVersion" =>
        firmwares::versions(cloud, fleet, account, request),
    SearchDeviceUpgrades "GET|POST ota-firmwares?action=searchDeviceUpgrade" =>
        firmwares::devices(cloud, fleet, account, request),
    CreateJob "GET|POST ota-jobs?action=create" => jobs::create(cloud, fleet, account, request),
    GetJob "GET|POST ota-jobs?action=get" => jobs::get(cloud, account, request),
    SearchJobs "GET|POST ota-jobs?action=search" => jobs::search(cloud, account, request),
    StartJob "GET|POST ota-jobs?action=start" =>
        jobs::order(cloud, fleet, account, jobs::Order::Start, request),
    StopJob "GET|POST ota-jobs?action=stop" => jobs::order(cloud, fleet, account, jobs::Order::Stop, request),
    DeleteJob "GET|POST ota-jobs?action=delete" =>
        jobs::order(cloud, fleet, account, jobs::Order::Delete, request),
    SearchTasks "GET|POST ota-jobs?action=searchTask" => tasks::search(cloud, account, request),
    CancelTasks "GET|POST ota-jobs?action=cancelTask" =>
        tasks::order(cloud, fleet, account, tasks::Order::Cancel, request),
    RetryTasks "GET|POST ota-jobs?action=retryTask" =>
        tasks::order(cloud, fleet, account, tasks::Order::Retry, request),
    SearchDevices "GET|POST devices?action=search" => devices::search(cloud, fleet, account, request),
    SearchDevicesV24 "GET|POST /connect-service/v2.4/devices?action=search" =>
        devices::search(cloud, fleet, account, request),
);

impl Operation {
    /// The operation of a request, if there is one.
    #[must_use]
    pub fn of(method: &str, path: &str, query: &[(String, String)]) -> Option<Self> {
        let places = Places { base: "connect-service/v2.1", all: Self::ALL, place: Self::place };
        places.find(method, path, query).map(|route| route.operation)
    }

    /// Whether the token service answers it.
    #[must_use]
    pub const fn is_token(self) -> bool {
        matches!(self, Self::GetToken | Self::RefreshToken)
    }
}
