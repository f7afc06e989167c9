//! What makes the repository a public project: workflows without logic of their own, one Rust version, a changelog.

use crate::files::{File, read, root};
use serde_json::Value;
use std::{collections::BTreeSet, os::unix::fs::PermissionsExt};

/// Steps of a workflow that are neither a target of the Makefile nor a script of the project.
pub fn check_steps(workflow: &File, makefile: &File) -> Vec<String> {
    let targets = targets(&makefile.text);
    let finding = |line: &String| format!("{}: `{line}` is no make target and no script", workflow.path);
    let yaml: Value = match serde_yaml::from_str(&workflow.text) {
        Ok(yaml) => yaml,
        Err(error) => return vec![format!("{}: {error}", workflow.path)],
    };
    let mut findings: Vec<String> =
        runs(&yaml).iter().filter(|line| !is_ours(line, &targets)).map(finding).collect();
    if yaml["permissions"] != serde_json::json!({"contents": "read"}) {
        findings.push(format!("{}: the workflow as a whole may do more than read", workflow.path));
    }
    findings
}

/// `make TARGET` or the path of a script, each with no arguments: those belong into the Makefile.
fn is_ours(line: &str, targets: &BTreeSet<String>) -> bool {
    match line.split_once(' ') {
        Some(("make", target)) => targets.contains(target),
        Some(_) => false,
        None => is_script(line),
    }
}

fn is_script(path: &str) -> bool {
    let metadata = std::fs::metadata(root().join(path));
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Targets with rules; `.PHONY` and patterns are none.
fn targets(makefile: &str) -> BTreeSet<String> {
    let rule = |line: &str| Some(line.split_once(':')?.0.to_owned());
    let is_name = |name: &String| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    makefile.lines().filter_map(rule).filter(is_name).collect()
}

/// Every `run:` of the steps of all jobs.
fn runs(workflow: &Value) -> Vec<String> {
    let jobs = workflow["jobs"].as_object().into_iter().flat_map(|jobs| jobs.values());
    let steps = jobs.filter_map(|job| job["steps"].as_array()).flatten();
    steps.filter_map(|step| step["run"].as_str()).map(|run| run.trim().to_owned()).collect()
}

/// Where Rust versions differ: one toolchain builds everything, and it is no older than what `Cargo.toml` promises.
pub fn check_rust_versions(cargo: &File, toolchain: &File, dockerfile: &File, ci: &File) -> Vec<String> {
    let promised = version_after(&cargo.text, "rust-version = \"");
    let used = version_after(&toolchain.text, "channel = \"");
    let in_image = version_after(&dockerfile.text, "library/rust:");
    let mut findings = Vec::new();
    if promised.is_empty() || promised > used {
        findings.push(format!("{} promises {promised:?}, {} has {used:?}", cargo.path, toolchain.path));
    }
    if in_image != used {
        findings.push(format!("{} has {in_image:?}, {} has {used:?}", dockerfile.path, toolchain.path));
    }
    if !ci.text.contains("run: make msrv\n") {
        findings.push(format!("{} does not build with rust-version of {}", ci.path, cargo.path));
    }
    findings
}

fn version_after(text: &str, mark: &str) -> Vec<u32> {
    let tail = text.split_once(mark).map_or("", |(_, tail)| tail);
    let version: String = tail.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

/// A changelog whose first section is not `Unreleased`.
pub fn check_changelog(changelog: &File) -> Vec<String> {
    match changelog.text.lines().find(|line| line.starts_with("## ")) {
        Some("## [Unreleased]") => Vec::new(),
        other => vec![format!("{}: the first section is {other:?}, not `## [Unreleased]`", changelog.path)],
    }
}

/// A chart that installs another version of the program than this one.
pub fn check_chart(chart: &File, cargo: &File) -> Vec<String> {
    let (app, program) =
        (version_after(&chart.text, "appVersion: "), version_after(&cargo.text, "\nversion = \""));
    if app == program && !app.is_empty() {
        return Vec::new();
    }
    vec![format!("{}: appVersion is {app:?}, the version in {} {program:?}", chart.path, cargo.path)]
}

#[test]
fn a_step_is_a_target_or_a_script_and_nothing_else() {
    let makefile = File::new("Makefile", "FLAGS := x\ndist: need ## Files\nneed:\n\t@true\n");
    let found = |run: &str| {
        let text = format!("permissions: {{contents: read}}\njobs: {{a: {{steps: [{{run: {run:?}}}]}}}}\n");
        check_steps(&File::new("ci.yml", &text), &makefile).len()
    };
    for run in ["make dist", "make need", ".ci/run"] {
        assert_eq!(found(run), 0, "{run}");
    }
    for run in [
        "make nothing",
        "make dist TAG=1",
        "make",
        "cargo test",
        ".ci/missing",
        "LICENSE",
        "make dist\nmake need",
    ] {
        assert_eq!(found(run), 1, "{run}");
    }
    let text = "permissions: write-all\njobs: {}\n";
    assert_eq!(check_steps(&File::new("ci.yml", text), &makefile).len(), 1, "permissions");
    assert_eq!(check_steps(&File::new("ci.yml", "a: ["), &makefile).len(), 1, "not YAML");
}

#[test]
fn versions_that_differ_are_found() {
    let found = |cargo: &str, toolchain: &str, image: &str, ci: &str| {
        check_rust_versions(
            &File::new("Cargo.toml", &format!("rust-version = \"{cargo}\"")),
            &File::new("rust-toolchain.toml", &format!("channel = \"{toolchain}\"")),
            &File::new("Dockerfile", &format!("FROM docker.io/library/rust:{image}-bookworm")),
            &File::new("ci.yml", ci),
        )
        .len()
    };
    let ci = "    - run: make msrv\n";
    assert_eq!(found("1.95", "1.95.0", "1.95.0", ci), 0);
    assert_eq!(found("1.91", "1.100.0", "1.100.0", ci), 0, "numbers, not text");
    assert_eq!(found("1.96", "1.95.0", "1.95.0", ci), 1);
    assert_eq!(found("", "1.95.0", "1.95.0", ci), 1);
    assert_eq!(found("1.95", "1.95.0", "1.94.0", ci), 1);
    assert_eq!(found("1.95", "1.95.0", "1.95.0", "- run: make test\n"), 1);
}

#[test]
fn a_changelog_without_unreleased_and_a_chart_of_another_version_are_found() {
    assert_eq!(check_changelog(&File::new("C", "# Changelog\n\n## [Unreleased]\n\n## [0.1.0]\n")).len(), 0);
    assert_eq!(check_changelog(&File::new("C", "# Changelog\n\n## [0.1.0]\n\n## [Unreleased]\n")).len(), 1);
    assert_eq!(check_changelog(&File::new("C", "# Changelog\n")).len(), 1);
    let cargo = File::new("Cargo.toml", "[package]\nname = \"x\"\nversion = \"0.2.0\"\n");
    assert_eq!(check_chart(&File::new("Chart.yaml", "version: 9.0.0\nappVersion: 0.2.0\n"), &cargo).len(), 0);
    assert_eq!(check_chart(&File::new("Chart.yaml", "version: 0.2.0\nappVersion: 0.1.0\n"), &cargo).len(), 1);
}

#[test]
fn targets_of_the_makefile_are_those_with_rules() {
    let targets = targets(&read("Makefile").text);
    assert!(targets.contains("test") && targets.contains("dist"), "{targets:?}");
    assert!(!targets.contains(".PHONY"), "{targets:?}");
}
