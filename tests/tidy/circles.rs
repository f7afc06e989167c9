//! No two files of a folder import each other, directly or by way of others: a reader who begins at the bottom of a folder
//! meets nothing that is explained further up. A subfolder counts as one file; so does `mod.rs`, with what it defines.
//! A name that a module only passes on counts as an import of the file that defines it.

use crate::{
    files::File,
    paths::{self, Named},
};
use std::collections::{BTreeMap, BTreeSet};

/// Folders with circles, and how many of their files are in one. This list only ever shrinks.
pub const KNOWN: &[(&str, usize)] = &[
    ("src/cloud", 4),
    ("src/cloud/aliyun_iot", 4),
    ("src/cloud/aliyun_iot/sign", 2),
    ("src/cloud/enos", 2),
    ("src/cloud/huawei_iotda/wire", 4),
    ("src/cloud/ocean_connect", 2),
    ("src/cloud/transport", 3),
    ("src/decide/explain", 4),
    ("src/decide/ownership", 2),
    ("src/decide/package", 4),
    ("src/decide/preview", 4),
    ("src/decide/rollout", 14),
    ("src/decide/stage", 2),
    ("src/simulator", 13),
    ("src/simulator/aliyun_iot", 9),
    ("src/simulator/enos", 10),
    ("src/simulator/iotda", 11),
    ("src/simulator/ocean_connect", 9),
];

/// Names are followed through so many files.
const LONGEST_CHAIN: usize = 8;

type Path = Vec<String>;

/// A module that is a file.
struct Module {
    file: String,
    /// Names that it defines itself.
    items: BTreeSet<String>,
    /// Names that it passes on; `*` for those of a module.
    passed_on: BTreeSet<String>,
    /// Names that it imports, with their origin; `*` for everything of a module.
    imports: Vec<(String, Path)>,
    named: Vec<Named>,
}

/// Every module of the library that is not for tests, by its path without `crate`.
struct Tree(BTreeMap<Path, Module>);

impl Tree {
    fn of(files: &[File]) -> Self {
        let mut modules = BTreeMap::new();
        for file in files.iter().filter(|file| file.path != "src/main.rs") {
            let path = paths::module_of(&file.path);
            let items =
                syn::parse_file(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path)).items;
            let paths::Paths { named, imports } = paths::all(file);
            let passed_on = items.iter().flat_map(passed_on).collect();
            let derived = items.iter().filter_map(kind_of).collect::<Vec<_>>();
            let items = items.iter().filter_map(name_of).chain(derived).collect();
            modules.insert(path, Module { file: file.path.clone(), items, passed_on, imports, named });
        }
        Self(modules)
    }

    /// The file that defines what this path of a file names; none when it is not of the library.
    fn target(&self, from: &Path, path: &[String]) -> Option<Path> {
        let absolute = self.absolute(from, path)?;
        // `pub(super)` names an ancestor, and nothing in it.
        let is_scope = from.starts_with(&absolute);
        if is_scope { None } else { self.resolve(&absolute, 0) }
    }

    /// A path from the root of the library.
    fn absolute(&self, from: &Path, path: &[String]) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        if first == "crate" {
            return Some(rest.to_vec());
        }
        let child = joined(from, std::slice::from_ref(first));
        (!rest.is_empty() && self.0.contains_key(&child)).then(|| joined(from, path))
    }

    fn resolve(&self, path: &[String], depth: usize) -> Option<Path> {
        let inside = (0..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length]))?;
        let (at, rest) = (path[..inside].to_vec(), &path[inside..]);
        let Some((name, rest)) = rest.split_first().filter(|_| depth < LONGEST_CHAIN) else {
            return Some(at);
        };
        let module = &self.0[&at];
        if module.items.contains(name) {
            return Some(at);
        }
        if let Some((_, origin)) = module.imports.iter().find(|(imported, _)| imported == name) {
            return self.resolve(&joined(&self.absolute(&at, origin)?, rest), depth + 1);
        }
        let from_glob = self.globs(&at).find(|target| self.gives(target, name, depth));
        match from_glob {
            Some(target) => {
                self.resolve(&joined(&joined(&target, std::slice::from_ref(name)), rest), depth + 1)
            }
            None => Some(at),
        }
    }

    /// The modules of which a module imports everything.
    fn globs(&self, at: &Path) -> impl Iterator<Item = Path> {
        let imports = self.0[at].imports.iter().filter(|(imported, _)| imported == "*");
        imports.filter_map(|(_, origin)| {
            let mut target = self.absolute(at, origin)?;
            target.pop();
            self.0.contains_key(&target).then_some(target)
        })
    }

    /// True when a module defines a name or passes it on.
    fn gives(&self, at: &Path, name: &str, depth: usize) -> bool {
        let module = &self.0[at];
        let passes_on_all = depth < LONGEST_CHAIN && module.passed_on.contains("*");
        module.items.contains(name)
            || module.passed_on.contains(name)
            || passes_on_all && self.globs(at).any(|target| self.gives(&target, name, depth + 1))
    }

    /// Imports from file to file, each with the place of the first one.
    fn arrows(&self) -> BTreeMap<(&Path, Path), String> {
        let mut arrows = BTreeMap::new();
        for (from, module) in &self.0 {
            for named in &module.named {
                if let Some(to) = self.target(from, &named.path).filter(|to| to != from) {
                    let place = || format!("{}:{} names {}", module.file, named.line, named.text());
                    arrows.entry((from, to)).or_insert_with(place);
                }
            }
        }
        arrows
    }
}

