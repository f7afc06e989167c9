//! Signatures that the official SDKs computed, redone. `ROLLWAVE_VECTORS` names another folder of them.

mod aliyun;
mod enos;

use jiff::Timestamp;
use rollwave::cloud::huawei_iotda::{
    sign::{self, AccountHeaders, Algorithm, Refusal, Signer, Subject},
    wire::parse_time,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{env, path::PathBuf};

type Pairs = Vec<(String, String)>;

struct Vector {
    name: String,
    algorithm: Algorithm,
    json: Value,
    secret: SecretString,
    query: Pairs,
    headers: Pairs,
    body: String,
    clock: Timestamp,
}

impl Vector {
    /// None for vectors of clouds and algorithms that are not ours: the one rule by which a vector is skipped.
    fn read(json: &Value) -> Option<Self> {
        let algorithm = match json["algorithm"].as_str()? {
            "SDK-HMAC-SHA256" => Algorithm::SdkHmacSha256,
            "V11-HMAC-SHA256" => Algorithm::V11HmacSha256,
            _ => return None,
        };
        let mut vector = Self {
            name: text(json, "name").to_owned(),
            algorithm,
            secret: text(json, "sk").into(),
            query: json["query"].as_array().unwrap().iter().flat_map(pairs_of).collect(),
            headers: string_map(&json["headers_given"]),
            body: text(json, "body").to_owned(),
            clock: parse_time(text(json, "clock")).unwrap(),
            json: json.clone(),
        };
        let token: Option<SecretString> = json["security_token"].as_str().map(Into::into);
        let account = AccountHeaders {
            project_id: json["project_id"].as_str(),
            domain_id: json["domain_id"].as_str(),
            security_token: token.as_ref(),
        };
        sign::complete_headers(&mut vector.headers, account, text(json, "host"), vector.clock);
        Some(vector)
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            method: text(&self.json, "method"),
            path: text(&self.json, "path"),
            query: &self.query,
            headers: &self.headers,
            body: self.body.as_bytes(),
        }
    }

    fn sign(&self) -> sign::Signed {
        let signer = Signer {
            access_key: text(&self.json, "ak"),
            secret_key: &self.secret,
            region: text(&self.json, "region"),
            service: text(&self.json, "derived_service"),
            algorithm: self.algorithm,
        };
        sign::sign(&self.subject(), &signer)
    }
}

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().unwrap_or_default()
}

fn string_map(json: &Value) -> Pairs {
    let map = json.as_object().unwrap();
    map.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// The SDK takes lists, booleans and numbers as values; a list becomes one pair for each item.
fn pairs_of(pair: &Value) -> Pairs {
    let values = pair[1].as_array().cloned().unwrap_or_else(|| vec![pair[1].clone()]);
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.iter().map(|value| (pair[0].as_str().unwrap().to_owned(), word(value))).collect()
}

/// Every file of vectors, by name.
fn files() -> Vec<(PathBuf, Value)> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let folder = env::var_os("ROLLWAVE_VECTORS").map_or(default, PathBuf::from);
    let mut files: Vec<_> = fs_err::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let read = |file: PathBuf| {
        let json = serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap();
        (file, json)
    };
    files.into_iter().map(read).collect()
}

