//! The defaults of each cloud without an account, and the sources of their numbers: for `docs/clouds.md`.

use super::transport::UPLOAD_TIMEOUT;
use super::{Capabilities, CloudKind, aliyun_iot, enos, huawei_iotda, ocean_connect};
use jiff::SignedDuration;

/// The capabilities of an account of this cloud, with this request timeout.
#[must_use]
pub fn capabilities_of(cloud: CloudKind, total_timeout: SignedDuration) -> Capabilities {
    match cloud {
        CloudKind::HuaweiIotda => huawei_iotda::capabilities(total_timeout),
        CloudKind::OceanConnect => ocean_connect::capabilities(total_timeout),
        CloudKind::AliyunIot => aliyun_iot::capabilities(total_timeout),
        CloudKind::Enos => enos::capabilities(total_timeout, UPLOAD_TIMEOUT),
    }
}

/// The source of the numbers, for users.
#[must_use]
pub const fn source_of(cloud: CloudKind) -> &'static str {
    match cloud {
        CloudKind::HuaweiIotda => {
            "devices and rows: CreateBatchTask, ListOtaPackageInfo. Calls: *assumed*, a twentieth of the 200 per second that the \
             smallest enterprise instance documents for all its calls. Lag: *assumed*"
        }
        CloudKind::OceanConnect => {
            "devices: error 123024. Rows: error 123029. Calls: 100 per minute for an application and an API (error 1010009); one per \
             second with a burst of 30 stays below that for every API. Lag: *assumed*"
        }
        CloudKind::AliyunIot => {
            "devices: TargetDeviceName.N. Rows: PageSize. Calls: 10 per second and action, 5 of the narrowest; one bucket serves all. \
             Lag: *assumed*"
        }
        CloudKind::Enos => {
            "rows: the recommended size. Lag: \"about 2 seconds\", with margin. Devices and calls: *assumed*, each tenant sets \
             its own (OtaCloud spec.budget)"
        }
    }
}
