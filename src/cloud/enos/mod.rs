//! Envision EnOS, Connect service v2.1 (OTA).

pub mod sign;
