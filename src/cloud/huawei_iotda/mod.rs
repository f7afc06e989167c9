//! Huawei Cloud IoTDA, API v5.