fn joined(path: &[String], more: &[String]) -> Path {
    path.iter().chain(more).cloned().collect()
}

/// The names of a `pub use`.
fn passed_on(item: &syn::Item) -> Vec<String> {
    fn names(tree: &syn::UseTree) -> Vec<String> {
        match tree {
            syn::UseTree::Path(path) => names(&path.tree),
            syn::UseTree::Name(name) => vec![name.ident.to_string()],
            syn::UseTree::Rename(renamed) => vec![renamed.rename.to_string()],
            syn::UseTree::Glob(_) => vec!["*".to_owned()],
            syn::UseTree::Group(group) => group.items.iter().flat_map(names).collect(),
        }
    }
    match item {
        syn::Item::Use(item) if !matches!(item.vis, syn::Visibility::Inherited) => names(&item.tree),
        _ => Vec::new(),
    }
}

fn name_of(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        syn::Item::Mod(syn::ItemMod { ident, content: Some(_), .. }) => ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The kind that `kube` derives from a spec.
fn kind_of(item: &syn::Item) -> Option<String> {
    let syn::Item::Struct(item) = item else { return None };
    let kube = item.attrs.iter().find(|attribute| attribute.path().is_ident("kube"))?;
    let mut kind = None;
    // What else stands in the attribute need not be understood.
    let _ = kube.parse_nested_meta(|meta| {
        let value = meta.value().and_then(syn::parse::ParseBuffer::parse::<syn::LitStr>);
        if meta.path.is_ident("kind") {
            kind = value.ok().map(|text| text.value());
        }
        Ok(())
    });
    kind
}

/// What a file of a folder imports of the same folder: by name, with the place of the import.
type Imports = BTreeMap<String, BTreeMap<String, String>>;

/// The imports within each folder.
fn by_folder(tree: &Tree) -> BTreeMap<String, Imports> {
    let mut folders: BTreeMap<String, Imports> = BTreeMap::new();
    for ((from, to), place) in tree.arrows() {
        let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
        let unit = |path: &Path| path.get(common).cloned().unwrap_or_else(|| "mod".to_owned());
        let folder = ["src"].into_iter().chain(from[..common].iter().map(String::as_str));
        let imports = folders.entry(folder.collect::<Vec<_>>().join("/")).or_default();
        imports.entry(unit(from)).or_default().entry(unit(&to)).or_insert(place);
    }
    folders
}

/// Everything that a file imports, directly or by way of others.
fn reach<'a>(imports: &'a Imports, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        for next in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    reached
}

/// The files of a folder that import themselves by way of others, and the imports between them.
fn circular(imports: &Imports) -> (BTreeSet<&str>, Vec<&str>) {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (file.as_str(), reach(imports, file))).collect();
    let is_back = |from: &str, to: &str| reached.get(to).is_some_and(|reached| reached.contains(from));
    let (mut files, mut places) = (BTreeSet::new(), Vec::new());
    for (from, targets) in imports {
        for (to, place) in targets.iter().filter(|(to, _)| is_back(from, to)) {
            files.extend([from.as_str(), to]);
            places.push(place.as_str());
        }
    }
    (files, places)
}

