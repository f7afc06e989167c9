//! Filter expressions of searches, built so that a value cannot inject other terms.
//!
//! The document ("Search expression") puts quotes around a string and has no escape: a value with a quote, a backslash or a
//! control character is refused.

/// Terms joined by `and`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expression(Vec<String>);

impl Expression {
    /// Matches everything.
    #[must_use]
    pub const fn all() -> Self {
        Self(Vec::new())
    }

    /// The field has this value. `None`: the value cannot be expressed.
    #[must_use]
    pub fn equal(mut self, field: &str, value: &str) -> Option<Self> {
        self.0.push(format!("{field} = {}", quoted(value)?));
        Some(self)
    }

    /// The field has one of these values. `None`: a value cannot be expressed, or there is none.
    #[must_use]
    pub fn one_of(mut self, field: &str, values: &[&str]) -> Option<Self> {
        let values = values.iter().map(|value| quoted(value)).collect::<Option<Vec<_>>>()?;
        if values.is_empty() {
            return None;
        }
        self.0.push(format!("{field} in ({})", values.join(", ")));
        Some(self)
    }

    /// The expression in the request; none when everything matches.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(" and "))
    }
}

/// Whether a character may appear between quotes.
#[must_use]
pub fn is_writable(c: char) -> bool {
    // Typographic quotes too: some parsers treat them as quotes.
    !matches!(c, '\'' | '"' | '\\' | '`' | '\u{2018}'..='\u{201f}' | '\u{ff02}' | '\u{ff07}')
        && !c.is_control()
}

fn quoted(value: &str) -> Option<String> {
    value.chars().all(is_writable).then(|| format!("'{value}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terms_are_joined_by_and() {
        let text =
            Expression::all().equal("jobId", "j1").and_then(|e| e.one_of("status", &["init", "failed"]));
        assert_eq!(text.unwrap().text().unwrap(), "jobId = 'j1' and status in ('init', 'failed')");
        assert_eq!(Expression::all().text(), None);
        assert_eq!(Expression::all().one_of("status", &[]), None);
    }

    proptest! {
        #[test]
        fn no_value_breaks_out_of_its_quotes(value in "['\"\\\\a-z =()\u{0}\u{2019}]{0,24}") {
            if let Some(expression) = Expression::all().equal("productKey", &value) {
                let text = expression.text().unwrap();
                prop_assert_eq!(text.matches('\'').count(), 2);
                prop_assert_eq!(text, format!("productKey = '{value}'"));
            } else {
                prop_assert!(value.chars().any(|c| !is_writable(c)));
            }
        }
    }
}
