//! Natural order of versions: `V9` is earlier than `V10`, and `2.0-rc1` is earlier than `2.0`.
//!
//! A version is read as a row of numbers and words; everything else only separates them, and case makes no difference. Rows are
//! compared part by part: a pre-release word (`dev`, `alpha`, `beta`, `pre`, `rc`) is earlier than the end of the row, which is
//! earlier than any other word (`2.0` before `2.0-hotfix`), which is earlier than a number (`2.0` before `2.0.1`). Versions that
//! read the same, such as `1.0` and `1-00`, are equal: nothing is guessed from how they are written.

use std::cmp::Ordering;

/// Words that stand for a time before the release, earliest first.
const PRE_RELEASE: [&[&str]; 5] =
    [&["dev", "snapshot", "nightly"], &["alpha"], &["beta"], &["pre", "preview"], &["rc"]];

/// A part of a version. Derived order: variants first, then what they hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    PreRelease(usize),
    End,
    Word(String),
    /// Digits without leading zeros, of any length: how many, then which.
    Number(usize, String),
}

/// Compares two versions. A total order, in which versions that read the same are equal.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    parts(a).cmp(&parts(b))
}

fn parts(version: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let class = class_of(first);
        let end = rest.find(|c| class_of(c) != class).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after;
        match class {
            Class::Digit => parts.push(number(text)),
            Class::Letter => parts.push(word(text, parts.is_empty())),
            Class::Separator => {}
        }
    }
    parts.push(Part::End);
    parts
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Digit,
    Letter,
    Separator,
}

fn class_of(c: char) -> Class {
    match c {
        '0'..='9' => Class::Digit,
        c if c.is_alphanumeric() => Class::Letter,
        _ => Class::Separator,
    }
}

fn number(digits: &str) -> Part {
    let digits = digits.trim_start_matches('0');
    Part::Number(digits.len(), digits.to_owned())
}

/// The word that a version begins with names the product or the letter `V`, and says nothing of a pre-release.
fn word(text: &str, is_first: bool) -> Part {
    let text = text.to_lowercase();
    let pre_release = PRE_RELEASE.iter().position(|words| words.contains(&text.as_str()));
    pre_release.filter(|_| !is_first).map_or(Part::Word(text), Part::PreRelease)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_ordered_as_people_number_releases() {
        let ordered = [
            "1.0.0-dev",
            "1.0.0-alpha",
            "1.0.0-beta2",
            "1.0.0-beta10",
            "1.0.0-rc1",
            "1.0.0",
            "1.0.0a",
            "1.0.0-hotfix",
            "1.0.0.1",
            "1.0.2",
            "1.0.10",
            "1.2",
            "1.10",
            "2",
            "10",
            "18446744073709551616",
            "18446744073709551617",
        ];
        for (n, a) in ordered.iter().enumerate() {
            for (m, b) in ordered.iter().enumerate() {
                assert_eq!(compare(a, b), n.cmp(&m), "{a} and {b}");
            }
        }
        assert_eq!(compare("V9", "V10"), Ordering::Less);
        assert_eq!(compare("beta2", "beta10"), Ordering::Less);
    }

    #[test]
    fn versions_that_read_the_same_are_equal() {
        for (a, b) in
            [("V2", "v2"), ("1.0", "1-00"), ("1.0-rc1", "1.0RC1"), ("2.0alpha1", "2.0-alpha.1"), ("", "--")]
        {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} and {b}");
        }
    }

    fn version() -> impl Strategy<Value = String> {
        prop_oneof![".{0,8}", "[vV]?[0-9]{1,2}([.-][0-9]{1,2}){0,3}(-?(rc|beta|alpha|x)[0-9]?)?"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_order_is_total(a in version(), b in version(), c in version()) {
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b) != Ordering::Greater && compare(&b, &c) != Ordering::Greater {
                prop_assert_ne!(compare(&a, &c), Ordering::Greater);
            }
            if compare(&a, &b) == Ordering::Equal {
                prop_assert_eq!(compare(&a, &c), compare(&b, &c));
            }
        }

        #[test]
        fn a_larger_number_in_the_same_place_is_later(head in "[a-z]{0,3}([0-9]{1,3}\\.){0,2}", n in 0_u32..2_000, m in 0_u32..2_000) {
            prop_assert_eq!(compare(&format!("{head}{n}"), &format!("{head}{m}")), n.cmp(&m));
        }
    }
}
