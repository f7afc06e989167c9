//! What may be in `Cargo.lock`: one registry, no second TLS stack, free licences.

use crate::files::{File, root};
use serde_json::Value;
use std::process::Command;

/// Crates that bring a C TLS stack, or are archived.
const BANNED: &[&str] =
    &["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys", "serde_yaml", "atty"];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that may be linked into an Apache-2.0 program.
const FREE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Banned crates, and crates from anywhere but the one registry.
pub fn check_lock(lock: &File) -> Vec<String> {
    let mut findings = Vec::new();
    for line in lock.text.lines() {
        let Some((key, value)) = line.split_once(" = ") else { continue };
        let value = value.trim_matches('"');
        match key {
            "name" if BANNED.contains(&value) => findings.push(format!("Cargo.lock: {value} is banned")),
            "source" if value != REGISTRY => findings.push(format!("Cargo.lock: a crate from {value}")),
            _ => {}
        }
    }
    findings
}

/// `cargo metadata` of this project, without the network.
pub fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform"])
        .arg(host())
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// Crates without a licence from the list.
pub fn check_licences(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let refused = packages.iter().filter(|package| !package["license"].as_str().is_some_and(is_free));
    refused
        .map(|package| format!("{} {}: licence {}", package["name"], package["version"], package["license"]))
        .collect()
}

/// An SPDX expression that can be met from the list. `/` is the old way to write OR.
fn is_free(expression: &str) -> bool {
    let flat = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let known = |licence: &str| FREE.contains(&licence.trim());
    if expression.contains('(') {
        return flat.split(" AND ").all(|part| part.split(" OR ").any(known));
    }
    flat.split(" OR ").any(|part| part.split(" AND ").all(known))
}

#[test]
fn banned_crates_foreign_sources_and_unfree_licences_are_found() {
    let lock =
        File::new("Cargo.lock", "name = \"openssl-sys\"\nsource = \"git+https://x.dev/y\"\nname = \"serde\"");
    assert_eq!(check_lock(&lock).len(), 2);
    for (expression, free) in [
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0 OR MIT", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("Apache-2.0 AND ISC", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR Apache-2.0) AND GPL-3.0", false),
        ("AGPL-3.0", false),
    ] {
        let metadata =
            serde_json::json!({"packages": [{"name": "x", "version": "1", "license": expression}]});
        assert_eq!(check_licences(&metadata).is_empty(), free, "{expression}");
    }
}
