//! Every path that a Rust file names, with imports resolved: `use std::time; time::Instant::now()` names
//! `std::time::Instant::now`. Works on tokens, so that paths inside macros are seen too.

use crate::files::File;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::BTreeMap;

/// A path and the line where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
}

impl Named {
    /// True when these segments stand next to each other somewhere in the path.
    pub fn contains(&self, segments: &[&str]) -> bool {
        self.path.windows(segments.len()).any(|window| window == segments)
    }

    pub fn text(&self) -> String {
        self.path.join("::")
    }
}

/// The paths of a file outside `#[cfg(test)]` modules; `crate`, `self` and `super` are resolved to `crate::…`.
pub struct Paths {
    /// Every path.
    pub named: Vec<Named>,
    /// Every import: the name in this file, and the path.
    pub imports: Vec<(String, Vec<String>)>,
}

pub fn named(file: &File) -> Vec<Named> {
    all(file).named
}

pub fn all(file: &File) -> Paths {
    let tokens: TokenStream = file.text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.path));
    let mut walk = Walk { module: module_of(&file.path), ..Walk::default() };
    walk.stream(tokens);
    let Walk { found, imports, .. } = walk;
    let by_name: BTreeMap<_, _> = imports.iter().cloned().collect();
    let named =
        found.into_iter().map(|named| Named { path: expand(named.path, &by_name), ..named }).collect();
    Paths { named, imports }
}

/// The files without those that are compiled for tests alone: `#[cfg(test)] mod name;`.
pub fn shipped(files: Vec<File>) -> Vec<File> {
    let mut tests = Vec::new();
    for file in &files {
        let parsed = syn::parse_file(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path));
        let names = parsed.items.iter().filter_map(test_module);
        tests.extend(names.map(|name| module_of(&file.path).into_iter().chain([name]).collect::<Vec<_>>()));
    }
    let is_for_tests = |file: &File| tests.iter().any(|test| module_of(&file.path).starts_with(test));
    files.into_iter().filter(|file| !is_for_tests(file)).collect()
}

fn test_module(item: &syn::Item) -> Option<String> {
    let syn::Item::Mod(item) = item else { return None };
    let is_test = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    };
    item.attrs.iter().any(is_test).then(|| item.ident.to_string())
}

fn expand(path: Vec<String>, imports: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    match imports.get(&path[0]) {
        Some(import) if path[0] != import[0] => import.iter().chain(&path[1..]).cloned().collect(),
        _ => path,
    }
}

/// `src/decide/gate.rs` is module `decide::gate`; `src/decide/mod.rs` is `decide`.
pub fn module_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

#[derive(Default)]
struct Walk {
    module: Vec<String>,
    found: Vec<Named>,
    imports: Vec<(String, Vec<String>)>,
}

