//! Which operation a method and a path stand for. Names are those of the official SDK's operations.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

macro_rules! operations {
    ($($name:ident),* $(,)?) => {
        /// An operation of the API; `CreateToken` and `ListProjects` are those of identity and access management.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the names are the documented ones")]
        pub enum Operation { $($name),* }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name, for counters and faults.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

operations!(
    CreateOtaPackage,
    ListOtaPackageInfo,
    ShowOtaPackage,
    DeleteOtaPackage,
    CreateBatchTask,
    ListBatchTasks,
    ShowBatchTask,
    StopBatchTask,
    RetryBatchTask,
    ConfirmBatchTask,
    DeleteBatchTask,
    AddDevice,
    ListDevices,
    ShowDevice,
    DeleteDevice,
    ShowDeviceShadow,
    SearchDevices,
    AddDeviceGroup,
    ListDeviceGroups,
    ShowDeviceGroup,
    UpdateDeviceGroup,
    DeleteDeviceGroup,
    CreateOrDeleteDeviceInGroup,
    ShowDevicesInGroup,
    ListDeviceGroupsByDevice,
    TagDevice,
    UntagDevice,
    ListResourcesByTags,
    CreateToken,
    ListProjects,
);

impl Operation {
    /// Whether identity and access management answers it.
    #[must_use]
    pub const fn is_iam(self) -> bool {
        matches!(self, Self::CreateToken | Self::ListProjects)
    }
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What is asked for.
    pub operation: Operation,
    /// `project_id` of the path; empty for IAM.
    pub project: String,
    /// Id of the thing in the path; empty for lists and creates.
    pub id: String,
}

impl Route {
    /// The route of a request, if there is one. `path` is the wire's.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Option<Self> {
        let decode = |part| percent_decode_str(part).decode_utf8_lossy();
        let parts: Vec<Cow<'_, str>> = path.strip_prefix('/')?.split('/').map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        let (operation, project, id) = match parts.as_slice() {
            ["v3", "auth", "tokens"] if method == "POST" => (Operation::CreateToken, "", ""),
            ["v3", "projects"] if method == "GET" => (Operation::ListProjects, "", ""),
            ["v5", "iot", project, rest @ ..] => {
                let (operation, id) = below_project(method, rest)?;
                (operation, *project, id)
            }
            _ => return None,
        };
        Some(Self { operation, project: project.to_owned(), id: id.to_owned() })
    }
}

fn below_project<'a>(method: &str, rest: &[&'a str]) -> Option<(Operation, &'a str)> {
    use Operation as Op;
    Some(match (method, rest) {
        ("POST", ["ota-upgrades", "packages"]) => (Op::CreateOtaPackage, ""),
        ("GET", ["ota-upgrades", "packages"]) => (Op::ListOtaPackageInfo, ""),
        ("GET", ["ota-upgrades", "packages", id]) => (Op::ShowOtaPackage, id),
        ("DELETE", ["ota-upgrades", "packages", id]) => (Op::DeleteOtaPackage, id),
        ("POST", ["batchtasks"]) => (Op::CreateBatchTask, ""),
        ("GET", ["batchtasks"]) => (Op::ListBatchTasks, ""),
        ("GET", ["batchtasks", id]) => (Op::ShowBatchTask, id),
        ("DELETE", ["batchtasks", id]) => (Op::DeleteBatchTask, id),
        ("POST", ["batchtasks", id, "stop"]) => (Op::StopBatchTask, id),
        ("POST", ["batchtasks", id, "retry"]) => (Op::RetryBatchTask, id),
        ("POST", ["batchtasks", id, "confirm"]) => (Op::ConfirmBatchTask, id),
        ("POST", ["devices"]) => (Op::AddDevice, ""),
        ("GET", ["devices"]) => (Op::ListDevices, ""),
        ("GET", ["devices", id]) => (Op::ShowDevice, id),
        ("DELETE", ["devices", id]) => (Op::DeleteDevice, id),
        ("GET", ["devices", id, "shadow"]) => (Op::ShowDeviceShadow, id),
        // The SDK (3.1.219) posts; older references get.
        ("POST" | "GET", ["devices", id, "list-device-group"]) => (Op::ListDeviceGroupsByDevice, id),
        ("POST", ["search", "query-devices"]) => (Op::SearchDevices, ""),
        ("POST", ["device-group"]) => (Op::AddDeviceGroup, ""),
        ("GET", ["device-group"]) => (Op::ListDeviceGroups, ""),
        ("GET", ["device-group", id]) => (Op::ShowDeviceGroup, id),
        ("PUT", ["device-group", id]) => (Op::UpdateDeviceGroup, id),
        ("DELETE", ["device-group", id]) => (Op::DeleteDeviceGroup, id),
        ("POST", ["device-group", id, "action"]) => (Op::CreateOrDeleteDeviceInGroup, id),
        ("GET", ["device-group", id, "devices"]) => (Op::ShowDevicesInGroup, id),
        ("POST", ["tags", "bind-resource"]) => (Op::TagDevice, ""),
        ("POST", ["tags", "unbind-resource"]) => (Op::UntagDevice, ""),
        ("POST", ["tags", "query-resources"]) => (Op::ListResourcesByTags, ""),
        _ => return None,
    })
}
