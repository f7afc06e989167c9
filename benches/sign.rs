//! Signing requests to IoTDA, and checking signatures: two schemes, a question without a body and the largest order.
//!
//! `cargo bench --bench sign`. What a cache of V11's derived key could save is the figure of `derive the key of V11`.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use rollwave::cloud::huawei_iotda::sign::{
    AccountHeaders, Algorithm, SERVICE, Signer, Subject, complete_headers, derived_key, sign, verify,
};
use secrecy::SecretString;
use std::hint::black_box;

const ACCESS_KEY: &str = "ACCESSKEYOFTWENTYCHR";
const REGION: &str = "cn-north-4";
const ALGORITHMS: [Algorithm; 2] = [Algorithm::SdkHmacSha256, Algorithm::V11HmacSha256];

struct Request {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn subject(&self) -> Subject<'_> {
        Subject {
            method: self.method,
            path: self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }
}

fn requests() -> [Request; 2] {
    let devices: Vec<String> =
        (0..30_000).map(|number| format!("5f1e2d3c4b5a6978_meter-{number:05}")).collect();
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let list = Request {
        name: "list packages",
        method: "GET",
        path: "/v5/iot/0123456789abcdef0123456789abcdef/ota-upgrades/packages",
        query: [("package_type", "firmwarePackage"), ("limit", "50"), ("offset", "450")].map(pair).to_vec(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let create = Request {
        name: "create a task of 30,000 devices",
        method: "POST",
        path: "/v5/iot/0123456789abcdef0123456789abcdef/batchtasks",
        query: Vec::new(),
        headers: vec![pair(("Content-Type", "application/json"))],
        body: serde_json::to_vec(&serde_json::json!({"task_name": "canary", "targets": devices})).unwrap(),
    };
    [list, create].map(|mut request| {
        let account = AccountHeaders { project_id: Some("0123456789abcdef"), ..AccountHeaders::default() };
        complete_headers(&mut request.headers, account, "iotda.example.com", Timestamp::UNIX_EPOCH);
        request
    })
}

fn signatures(criterion: &mut Criterion) {
    let secret_key = SecretString::from("a-secret-key-of-forty-characters-or-so--");
    for mut request in requests() {
        let mut group = criterion.benchmark_group(request.name);
        group.throughput(Throughput::Elements(1));
        for algorithm in ALGORITHMS {
            let signer = Signer {
                access_key: ACCESS_KEY,
                secret_key: &secret_key,
                region: REGION,
                service: SERVICE,
                algorithm,
            };
            let id = |what| BenchmarkId::new(what, algorithm.as_str());
            group.bench_function(id("sign"), |bencher| {
                bencher.iter(|| sign(black_box(&request.subject()), &signer));
            });
            let signed = sign(&request.subject(), &signer);
            request.headers.push(("Authorization".to_owned(), signed.authorization));
            let check =
                || verify(black_box(&request.subject()), Timestamp::UNIX_EPOCH, |_| Some(secret_key.clone()));
            check().unwrap();
            group.bench_function(id("verify"), |bencher| bencher.iter(check));
            request.headers.pop();
        }
        group.finish();
    }
    criterion.bench_function("derive the key of V11", |bencher| {
        bencher.iter(|| derived_key(ACCESS_KEY, black_box(&secret_key), "19700101/cn-north-4/iotdm"));
    });
}

criterion_group!(benches, signatures);
criterion_main!(benches);
