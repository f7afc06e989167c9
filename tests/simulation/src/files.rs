//! Files of packages: whoever has the path has the bytes, so that nothing is read from a disk.

use md5::Md5;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Path of the file with this number.
pub(super) fn path(number: u64) -> String {
    format!("/firmware/{number:016x}.bin")
}

/// The bytes of the file at a path, in whichever folder the folder of firmware lies.
pub(super) fn bytes_at(path: &Path) -> Vec<u8> {
    let path = path.to_string_lossy();
    let name = path.rsplit('/').next().unwrap_or_default();
    format!("/firmware/{name}").into_bytes()
}

/// Makes a package one of a file of firmware, in the place of an object of IoTDA.
pub(super) fn upload_for(package: &mut Value) {
    let digest = package["artifact"]["sha256"].as_str().unwrap_or_default();
    let number = u64::from_str_radix(digest, 16).unwrap_or(0);
    let path = path(number);
    package["artifact"] = json!({"sha256": sha256(number), "size": path.len(), "file": path});
}

/// Says the digest that Alibaba Cloud compares.
pub(super) fn add_md5(package: &mut Value) {
    if let Some(path) = package["artifact"]["file"].as_str() {
        package["artifact"]["md5"] = json!(hex::encode(Md5::digest(path)));
    }
}

/// Makes a package of one file one of so many, with names of their own.
pub(super) fn several_for(package: &mut Value, count: u64) {
    let one = package["artifact"]["file"].as_str().and_then(|path| path.rsplit('/').next());
    let digits = one.and_then(|name| name.strip_suffix(".bin")).unwrap_or_default();
    let first = u64::from_str_radix(digits, 16).unwrap_or(0) * 16;
    let file = |n: u64| {
        let path = path(first + n);
        json!({
            "name": format!("part{n}"), "sha256": sha256(first + n), "md5": md5(first + n), "size": path.len(),
            "file": path,
        })
    };
    package["artifact"] = json!({"files": (0..count).map(file).collect::<Vec<_>>()});
}

/// SHA-256 of the file with this number.
pub(super) fn sha256(number: u64) -> String {
    hex::encode(Sha256::digest(path(number)))
}

/// MD5 of the file with this number.
pub(super) fn md5(number: u64) -> String {
    hex::encode(Md5::digest(path(number)))
}