impl Walk {
    fn stream(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut at, mut test_only, mut import) = (0, false, false);
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => {
                    test_only |= group.delimiter() == Delimiter::Bracket && is_cfg_test(group);
                    self.stream(group.stream());
                }
                TokenTree::Ident(ident) if ident == "mod" => {
                    at += self.module(&tokens[at..], test_only);
                    test_only = false;
                }
                TokenTree::Ident(ident) if ident == "use" => import = true,
                TokenTree::Ident(_) => at += self.path(&tokens[at..], Vec::new(), import) - 1,
                TokenTree::Punct(punct) if punct.as_char() == ';' => (import, test_only) = (false, false),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }

    /// `mod name { … }`; returns how many tokens to skip. What stands in a test module is free.
    fn module(&mut self, tokens: &[TokenTree], test_only: bool) -> usize {
        let [_, TokenTree::Ident(name), TokenTree::Group(body), ..] = tokens else { return 0 };
        if !test_only {
            self.module.push(name.to_string());
            self.stream(body.stream());
            self.module.pop();
        }
        2
    }

    /// One path, or a tree of them in a `use`; returns how many tokens it took.
    fn path(&mut self, tokens: &[TokenTree], mut path: Vec<String>, import: bool) -> usize {
        let mut at = 0;
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(ident)) => path.push(ident.to_string().replace("r#", "")),
                Some(TokenTree::Punct(star)) if import && star.as_char() == '*' => path.push("*".into()),
                Some(TokenTree::Group(tree)) if import && tree.delimiter() == Delimiter::Brace => {
                    self.branches(tree, &path);
                    return at + 1;
                }
                _ => break,
            }
            at += 1;
            if !starts_with_colons(&tokens[at..]) {
                break;
            }
            at += 2;
        }
        let line = tokens[0].span().start().line;
        let alias = match &tokens[at.min(tokens.len())..] {
            [TokenTree::Ident(word), TokenTree::Ident(alias), ..] if import && word == "as" => {
                at += 2;
                Some(alias.to_string())
            }
            _ => None,
        };
        self.record(path, alias, line, import);
        at.max(1)
    }

    fn branches(&mut self, tree: &Group, stem: &[String]) {
        let tokens: Vec<TokenTree> = tree.stream().into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Punct(punct) if punct.as_char() == ',' => at += 1,
                _ => at += self.path(&tokens[at..], stem.to_vec(), true),
            }
        }
    }

    fn record(&mut self, mut path: Vec<String>, alias: Option<String>, line: usize, import: bool) {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let path = self.absolute(path);
        if path.is_empty() {
            return;
        }
        if import && let Some(name) = alias.or_else(|| path.last().cloned()) {
            self.imports.push((name, path.clone()));
        }
        self.found.push(Named { path, line });
    }

    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let mut module = self.module.clone();
        let mut rest = path.as_slice();
        match path.first().map(String::as_str) {
            Some("self") if path.len() > 1 => rest = &path[1..],
            Some("super") => {
                while let Some(("super", tail)) = rest.split_first().map(|(head, tail)| (head.as_str(), tail))
                {
                    module.pop();
                    rest = tail;
                }
            }
            _ => return path,
        }
        ["crate".to_owned()].into_iter().chain(module).chain(rest.iter().cloned()).collect()
    }
}

fn starts_with_colons(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(a), TokenTree::Punct(b), ..] if a.as_char() == ':' && b.as_char() == ':')
}

fn is_cfg_test(attribute: &Group) -> bool {
    attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

#[test]
fn imports_trees_macros_and_renamings_are_resolved() {
    let text = "use std::{time::{self, Instant}, collections::HashMap as Map};\nuse super::stage::*;\n\
        fn f() { time::sleep(); x!(crate::cli::run()); Map::new(); super::super::api::get(); self::g() }\n\
        #[cfg(test)] mod tests { use tokio::time; }";
    let file = File::new("src/decide/cohort.rs", text);
    let all: Vec<String> = named(&file).iter().map(Named::text).collect();
    for path in [
        "std::time",
        "std::time::Instant",
        "std::collections::HashMap",
        "crate::decide::stage::*",
        "std::time::sleep",
        "crate::cli::run",
        "std::collections::HashMap::new",
        "crate::api::get",
        "crate::decide::cohort::g",
    ] {
        assert!(all.iter().any(|found| found == path), "{path} is not among {all:?}");
    }
    assert!(!all.iter().any(|path| path.starts_with("tokio")), "test modules are free");
}

#[test]
fn a_module_for_tests_alone_is_not_shipped() {
    let parent = "mod a; #[cfg(unix)] mod b; #[cfg(test)] mod c;";
    let files = [("mod", parent), ("a", ""), ("b", ""), ("c", "mod inner;"), ("c/inner", "")];
    let files = files.map(|(name, text)| File::new(&format!("src/x/{name}.rs"), text));
    let paths: Vec<String> = shipped(files.into()).into_iter().map(|file| file.path).collect();
    assert_eq!(paths, ["src/x/mod.rs", "src/x/a.rs", "src/x/b.rs"]);
}
