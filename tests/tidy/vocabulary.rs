//! One word for one thing: words that the documents, the help texts and the comments of some folders do not use.

use crate::files::File;
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What is not written, and what is written instead.
const BANNED: &[(&str, &str)] = &[
    ("strangers?", "external"),
    ("somebody|nobody|whoever|a person", "user, operator, controller, external client"),
    ("homes?", "state backend"),
    ("lanes?", "account worker"),
    ("turns?", "reconcile"),
    ("looks?|looked|looking|sights?|grounds?", "observation, to read, to check"),
    ("courses?|worlds?", "simulation run, simulation"),
    ("befalls?|misfortunes?|strikes?", "injected fault"),
    ("fault points?", "failpoints"),
    ("likeness", "fingerprint"),
    ("pulses?", "heartbeat"),
    ("intake", "admission"),
    ("bulletins?|bells?", "event broadcaster, notifier"),
    ("seats?|campaigns?", "shard, election"),
    ("lost calls?|lost answers?", "request with unknown outcome"),
    ("doubts?", "outcome unknown"),
    ("stands? still|stood still", "paused, stopped, stalled"),
    ("told|tells?|says?|said", "reports, shows"),
    ("anew", "again, from scratch"),
    ("asks?|asked", "to query, to read, to check"),
    ("goes|leaves|gone", "is deleted, is sent"),
];

/// Phrases in which a word is used in its ordinary sense.
const ORDINARY: &[&str] = &[
    // The name of a file and of a flag.
    "world file",
    "World file",
    "world.yaml",
    "--world",
];

/// Pages that are written from texts in `src/`, and the help: so many findings at most. The list only shrinks.
pub const GENERATED: &[(&str, usize)] = &[
    ("the help", 62),
    ("docs/clouds.md", 56),
    ("docs/reference/events.md", 3),
    ("docs/reference/otacloud.md", 3),
    ("docs/reference/otapackage.md", 15),
    ("docs/reference/otarollout.md", 31),
];

/// Targets of links, and comments.
static TARGETS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\]\([^)]*\)|<!--[^>]*-->").unwrap());

/// Folders whose comments this rule is for, too. The list only grows.
pub const COMMENTED: &[&str] = &["src/cloud", "src/simulator"];

/// A comment, but no address.
static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"//[/!]?\s(.*)").unwrap());

/// The comments of a file as a page.
pub fn comments(file: &File) -> File {
    let lines: Vec<&str> =
        file.text.lines().filter_map(|line| Some(COMMENT.captures(line)?.get(1)?.as_str())).collect();
    File::new(&file.path, &lines.join("\n"))
}

/// The pages that this rule is for.
pub fn is_held(path: &str) -> bool {
    path.ends_with(".md") && (path.starts_with("docs/") || ["README.md", "CONTRIBUTING.md"].contains(&path))
}

/// Every help text as one file, so that it is held like a page.
pub fn help() -> File {
    let texts: Vec<String> = crate::reference::helps().into_iter().map(|(_, text)| text).collect();
    File::new("the help", &texts.join("\n"))
}

/// All rules as one expression, and what is written instead by the number of its group.
static RULES: LazyLock<Regex> = LazyLock::new(|| {
    let groups: Vec<String> = BANNED.iter().map(|(words, _)| format!("({words})")).collect();
    Regex::new(&format!(r"(?i)\b(?:{})\b", groups.join("|"))).unwrap()
});

/// Lines with banned words.
pub fn check(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    for line in text_of(&file.text).lines() {
        for found in RULES.captures_iter(line) {
            let group = (1..found.len()).find(|group| found.get(*group).is_some()).unwrap();
            let instead = BANNED[group - 1].1;
            findings.push(format!("{}: \"{}\": write {instead}: {}", file.path, &found[0], line.trim()));
        }
    }
    findings
}

/// Findings beyond what is still allowed for generated pages.
pub fn beyond(findings: Vec<String>, allowed: &[(&str, usize)]) -> Vec<String> {
    let mut by_file: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in findings {
        let file = finding.split(':').next().unwrap_or_default().to_owned();
        by_file.entry(file).or_default().push(finding);
    }
    let is_beyond = |(file, found): &(String, Vec<String>)| {
        let most = allowed.iter().find(|(name, _)| name == file).map_or(0, |(_, most)| *most);
        found.len() > most
    };
    by_file.into_iter().filter(is_beyond).flat_map(|(_, found)| found).collect()
}

/// The sentences of a page: no code, no link targets, no comments, no phrases that are in order.
fn text_of(page: &str) -> String {
    let outside = crate::documents::without_code(page);
    let mut text = TARGETS.replace_all(&outside, " ").into_owned();
    for phrase in ORDINARY {
        text = text.replace(phrase, " ");
    }
    text
}

#[test]
fn banned_words_are_found_and_code_is_not_searched() {
    let found = |text: &str| check(&File::new("docs/x.md", text)).len();
    assert_eq!(found("Somebody looked anew.\n"), 3);
    assert_eq!(found("The outlook of a homepage, of course not.\n"), 1);
    assert_eq!(found("`tells` [x](home.md) <!-- told -->\n```\nsays\n```\n"), 0);
    assert_eq!(found("A world file is not the world.\n"), 1);
}

#[test]
fn comments_are_searched_and_the_code_beside_them_is_not() {
    let file =
        File::new("src/x.rs", "//! Somebody.\nlet told = 1; // anew\n/// `says`, in code\nfn asks() {}\n");
    assert_eq!(check(&comments(&file)).len(), 2);
}

#[test]
fn a_generated_page_may_have_what_is_listed_and_no_more() {
    let two = || vec!["a.md: x".to_owned(), "a.md: y".to_owned()];
    assert_eq!(beyond(two(), &[("a.md", 2)]).len(), 0);
    assert_eq!(beyond(two(), &[("a.md", 1)]).len(), 2);
    assert_eq!(beyond(two(), &[]).len(), 2);
}
