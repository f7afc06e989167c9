//! Every durable write of the engine and every call to a cloud has a named point at which a test may make the process die,
//! and every name stands in the code.

use crate::files::{self, File, rust_files};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};

/// Methods of a `Store` that write, and the functions that stand before them.
const WRITES: [(&str, &str); 2] = [("save_status", "save"), ("forget", "forget")];

/// What the source of the engine says of its points.
#[derive(Default)]
struct Said {
    /// Names that a write is given.
    writes: BTreeSet<String>,
    /// Operations that are made.
    calls: BTreeSet<String>,
    /// Writes and calls that pass no point.
    bare: Vec<String>,
    /// Points that the functions pass which stand before writes and calls.
    passes: BTreeMap<String, u32>,
    file: String,
    function: String,
}

impl Said {
    fn bare(&mut self, what: &str) {
        self.bare.push(format!("{}: {what} in {} passes no point", self.file, self.function));
    }
}

impl<'a> Visit<'a> for Said {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if !item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function = item.sig.ident.to_string();
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        let (method, receiver) = (call.method.to_string(), last_name(&call.receiver));
        let is_guard = self.file.ends_with("/writes.rs");
        if let Some((write, guard)) = WRITES.iter().find(|(write, _)| *write == method)
            && receiver == "store"
            && !(is_guard && self.function == *guard)
        {
            self.bare(&format!("store.{write}"));
        }
        if method == "pass" {
            *self.passes.entry(self.function.clone()).or_default() += 1;
        }
        if method == "perform" && self.function != "attempt" {
            self.bare("perform");
        }
        if ["self", "worker"].contains(&receiver.as_str()) && WRITES.iter().any(|(_, guard)| *guard == method)
        {
            self.writes.extend(call.args.first().map(texts).unwrap_or_default());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let [.., noun, operation] = names.as_slice()
            && noun == "Call"
            && operation.starts_with(char::is_uppercase)
        {
            self.calls.insert(operation.clone());
        }
        visit::visit_path(self, path);
    }
}

fn last_name(receiver: &syn::Expr) -> String {
    match receiver {
        syn::Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        syn::Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => Some(name.to_string()),
            syn::Member::Unnamed(_) => None,
        },
        syn::Expr::MethodCall(call) => Some(call.method.to_string()),
        _ => None,
    }
    .unwrap_or_default()
}

/// The texts in an expression: `"A"`, or both of `creation.at("A", "B")`.
fn texts(expression: &syn::Expr) -> Vec<String> {
    struct Texts(Vec<String>);
    impl<'a> Visit<'a> for Texts {
        fn visit_lit_str(&mut self, text: &'a syn::LitStr) {
            self.0.push(text.value());
        }
    }
    let mut found = Texts(Vec::new());
    found.visit_expr(expression);
    found.0
}

/// The texts of a constant list.
fn list(file: &File, name: &str) -> BTreeSet<String> {
    let parsed = syn::parse_file(&file.text).unwrap();
    let item = parsed.items.iter().find_map(|item| match item {
        syn::Item::Const(item) if item.ident == name => Some(texts(&item.expr)),
        _ => None,
    });
    item.unwrap_or_else(|| panic!("{} has no {name}", file.path)).into_iter().collect()
}

/// Writes and calls without a point, points without a write or call.
pub fn check(engine: &[File], points: &File, elsewhere: &BTreeSet<String>) -> Vec<String> {
    let mut said = Said::default();
    for file in engine {
        said.file.clone_from(&file.path);
        said.visit_file(&syn::parse_file(&file.text).unwrap());
    }
    said.writes.extend(elsewhere.iter().cloned());
    let mut findings = said.bare;
    let guards = WRITES.iter().map(|(_, guard)| *guard).chain(["attempt"]);
    for (guard, passed) in guards.map(|guard| (guard, said.passes.get(guard).copied().unwrap_or(0))) {
        if passed != 2 {
            findings.push(format!("{guard} passes {passed} points, and not one before and one after"));
        }
    }
    for (name, in_code) in [("WRITES", &said.writes), ("CALLS", &said.calls)] {
        let listed = list(points, name);
        findings.extend(in_code.difference(&listed).map(|at| format!("{at} is not in {name}")));
        findings
            .extend(listed.difference(in_code).map(|at| format!("{at} of {name} is nowhere in the code")));
    }
    findings
}

/// The engine as it is; what the driver of a folder writes itself, the manifests, is named there.
pub fn check_engine() -> Vec<String> {
    let home = files::read("src/engine/drive/folder.rs").text;
    let manifests =
        ["before", "after"].iter().all(|side| home.contains(&format!("Failpoint::{side}(\"Manifests\")")));
    let elsewhere = manifests.then(|| "Manifests".to_owned()).into_iter().collect();
    check(&rust_files(&["src/engine"]), &files::read("src/engine/failpoints.rs"), &elsewhere)
}

#[test]
fn a_write_or_a_call_without_a_point_is_found_and_a_point_without_either() {
    let points = File::new(
        "src/engine/failpoints.rs",
        "pub const WRITES: [&str; 2] = [\"A\", \"B\"]; pub const CALLS: [&str; 1] = [\"ListJobs\"];",
    );
    let writes = File::new(
        "src/engine/writes.rs",
        "impl Worker { fn save(&self) { f.pass(b); self.store.save_status(o); f.pass(a); }
                     fn forget(&self) { f.pass(b); self.store.forget(o); f.pass(a); } }",
    );
    let attempt = "impl A { fn attempt(&self) { f.pass(b); cloud.perform(c); f.pass(a); } }";
    let good = "impl Worker { fn f(&self) { self.worker.save(c.at(\"A\", \"B\"), o); account.call(&Call::ListJobs { kind }); } }";
    let good = format!("{attempt} {good}");
    for (code, finding) in [
        (good.clone(), None),
        (good.replacen("f.pass(a);", "", 1), Some("attempt passes 1 points")),
        (good.replace("worker.save(", "store.save_status("), Some("store.save_status in f passes no point")),
        (format!("{good} impl L {{ fn g(&self) {{ self.store.forget(k); }} }}"), Some("store.forget in g")),
        (format!("{good} impl L {{ fn g(&self) {{ cloud.perform(c); }} }}"), Some("perform in g")),
        (good.replace("\"B\"", "\"C\""), Some("C is not in WRITES")),
        (good.replace("\"B\"", "\"A\""), Some("B of WRITES is nowhere in the code")),
        (good.replace("ListJobs", "StopJob"), Some("StopJob is not in CALLS")),
        (format!("{good} #[cfg(test)] mod tests {{ fn t() {{ store.forget(k); }} }}"), None),
    ] {
        let files = [File::new("src/engine/x.rs", &code), File::new(&writes.path, &writes.text)];
        let findings = check(&files, &points, &BTreeSet::new());
        match finding {
            None => assert!(findings.is_empty(), "{code}: {findings:?}"),
            Some(text) => assert!(findings.iter().any(|found| found.contains(text)), "{code}: {findings:?}"),
        }
    }
}
