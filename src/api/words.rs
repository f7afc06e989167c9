//! Words for messages of every part of Rollwave.

use std::fmt::Display;

/// A number with its noun: `1 device`, `60 devices`, `2 successes`.
#[must_use]
pub fn counted(count: impl Display, noun: &str) -> String {
    let text = count.to_string();
    match (text.as_str(), noun.ends_with('s')) {
        ("1", _) => format!("1 {noun}"),
        (_, true) => format!("{text} {noun}es"),
        (_, false) => format!("{text} {noun}s"),
    }
}

/// The form of a verb that goes with a number: `verb(1, "gets", "get")` is `gets`.
#[must_use]
pub fn verb<'a>(count: impl Display, singular: &'a str, plural: &'a str) -> &'a str {
    if count.to_string() == "1" { singular } else { plural }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_everything_else_plural() {
        let told = [counted(0_u32, "device"), counted(1_usize, "device"), counted(2_u64, "more success")];
        assert_eq!((verb(1_u32, "is", "are"), verb(0_u64, "is", "are")), ("is", "are"));
        assert_eq!(told, ["0 devices", "1 device", "2 more successes"]);
    }
}
