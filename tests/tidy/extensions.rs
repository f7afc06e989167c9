//! Holds are added as one file and one line: no file without its line, and no line twice.

use super::files::{File, read};

const LIST: &str = "src/decide/rollout/holds.rs";
const FOLDER: &str = "src/decide/rollout/holds/";

/// Names of the list of holds, in its order.
fn listed(text: &str) -> Vec<&str> {
    let (_, list) = text.split_once("HOLDS: &[Hold] = &[").unwrap_or_default();
    let (list, _) = list.split_once("];").unwrap_or_default();
    list.split(',').filter_map(|line| line.trim().strip_suffix("::check")).collect()
}

fn findings(text: &str, files: &[&str]) -> Vec<String> {
    let listed = listed(text);
    let count = |name: &str| listed.iter().filter(|other| **other == name).count();
    let files = files.iter().filter(|name| count(name) != 1);
    files.map(|name| format!("{FOLDER}{name}.rs: {LIST} names it {} times in HOLDS", count(name))).collect()
}

pub fn check(files: &[File]) -> Vec<String> {
    let names = files.iter().filter_map(|file| file.path.strip_prefix(FOLDER)?.strip_suffix(".rs"));
    findings(&read(LIST).text, &names.collect::<Vec<_>>())
}

#[test]
fn a_hold_that_is_not_listed_or_listed_twice_is_found() {
    let text =
        "pub const HOLDS: &[Hold] = &[\n    paused::check,\n    freeze::check,\n    freeze::check,\n];";
    assert_eq!(listed(text), ["paused", "freeze", "freeze"]);
    assert_eq!(findings(text, &["paused"]), Vec::<String>::new());
    let found = findings(text, &["paused", "freeze", "approval"]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("freeze.rs") && found[0].contains("2 times"), "{found:?}");
    assert!(found[1].contains("approval.rs") && found[1].contains("0 times"), "{found:?}");
}
