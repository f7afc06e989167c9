//! OTA packages: `…/ota-upgrades/packages`.

use super::Page;
use serde::{Deserialize, Serialize};
use std::fmt;

wire_enum! {
    /// Kind of a package.
    PackageType {
        /// The device's software.
        Software = "softwarePackage",
        /// The device's firmware.
        Firmware = "firmwarePackage",
        /// One module of the device; newer platforms only.
        Module = "modulePackage",
    }
}

wire_struct! {
    /// Body of `POST …/ota-upgrades/packages`. Limits: [`limits`](super::super::limits).
    CreatePackage {
        /// Resource space.
        app_id: String,
        /// Firmware or software.
        package_type: PackageType,
        /// Product.
        product_id: String,
        /// Version that a device reports once it runs the package.
        version: String,
        /// Location of the artifact.
        file_location: FileLocation,
        @optional
        /// Module; with `modulePackage` only.
        module_name: String,
        /// Versions that can be upgraded to this one.
        support_source_versions: Vec<String>,
        /// Description for users.
        description: String,
        /// Passed to the device.
        custom_info: String,
    }

    /// Location of an artifact.
    FileLocation {
        @optional
        /// An object in OBS: the only documented variant.
        obs_location: ObsLocation,
    }

    /// An object in OBS.
    ObsLocation {
        /// Region of the bucket.
        region_name: String,
        /// Bucket.
        bucket_name: String,
        /// Key of the object.
        object_key: String,
        @optional
        /// SHA-256 of the bytes, hex.
        sign: String,
        /// Algorithm of `sign`: `SHA256`.
        sign_method: String,
    }

    /// A package. Lists omit `file_location`.
    OtaPackage {
        /// Cloud's id.
        package_id: String,
        /// Firmware or software.
        package_type: PackageType,
        /// Product.
        product_id: String,
        /// Version.
        version: String,
        @optional
        /// Resource space.
        app_id: String,
        /// Name of the product; newer platforms only.
        product_name: String,
        /// Module; newer platforms only.
        module_name: String,
        /// Versions that may be upgraded to this one.
        support_source_versions: Vec<String>,
        /// Description for users.
        description: String,
        /// Passed to the device.
        custom_info: String,
        /// See [`parse_time`](super::parse_time).
        create_time: String,
        /// Location of the artifact.
        file_location: FileLocation,
    }

    /// Reply to `GET …/ota-upgrades/packages`.
    PackageList {
        /// At most 50.
        packages: Vec<OtaPackage>,
        @optional
        /// Position of the list.
        page: Page,
    }
}
