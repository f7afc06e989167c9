//! The documents of files, as objects with their places.

use super::tree::{Mark, Node};
use super::walk::Report;
use super::{rules, schema, words, yaml};
use crate::api::{API_VERSION, DEFAULT_NAMESPACE, GROUP, Kind, Object, ObjectKey, SOURCE_FILE_ANNOTATION};
use crate::source::{FieldPlace, Place, Problem, Sourced};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Maximum size of a file. The largest sensible manifest, a rollout that lists 30,000 devices three times, has 4 MiB.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The content of the files read so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifests {
    /// Objects without errors.
    pub objects: Vec<Sourced>,
    /// Objects that are defined, but have errors.
    pub broken: BTreeSet<ObjectKey>,
    /// All problems.
    pub problems: Vec<Problem>,
    /// Documents of other kinds.
    pub others: usize,
}

/// Reads the documents of one file: the objects without errors, and every problem with its position.
#[must_use]
pub fn parse(file: &Path, text: &str) -> (Vec<Sourced>, Vec<Problem>) {
    let mut manifests = Manifests::default();
    manifests.add(file, text);
    (manifests.objects, manifests.problems)
}

/// Problems of changing `old` to `new`: edits of immutable fields.
#[must_use]
pub fn check_update(old: &Object, new: &Sourced) -> Vec<Problem> {
    let document = schema::document(new.object.kind());
    // Both are objects already, so they can be serialized.
    let json = |object: &Object| serde_json::to_value(object).unwrap_or_default();
    let violations = rules::violations(document, &json(&new.object), Some(&json(old)));
    let problem = |violation: &kube_cel::ValidationError| Problem {
        place: new.place_of(&violation.field_path),
        path: violation.field_path.clone(),
        message: rules::message(violation),
    };
    let mut problems: Vec<Problem> = violations.iter().map(problem).collect();
    problems.sort();
    problems
}

impl Manifests {
    /// Reads one more file.
    pub fn add(&mut self, file: &Path, text: &str) {
        let mut report = Report { file, problems: Vec::new() };
        if text.len() > MAX_BYTES {
            report.add(START, "", too_large(text.len() as u64));
            return self.problems.append(&mut report.problems);
        }
        let (documents, unreadable) = yaml::read(text);
        let mut objects = Vec::new();
        for node in documents.iter().flat_map(|document| items(document)) {
            if is_foreign(node) {
                self.others += 1;
                continue;
            }
            let first = report.problems.len();
            objects.extend(object(&mut report, node));
            if report.problems.len() > first {
                self.broken.extend(key(node));
            }
        }
        if let Some(unreadable) = unreadable {
            report.add(unreadable.mark, "", unreadable.message);
            self.broken.extend(objects.drain(..).map(|sourced| sourced.object.key()));
        }
        report.problems.sort();
        self.objects.append(&mut objects);
        self.problems.append(&mut report.problems);
    }
}

const START: Mark = Mark { line: 1, column: 1 };

/// The message for a file that is too large.
pub(in crate::source) fn too_large(bytes: u64) -> String {
    format!("has {bytes} bytes, at most {MAX_BYTES} (8 MiB) are allowed")
}

/// The documents in a document: the items of a `List`, else itself.
fn items(document: &Node) -> Vec<&Node> {
    let is_list = document.get("kind").and_then(Node::text) == Some("List");
    match document.get("items") {
        Some(items) if is_list => items.items().iter().flat_map(self::items).collect(),
        _ => vec![document],
    }
}

/// True for an object of another API: neither its kind nor its group is ours, or nearly ours. A probable typing mistake stays a
/// problem, because an object without a manifest is deleted.
fn is_foreign(document: &Node) -> bool {
    let text = |field: &str| document.get(field).and_then(Node::text).filter(|text| !text.is_empty());
    let (Some(kind), Some(version)) = (text("kind"), text("apiVersion")) else { return false };
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let is_near = |text: &str, names: &[&str]| words::nearest(text, names.iter().copied()).is_some();
    !is_near(kind, &Kind::ALL.map(Kind::as_str)) && !is_near(group, &[GROUP])
}

