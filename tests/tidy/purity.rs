//! What may not be named where: I/O, clocks, randomness and hash order in the judge; clocks in the engine; printing
//! outside the command line; anything half done.

use crate::{
    files::File,
    paths::{Named, named},
};
use proc_macro2::{TokenStream, TokenTree};

/// Paths that the judge and the kinds may not name. `async` and `await` count as paths of one segment.
const IMPURE: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "env"],
    &["std", "time"],
    &["std", "thread"],
    &["std", "io"],
    &["fs_err"],
    &["tokio"],
    &["reqwest"],
    &["SystemTime"],
    &["Instant"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
    &["HashMap"],
    &["HashSet"],
    &["RandomState"],
    &["rand"],
    &["async"],
    &["await"],
];

/// Paths that the engine may not name: time and randomness come through its ports.
const CLOCKS: &[&[&str]] = &[
    &["tokio", "time"],
    &["std", "thread", "sleep"],
    &["Instant"],
    &["SystemTime"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
    &["rand"],
    &["HashMap"],
    &["HashSet"],
];

const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln"];
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

/// Impure paths in the folders that promise to be pure, and print macros outside `cli/`.
pub fn check(file: &File) -> Vec<String> {
    let forbidden: &[&[&str]] = match file.path.split('/').nth(1) {
        Some("decide" | "api") => IMPURE,
        Some("engine" | "simulation") => CLOCKS,
        _ => &[],
    };
    let mut findings = Vec::new();
    for named in named(file) {
        if let Some(rule) = forbidden.iter().find(|rule| named.contains(rule)) {
            findings.push(finding(file, &named, &rule.join("::")));
        }
    }
    if !file.path.starts_with("src/cli/") {
        findings.extend(macros(file, PRINTING));
    }
    findings
}

fn finding(file: &File, named: &Named, what: &str) -> String {
    format!("{}:{}: {} ({what} has no place here)", file.path, named.line, named.text())
}

/// `todo!`, `unimplemented!`, `dbg!` and ignored tests.
pub fn check_leftovers(file: &File) -> Vec<String> {
    let mut findings = macros(file, UNFINISHED);
    let tokens = file.text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.path));
    findings.extend(ignored(tokens).iter().map(|line| format!("{}:{line}: an ignored test", file.path)));
    findings
}

/// Lines with an `ignore` attribute, those inside macros included.
fn ignored(tokens: TokenStream) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut after_hash = false;
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            let first = group.stream().into_iter().next();
            if after_hash && matches!(first, Some(TokenTree::Ident(ident)) if ident == "ignore") {
                lines.push(group.span_open().start().line);
            }
            lines.extend(ignored(group.stream()));
        }
        after_hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
    }
    lines
}

/// Calls of these macros, test modules included.
fn macros(file: &File, names: &[&str]) -> Vec<String> {
    let parsed = syn::parse_file(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path));
    let mut found = Calls { names, lines: Vec::new() };
    syn::visit::visit_file(&mut found, &parsed);
    found
        .lines
        .iter()
        .map(|(name, line)| format!("{}:{line}: {name}! has no place here", file.path))
        .collect()
}

struct Calls<'a> {
    names: &'a [&'a str],
    lines: Vec<(String, usize)>,
}

impl<'ast> syn::visit::Visit<'ast> for Calls<'_> {
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(last) = call.path.segments.last()
            && self.names.iter().any(|name| last.ident == name)
        {
            self.lines.push((last.ident.to_string(), last.ident.span().start().line));
        }
    }
}

#[test]
fn impurity_is_found_under_any_name() {
    for (path, text, findings) in [
        ("src/decide/x.rs", "use std::time::Duration;", 1),
        ("src/decide/x.rs", "fn f() { let t = jiff::Timestamp::now(); }", 1),
        ("src/decide/x.rs", "use jiff::Timestamp as T; fn f() { T::now() }", 1),
        ("src/decide/x.rs", "fn f() { let m: std::collections::HashSet<u8> = d(); }", 1),
        ("src/decide/x.rs", "async fn f() {}", 1),
        ("src/decide/x.rs", "fn f() { println!(\"\"); }", 1),
        (
            "src/decide/x.rs",
            "use jiff::Timestamp; use std::collections::BTreeMap; fn f(now: Timestamp) {}",
            0,
        ),
        ("src/engine/x.rs", "async fn f() { tokio::time::sleep(d).await }", 1),
        ("src/engine/x.rs", "use tokio::sync::Notify; async fn f() { clock.now() }", 0),
        ("src/cloud/x.rs", "use std::time::Duration; fn f() { eprintln!() }", 1),
        ("src/cli/x.rs", "fn f() { println!() }", 0),
    ] {
        let found = check(&File::new(path, text));
        assert_eq!(found.len(), findings, "{path}: {text}: {found:?}");
    }
}

#[test]
fn leftovers_are_found() {
    for text in [
        "fn f() { todo!() }",
        "fn f() { dbg!(1); }",
        "#[test] #[ignore] fn f() {}",
        "p! { #[ignore = \"slow\"] fn f() {} }",
    ] {
        assert_eq!(check_leftovers(&File::new("src/x.rs", text)).len(), 1, "{text}");
    }
    assert!(check_leftovers(&File::new("src/x.rs", "fn ignore() { let todo = 1; }")).is_empty());
}
