//! The CEL rules of a kind, evaluated as by a Kubernetes API server: with the defaults of the schema.

use super::schema::Document;
use super::tree::Node;
use super::walk::Report;
use kube_cel::{ErrorKind, ValidationError, ValidationErrors};
use serde_json::Value as Json;

/// Violations of the rules by `new`; with `old`, also of the rules about changes.
pub(super) fn violations(document: &Document, new: &Json, old: Option<&Json>) -> Vec<ValidationError> {
    let result = kube_cel::validate_compiled(&document.rules, new, old);
    result.err().map(ValidationErrors::into_vec).unwrap_or_default()
}

/// Adds the violations of a document. `first`: the first of the report's problems that belongs to this document.
///
/// A rule is skipped if a problem was found in its field or directly below it: it would repeat that problem in other words, or
/// fail on a missing value.
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

/// The message of a violated rule. A rule that could not be evaluated is a violation too: nothing passes unchecked.
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
