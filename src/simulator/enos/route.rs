//! Which operation a path and its `action` stand for.

/// Where tokens come from.
const TOKENS: &str = "/apim-token-service/v2.0/token/";
/// The OTA part of the Connect service.
const CONNECT: &str = "/connect-service/v2.1/";

macro_rules! operations {
    ($($name:ident: $path:literal $action:literal,)*) => {
        /// An operation of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "path and action are the documented ones")]
        pub enum Operation { $($name),* }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name, for counters and faults.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            const fn place(self) -> (&'static str, &'static str) {
                match self { $(Self::$name => ($path, $action)),* }
            }
        }
    };
}

operations!(
    GetToken: "" "get",
    RefreshToken: "" "refresh",
    CreateFirmware: "ota-firmwares" "create",
    GetFirmware: "ota-firmwares" "get",
    SearchFirmwares: "ota-firmwares" "search",
    DeleteFirmware: "ota-firmwares" "delete",
    ListFirmwareVersions: "ota-firmwares" "listVersion",
    SearchDeviceUpgrades: "ota-firmwares" "searchDeviceUpgrade",
    CreateJob: "ota-jobs" "create",
    GetJob: "ota-jobs" "get",
    SearchJobs: "ota-jobs" "search",
    StartJob: "ota-jobs" "start",
    StopJob: "ota-jobs" "stop",
    DeleteJob: "ota-jobs" "delete",
    SearchTasks: "ota-jobs" "searchTask",
    CancelTasks: "ota-jobs" "cancelTask",
    RetryTasks: "ota-jobs" "retryTask",
);

impl Operation {
    /// The operation of a request, if there is one. GET and POST are not told apart: official samples send either.
    #[must_use]
    pub fn of(method: &str, path: &str, query: &[(String, String)]) -> Option<Self> {
        let (folder, action) = match (path.strip_prefix(TOKENS), path.strip_prefix(CONNECT)) {
            (Some(action), _) => ("", action),
            (None, Some(folder)) if !folder.is_empty() => {
                (folder, query.iter().find(|(name, _)| name == "action").map(|(_, action)| action.as_str())?)
            }
            _ => return None,
        };
        let found = Self::ALL.iter().copied().find(|operation| operation.place() == (folder, action));
        found.filter(|_| matches!(method, "GET" | "POST"))
    }

    /// Whether the token service answers it.
    #[must_use]
    pub const fn is_token(self) -> bool {
        matches!(self, Self::GetToken | Self::RefreshToken)
    }
}

/// Whether a path belongs to EnOS.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    path.starts_with("/apim-token-service/") || path.starts_with("/connect-service/")
}
