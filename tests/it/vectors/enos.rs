//! EnOS: a published example and what its documented rule gives.

use rollwave::cloud::enos::sign;
use secrecy::SecretString;
use serde_json::Value;

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().unwrap_or_default()
}

fn each(list: &str, check: impl Fn(&str, &Value)) {
    let checked = super::files()
        .iter()
        .filter_map(|(_, json)| json[list].as_array())
        .flatten()
        .map(|vector| check(text(vector, "name"), vector))
        .count();
    assert!(checked > 0, "no vectors in a list {list}");
}

#[test]
fn a_token_is_requested_with_the_documented_digest() {
    each("token_encryption", |name, vector| {
        let secret: SecretString = text(vector, "app_secret").into();
        let timestamp = vector["timestamp"].as_i64().unwrap();
        let encryption = sign::encryption(text(vector, "app_key"), &secret, timestamp);
        assert_eq!(encryption, text(vector, "encryption"), "{name}");
    });
}

#[test]
fn a_request_is_signed_as_published() {
    each("apim_signature", |name, vector| {
        let (token, secret): (SecretString, SecretString) =
            (text(vector, "access_token").into(), text(vector, "app_secret").into());
        let query = sign::parse_query(text(vector, "query"));
        let (body, timestamp) = (text(vector, "body"), vector["timestamp"].as_i64().unwrap());
        let signature = sign::signature(&token, &secret, &query, body.as_bytes(), timestamp);
        assert_eq!(signature, text(vector, "signature"), "{name}");
        let signed = sign::signed_query(&query);
        let whole = format!(
            "{}{signed}{body}{timestamp}{}",
            text(vector, "access_token"),
            text(vector, "app_secret")
        );
        assert_eq!(whole, text(vector, "sign_data"), "{name}");
        let other = sign::signature(&token, &secret, &query, body.as_bytes(), timestamp + 1);
        assert_ne!(other, signature, "{name}: the time is signed");
    });
}
