//! What a YAML scalar means: the core schema of YAML 1.2.

use super::tree::Value;
use serde_json::Number;

/// The value of a plain scalar, one without quotes.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    match number(text) {
        Some(number) => Value::Number(number, text.to_owned()),
        None => Value::Text(text.to_owned()),
    }
}

fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !unsigned.contains(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(number.into());
    }
    // Also whole numbers that no integer holds: they fail the limits of their field as numbers do.
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_is_what_the_core_schema_says() {
        for text in ["", "~", "null"] {
            assert_eq!(plain(text), Value::Null);
        }
        assert_eq!(plain("True"), Value::Bool(true));
        let numbers = [("7", 7), ("-7", -7), ("+7", 7), ("0x10", 16), ("0o10", 8), ("007", 7)];
        for (text, number) in numbers {
            assert_eq!(plain(text), Value::Number(number.into(), text.into()));
        }
        for text in ["2.0", "1e3", ".5", "18446744073709551615", "99999999999999999999"] {
            assert!(matches!(plain(text), Value::Number(_, raw) if raw == text), "{text}");
        }
        let texts = [
            "V1", "1.2.3", "5%", "-", ".", "+", "-x", "1_000", "inf", "NaN", ".inf", "yes", "24h", "0x",
            "1e999",
        ];
        for text in texts {
            assert_eq!(plain(text), Value::Text(text.into()));
        }
    }
}
