//! Signatures of Alibaba Cloud: those that the official SDKs computed, and the manuals' examples.

use jiff::{SignedDuration, Timestamp};
use rollwave::cloud::aliyun_iot::sign::{self, Pairs, Refusal, Scheme, Signer, Subject};
use secrecy::SecretString;
use serde_json::Value;
use std::{env, path::PathBuf};

struct Vector {
    json: Value,
    scheme: Scheme,
    secret: SecretString,
    query: Pairs,
    form: Pairs,
    headers: Pairs,
}

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().unwrap_or_default()
}

fn pairs(json: &Value) -> Pairs {
    let pair = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
    json.as_array().map(|all| all.iter().map(pair).collect()).unwrap_or_default()
}

impl Vector {
    fn read(json: &Value) -> Option<Self> {
        let scheme = match json["scheme"].as_str()? {
            "RPC-HMAC-SHA1-1.0" => Scheme::Rpc,
            "ACS3-HMAC-SHA256" => Scheme::Acs3,
            _ => return None,
        };
        Some(Self {
            scheme,
            secret: text(json, "access_key_secret").into(),
            query: pairs(&json["query"]),
            form: pairs(&json["form"]),
            headers: pairs(&json["headers"]),
            json: json.clone(),
        })
    }

    fn name(&self) -> &str {
        text(&self.json, "name")
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            method: text(&self.json, "method"),
            path: text(&self.json, "path"),
            query: &self.query,
            headers: &self.headers,
            body: text(&self.json, "body").as_bytes(),
        }
    }

    /// When it was signed, by its own words.
    fn clock(&self) -> Timestamp {
        let mut all = self.query.iter().chain(&self.headers);
        let (_, date) = all.find(|(name, _)| name == "Timestamp" || name == "x-acs-date").unwrap();
        date.parse().unwrap()
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// As a server sees it: the query decoded from the wire, with the signature; `Authorization` among other headers.
    fn incoming(&self) -> Self {
        let mut query = self.query.clone();
        if let Some((_, wire)) = text(&self.json, "request_target").split_once('?') {
            query = sign::parse_query(wire);
        } else if self.scheme == Scheme::Rpc {
            query.push(("Signature".to_owned(), text(&self.json, "signature").to_owned()));
        }
        let mut headers = self.headers.clone();
        if self.scheme == Scheme::Acs3 {
            headers.push(("Authorization".to_owned(), text(&self.json, "authorization").to_owned()));
        }
        headers.push(("connection".to_owned(), "keep-alive".to_owned()));
        headers.reverse();
        let body = text(&self.json, "body");
        Self {
            json: self.json.clone(),
            scheme: self.scheme,
            secret: self.secret.clone(),
            query,
            form: sign::parse_query(body),
            headers,
        }
    }
}

fn vectors() -> Vec<Vector> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let folder = env::var_os("ROLLWAVE_VECTORS").map_or(default, PathBuf::from);
    let mut found = Vec::new();
    for entry in fs_err::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "json") {
            let json: Value = serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap();
            found.extend(json["vectors"].as_array().into_iter().flatten().filter_map(Vector::read));
        }
    }
    let ours = env::var_os("ROLLWAVE_VECTORS").is_none();
    for scheme in [Scheme::Rpc, Scheme::Acs3].into_iter().filter(|_| ours) {
        assert!(found.iter().any(|vector| vector.scheme == scheme), "no vector of {scheme:?}");
    }
    found
}

#[test]
fn every_step_of_signing_is_that_of_the_sdks_and_the_manuals() {
    for vector in vectors() {
        let (name, json) = (vector.name(), &vector.json);
        match vector.scheme {
            Scheme::Rpc => {
                let all: Pairs = vector.query.iter().chain(&vector.form).cloned().collect();
                let string_to_sign = sign::rpc_string_to_sign(text(json, "method"), &all);
                assert_eq!(string_to_sign, text(json, "string_to_sign"), "{name}");
                let signature = sign::rpc_signature(&vector.secret, &string_to_sign);
                assert_eq!(signature, text(json, "signature"), "{name}");
            }
            Scheme::Acs3 => {
                let mut names: Vec<_> = vector.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
                names.sort();
                let canonical = sign::acs3_canonical_request(&vector.subject(), &names);
                assert_eq!(canonical, text(json, "canonical_request"), "{name}");
                assert_eq!(sign::acs3_string_to_sign(&canonical), text(json, "string_to_sign"), "{name}");
                let id = text(json, "access_key_id");
                let authorization = sign::acs3_authorization(&vector.subject(), id, &vector.secret);
                assert_eq!(authorization, text(json, "authorization"), "{name}");
            }
        }
    }
}

