//! Laws of reading manifests: whatever is given, the answer is objects and problems, never a panic.

use proptest::prelude::*;
use rollwave::source::manifest::{Manifests, check_update, gather, parse};
use rollwave::source::{Problem, Sourced};
use std::path::Path;

const EXAMPLES: [&str; 3] = [
    include_str!("../../examples/fleet/1-cloud.yaml"),
    include_str!("../../examples/fleet/2-v2.0.yaml"),
    include_str!("../../examples/fleet/3-v3.0.yaml"),
];

/// Texts that mean something to YAML or to a schema.
const SNIPPETS: [&str; 24] = [
    "\n", "  ", "\t", "- ", ": ", "{", "}", "[", "]", "\"", "'", "&a ", "*a", "<<: *a", "---\n", "~",
    "!!str ", "|\n", "95%", "24h", "-1", "1e400", "\u{feff}", "規則",
];

/// One change of a text: at a place (a share of its length), so many characters are replaced by a snippet.
#[derive(Clone, Debug)]
struct Change {
    at: f64,
    removed: usize,
    put: &'static str,
}

fn change() -> impl Strategy<Value = Change> {
    let put = proptest::sample::select(SNIPPETS.to_vec());
    (0.0..1.0_f64, 0..12_usize, put).prop_map(|(at, removed, put)| Change { at, removed, put })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn changed(text: &str, changes: &[Change]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for change in changes {
        let from = (change.at * text.len() as f64) as usize;
        let to = (from + change.removed).min(text.len());
        text.splice(from..to, change.put.chars());
    }
    text.into_iter().collect()
}

/// What must hold of every reading.
fn check(text: &str) -> Result<(), TestCaseError> {
    let (objects, problems) = parse(Path::new("x.yaml"), text);
    prop_assert!(problems.is_sorted());
    // To YAML, a carriage return alone ends a line, too.
    let lines = text.matches(['\n', '\r']).count() + 2;
    let places = |problem: &Problem| (1..=lines).contains(&problem.place.line) && problem.place.column >= 1;
    prop_assert!(problems.iter().all(places), "{:?}", problems);
    prop_assert!(
        problems.iter().all(|problem| !problem.message.contains("bug in Rollwave")),
        "{:?}",
        problems
    );
    for sourced in &objects {
        prop_assert_eq!(check_update(&sourced.object, sourced), vec![]);
    }
    let mut manifests = Manifests::default();
    manifests.add(Path::new("x.yaml"), text);
    let snapshot = gather(manifests);
    let lost = objects.iter().any(|Sourced { object, .. }| !snapshot.objects.contains_key(&object.key()));
    prop_assert!(!lost || !snapshot.problems.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        check(&text)?;
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn a_mutilated_example_is_read_without_a_panic(
        example in proptest::sample::select(EXAMPLES.to_vec()),
        changes in proptest::collection::vec(change(), 1..6),
    ) {
        check(&changed(example, &changes))?;
    }

    #[test]
    fn an_example_that_breaks_off_yields_no_object_that_it_does_not_have(
        example in proptest::sample::select(EXAMPLES.to_vec()),
        share in 0.0..1.0_f64,
    ) {
        let cut = Change { at: share, removed: usize::MAX / 2, put: "" };
        let half = changed(example, &[cut]);
        let whole = parse(Path::new("x.yaml"), example).0;
        for sourced in parse(Path::new("x.yaml"), &half).0 {
            prop_assert!(whole.iter().any(|known| known.object.key() == sourced.object.key()));
        }
    }
}
