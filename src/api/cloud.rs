//! `OtaCloud`: one cloud account.

mod account;
mod aliyun_iot;
mod credentials;
mod enos;
mod huawei_iotda;
mod ocean_connect;
mod reference;

pub use account::AccountId;
pub use aliyun_iot::{AliyunIot, AliyunSignature};
pub use credentials::{Credentials, SecretSource};
pub use enos::Enos;
pub use huawei_iotda::{DocumentKey, HuaweiIotda, IotdaAuth};
pub use ocean_connect::{ClientCert, OceanConnect};
pub use reference::AccountRef;

use super::{OtaCloudStatus, Period, pattern};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

const NOT_ENCRYPTED: &str = "an http:// address is not encrypted: write https://, or allowInsecure: true where the network is trusted";

/// The rule that an address, where it is given, is encrypted or of this machine. Its field is named whole: an API server reckons
/// what a rule may cost by the length that the field may have.
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

/// One cloud account: where it is, how to sign in, and how many calls a second it may cost.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ota.rollwave.dev",
    version = "v1alpha1",
    kind = "OtaCloud",
    namespaced,
    status = "OtaCloudStatus",
    shortname = "otac",
    category = "rollwave",
    doc = "One cloud account: where it is, how to sign in, and how many calls a second it may cost.",
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
        .message("give exactly one of huaweiIotda, oceanConnect, aliyunIot, enos"),
    validation = Rule::new("!has(self.huaweiIotda) || self.huaweiIotda.auth != 'Token' || has(self.credentials.username) || has(self.credentials.secretRef)")
        .message("auth: Token signs in with credentials.username, password and domain"),
    validation = Rule::new("!has(self.huaweiIotda) || self.huaweiIotda.auth == 'Token' || has(self.credentials.accessKey) || has(self.credentials.secretRef)")
        .message("signing needs credentials.accessKey and secretKey; auth: Token signs in with a username"),
    validation = Rule::new("!has(self.aliyunIot) || has(self.credentials.accessKey) || has(self.credentials.secretRef)")
        .message("aliyunIot signs with credentials.accessKey and secretKey"),
    validation = Rule::new("!has(self.enos) || has(self.credentials.accessKey) || has(self.credentials.secretRef)")
        .message("enos signs in with credentials.accessKey and secretKey of the application"),
    validation = Rule::new("!has(self.enos) || !has(self.credentials.securityToken)")
        .message("enos knows no credentials.securityToken: leave it out"),
    validation = Rule::new("has(self.credentials.secretRef) || has(self.oceanConnect) == has(self.credentials.appSecret)")
        .message("oceanConnect, and nothing else, signs in with credentials.appSecret"),
    validation = Rule::new(encrypted!("has(self.huaweiIotda)", "self.huaweiIotda.endpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new(encrypted!("(has(self.huaweiIotda) && has(self.huaweiIotda.iamEndpoint))", "self.huaweiIotda.iamEndpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new(encrypted!("has(self.oceanConnect)", "self.oceanConnect.endpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new(encrypted!("has(self.aliyunIot)", "self.aliyunIot.endpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new(encrypted!("has(self.enos)", "self.enos.endpoint")).message(NOT_ENCRYPTED),
    validation = Rule::new("!has(self.driftInterval) || !self.driftInterval.matches('^(0+d)?(0+h)?(0+m)?(0*[0-2]?[0-9]s)?$')")
        .message("driftInterval is at least 30s: each round reads every list of the account")
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
    /// Send keys and firmware over a connection that is not encrypted, to an `http://` address of another machine. Only where the
    /// network between is trusted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub allow_insecure: bool,
    /// Where the keys are; never the keys themselves.
    pub credentials: Credentials,
    /// Calls that this account may cost; the cloud's documented limit with headroom when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// How often the account is compared with the specs when nothing happens.
    #[serde(default = "five_minutes")]
    #[schemars(default = "five_minutes")]
    pub drift_interval: Period,
    /// Other namespaces whose packages may name this account; `*`: all of them. They never see its keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 63), regex(pattern = pattern::LABEL_OR_ANY)))]
    pub allowed_namespaces: Vec<String>,
}

const fn five_minutes() -> Period {
    Period::minutes(5)
}

/// The clouds that Rollwave knows.
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

/// The cloud of an account, with where it is.
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

    /// Every address that keys are sent to, with the path of its field; the address that IAM has where none is given is not among
    /// them.
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

    /// What people tell accounts of it apart by: its region, organization or application.
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
    /// Names of the Secrets that its keys come from: the one that it names, and the one that they were read from last.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let named = self.spec.credentials.secret_ref.as_ref().map(|secret| secret.name.as_str());
        named.into_iter().chain(self.former_secret())
    }

    /// The Secret that its keys were read from, where it names another one now, or none.
    #[must_use]
    pub fn former_secret(&self) -> Option<&str> {
        let read = self.status.as_ref()?.secret_name.as_deref()?;
        let named = self.spec.credentials.secret_ref.as_ref().map(|secret| secret.name.as_str());
        (named != Some(read)).then_some(read)
    }
}

impl OtaCloudSpec {
    /// The cloud that it names; none when it names none or several, which validation refuses.
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

/// Calls that one account may cost, over all its objects.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Calls a second over a longer time.
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: u32,
    /// Calls at once after a quiet time.
    #[schemars(range(min = 1, max = 1000))]
    pub burst: u32,
}