/// The SDKs' own parameters taken away, ours give the same signature of what is left.
#[test]
fn a_call_signed_by_the_client_is_the_sdks() {
    const COMMON: [&str; 8] = [
        "Action",
        "Version",
        "Format",
        "AccessKeyId",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
        "Timestamp",
    ];
    let mut checked = 0;
    for vector in vectors() {
        let json = &vector.json;
        let is_manual = text(json, "host").starts_with("ecs.");
        if is_manual || vector.scheme == Scheme::Acs3 || !vector.form.is_empty() {
            continue;
        }
        let token: Option<SecretString> = json["security_token"].as_str().map(Into::into);
        let signer = Signer {
            id: text(json, "access_key_id"),
            secret: &vector.secret,
            token: token.as_ref(),
            scheme: Scheme::Rpc,
        };
        let parameters: Pairs = vector
            .query
            .iter()
            .filter(|(name, _)| !COMMON.contains(&name.as_str()) && name != "SecurityToken")
            .cloned()
            .collect();
        // The Tea SDK spells it in lower case.
        if vector.parameter("Format") != Some("JSON") {
            continue;
        }
        let (action, nonce) =
            (vector.parameter("Action").unwrap(), vector.parameter("SignatureNonce").unwrap());
        let added = sign::sign(
            &signer,
            text(json, "method"),
            text(json, "host"),
            action,
            &parameters,
            nonce,
            vector.clock(),
        );
        let signature = added.query.iter().find(|(name, _)| name == "Signature").unwrap();
        assert_eq!(signature.1, text(json, "signature"), "{}", vector.name());
        checked += 1;
    }
    assert!(
        checked > 2 || env::var_os("ROLLWAVE_VECTORS").is_some(),
        "{checked} vectors of the client's own form"
    );
}

#[test]
fn what_was_signed_is_verified_and_anything_else_is_refused() {
    for vector in vectors() {
        let name = vector.name();
        let check = |request: &Vector, minutes: i64, secret: Option<&SecretString>| {
            let now = vector.clock() + SignedDuration::from_mins(minutes);
            sign::verify(&request.subject(), &request.form, now, |_| secret.cloned())
        };
        let (request, secret) = (vector.incoming(), Some(&vector.secret));
        let verified = check(&request, 15, secret).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(verified.access_key, text(&vector.json, "access_key_id"), "{name}");
        assert_eq!(verified.scheme, vector.scheme, "{name}");
        assert_eq!(verified.token.as_deref(), vector.json["security_token"].as_str(), "{name}");
        assert_eq!(check(&request, 16, secret), Err(Refusal::Skewed), "{name}");
        assert_eq!(check(&request, -16, secret), Err(Refusal::Skewed), "{name}");
        assert_eq!(check(&request, 0, None), Err(Refusal::UnknownKey), "{name}");
        let another = "another".into();
        assert!(matches!(check(&request, 0, Some(&another)), Err(Refusal::Mismatch(_))), "{name}: secret");
        let mut changed = vector.incoming();
        changed.query.push(("PageSize".to_owned(), "1".to_owned()));
        assert!(matches!(check(&changed, 0, secret), Err(Refusal::Mismatch(_))), "{name}: query");
    }
}

#[test]
fn both_schemes_of_the_client_pass_with_and_without_a_token() {
    let (secret, token): (SecretString, SecretString) = ("s3cret".into(), "sts/token+1=".into());
    let now: Timestamp = "2024-05-06T07:08:09Z".parse().unwrap();
    let parameters: Pairs = vec![("Tag.1.Value".to_owned(), "a b*~/作业".to_owned())];
    for scheme in [Scheme::Acs3, Scheme::Rpc] {
        for token in [None, Some(&token)] {
            let signer = Signer { id: "key", secret: &secret, token, scheme };
            let added =
                sign::sign(&signer, "POST", "127.0.0.1:80", "QueryOTAJob", &parameters, "nonce-1", now);
            let all: Pairs = parameters.iter().chain(&added.query).cloned().collect();
            let query = sign::parse_query(&sign::canonical_query(&all));
            let subject =
                Subject { method: "POST", path: "/", query: &query, headers: &added.headers, body: b"" };
            let verified = sign::verify(&subject, &[], now, |_| Some(secret.clone())).unwrap();
            assert_eq!((verified.scheme, verified.nonce.as_str()), (scheme, "nonce-1"));
            assert_eq!(verified.token.is_some(), token.is_some());
            assert!(!format!("{added:?}").contains("sts/"), "a token is not shown");
        }
    }
}

#[test]
fn a_request_without_a_whole_signature_is_refused_with_what_is_missing() {
    let refused = |query: &[(&str, &str)], headers: &[(&str, &str)]| {
        let own = |of: &[(&str, &str)]| -> Pairs {
            of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let (query, headers) = (own(query), own(headers));
        let subject = Subject { method: "GET", path: "/", query: &query, headers: &headers, body: b"" };
        sign::verify(&subject, &[], Timestamp::UNIX_EPOCH, |_| None).unwrap_err()
    };
    let rpc = [("AccessKeyId", "k"), ("Signature", "s"), ("SignatureMethod", "HMAC-SHA1")];
    assert_eq!(refused(&[], &[]), Refusal::Missing("AccessKeyId"));
    assert_eq!(refused(&rpc, &[]), Refusal::Missing("SignatureVersion"));
    let md5 =
        [("AccessKeyId", "k"), ("Signature", "s"), ("SignatureMethod", "MD5"), ("SignatureVersion", "1.0")];
    assert_eq!(refused(&md5, &[]), Refusal::Unsupported);
    for (authorization, part) in [
        ("ACS3-HMAC-SHA256", "Credential"),
        ("ACS3-HMAC-SHA256 Credential=k", "SignedHeaders"),
        ("ACS3-HMAC-SHA256 Credential=k,SignedHeaders=host", "Signature"),
        ("ACS3-HMAC-SHA256 Credential=k,SignedHeaders=host,Signature=00", "x-acs-action"),
    ] {
        assert_eq!(refused(&[], &[("Authorization", authorization)]), Refusal::Incomplete(part));
    }
}
