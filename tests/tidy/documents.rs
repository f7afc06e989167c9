//! Documents that tell the truth: links lead to pages and headings that exist.

use crate::files::{File, root};
use std::path::Path;

/// Relative links to files that are not there.
pub fn check_links(file: &File) -> Vec<String> {
    let folder = root().join(&file.path);
    let folder = folder.parent().unwrap_or(root());
    links(&without_code(&file.text))
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
pub fn prose(text: &str) -> String {
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

/// The text without any code.
pub fn without_code(text: &str) -> String {
    prose(text).split('`').step_by(2).collect::<Vec<_>>().join(" CODE ")
}

fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|tail| tail.split_once(')'))
        .map(|(link, _)| link.to_owned())
        .collect()
}

/// Links to headings that are not there.
pub fn check_anchors(file: &File) -> Vec<String> {
    let folder = root().join(&file.path);
    let folder = folder.parent().unwrap_or(root());
    let is_dead = |link: &String| {
        let Some((target, anchor)) = link.split_once('#').filter(|_| !link.contains("://")) else {
            return false;
        };
        let is_page = target.is_empty() || Path::new(target).extension().is_some_and(|kind| kind == "md");
        let text = if target.is_empty() {
            file.text.clone()
        } else {
            std::fs::read_to_string(folder.join(target)).unwrap_or_default()
        };
        is_page && !anchors(&text).iter().any(|known| known == anchor)
    };
    let dead = links(&without_code(&file.text)).into_iter().filter(is_dead);
    dead.map(|link| format!("{}: link to {link}: there is no such heading", file.path)).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
pub fn anchors(text: &str) -> Vec<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let slug = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
    };
    headings.map(slug).collect()
}

#[test]
fn dead_links_are_found() {
    let found = |text: &str| check_links(&File::new("README.md", text)).len();
    assert_eq!(found("[a](Cargo.toml) [b](https://x.dev) [c](#top) [d](src/lib.rs#L1)"), 0);
    assert_eq!(found("[a](missing.md)"), 1);
    assert_eq!(found("```\n[a](missing.md)\n``` `[0](1)`"), 0);
    let found = |text: &str| check_anchors(&File::new("README.md", text)).len();
    assert_eq!(
        found("# One: `two`, three\n[a](#one-two-three) [b](https://x.dev/#top) [c](src/lib.rs#L1)"),
        0
    );
    assert_eq!(found("# One\n[a](#two) [b](CONTRIBUTING.md#no-such-heading)"), 2);
}
