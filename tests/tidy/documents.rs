//! Documents that tell the truth: links lead to pages and headings that exist.

use crate::files::{File, root};
use std::collections::BTreeSet;
use std::path::{Component, Path};

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

/// Pages of `docs/` that no other page links to.
pub fn check_orphans(pages: &[File]) -> Vec<String> {
    let targets = |page: &File| {
        let folder = Path::new(&page.path).parent().unwrap_or(Path::new("")).to_owned();
        let path = move |link: String| normal(&folder.join(link.split('#').next().unwrap_or_default()));
        links(&without_code(&page.text)).into_iter().map(path).collect::<Vec<_>>()
    };
    let linked: BTreeSet<String> =
        pages.iter().flat_map(|page| targets(page).into_iter().filter(|to| *to != page.path)).collect();
    let is_orphan = |page: &&File| page.path.starts_with("docs/") && !linked.contains(&page.path);
    pages.iter().filter(is_orphan).map(|page| format!("{}: no page links to it", page.path)).collect()
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            _ => {}
        }
    }
    parts.join("/")
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

#[test]
fn pages_that_no_page_links_to_are_found() {
    let pages = [
        File::new("README.md", "[a](docs/a.md#top) [x](docs/images/x.svg)"),
        File::new("docs/a.md", "[itself](a.md) [b](guides/b.md)"),
        File::new("docs/guides/b.md", "[up](../a.md)"),
        File::new("docs/c.md", "[itself](c.md)"),
    ];
    assert_eq!(check_orphans(&pages), ["docs/c.md: no page links to it"]);
}
