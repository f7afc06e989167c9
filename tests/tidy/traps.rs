//! The traps that `docs/proof.md` lists: each names a test that exists.

use crate::files::File;

const HEADING: &str = "## Traps of other rollout systems";

/// Tests of the table that are nowhere in the sources.
pub fn check(page: &str, sources: &[File]) -> Vec<String> {
    let section = page.split(HEADING).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let named: Vec<&str> = section.lines().filter_map(test_of).collect();
    if named.len() < 15 {
        return vec![format!("docs/proof.md: {} traps have a test", named.len())];
    }
    let is_there = |name: &str| {
        let function = format!("fn {name}(");
        sources.iter().any(|file| file.text.contains(&function))
    };
    let missing = named.into_iter().filter(|name| !is_there(name));
    missing.map(|name| format!("docs/proof.md: no test is named {name}")).collect()
}

/// The last cell of a row, without its quotes.
fn test_of(row: &str) -> Option<&str> {
    let cell = row.strip_prefix('|')?.strip_suffix('|')?.rsplit('|').next()?.trim();
    cell.strip_prefix('`')?.strip_suffix('`')
}

#[test]
fn a_trap_whose_test_is_gone_is_found() {
    let rows = (0..15).map(|n| format!("| trap | here | `test_{n}` |\n")).collect::<String>();
    let page = format!("{HEADING}\n\n{rows}\n## Repeat it\n");
    let text = (1..15).map(|n| format!("fn test_{n}() {{}}\n")).collect();
    let source = File { path: "tests/it/x.rs".to_owned(), text };
    assert_eq!(check(&page, &[source]), ["docs/proof.md: no test is named test_0"]);
    assert_eq!(check("", &[]), ["docs/proof.md: 0 traps have a test"]);
}
