//! The defaults of each cloud without an account of it, and where their numbers come from: for `docs/clouds.md`.

use super::transport::UPLOAD_TIMEOUT;
use super::{Capabilities, CloudKind, aliyun_iot, enos, huawei_iotda, ocean_connect};
use jiff::SignedDuration;

/// What an account of this cloud can do, when a request may take this long.
#[must_use]
pub fn capabilities_of(cloud: CloudKind, total_timeout: SignedDuration) -> Capabilities {
    match cloud {
        CloudKind::HuaweiIotda => huawei_iotda::capabilities(total_timeout),
        CloudKind::OceanConnect => ocean_connect::capabilities(total_timeout),
        CloudKind::AliyunIot => aliyun_iot::capabilities(total_timeout),
        CloudKind::Enos => enos::capabilities(total_timeout, UPLOAD_TIMEOUT),
    }
}

/// Where the numbers come from, for people.
#[must_use]
pub const fn source_of(cloud: CloudKind) -> &'static str {
    match cloud {
        CloudKind::HuaweiIotda => {
            "devices and rows: CreateBatchTask, ListOtaPackageInfo. Calls: *assumed*, a twentieth of the 200 a second that the \
             smallest enterprise instance documents for all its calls. Lag: *assumed*"
        }
        CloudKind::OceanConnect => {
            "devices: error 123024. Rows: error 123029. Calls: 100 a minute, an application and an API (error 1010009); one a \
             second after 30 at once stays below that whatever is called. Lag: *assumed*"
        }
        CloudKind::AliyunIot => {
            "devices: TargetDeviceName.N. Rows: PageSize. Calls: 10 a second and action, 5 of the narrowest; one bucket serves all. \
             Lag: *assumed*"
        }
        CloudKind::Enos => {
            "rows: the document's best size. Lag: \"about 2 seconds\", with room. Devices and calls: *assumed*, each tenant sets \
             its own (OtaCloud spec.budget)"
        }
    }
}