fn vectors() -> Vec<Vector> {
    let mut found = Vec::new();
    for (file, json) in files() {
        let here = json["vectors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let before = found.len();
        found.extend(here.iter().filter_map(Vector::read));
        println!("{}: {} of {} vectors are ours", file.display(), found.len() - before, here.len());
    }
    assert!(!found.is_empty(), "no vector is of an algorithm that we sign with");
    found
}

#[test]
fn every_step_of_signing_is_that_of_the_official_sdk() {
    for vector in vectors() {
        let (name, json) = (&vector.name, &vector.json);
        let signed = vector.sign();
        assert_eq!(signed.canonical_request, text(json, "canonical_request"), "{name}");
        assert_eq!(signed.string_to_sign, text(json, "string_to_sign"), "{name}");
        assert_eq!(signed.authorization, text(json, "authorization"), "{name}");
        let mut headers = vector.headers.clone();
        headers.sort();
        assert_eq!(headers, string_map(&json["headers_out"]), "{name}");
        let wire_query = text(json, "wire_url").split_once('?').map_or("", |(_, query)| query);
        assert_eq!(sign::canonical_query(&vector.query), wire_query, "{name}");
        if let Some(expected) = json["derived_key_hex"].as_str() {
            let scope = signed.string_to_sign.lines().nth(2).unwrap();
            let key = sign::derived_key(text(json, "ak"), &vector.secret, scope);
            assert_eq!(key.expose_secret(), expected, "{name}");
        }
    }
}

/// A vector as a server sees it: with `Authorization`, with what HTTP libraries add, the query as it came.
fn incoming(vector: &Vector) -> Vector {
    let mut headers = vector.headers.clone();
    headers.push(("Accept".to_owned(), "*/*".to_owned()));
    headers.push(("authorization".to_owned(), vector.sign().authorization));
    headers.reverse();
    Vector {
        query: sign::parse_query(&sign::canonical_query(&vector.query)),
        headers,
        name: vector.name.clone(),
        json: vector.json.clone(),
        secret: vector.secret.clone(),
        body: vector.body.clone(),
        clock: parse_time(text(&vector.json, "x_sdk_date")).unwrap(),
        ..*vector
    }
}

#[test]
fn what_the_sdk_signed_is_verified_and_anything_else_is_refused() {
    for vector in vectors() {
        let name = &vector.name;
        let request = incoming(&vector);
        let check = |request: &Vector, minutes: i64, secret: Option<&str>| {
            let now = request.clock + jiff::SignedDuration::from_mins(minutes);
            sign::verify(&request.subject(), now, |_| secret.map(Into::into))
        };
        let secret = Some(vector.secret.expose_secret());
        let verified = check(&request, 15, secret).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(verified.access_key, text(&vector.json, "ak"), "{name}");
        assert_eq!(verified.algorithm, vector.algorithm, "{name}");
        assert_eq!(check(&request, 16, secret), Err(Refusal::Skewed(16)), "{name}");
        assert_eq!(check(&request, -16, secret), Err(Refusal::Skewed(16)), "{name}");
        assert_eq!(check(&request, 0, Some("another")), Err(Refusal::Mismatch), "{name}");
        let unknown = Refusal::UnknownKey(text(&vector.json, "ak").to_owned());
        assert_eq!(check(&request, 0, None), Err(unknown), "{name}");

        let mut changed = incoming(&vector);
        changed.query.push(("limit".to_owned(), "51".to_owned()));
        assert_eq!(check(&changed, 0, secret), Err(Refusal::Mismatch), "{name}: query");
        if header(&request, "x-sdk-content-sha256").is_none_or(|hash| hash != "UNSIGNED-PAYLOAD") {
            let mut changed = incoming(&vector);
            changed.body.push(' ');
            assert_eq!(check(&changed, 0, secret), Err(Refusal::Mismatch), "{name}: body");
        }
    }
}

fn header<'a>(vector: &'a Vector, name: &str) -> Option<&'a str> {
    let mut headers = vector.headers.iter();
    headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[test]
fn a_malformed_authorization_is_distinguished_from_a_wrong_one() {
    let date = "20240305T060708Z";
    let refused = |authorization: &str| {
        let headers: Pairs = [("Host", "h"), ("X-Sdk-Date", date), ("Authorization", authorization)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let request = Subject { method: "GET", path: "/", query: &[], headers: &headers, body: b"" };
        sign::verify(&request, parse_time(date).unwrap(), |_| Some("secret".into())).unwrap_err()
    };
    let malformed = [
        "",
        "Bearer x",
        "SDK-HMAC-SHA256",
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=host;x-sdk-date",
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=host;x-sdk-date, Signature=no-hex",
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=x-sdk-date, Signature=00",
        "V11-HMAC-SHA256 Credential=a, SignedHeaders=host;x-sdk-date, Signature=00",
        "V11-HMAC-SHA256 Credential=a/20240305/r, SignedHeaders=host;x-sdk-date, Signature=00",
        "V11-HMAC-SHA256 Credential=a/20240304/r/iotdm, SignedHeaders=host;x-sdk-date, Signature=00",
    ];
    for authorization in malformed {
        let refusal = refused(authorization);
        assert!(matches!(refusal, Refusal::Malformed(_)), "{authorization}: {refusal:?}");
    }
    let wrong = "SDK-HMAC-SHA256 Access=a, SignedHeaders=host;x-sdk-date, Signature=00";
    assert_eq!(refused(wrong), Refusal::Mismatch);
}
