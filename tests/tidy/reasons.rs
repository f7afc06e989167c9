//! Reasons of conditions, decisions and Events: each has a section in the page on troubleshooting, and each section a reason.

use crate::files::File;
use rollwave::api::Reason;
use std::collections::BTreeSet;

/// Reasons without a section, sections without a reason, and sections that do not advise what to do.
pub fn check(page: &File, known: &[&str]) -> Vec<String> {
    let sections: Vec<(&str, &str)> = page
        .text
        .split("\n### ")
        .skip(1)
        .map(|section| section.split_once('\n').unwrap_or((section, "")))
        .collect();
    let written: BTreeSet<&str> = sections.iter().map(|(title, _)| *title).collect();
    let unknown = written.iter().filter(|title| !known.contains(*title));
    let unknown = unknown.map(|title| format!("{}: {title} is no reason", page.path));
    let missing = known.iter().filter(|reason| !written.contains(*reason));
    let missing = missing.map(|reason| format!("{}: no section on {reason}", page.path));
    let empty = sections.iter().filter(|(_, text)| !text.contains("**What to do:**"));
    let empty = empty.map(|(title, _)| format!("{}: {title}: what should a reader do?", page.path));
    missing.chain(unknown).chain(empty).collect()
}

/// Every reason of the program.
pub fn known() -> Vec<&'static str> {
    Reason::ALL.iter().map(|reason| reason.as_str()).collect()
}

#[test]
fn a_reason_without_a_section_is_found() {
    let page = File::new("x.md", "# T\n\n### One\n\n**What to do:** nothing\n\n### Two\n\ntext\n");
    assert_eq!(check(&page, &["One", "Two"]).len(), 1, "a section without advice");
    assert_eq!(check(&page, &["One", "Three"]).len(), 3, "one is missing, one is unknown, one has no advice");
}
