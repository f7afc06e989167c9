//! The pages of `docs/reference/` that are generated: one for each kind, from its schema, one for
//! the command line, from clap, and one for Events.
//!
//! `make docs` writes them (`UPDATE_DOCS=1`); without it they are compared.

mod command_line;
mod events;
mod kinds;

pub use command_line::helps;

use crate::files::root;
use rollwave::api::{Kind, OtaCloudSpec, OtaRolloutSpec};
use serde_json::{Value, json};
use std::fs;

/// Every generated page, with its path.
fn pages() -> Vec<(String, String)> {
    let of_kind = |kind: Kind| {
        let name = kind.as_str().to_lowercase();
        (format!("docs/reference/{name}.md"), kinds::page(kind))
    };
    let mut pages: Vec<(String, String)> = Kind::ALL.into_iter().map(of_kind).collect();
    pages.push(("docs/reference/cli.md".to_owned(), command_line::page()));
    pages.push(("docs/reference/events.md".to_owned(), events::page()));
    pages
}

/// Pages that are not what would be written now.
pub fn check_pages() -> Vec<String> {
    let is_update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut findings = Vec::new();
    for (path, page) in pages() {
        let file = root().join(&path);
        if is_update {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &page).unwrap();
        }
        if fs::read_to_string(&file).unwrap_or_default() != page {
            findings.push(format!("{path} is not current: run `make docs`"));
        }
    }
    findings
}

#[test]
fn every_field_of_a_kind_has_a_row() {
    for kind in Kind::ALL {
        let page = kinds::page(kind);
        let schema = rollwave::api::definition(kind);
        let spec = &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut fields = Vec::new();
        names(spec, &mut fields);
        assert!(fields.len() > 5, "{kind}: {fields:?}");
        for field in fields {
            assert!(page.contains(&format!("| `{field}` |")), "{kind}: {field}");
        }
    }
}

#[test]
fn defaults_that_the_schema_does_not_show_are_those_of_the_types() {
    let rollout = json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []});
    let account = json!({"credentials": {}});
    for (kind, path, default) in kinds::DEFAULTS {
        let field = path.strip_prefix("spec.").unwrap();
        let without = if *kind == Kind::OtaRollout { &rollout } else { &account };
        let mut with = without.clone();
        with[field] = serde_json::from_str(default).unwrap_or_else(|_| json!(default));
        if *kind == Kind::OtaRollout {
            assert_eq!(read::<OtaRolloutSpec>(&with), read(without), "{path}");
        } else {
            assert_eq!(read::<OtaCloudSpec>(&with), read(without), "{path}");
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(spec: &Value) -> T {
    serde_json::from_value(spec.clone()).unwrap()
}

fn names(schema: &Value, into: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        into.push(name.clone());
        names(field, into);
        names(&field["items"], into);
    }
}

#[test]
fn limits_defaults_rules_and_clouds_stand_beside_their_field() {
    let rollout = kinds::page(Kind::OtaRollout);
    let row = |page: &str, field: &str| {
        let lead = format!("| `{field}` |");
        page.lines().find(|line| line.starts_with(&lead)).map(ToOwned::to_owned).unwrap_or_default()
    };
    let (stages, package) = (row(&rollout, "stages"), row(&rollout, "packageRef"));
    assert!(package.contains("required") && stages.contains("1 to 50 items"), "{package}\n{stages}");
    let priority = row(&rollout, "priority");
    assert!(priority.contains("-1,000,000 to 1,000,000"), "{priority}");
    let overwrite = row(&rollout, "overwrite");
    assert!(overwrite.contains("refused on huaweiIotda, oceanConnect, enos"), "{overwrite}");
    assert!(rollout.contains("stage names must be unique"));
    let version = row(&kinds::page(Kind::OtaPackage), "version");
    assert!(version.contains("immutable"), "{version}");
}
