//! Identity of the account that an `OtaCloud` describes, from what the cloud knows and not from the name of the object.

use super::{AliyunIot, CloudRef, Credentials, OtaCloud, OtaCloudSpec};
use crate::api::{Kind, ObjectKey};
use std::fmt;
use url::{Host, Url};

/// One account of a cloud: a set of packages, devices and jobs. Two `OtaCloud`s with equal ids describe the same account.
///
/// | cloud | what identifies it |
/// |---|---|
/// | Huawei Cloud IoTDA | host, project, resource space (an id that the platform generates: it belongs to one instance) |
/// | Huawei OceanConnect | host, application |
/// | Alibaba Cloud | host, instance; without an instance id (old public instance) where the keys come from |
/// | Envision EnOS | host, organization |
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountId(String);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl OtaCloudSpec {
    /// The account, for an object in this namespace; none when the spec does not name exactly one cloud.
    #[must_use]
    pub fn account(&self, namespace: &str) -> Option<AccountId> {
        let cloud = self.cloud()?;
        let within = match cloud {
            CloudRef::AliyunIot(spec) => within_aliyun(spec, &self.credentials, namespace),
            other => within(other),
        };
        Some(AccountId(format!("{} at {}, {within}", cloud.kind(), host(cloud.endpoint()))))
    }

    /// What an edit may not change while packages or jobs of ours are in the account: everything but the address and the keys.
    #[must_use]
    pub fn tenant(&self) -> Option<String> {
        let cloud = self.cloud()?;
        Some(format!("{} {}", cloud.kind(), within(cloud)))
    }
}

impl OtaCloud {
    /// The account that it describes.
    #[must_use]
    pub fn account_id(&self) -> Option<AccountId> {
        self.spec.account(&ObjectKey::of(Kind::OtaCloud, &self.metadata).namespace)
    }
}

fn within(cloud: CloudRef<'_>) -> String {
    match cloud {
        CloudRef::HuaweiIotda(spec) => format!("project {}, resource space {}", spec.project_id, spec.app_id),
        CloudRef::OceanConnect(spec) => format!("application {}", spec.app_id),
        CloudRef::AliyunIot(spec) => match &spec.iot_instance_id {
            Some(instance) => format!("instance {instance}"),
            None => format!("region {}", spec.region_id),
        },
        CloudRef::Enos(spec) => format!("organization {}", spec.org_id),
    }
}

/// Only the keys identify the public instance, and they are no part of a spec: their source stands for them.
fn within_aliyun(spec: &AliyunIot, credentials: &Credentials, namespace: &str) -> String {
    if spec.iot_instance_id.is_some() {
        return within(CloudRef::AliyunIot(spec));
    }
    let keys = match (&credentials.secret_ref, &credentials.access_key) {
        (Some(secret), _) => format!("Secret {namespace}/{}", secret.name),
        (None, Some(source)) => source.0.clone(),
        (None, None) => "nowhere".to_owned(),
    };
    format!("region {}, keys from {keys}", spec.region_id)
}

/// Host and port in a normal form. The scheme does not count: a service that listens on both is one.
fn host(endpoint: &str) -> String {
    let Ok(url) = Url::parse(endpoint) else { return endpoint.to_ascii_lowercase() };
    let host = match url.host() {
        Some(Host::Domain(name)) => match name.trim_end_matches('.') {
            "localhost" => "127.0.0.1".to_owned(),
            name => name.to_owned(),
        },
        Some(other) => other.to_string(),
        None => endpoint.to_ascii_lowercase(),
    };
    url.port().map_or(host.clone(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn account(namespace: &str, spec: &Value) -> AccountId {
        let spec: OtaCloudSpec = serde_json::from_value(spec.clone()).unwrap();
        spec.account(namespace).unwrap()
    }

    fn iotda(endpoint: &str, project: &str, app: &str, more: &Value) -> Value {
        let mut cloud = json!({"endpoint": endpoint, "region": "r", "projectId": project, "appId": app});
        cloud.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"huaweiIotda": cloud, "credentials": {"accessKey": "env:A", "secretKey": "env:B"}})
    }

    #[test]
    fn an_account_is_what_the_cloud_knows_and_not_how_it_is_written_down() {
        let usual = iotda("https://iotda.example", "p", "a", &json!({}));
        for same in [
            iotda("https://IOTDA.example:443/", "p", "a", &json!({})),
            iotda("http://iotda.example.", "p", "a", &json!({"region": "other", "auth": "V11"})),
            iotda("https://iotda.example", "p", "a", &json!({"instanceId": "i"})),
        ] {
            assert_eq!(account("one", &usual), account("two", &same), "{same}");
        }
        for other in [
            iotda("https://other.example", "p", "a", &json!({})),
            iotda("https://iotda.example:8443", "p", "a", &json!({})),
            iotda("https://iotda.example", "q", "a", &json!({})),
            iotda("https://iotda.example", "p", "b", &json!({})),
            json!({"oceanConnect": {"endpoint": "https://iotda.example", "appId": "a"}, "credentials": {}}),
        ] {
            assert_ne!(account("one", &usual), account("one", &other), "{other}");
        }
        let local = |endpoint| account("one", &iotda(endpoint, "p", "a", &json!({})));
        assert_eq!(local("http://localhost:81"), local("http://127.0.0.1:81"));
    }

    #[test]
    fn the_keys_tell_public_instances_of_alibaba_cloud_apart() {
        let aliyun = |instance: Value, credentials: Value| {
            let cloud = json!({"endpoint": "https://iot.cn-shanghai.aliyuncs.com", "regionId": "cn-shanghai", "iotInstanceId": instance});
            json!({"aliyunIot": cloud, "credentials": credentials})
        };
        let from = |name: &str| json!({"accessKey": format!("env:{name}"), "secretKey": "env:S"});
        let secret = json!({"secretRef": {"name": "keys"}});
        let public = |credentials: Value| aliyun(Value::Null, credentials);
        assert_eq!(account("n", &public(from("A"))), account("m", &public(from("A"))));
        assert_ne!(account("n", &public(from("A"))), account("n", &public(from("B"))));
        assert_ne!(account("n", &public(secret.clone())), account("m", &public(secret)));
        let owned = |key| aliyun(json!("iot-1"), from(key));
        assert_eq!(account("n", &owned("A")), account("m", &owned("B")));
    }
}
