//! Manifests: any files are read, held against schema and CEL rules, and linked; what is accepted is read back the same.

use rollwave::api::SOURCE_FILE_ANNOTATION;
use rollwave::source::manifest::{Manifests, check_update, gather, parse};
use rollwave::source::{Problem, Sourced};
use std::path::{Path, PathBuf};

/// Stands between two files.
const NEXT_FILE: &str = "\n-----8<-----\n";

pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut manifests = Manifests::default();
    for (number, file) in text.split(NEXT_FILE).enumerate() {
        manifests.add(&PathBuf::from(format!("{number}.yaml")), file);
    }
    manifests.problems.iter().for_each(|problem| check_problem(problem, &text));
    manifests.objects.iter().for_each(check_object);
    let objects: Vec<_> = manifests.objects.iter().map(|sourced| sourced.object.key()).collect();
    let snapshot = gather(manifests);
    assert!(snapshot.problems.is_sorted());
    let lost = objects.iter().any(|key| !snapshot.objects.contains_key(key));
    assert!(!lost || !snapshot.problems.is_empty(), "an object is gone, and nothing is said");
}

/// To YAML, a carriage return alone ends a line, too.
fn check_problem(problem: &Problem, text: &str) {
    let lines = text.matches(['\n', '\r']).count() + 2;
    assert!((1..=lines).contains(&problem.place.line) && problem.place.column >= 1, "{problem}");
    assert!(!problem.message.contains("bug in Rollwave"), "{problem}");
}

fn check_object(sourced: &Sourced) {
    assert_eq!(check_update(&sourced.object, sourced), [], "an object may follow on itself");
    let mut written = sourced.object.clone();
    written.meta_mut().annotations.get_or_insert_default().remove(SOURCE_FILE_ANNOTATION);
    let json = serde_json::to_string(&written).unwrap();
    let (again, problems) = parse(Path::new(&sourced.place.file), &json);
    assert_eq!(problems, [], "{json}");
    assert_eq!(again.len(), 1, "{json}");
    assert_eq!(again[0].object, sourced.object, "{json}");
}
