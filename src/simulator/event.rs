//! What will happen in the clouds and to their devices.

use super::{aliyun_iot, enos, fleet::Part, iotda, ocean_connect};
use crate::api::CloudKind;

/// Something that will happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// A device reverts to its old version, if it still runs the new one.
    Revert {
        /// Device id.
        device: String,
        /// What reverts.
        part: Part,
        /// The new version.
        version: String,
        /// The old one.
        old: Option<String>,
    },
    /// Something happens in an account of Alibaba Cloud.
    AliyunIot {
        /// Its index.
        account: usize,
        /// What happens.
        step: aliyun_iot::Step,
    },
    /// Something happens to a batch task of IoTDA.
    Iotda {
        /// Its account.
        account: usize,
        /// Its record.
        task: iotda::Record,
        /// What happens.
        step: iotda::Step,
    },
    /// Something happens to an upgrade task of OceanConnect.
    OceanConnect {
        /// Its application.
        app: usize,
        /// Its place.
        task: usize,
        /// What happens.
        step: ocean_connect::Step,
    },
    /// Something happens to a job of EnOS.
    Enos {
        /// Its account.
        account: usize,
        /// Its number.
        job: usize,
        /// What happens.
        step: enos::Step,
    },
}

impl Event {
    /// The cloud that it happens in; none when it happens to a device alone.
    pub(super) const fn cloud(&self) -> Option<CloudKind> {
        match self {
            Self::Revert { .. } => None,
            Self::AliyunIot { .. } => Some(CloudKind::AliyunIot),
            Self::Iotda { .. } => Some(CloudKind::HuaweiIotda),
            Self::OceanConnect { .. } => Some(CloudKind::OceanConnect),
            Self::Enos { .. } => Some(CloudKind::Enos),
        }
    }
}
