//! Huawei Cloud IoTDA, API v5.

pub mod sign;
pub mod wire;
mod wire_iam;
