//! The spec of an `OtaCloud`, and the cloud that it names.

use super::{AliyunIot, Credentials, Enos, HuaweiIotda, OceanConnect};
use crate::api::{OtaCloudStatus, Period, pattern};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

const NOT_ENCRYPTED: &str =
    "an http:// address is not encrypted: use https://, or set allowInsecure: true in a trusted network";

/// The rule that an address, if given, is encrypted or local. The field is spelled out: an API server estimates the cost of a
/// rule from the maximum length of the field.
macro_rules! encrypted {
    ($given:literal, $address:literal) => {
        concat!(
            "(has(self.allowInsecure) && self.allowInsecure) || !",
            $given,
            " || !",
            $address,
            ".startsWith('http://') || ",
            $address,
            ".startsWith('http://[::1]') || ",
            $address,
            ".matches('^http://(localhost|127[.][0-9]+[.][0-9]+[.][0-9]+)(:[0-9]+)?/?$')"
        )
    };
}

/// An account of an IoT cloud: its address, credentials and request budget.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ota.rollwave.dev",
    version = "v1alpha1",
    kind = "OtaCloud",
    namespaced,
    status = "OtaCloudStatus",
    shortname = "otac",
    category = "rollwave",
    doc = "An account of an IoT cloud: its address, credentials and request budget.",
    derive = "PartialEq",
    printcolumn(
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        name = "Ready",
        type_ = "string"
    ),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = ".status.message", name = "Message", type_ = "string")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.huaweiIotda), has(self.oceanConnect), has(self.aliyunIot), has(self.enos)].filter(x, x).size() == 1")
        .message("set exactly one of huaweiIotda, oceanConnect, aliyunIot, enos"),
    validation = Rule::new("!has(self.huaweiIotda) || self.huaweiIotda.auth != 'Token' || has(self.credentials.username) || has(self.credentials.secretRef)")
        .message("auth: Token requires credentials.username, password and domain"),
    validation = Rule::new("!has(self.huaweiIotda) || self.huaweiIotda.auth == 'Token' || has(self.credentials.accessKey) || has(self.credentials.secretRef)")
        .message("signed requests require credentials.accessKey and secretKey; use auth: Token to sign in with a username"),
    validation = Rule::new("!has(self.aliyunIot) || has(self.credentials.accessKey) || has(self.credentials.secretRef)")
        .message("aliyunIot requires credentials.accessKey and secretKey"),
    validation = Rule::new("!has(self.enos) || has(self.credentials.accessKey) || has(self.credentials.secretRef)")
        .message("enos requires credentials.accessKey and secretKey of the application"),
    validation = Rule::new("!has(self.enos) || !has(self.credentials.securityToken)")
        .message("enos does not support credentials.securityToken: remove it"),
    validation = Rule::new("has(self.credentials.secretRef) || has(self.oceanConnect) == has(self.credentials.appSecret)")
        .message("credentials.appSecret is required for oceanConnect, and not supported by other clouds"),
    validation = Rule::new(encrypted!("has(self.huaweiIotda)", "self.huaweiIotda.endpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new(encrypted!("(has(self.huaweiIotda) && has(self.huaweiIotda.iamEndpoint))", "self.huaweiIotda.iamEndpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new(encrypted!("has(self.oceanConnect)", "self.oceanConnect.endpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new(encrypted!("has(self.aliyunIot)", "self.aliyunIot.endpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new(encrypted!("has(self.enos)", "self.enos.endpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new("!has(self.driftInterval) || !self.driftInterval.matches('^(0+d)?(0+h)?(0+m)?(0*[0-2]?[0-9]s)?$')")
        .message("driftInterval must be at least 30s: each round lists the whole account")
)]
pub struct OtaCloudSpec {
    /// Huawei Cloud IoTDA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huawei_iotda: Option<HuaweiIotda>,
    /// Huawei OceanConnect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocean_connect: Option<OceanConnect>,
    /// Alibaba Cloud IoT Platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliyun_iot: Option<AliyunIot>,
    /// Envision EnOS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enos: Option<Enos>,
    /// Allows keys and firmware to be sent unencrypted to an `http://` address of another machine; only for trusted networks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub allow_insecure: bool,
    /// References to the keys of the account; keys are never written in a manifest.
    pub credentials: Credentials,
    /// Request budget of the account; by default the cloud's documented limit with headroom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// How often the whole account is compared with the specs while nothing changes.
    #[serde(default = "five_minutes")]
    #[schemars(default = "five_minutes")]
    pub drift_interval: Period,
    /// Other namespaces whose packages may use this account, or `*` for all; they never see its keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 63), regex(pattern = pattern::LABEL_OR_ANY)))]
    pub allowed_namespaces: Vec<String>,
}

const fn five_minutes() -> Period {
    Period::minutes(5)
}

/// The supported clouds.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub enum CloudKind {
    /// Huawei Cloud IoTDA.
    HuaweiIotda,
    /// Huawei OceanConnect.
    OceanConnect,
    /// Alibaba Cloud IoT Platform.
    AliyunIot,
    /// Envision EnOS.
    Enos,
}

impl CloudKind {
    /// Every cloud, in the order of the manifest's fields.
    pub const ALL: [Self; 4] = [Self::HuaweiIotda, Self::OceanConnect, Self::AliyunIot, Self::Enos];

    /// Its field in `OtaCloud`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HuaweiIotda => "huaweiIotda",
            Self::OceanConnect => "oceanConnect",
            Self::AliyunIot => "aliyunIot",
            Self::Enos => "enos",
        }
    }
}

impl fmt::Display for CloudKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The cloud of an account, with its settings.
#[derive(Clone, Copy, Debug)]
pub enum CloudRef<'a> {
    /// Huawei Cloud IoTDA.
    HuaweiIotda(&'a HuaweiIotda),
    /// Huawei OceanConnect.
    OceanConnect(&'a OceanConnect),
    /// Alibaba Cloud IoT Platform.
    AliyunIot(&'a AliyunIot),
    /// Envision EnOS.
    Enos(&'a Enos),
}

impl<'a> CloudRef<'a> {
    /// Which cloud it is.
    #[must_use]
    pub const fn kind(self) -> CloudKind {
        match self {
            Self::HuaweiIotda(_) => CloudKind::HuaweiIotda,
            Self::OceanConnect(_) => CloudKind::OceanConnect,
            Self::AliyunIot(_) => CloudKind::AliyunIot,
            Self::Enos(_) => CloudKind::Enos,
        }
    }

    /// Its address.
    #[must_use]
    pub fn endpoint(self) -> &'a str {
        match self {
            Self::HuaweiIotda(spec) => &spec.endpoint,
            Self::OceanConnect(spec) => &spec.endpoint,
            Self::AliyunIot(spec) => &spec.endpoint,
            Self::Enos(spec) => &spec.endpoint,
        }
    }

    /// Every address that keys are sent to, with the path of its field, without the default address of IAM.
    #[must_use]
    pub fn addresses(self) -> Vec<(String, &'a str)> {
        let field = |name| format!("spec.{}.{name}", self.kind());
        let iam = match self {
            Self::HuaweiIotda(spec) => spec.iam_endpoint.as_deref(),
            _ => None,
        };
        let iam = iam.map(|address| (field("iamEndpoint"), address));
        std::iter::once((field("endpoint"), self.endpoint())).chain(iam).collect()
    }

    /// What distinguishes its accounts for users: region, organization or application.
    #[must_use]
    pub fn place(self) -> &'a str {
        match self {
            Self::HuaweiIotda(spec) => &spec.region,
            Self::OceanConnect(spec) => &spec.app_id,
            Self::AliyunIot(spec) => &spec.region_id,
            Self::Enos(spec) => &spec.org_id,
        }
    }
}

impl OtaCloud {
    /// Names of the Secrets of its keys: the one in the spec, and the one that they were last read from.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let named = self.spec.credentials.secret_ref.as_ref().map(|secret| secret.name.as_str());
        named.into_iter().chain(self.former_secret())
    }

    /// The Secret that its keys were last read from, if the spec names another one now, or none.
    #[must_use]
    pub fn former_secret(&self) -> Option<&str> {
        let read = self.status.as_ref()?.secret_name.as_deref()?;
        let named = self.spec.credentials.secret_ref.as_ref().map(|secret| secret.name.as_str());
        (named != Some(read)).then_some(read)
    }
}

impl OtaCloudSpec {
    /// The cloud of the account; none if the spec names none or several, which validation refuses.
    #[must_use]
    pub fn cloud(&self) -> Option<CloudRef<'_>> {
        let named = [
            self.huawei_iotda.as_ref().map(CloudRef::HuaweiIotda),
            self.ocean_connect.as_ref().map(CloudRef::OceanConnect),
            self.aliyun_iot.as_ref().map(CloudRef::AliyunIot),
            self.enos.as_ref().map(CloudRef::Enos),
        ];
        let mut named = named.into_iter().flatten();
        named.next().filter(|_| named.next().is_none())
    }
}

/// Requests that one account may cost, over all its objects.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Sustained requests per second.
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: u32,
    /// Requests that may be sent at once after an idle period.
    #[schemars(range(min = 1, max = 1000))]
    pub burst: u32,
}
