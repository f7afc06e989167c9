//! One row of the table.

use crate::api::CloudKind;

/// What a cloud does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// The cloud supports it: the name of its own field or call.
    Native(&'static str),
    /// Rollwave implements it, and how.
    Emulated(&'static str),
    /// It is refused, and what to use instead.
    Refused(&'static str),
}

/// A field, and what each cloud does with it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Path from `spec` on; applies to everything below it: `spec.delivery.retry.interval`.
    pub field: &'static str,
    /// In the order of [`CloudKind::ALL`].
    pub clouds: [Support; 4],
}

impl Row {
    /// What this cloud does with it.
    #[must_use]
    pub fn of(&self, cloud: CloudKind) -> Support {
        let [iotda, ocean_connect, aliyun, enos] = self.clouds;
        match cloud {
            CloudKind::HuaweiIotda => iotda,
            CloudKind::OceanConnect => ocean_connect,
            CloudKind::AliyunIot => aliyun,
            CloudKind::Enos => enos,
        }
    }
}
