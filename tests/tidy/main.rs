//! Rules of the house that the compiler does not know. Every rule has a test that shows it can fail.
//!
//! A rule is a function from files to findings; an empty list is a pass.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod circles;
mod commands;
mod documents;
mod extensions;
mod failpoints;
mod files;
mod layers;
mod manifests;
mod page;
mod paths;
mod project;
mod purity;
mod reasons;
mod reference;
mod size;
mod traps;
mod vocabulary;
mod words;

use files::{File, read, rust_files, text_files};
use paths::shipped;

fn no_findings(findings: &[String]) {
    assert!(findings.is_empty(), "{} finding(s):\n{}", findings.len(), findings.join("\n"));
}

fn every(files: &[File], rule: impl Fn(&File) -> Vec<String>) -> Vec<String> {
    files.iter().flat_map(rule).collect()
}

#[test]
fn every_folder_keeps_to_its_layer() {
    let nouns = layers::cloud_nouns();
    no_findings(&every(&rust_files(&["src"]), |file| layers::check(file, &nouns)));
}

#[test]
fn no_files_of_a_folder_import_each_other_in_a_circle() {
    no_findings(&circles::check(&shipped(rust_files(&["src"])), circles::KNOWN));
}

#[test]
fn judge_and_engine_are_pure() {
    no_findings(&every(&shipped(rust_files(&["src", "tests/simulation/src"])), purity::check));
}

#[test]
fn every_write_and_call_of_the_engine_has_a_point() {
    no_findings(&failpoints::check_engine());
}

#[test]
fn every_trap_of_other_systems_has_a_test() {
    no_findings(&traps::check(&read("docs/proof.md").text, &rust_files(&["src", "tests"])));
}

#[test]
fn every_hold_is_in_the_list_of_holds() {
    no_findings(&extensions::check(&rust_files(&["src"])));
}

#[test]
fn nothing_is_left_half_done() {
    no_findings(&every(&rust_files(&["src", "tests", "benches", "examples"]), purity::check_leftovers));
}

#[test]
fn functions_and_files_stay_small() {
    no_findings(&size::check(&rust_files(&["src", "tests", "benches", "examples"]), size::EXCEPTIONS));
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    no_findings(&every(&text_files(), words::check));
}

#[test]
fn documents_point_at_things_that_exist() {
    let markdown: Vec<File> = text_files().into_iter().filter(|file| file.path.ends_with(".md")).collect();
    assert!(!markdown.is_empty(), "no document was found");
    no_findings(&every(&markdown, documents::check_links));
    no_findings(&every(&markdown, documents::check_anchors));
    no_findings(&documents::check_orphans(&markdown));
    no_findings(&every(&markdown, commands::check));
    no_findings(&every(&markdown, manifests::check));
}

#[test]
fn documents_and_help_use_the_words_of_the_glossary() {
    let mut texts: Vec<File> =
        text_files().into_iter().filter(|file| vocabulary::is_held(&file.path)).collect();
    texts.push(vocabulary::help());
    texts.extend(rust_files(vocabulary::COMMENTED).iter().map(vocabulary::comments));
    no_findings(&vocabulary::beyond(every(&texts, vocabulary::check), vocabulary::GENERATED));
}

#[test]
fn the_generated_reference_is_current() {
    no_findings(&reference::check_pages());
}

#[test]
fn every_reason_has_a_section_on_troubleshooting() {
    no_findings(&reasons::check(&read("docs/troubleshooting.md"), &reasons::known()));
}

#[test]
fn workflows_run_targets_and_scripts_that_exist() {
    let makefile = read("Makefile");
    let workflows: Vec<File> =
        text_files().into_iter().filter(|file| file.path.starts_with(".github/workflows/")).collect();
    assert!(!workflows.is_empty(), "no workflow was found");
    no_findings(&every(&workflows, |file| project::check_steps(file, &makefile)));
}

#[test]
fn one_version_of_rust_and_of_the_program_is_named_everywhere() {
    let cargo = read("Cargo.toml");
    let (toolchain, dockerfile) = (read("rust-toolchain.toml"), read("Dockerfile"));
    no_findings(&project::check_rust_versions(
        &cargo,
        &toolchain,
        &dockerfile,
        &read(".github/workflows/ci.yml"),
    ));
    no_findings(&project::check_chart(&read("charts/rollwave/Chart.yaml"), &cargo));
}

#[test]
fn the_changelog_begins_with_what_is_unreleased() {
    no_findings(&project::check_changelog(&read("CHANGELOG.md")));
}
