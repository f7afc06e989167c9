//! Signatures: what the client signs is accepted, and nothing that differs from it in a signed place. The first line is
//! `METHOD PATH ALGORITHM`.

use super::message::Message;
use rollwave::cloud::huawei_iotda::sign::{self, AccountHeaders, Algorithm, Signer, Subject};
use rollwave::cloud::huawei_iotda::wire::parse_time;
use secrecy::SecretString;

type Pairs = Vec<(String, String)>;

#[derive(Clone)]
struct Request {
    method: String,
    path: String,
    query: Pairs,
    headers: Pairs,
    body: Vec<u8>,
}

impl Request {
    fn subject(&self) -> Subject<'_> {
        Subject {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }

    fn is_accepted(&self) -> bool {
        let now = parse_time("20240305T060708Z").unwrap();
        let secret = |key: &str| (key == "AK").then(|| SecretString::from("SK"));
        sign::verify(&self.subject(), now, secret).is_ok()
    }

    fn header(&mut self, name: &str) -> &mut String {
        &mut self
            .headers
            .iter_mut()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .expect("it was signed")
            .1
    }
}

pub fn check(data: &[u8]) {
    let message = Message::read(&String::from_utf8_lossy(data));
    let (path, query) = message.target(1);
    let mut request = Request {
        method: message.word(0).to_owned(),
        path,
        query: sign::parse_query(&query),
        headers: message.headers.clone(),
        body: message.body.clone().into_bytes(),
    };
    assert!(!request.is_accepted(), "nobody who lacks the key can sign");
    // What HTTP cannot carry, and what the server must see as the client wrote it.
    let token = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let spoken_for = ["authorization", "host", "x-sdk-date", "x-sdk-content-sha256"];
    request.headers.retain(|(name, _)| token(name) && !spoken_for.contains(&name.to_lowercase().as_str()));
    let algorithm =
        if message.word(2) == "V11" { Algorithm::V11HmacSha256 } else { Algorithm::SdkHmacSha256 };
    sign_it(&mut request, algorithm);
    assert!(request.is_accepted(), "what the client signs is accepted: {:?}", request.headers);
    for (what, changed) in changes(&request) {
        assert!(!changed.is_accepted(), "{what}: {:?}", changed.headers);
    }
}

fn sign_it(request: &mut Request, algorithm: Algorithm) {
    let now = parse_time("20240305T060708Z").unwrap();
    sign::complete_headers(&mut request.headers, AccountHeaders::default(), "iot.example", now);
    let secret = SecretString::from("SK");
    let signer =
        Signer { access_key: "AK", secret_key: &secret, region: "r", service: sign::SERVICE, algorithm };
    let authorization = sign::sign(&request.subject(), &signer).authorization;
    request.headers.push(("Authorization".to_owned(), authorization));
}

/// The request, changed in one signed place each.
fn changes(request: &Request) -> Vec<(&'static str, Request)> {
    let with = |change: &dyn Fn(&mut Request)| {
        let mut changed = request.clone();
        change(&mut changed);
        changed
    };
    let swap = |text: &mut String, from: &str, to: &str| *text = text.replacen(from, to, 1);
    let unsigned_payload = request.headers.iter().any(|(_, value)| value == "UNSIGNED-PAYLOAD");
    let mut all = vec![
        ("method", with(&|r| r.method.push('X'))),
        ("path", with(&|r| r.path.push('x'))),
        ("query", with(&|r| r.query.push(("x".into(), String::new())))),
        ("host", with(&|r| r.header("host").push('x'))),
        ("date", with(&|r| swap(r.header("x-sdk-date"), "060708", "060709"))),
        ("key", with(&|r| swap(r.header("authorization"), "AK", "KA"))),
        (
            "signed headers",
            with(&|r| swap(r.header("authorization"), "SignedHeaders=", "SignedHeaders=accept-x;")),
        ),
        ("signature", with(&|r| flip_last_digit(r.header("authorization")))),
        ("a shorter signature", with(&|r| drop_two(r.header("authorization")))),
    ];
    if !unsigned_payload {
        all.push(("body", with(&|r| r.body.push(b' '))));
    }
    if !request.query.is_empty() {
        all.push(("fewer parameters", with(&|r| r.query.truncate(r.query.len() - 1))));
    }
    all
}

fn drop_two(text: &mut String) {
    text.truncate(text.len() - 2);
}

fn flip_last_digit(text: &mut String) {
    let last = text.pop();
    text.push(if last == Some('0') { '1' } else { '0' });
}
