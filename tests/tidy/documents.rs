//! Documents that tell the truth: links resolve, and verbs exist.

use crate::files::{File, root};
use clap::CommandFactory;
use std::path::Path;

/// Relative links to files that are not there.
pub fn check_links(file: &File) -> Vec<String> {
    let folder = root().join(&file.path);
    let folder = folder.parent().unwrap_or(root());
    links(&prose(&file.text))
        .into_iter()
        .filter(|link| !is_there(folder, link))
        .map(|link| format!("{}: link to {link}, which is not there", file.path))
        .collect()
}

fn is_there(folder: &Path, link: &str) -> bool {
    let target = link.split('#').next().unwrap_or_default();
    target.is_empty()
        || target.contains("://")
        || target.starts_with("mailto:")
        || folder.join(target).exists()
}

/// The text without fenced code.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|tail| tail.split_once(')'))
        .map(|(link, _)| link.to_owned())
        .collect()
}

/// `rollwave VERB` in code, where there is no such verb.
pub fn check_verbs(file: &File) -> Vec<String> {
    let command = rollwave::cli::Cli::command();
    mentioned_verbs(&file.text)
        .into_iter()
        .filter(|verb| command.find_subcommand(verb).is_none())
        .map(|verb| format!("{}: there is no `rollwave {verb}`", file.path))
        .collect()
}

/// The word after `rollwave` where it is called: at the start of code, after a prompt, or after `cargo run … --`.
fn mentioned_verbs(text: &str) -> Vec<String> {
    let mut verbs = Vec::new();
    for start in ["`rollwave ", "$ rollwave ", "\nrollwave ", "release/rollwave ", "cargo run -- "] {
        for tail in text.split(start).skip(1) {
            let verb: String = tail.chars().take_while(char::is_ascii_lowercase).collect();
            if !verb.is_empty() {
                verbs.push(verb);
            }
        }
    }
    verbs
}

#[test]
fn dead_links_and_unknown_verbs_are_found() {
    let found = |text: &str| check_links(&File::new("README.md", text)).len();
    assert_eq!(found("[a](Cargo.toml) [b](https://x.dev) [c](#top) [d](src/lib.rs#L1)"), 0);
    assert_eq!(found("[a](missing.md)"), 1);
    assert_eq!(found("```\n[a](missing.md)\n```"), 0);
    let found = |text: &str| check_verbs(&File::new("README.md", text)).len();
    assert_eq!(found("`rollwave completions bash`, and rollwave does it"), 0);
    assert_eq!(found("$ rollwave teleport now\n"), 1);
    assert_eq!(found("`rollwave teleport`\n```\nrollwave fly\n```"), 2);
}

#[test]
fn the_table_of_events_is_that_of_the_code() {
    let text = std::fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
    let (_, section) = text.split_once("## Events\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let written: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |reason: &rollwave::api::Reason| {
        let kind = reason.event()?;
        Some(format!("| `{reason}` | {} | {} |", kind.as_str(), reason.about()))
    };
    assert_eq!(written, rollwave::api::Reason::ALL.iter().filter_map(row).collect::<Vec<_>>());
}
