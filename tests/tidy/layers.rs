//! Who may import whom.

use crate::{
    files::{self, File},
    paths::{Named, named},
};
use std::collections::BTreeSet;

/// A folder of `src/`, and the folders that it may use beside itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("cloud", &["api"]),
    ("decide", &["api", "cloud"]),
    ("source", &["api"]),
    ("state", &["api"]),
    ("engine", &["api", "cloud", "decide", "source", "state"]),
    ("simulator", &["api", "cloud"]),
    ("web", &["api", "state"]),
    ("cli", &["api", "cloud", "decide", "source", "state", "engine", "simulator", "web"]),
];

/// The names that `src/cloud/nouns/` gives to the world: all that the judge may know of a cloud.
pub fn cloud_nouns() -> BTreeSet<String> {
    let mut nouns = BTreeSet::new();
    for file in files::rust_files(&["src/cloud/nouns"]) {
        let parsed = syn::parse_file(&file.text).expect("nouns are Rust");
        nouns.extend(parsed.items.iter().filter_map(public_name));
    }
    nouns.extend(["nouns".to_owned(), "PackageKind".to_owned()]);
    nouns
}

fn public_name(item: &syn::Item) -> Option<String> {
    let (vis, ident) = match item {
        syn::Item::Struct(item) => (&item.vis, &item.ident),
        syn::Item::Enum(item) => (&item.vis, &item.ident),
        syn::Item::Const(item) => (&item.vis, &item.ident),
        syn::Item::Type(item) => (&item.vis, &item.ident),
        syn::Item::Fn(item) => (&item.vis, &item.sig.ident),
        _ => return None,
    };
    matches!(vis, syn::Visibility::Public(_)).then(|| ident.to_string())
}

/// Imports that the table forbids. Test modules are free.
pub fn check(file: &File, nouns: &BTreeSet<String>) -> Vec<String> {
    let Some((folder, _)) = file.path.strip_prefix("src/").and_then(|inside| inside.split_once('/')) else {
        return Vec::new();
    };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == folder) else {
        return vec![format!("{}: src/{folder}/ is not in the table of layers", file.path)];
    };
    let mut findings = Vec::new();
    for named in named(file).iter().filter(|named| named.path[0] == "crate" && named.path.len() > 1) {
        if let Some(why) = forbidden(folder, allowed, named, nouns) {
            findings.push(format!(
                "{}:{}: {} may not use {} ({why})",
                file.path,
                named.line,
                folder,
                named.text()
            ));
        }
    }
    findings
}

fn forbidden(folder: &str, allowed: &[&str], named: &Named, nouns: &BTreeSet<String>) -> Option<String> {
    let target = named.path[1].as_str();
    if target != folder && !allowed.contains(&target) {
        return Some(format!("only {allowed:?}"));
    }
    let foreign = named.path.get(2).filter(|name| !nouns.contains(*name));
    match foreign {
        Some(name) if folder == "decide" && target == "cloud" => {
            Some(format!("{name} is not a noun of cloud/nouns/"))
        }
        _ => None,
    }
}

#[test]
fn a_wrong_import_is_found_wherever_it_hides() {
    let nouns = cloud_nouns();
    for (path, text, findings) in [
        ("src/api/x.rs", "use crate::cloud::Job;", 1),
        ("src/api/x.rs", "fn f() { crate::cli::main(); }", 1),
        ("src/cloud/huawei_iotda/x.rs", "use super::super::super::engine::ports;", 1),
        ("src/state/x.rs", "use crate::{api::Object, source::Place};", 1),
        ("src/state/x.rs", "use crate::api; mod inner { use crate::decide::Plan; }", 1),
        ("src/decide/x.rs", "use crate::cloud::{Capabilities, Transport};", 1),
        ("src/decide/x.rs", "use crate::cloud::*;", 1),
        (
            "src/decide/x.rs",
            "use crate::cloud::{Capabilities, PackageKind, nouns::Device}; use super::gate;",
            0,
        ),
        ("src/source/x.rs", "#[cfg(test)] mod tests { use crate::engine; } use crate::api::Object;", 0),
        ("src/engine/x.rs", "use crate::{api, cloud, decide, source, state}; use tokio::sync::Mutex;", 0),
        ("src/attic/x.rs", "", 1),
        ("src/lib.rs", "pub mod cli;", 0),
    ] {
        let found = check(&File::new(path, text), &nouns);
        assert_eq!(found.len(), findings, "{path}: {text}: {found:?}");
    }
}