/// Circles beyond the known ones, and known ones that are gone.
pub fn check(files: &[File], known: &[(&str, usize)]) -> Vec<String> {
    let folders = by_folder(&Tree::of(files));
    let mut findings = Vec::new();
    for (folder, imports) in &folders {
        let (files, places) = circular(imports);
        let most = known.iter().find(|(name, _)| name == folder).map_or(0, |(_, most)| *most);
        if files.len() > most {
            let names: Vec<&str> = files.iter().copied().collect();
            findings.push(format!(
                "{folder}: {} files import each other in circles, {most} may: {}",
                files.len(),
                names.join(", ")
            ));
            findings.extend(places.iter().map(|place| format!("    {place}")));
        } else if files.len() < most {
            findings.push(format!(
                "{folder}: only {} files are in circles: lower the {most} of KNOWN",
                files.len()
            ));
        }
    }
    let is_unknown = |folder: &&(&str, usize)| !folders.contains_key(folder.0);
    findings.extend(
        known.iter().filter(is_unknown).map(|(folder, _)| format!("{folder} of KNOWN has no imports")),
    );
    findings
}

#[test]
fn circles_are_found_through_other_files_modules_and_names_that_are_passed_on() {
    let parent = "mod a; mod b; mod c; #[cfg(test)] mod testing; pub use a::A;";
    for (parent, a, b, c, files) in [
        (parent, "pub struct A;", "use super::A;", "use super::b::B; use super::A;", ""),
        ("mod a; mod b; pub use a::*;", "pub struct A;", "use super::A;", "", ""),
        (
            "mod a; mod b; mod c; pub use {a::*, b::*};",
            "use super::B; pub struct A;",
            "pub use super::c::*;",
            "pub struct B;",
            "",
        ),
        (
            parent,
            "use super::b::B; pub struct A;",
            "use super::c::f; pub struct B;",
            "fn f() { super::A }",
            "a b c",
        ),
        (parent, "pub struct A;", "x!(crate::x::c::f());", "use super::b; fn f() { b::g() }", "b c"),
        (
            parent,
            "pub struct A;",
            "pub(super) use super::a::*;",
            "use super::b::A; pub(in crate::x) fn f() {}",
            "",
        ),
        (
            parent,
            "pub struct A;",
            "#[cfg(test)] mod tests { use super::super::c::f; }",
            "use super::b::B;",
            "",
        ),
        (
            "mod a; mod b; pub use a::*;",
            "#[kube(group = \"g\", kind = \"K\")] struct A;",
            "use super::K;",
            "",
            "",
        ),
        ("mod a; mod b; pub struct P; fn f() { a::g() }", "use super::P;", "", "", "a mod"),
        ("mod a; mod b; pub struct P; fn f(a: A) { a.g() }", "use super::P;", "", "", ""),
    ] {
        let file = |name: &str, text: &str| File::new(&format!("src/x/{name}.rs"), text);
        let testing = "use super::a::A; use super::b::B; use super::c::f;";
        let files_of = [("mod", parent), ("a", a), ("b", b), ("c", c), ("testing", testing)];
        let shipped = paths::shipped(files_of.map(|(name, text)| file(name, text)).into());
        let tree = Tree::of(&shipped);
        let folders = by_folder(&tree);
        let found = folders.get("src/x").map(|imports| circular(imports).0).unwrap_or_default();
        assert_eq!(found.into_iter().collect::<Vec<_>>().join(" "), files, "{parent} {a} {b} {c}");
    }
}

#[test]
fn the_list_of_known_circles_only_shrinks() {
    let files = [("a", "use super::b::B;"), ("b", "use super::a::A;")];
    let files = files.map(|(name, text)| File::new(&format!("src/x/{name}.rs"), text));
    let findings = |known: &[(&str, usize)]| check(&files, known).len();
    assert_eq!(findings(&[]), 3, "the folder, and both imports");
    assert_eq!(findings(&[("src/x", 2)]), 0);
    assert_eq!((findings(&[("src/x", 3)]), findings(&[("src/x", 2), ("src/y", 2)])), (1, 1));
}
