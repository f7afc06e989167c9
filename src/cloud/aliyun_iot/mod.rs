//! Alibaba Cloud IoT Platform, product `Iot`, version `2018-01-20`.
//!
//! Wire facts come from the official SDKs (alibabacloud-iot20180120 5.1.0, aliyun-python-sdk-core 2.16.1, aliyun-python-sdk-iot
//! 8.59.0) and the documents of the OTA actions (CreateOTAVerifyJob and related ones).

pub mod client;
mod cursor;
pub mod limits;
mod modules;
mod refusal;
mod render;
mod reply;
pub mod sign;
mod upload;
pub mod wire;

pub(super) use client::capabilities;
pub use client::{Keys, connect};
