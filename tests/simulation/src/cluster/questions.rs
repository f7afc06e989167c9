//! What a request to the API server asks for.

use rollwave::api::{GROUP, Kind, ObjectKey, VERSION};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    List(Kind),
    Watch {
        kind: Kind,
        after: u64,
    },
    Get(ObjectKey),
    PutStatus(ObjectKey, Value),
    Patch {
        key: ObjectKey,
        body: Value,
        status: bool,
    },
    GetLease,
    /// With true, one that is not there yet.
    WriteLease(Value, bool),
}

impl Question {
    /// None when it leads nowhere.
    pub(super) fn of(method: &str, path: &str, query: &str, body: &[u8]) -> Option<Self> {
        let body = || serde_json::from_slice(body).ok();
        if path.starts_with("/apis/coordination.k8s.io/v1/namespaces/") {
            return Some(match method {
                "GET" => Self::GetLease,
                "POST" => Self::WriteLease(body()?, true),
                "PUT" => Self::WriteLease(body()?, false),
                _ => return None,
            });
        }
        let inside = path.strip_prefix("/apis/")?.strip_prefix(GROUP)?.strip_prefix('/')?;
        let parts: Vec<&str> = inside.strip_prefix(VERSION)?.split('/').skip(1).collect();
        match (method, parts.as_slice()) {
            ("GET", [plural]) => {
                let kind = Kind::parse_loosely(plural)?;
                let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name));
                match of("watch=") {
                    Some("true") => Some(Self::Watch { kind, after: of("resourceVersion=")?.parse().ok()? }),
                    _ => Some(Self::List(kind)),
                }
            }
            (_, ["namespaces", namespace, plural, name, more @ ..]) => {
                let key = ObjectKey::new(Kind::parse_loosely(plural)?, *namespace, *name);
                match (method, more) {
                    ("GET", []) => Some(Self::Get(key)),
                    ("PUT", ["status"]) => Some(Self::PutStatus(key, body()?)),
                    ("PATCH", []) => Some(Self::Patch { key, body: body()?, status: false }),
                    ("PATCH", ["status"]) => Some(Self::Patch { key, body: body()?, status: true }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The object that it writes.
    pub(super) const fn written(&self) -> Option<(&ObjectKey, &Value)> {
        match self {
            Self::PutStatus(key, body) | Self::Patch { key, body, .. } => Some((key, body)),
            _ => None,
        }
    }

    /// Nothing but the status and the finalizers is written.
    pub(super) fn leaves_spec(&self) -> bool {
        let Self::Patch { body, status: false, .. } = self else { return true };
        let fields =
            |value: &Value| value.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
        fields(body).is_some_and(|all| all == ["metadata"])
            && fields(&body["metadata"])
                .is_some_and(|all| all.iter().all(|name| name == "finalizers" || name == "resourceVersion"))
    }

    /// What it says before it is sent, as a mutant would.
    pub(super) fn without_precondition(mut self) -> Self {
        if let Self::PutStatus(_, body) | Self::Patch { body, .. } = &mut self
            && let Some(meta) = body["metadata"].as_object_mut()
        {
            meta.remove("resourceVersion");
        }
        self
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        match self {
            Self::List(kind) => format!("list of {kind}"),
            Self::Watch { kind, after } => format!("watch of {kind} after {after}"),
            Self::Get(key) => format!("get {key}"),
            Self::PutStatus(key, _) => format!("put status of {key}"),
            Self::Patch { key, .. } => format!("patch {key}"),
            Self::GetLease | Self::WriteLease(..) => "Lease".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_the_shipped_client_are_read() {
        let of = |method, path: &str, query| {
            let path = path.replace("OTA", "/apis/ota.rollwave.dev/v1alpha1");
            Question::of(method, &path, query, b"{}").map(|question| question.told())
        };
        for (method, path, query, told) in [
            ("GET", "OTA/otarollouts", "limit=500", "list of OtaRollout"),
            (
                "GET",
                "OTA/otapackages",
                "watch=true&timeoutSeconds=0&resourceVersion=12",
                "watch of OtaPackage after 12",
            ),
            ("GET", "OTA/namespaces/default/otaclouds/c", "", "get OtaCloud/c"),
            ("PUT", "OTA/namespaces/default/otaclouds/c/status", "", "put status of OtaCloud/c"),
            ("PATCH", "OTA/namespaces/default/otaclouds/c", "", "patch OtaCloud/c"),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", "", "Lease"),
        ] {
            assert_eq!(of(method, path, query).as_deref(), Some(told));
        }
        assert_eq!(of("DELETE", "OTA/namespaces/default/otaclouds/c", ""), None);
    }
}
