//! What may be shown of a request or a response: everything except credentials.

use bytes::Bytes;
use serde_json::Value;
use std::{borrow::Cow, fmt};

const HIDDEN: &str = "[hidden]";
const HIDDEN_HEADERS: [&str; 10] = [
    "apim-accesstoken",
    "apim-signature",
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-acs-security-token",
    "x-auth-token",
    "x-security-token",
    "x-subject-token",
];
const HIDDEN_FIELDS: [&str; 7] =
    ["accesstoken", "encryption", "password", "refreshtoken", "secret", "secretkey", "token"];

/// Query parameters that are credentials: those of Alibaba Cloud's RPC signatures.
const HIDDEN_PARAMETERS: [&str; 2] = ["SecurityToken", "Signature"];

/// A query whose secret values are replaced.
pub fn query(query: &str) -> String {
    let shown = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if HIDDEN_PARAMETERS.contains(&name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    };
    query.split('&').map(shown).collect::<Vec<_>>().join("&")
}

/// Headers whose secret values are replaced.
pub fn headers(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers
        .iter()
        .map(|(name, value)| {
            let hidden = HIDDEN_HEADERS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
            (name.as_str(), if hidden { HIDDEN } else { value.as_str() })
        })
        .collect()
}

/// A body: JSON with its secret fields replaced, at most 2,000 characters; otherwise only the size.
pub fn body(bytes: &Bytes) -> impl fmt::Debug {
    let text = match serde_json::from_slice::<Value>(bytes) {
        Ok(mut json) => {
            hide(&mut json);
            Cow::from(json.to_string().chars().take(2000).collect::<String>())
        }
        Err(_) => Cow::from(format!("{} bytes", bytes.len())),
    };
    Plain(text)
}

struct Plain(Cow<'static, str>);

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Only strings are secrets: IAM's `password` and `token` are also names of objects.
fn hide(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                if value.is_string() && HIDDEN_FIELDS.contains(&plain.to_ascii_lowercase().as_str()) {
                    *value = Value::from(HIDDEN);
                } else {
                    hide(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::cloud::{WireRequest, WireResponse};

    #[test]
    fn no_credential_is_shown() {
        let named = |names: &[&str]| {
            names.iter().map(|name| ((*name).to_owned(), "hunter2".to_owned())).collect::<Vec<_>>()
        };
        let request = WireRequest {
            method: "POST",
            origin: "https://iam.example".into(),
            path: "/v3/auth/tokens".into(),
            query: "nocatalog=true&SecurityToken=hunter2&Signature=hunter2".into(),
            headers: named(&["Authorization", "X-Auth-Token", "x-acs-security-token", "x-security-token"]),
            body: r#"{"auth":{"identity":{"password":{"user":{"name":"ann","password":"hunter2"}}}},"accessToken":"hunter2"}"#.into(),
            upload: None,
        };
        let response = WireResponse {
            status: 201,
            headers: named(&["x-subject-token", "set-cookie"]),
            body: "hunter2, and no JSON".into(),
        };
        let shown = format!("{request:?} {request:#?} {request} {response:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("ann") && shown.contains("[hidden]"), "{shown}");
    }
}
