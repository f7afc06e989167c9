//! Functions of at most 70 lines, files of at most 600.

use crate::files::File;
use syn::{spanned::Spanned, visit::Visit};

const MAX_FUNCTION: usize = 70;
const MAX_FILE: usize = 600;

/// Something larger than the limits, and the size that it may not pass. This list only ever shrinks.
pub struct Exception {
    pub path: &'static str,
    /// Name of the function; empty for the file.
    pub function: &'static str,
    pub lines: usize,
}

pub const EXCEPTIONS: &[Exception] = &[];

/// What is too large, and exceptions that are no longer needed in that size.
pub fn check(files: &[File], exceptions: &[Exception]) -> Vec<String> {
    let large: Vec<Large> = files.iter().flat_map(large_things).collect();
    let allowed = |thing: &Large| exceptions.iter().any(|e| thing.is(e) && thing.lines <= e.lines);
    let mut findings: Vec<String> =
        large.iter().filter(|thing| !allowed(thing)).map(Large::finding).collect();
    for exception in exceptions {
        let still = large.iter().find(|thing| thing.is(exception)).map_or(0, |thing| thing.lines);
        if still < exception.lines {
            findings.push(format!(
                "{} {}: has {still} lines, lower its exception",
                exception.path, exception.function
            ));
        }
    }
    findings
}

struct Large {
    path: String,
    function: String,
    lines: usize,
    most: usize,
}

impl Large {
    fn is(&self, exception: &Exception) -> bool {
        self.path == exception.path && self.function == exception.function
    }

    fn finding(&self) -> String {
        format!("{} {}: {} lines, {} allowed", self.path, self.function, self.lines, self.most)
    }
}

fn large_things(file: &File) -> Vec<Large> {
    let parsed = syn::parse_file(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path));
    let mut functions = Functions(Vec::new());
    functions.visit_file(&parsed);
    let whole = (String::new(), file.text.lines().count(), MAX_FILE);
    functions
        .0
        .into_iter()
        .map(|(name, lines)| (name, lines, MAX_FUNCTION))
        .chain([whole])
        .filter(|(_, lines, most)| lines > most)
        .map(|(function, lines, most)| Large { path: file.path.clone(), function, lines, most })
        .collect()
}

struct Functions(Vec<(String, usize)>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, whole: proc_macro2::Span) {
        let lines = whole.end().line + 1 - signature.span().start().line;
        self.0.push((signature.ident.to_string(), lines));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, item.span());
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, item.span());
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.add(&item.sig, item.span());
        syn::visit::visit_trait_item_fn(self, item);
    }
}

#[test]
fn large_functions_files_and_stale_exceptions_are_found() {
    let body = "    let _ = 1;\n".repeat(69);
    let fits = format!("/// Docs\n/// do not count.\nfn f() {{\n{}}}\n", &body[15..]);
    let large = format!("impl X {{ fn f() {{\n{body}}} }}\n");
    let check =
        |text: &str, exceptions: &[Exception]| check(&[File::new("src/x.rs", text)], exceptions).len();
    assert_eq!(check(&fits, &[]), 0);
    assert_eq!(check(&large, &[]), 1);
    assert_eq!(check(&"// line\n".repeat(601), &[]), 1);
    let exception = |lines| [Exception { path: "src/x.rs", function: "f", lines }];
    assert_eq!(check(&large, &exception(71)), 0);
    assert_eq!(check(&large, &exception(80)), 1, "the ratchet only goes down");
    assert_eq!(check(&fits, &exception(71)), 1, "an exception that nothing needs");
}
