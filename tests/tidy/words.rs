//! Words that would tie the project to one machine or one workplace.

use crate::files::File;

/// Split in two, so that this file passes its own rule.
const FORBIDDEN: &[(&str, &str)] =
    &[("/wor", "k/"), ("/ro", "ot/"), ("/ho", "me/"), ("/Us", "ers/"), ("far", "m-"), ("C:", "\\")];

/// Lines that name this machine.
pub fn check(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for (head, tail) in FORBIDDEN {
            if has_word(line, &format!("{head}{tail}")) {
                findings.push(format!("{}:{}: names a machine: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    findings
}

/// True when `word` stands in the line and does not continue a longer word (`network/`).
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.' || c == '~'))
}

#[test]
fn machine_paths_are_found_and_words_that_contain_them_are_not() {
    let path = ["/ho", "me/ann/x"].concat();
    assert_eq!(check(&File::new("x", &format!("see {path}"))).len(), 1);
    assert_eq!(check(&File::new("x", "a net/work and a/home page, $HOME/.cargo")).len(), 0);
}