/// The key of a document, if it has one.
fn key(document: &Node) -> Option<ObjectKey> {
    let kind = document.get("kind")?.text()?;
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    let metadata = document.get("metadata")?;
    let namespace = metadata.get("namespace").and_then(Node::text).unwrap_or(DEFAULT_NAMESPACE);
    Some(ObjectKey::new(kind, namespace, metadata.get("name")?.text()?))
}

/// The object of a document, or its problems.
fn object(report: &mut Report<'_>, node: &Node) -> Option<Sourced> {
    let first = report.problems.len();
    let kind = kind(report, node)?;
    let document = schema::document(kind);
    report.walk(node, &document.schema, "");
    let json = node.to_json();
    rules::check(report, first, node, document, &json);
    if report.problems.len() > first {
        return None;
    }
    match typed(kind, json) {
        Ok(object) => Some(sourced(report.file, node, object)),
        Err(error) => {
            let message =
                format!("matches the schema, but cannot be read ({error}): this is a bug in Rollwave");
            report.add(node.mark, "", message);
            None
        }
    }
}

/// The kind of a document; reports problems of `kind` and `apiVersion`.
fn kind(report: &mut Report<'_>, node: &Node) -> Option<Kind> {
    let names = || Kind::ALL.iter().map(|kind| kind.as_str());
    if node.entries().is_empty() {
        report.add(node.mark, "", format!("expected a manifest (`kind: …`), found {}", words::what(node)));
        return None;
    }
    let Some(kind) = node.get("kind") else {
        report.add(node.mark, "kind", format!("is missing: use {}", words::one_of(names())));
        return None;
    };
    if let Some(version) = node.get("apiVersion").filter(|version| version.text() != Some(API_VERSION)) {
        let message = format!("{} is not supported: use {API_VERSION}", words::what(version));
        report.add(version.mark, "apiVersion", message);
    }
    let text = kind.text().unwrap_or_default();
    let known = Kind::ALL.into_iter().find(|known| known.as_str() == text);
    if known.is_none() {
        let message = match words::nearest(text, names()) {
            Some(near) => format!("unknown kind {}: did you mean {near}?", words::quoted(text)),
            None => format!("unknown kind {}: use {}", words::quoted(text), words::one_of(names())),
        };
        report.add(kind.mark, "kind", message);
    }
    known
}

fn typed(kind: Kind, json: Json) -> serde_json::Result<Object> {
    Ok(match kind {
        Kind::OtaCloud => Object::Cloud(serde_json::from_value(json)?),
        Kind::OtaPackage => Object::Package(serde_json::from_value(json)?),
        Kind::OtaRollout => Object::Rollout(serde_json::from_value(json)?),
    })
}

fn sourced(file: &Path, node: &Node, mut object: Object) -> Sourced {
    let annotations = object.meta_mut().annotations.get_or_insert_with(BTreeMap::new);
    annotations.insert(SOURCE_FILE_ANNOTATION.to_owned(), file.display().to_string());
    let spec = node.get("spec").map(Node::entries).unwrap_or_default();
    let fields = spec.iter().map(|entry| FieldPlace {
        name: entry.key.as_str().into(),
        line: entry.node.mark.line,
        column: entry.node.mark.column,
    });
    let place = Place { file: file.to_owned(), line: node.mark.line, column: node.mark.column };
    Sourced { object, place, fields: fields.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_others_are_passed_over_and_slips_of_the_pen_are_not() {
        for (version, kind, problems) in [
            ("v1", "Secret", 0),
            ("kustomize.config.k8s.io/v1beta1", "Kustomization", 0),
            ("external-secrets.io/v1", "ExternalSecret", 0),
            ("ota.rollwave.dev/v1alpha1", "Secret", 1),
            ("ota.rollwave.dev/v1", "OtaRollouts", 2),
            ("ota.rolwave.dev/v1alpha1", "Widget", 2),
            ("apps/v1", "OtaRollout", 2),
            ("v1", "OtaRolout", 2),
        ] {
            let mut manifests = Manifests::default();
            manifests.add(
                Path::new("a.yaml"),
                &format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n"),
            );
            let said: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
            assert_eq!(said.len(), problems, "{version} {kind}: {said:#?}");
            assert_eq!(manifests.others, usize::from(problems == 0), "{version} {kind}");
        }
    }
}
