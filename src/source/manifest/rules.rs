//! The CEL rules of a kind, as a Kubernetes API server evaluates them: with the schema's defaults in place.

use super::schema::Document;
use super::tree::Node;
use super::walk::Report;
use kube_cel::{ErrorKind, ValidationError, ValidationErrors};
use serde_json::Value as Json;

/// What the rules say of `new`; with `old`, also the rules about changes.
pub(super) fn violations(document: &Document, new: &Json, old: Option<&Json>) -> Vec<ValidationError> {
    let result = kube_cel::validate_compiled(&document.rules, new, old);
    result.err().map(ValidationErrors::into_vec).unwrap_or_default()
}

/// Adds what the rules say of a document. `first`: the first of the report's problems that speaks of this document.
///
/// A rule is left out where the walk found something wrong with its field or with one directly under it: it would only
/// say in other words what is said already, or fail on what is not there.
pub(super) fn check(report: &mut Report<'_>, first: usize, node: &Node, document: &Document, json: &Json) {
    let wrong: Vec<String> = report.problems.iter().skip(first).map(|problem| problem.path.clone()).collect();
    for violation in violations(document, json, None) {
        let path = &violation.field_path;
        let said = wrong.iter().any(|wrong| is_at_or_just_under(wrong, path));
        let failed = violation.kind == ErrorKind::ValidationFailure;
        if (failed && !said) || wrong.is_empty() {
            report.add(node.nearest(path).mark, path, message(&violation));
        }
    }
}

/// What a broken rule says. A rule that could not be evaluated refuses too: nothing passes unexamined.
pub(super) fn message(violation: &ValidationError) -> String {
    match violation.kind {
        ErrorKind::ValidationFailure => violation.message.clone(),
        _ => format!("the rule `{}` could not be evaluated", violation.rule),
    }
}

fn is_at_or_just_under(path: &str, parent: &str) -> bool {
    let Some(rest) = path.strip_prefix(parent) else { return false };
    match rest.strip_prefix(['.', '[']) {
        Some(step) => !step.contains(['.', '[']),
        None => rest.is_empty(),
    }
}
