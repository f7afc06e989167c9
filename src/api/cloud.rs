//! `OtaCloud`: one cloud account.

mod account;
mod aliyun_iot;
mod credentials;
mod enos;
mod huawei_iotda;
mod ocean_connect;
mod reference;
mod spec;

pub use account::AccountId;
pub use aliyun_iot::{AliyunIot, AliyunSignature};
pub use credentials::{Credentials, SecretSource};
pub use enos::Enos;
pub use huawei_iotda::{DocumentKey, HuaweiIotda, IotdaAuth};
pub use ocean_connect::{ClientCert, OceanConnect};
pub use reference::AccountRef;
pub use spec::*;
