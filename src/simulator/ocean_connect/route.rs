//! Which operation a method and a path stand for.

use percent_encoding::percent_decode_str;

macro_rules! operations {
    ($($name:ident),* $(,)?) => {
        /// An operation of the northbound API. Names are ours where the documents have none.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the names say it")]
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
    Login,
    RefreshToken,
    Logout,
    ListUpgradePackages,
    ShowUpgradePackage,
    DeleteUpgradePackage,
    CreateSoftwareUpgradeTask,
    CreateFirmwareUpgradeTask,
    ShowUpgradeTask,
    ListUpgradeSubTasks,
    ListUpgradeTasks,
    ListDevices,
    ShowDevice,
    CreateDeviceGroup,
    ListDeviceGroups,
    ShowDeviceGroup,
    UpdateDeviceGroup,
    DeleteDeviceGroup,
    ListGroupMembers,
    AddGroupMembers,
    DeleteGroupMembers,
);

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What is asked for.
    pub operation: Operation,
    /// Id of the thing in the path; empty for lists and creates.
    pub id: String,
}

impl Route {
    /// The route of a request, if there is one. `path` is the wire's.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Option<Self> {
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let parts: Vec<String> = path.strip_prefix('/')?.split('/').map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (operation, id) = match parts.as_slice() {
            ["iocm", "app", "sec", "v1.1.0", rest] => (login(method, rest)?, ""),
            ["iodm", "northbound", "v1.5.0", rest @ ..] => upgrade(method, rest)?,
            ["iocm", "app", "dm", rest @ ..] => device(method, rest)?,
            ["iocm", "app", "devgroup", "v1.3.0", "devGroups", rest @ ..] => group(method, rest)?,
            _ => return None,
        };
        Some(Self { operation, id: id.to_owned() })
    }
}

fn login(method: &str, name: &str) -> Option<Operation> {
    Some(match (method, name) {
        ("POST", "login") => Operation::Login,
        ("POST", "refreshToken") => Operation::RefreshToken,
        ("POST", "logout") => Operation::Logout,
        _ => return None,
    })
}

fn upgrade<'a>(method: &str, rest: &[&'a str]) -> Option<(Operation, &'a str)> {
    use Operation as Op;
    Some(match (method, rest) {
        ("GET", ["category"]) => (Op::ListUpgradePackages, ""),
        ("GET", ["category", id]) => (Op::ShowUpgradePackage, id),
        ("DELETE", ["category", id]) => (Op::DeleteUpgradePackage, id),
        ("POST", ["operations", "softwareUpgrade"]) => (Op::CreateSoftwareUpgradeTask, ""),
        ("POST", ["operations", "firmwareUpgrade"]) => (Op::CreateFirmwareUpgradeTask, ""),
        ("GET", ["operations"]) => (Op::ListUpgradeTasks, ""),
        ("GET", ["operations", id]) => (Op::ShowUpgradeTask, id),
        ("GET", ["operations", id, "subOperations"]) => (Op::ListUpgradeSubTasks, id),
        _ => return None,
    })
}

fn device<'a>(method: &str, rest: &[&'a str]) -> Option<(Operation, &'a str)> {
    use Operation as Op;
    Some(match (method, rest) {
        ("GET", ["v1.4.0", "devices"]) => (Op::ListDevices, ""),
        ("GET", ["v1.4.0", "devices", id]) => (Op::ShowDevice, id),
        ("GET", ["v1.2.0", "devices", "ids"]) => (Op::ListGroupMembers, ""),
        ("POST", ["v1.1.0", "devices", "addDevGroupTagToDevices"]) => (Op::AddGroupMembers, ""),
        ("POST", ["v1.1.0", "devices", "deleteDevGroupTagFromDevices"]) => (Op::DeleteGroupMembers, ""),
        _ => return None,
    })
}

fn group<'a>(method: &str, rest: &[&'a str]) -> Option<(Operation, &'a str)> {
    use Operation as Op;
    Some(match (method, rest) {
        ("POST", []) => (Op::CreateDeviceGroup, ""),
        ("GET", []) => (Op::ListDeviceGroups, ""),
        ("GET", [id]) => (Op::ShowDeviceGroup, id),
        ("PUT", [id]) => (Op::UpdateDeviceGroup, id),
        ("DELETE", [id]) => (Op::DeleteDeviceGroup, id),
        _ => return None,
    })
}
