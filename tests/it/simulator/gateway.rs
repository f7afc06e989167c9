//! What stands before the handlers: signatures, the clock, throttling, form.

use super::Bench;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rollwave::{
    cloud::{
        WireRequest,
        huawei_iotda::sign::{AccountHeaders, Algorithm, SERVICE, Signer, Subject, complete_headers, sign},
    },
    simulator::{End, Simulator, World},
};
use secrecy::SecretString;
use serde_json::{Value, json};

const WORLD: &str = "products: [{id: meter}]";

fn signed(algorithm: Algorithm, region: &str, at: Timestamp) -> WireRequest {
    let secret: SecretString = "SK".to_owned().into();
    let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    complete_headers(
        &mut headers,
        AccountHeaders { project_id: Some("p1"), ..AccountHeaders::default() },
        "h",
        at,
    );
    let path = "/v5/iot/p1/devices".to_owned();
    let subject = Subject { method: "GET", path: &path, query: &[], headers: &headers, body: b"" };
    let signer = Signer { access_key: "AK", secret_key: &secret, region, service: SERVICE, algorithm };
    let authorization = sign(&subject, &signer).authorization;
    headers.push(("Authorization".to_owned(), authorization));
    WireRequest {
        method: "GET",
        origin: String::new(),
        path,
        query: String::new(),
        headers,
        body: Bytes::new(),
        upload: None,
    }
}

fn answer(simulator: &mut Simulator, request: &WireRequest, wall: Timestamp) -> (u16, Value) {
    match simulator.handle(request, wall).end {
        End::Reply(reply) => (reply.status, serde_json::from_slice(&reply.body).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signature_is_good_for_15_minutes_of_the_gateways_clock_and_for_one_region() {
    let both = [Algorithm::SdkHmacSha256, Algorithm::V11HmacSha256];
    for algorithm in both {
        for (minutes, expected) in [(0, 200), (15, 200), (16, 401), (-15, 200), (-16, 401)] {
            let mut bench = Bench::new(WORLD);
            let at = bench.wall + SignedDuration::from_mins(minutes);
            let (status, body) = answer(&mut bench.simulator, &signed(algorithm, "r1", at), bench.wall);
            assert_eq!(status, expected, "{algorithm:?}, {minutes} minutes off: {body}");
        }
    }
    let mut bench = Bench::new(WORLD);
    let other = signed(Algorithm::V11HmacSha256, "r2", bench.wall);
    assert_eq!(answer(&mut bench.simulator, &other, bench.wall).0, 401, "the scope of another region");
    let fault = serde_json::from_value(json!({"kind": "skew", "seconds": 1200})).unwrap();
    bench.simulator.inject(fault, bench.wall).unwrap();
    let (status, body) = answer(&mut bench.simulator, &signed(both[0], "r1", bench.wall), bench.wall);
    assert_eq!((status, body["error_code"].as_str()), (401, Some("IOTDA.000002")));
}

#[test]
fn fleet_time_does_not_age_a_signature() {
    let mut bench = Bench::new(WORLD);
    bench.step(30 * 86_400);
    assert_eq!(
        answer(&mut bench.simulator, &signed(Algorithm::SdkHmacSha256, "r1", bench.wall), bench.wall).0,
        200
    );
}

#[test]
fn an_account_over_its_limit_is_throttled_and_recovers() {
    let text = format!("{}{WORLD}", super::account())
        .replace("region: r1", "region: r1\n      requestsPerSecond: 3");
    let wall: Timestamp = super::START.parse().unwrap();
    let mut simulator = Simulator::new(&World::parse("w", &text).unwrap(), wall).unwrap();
    let mut call = |millis: i64| {
        let now = wall + SignedDuration::from_millis(millis);
        answer(&mut simulator, &signed(Algorithm::SdkHmacSha256, "r1", now), now)
    };
    let first: Vec<u16> = (0..5).map(|_| call(0).0).collect();
    assert_eq!(first, [200, 200, 200, 429, 429]);
    let body = call(0).1;
    assert_eq!(body["error_code"], "APIGW.0308");
    assert!(
        body["error_msg"].as_str().unwrap().ends_with("over ratelimit,limit:180,time:1 minute"),
        "{body}"
    );
    assert!(body["request_id"].is_string(), "the gateway names the request in the body");
    assert_eq!((call(334).0, call(334).0), (200, 429), "a third of a second is one call");
}

#[test]
fn wrong_forms_have_their_documented_codes() {
    let mut bench = Bench::new(WORLD);
    let code = |(status, body): (u16, Value)| (status, body["error_code"].as_str().unwrap().to_owned());
    let expected = |status: u16, code: &str| (status, code.to_owned());
    let path = "ota-upgrades/packages";
    assert_eq!(code(bench.call("POST", path, "", None)), expected(400, "IOTDA.000008"), "no body");
    assert_eq!(
        code(bench.call("POST", path, "", Some(&json!([])))),
        expected(400, "IOTDA.000008"),
        "no object"
    );
    assert_eq!(code(bench.call("PUT", path, "", None)), expected(404, "APIGW.0101"), "no such method");
    assert_eq!(code(bench.call("GET", "nothing", "", None)), expected(404, "APIGW.0101"), "no such path");
    for (name, status, wanted) in [
        ("start_time=2026", 400, "IOTDA.000009"),
        ("start_time=20260301T000000Z&end_time=20260301T000000Z", 400, "IOTDA.000010"),
        ("limit=51", 400, "IOTDA.000017"),
        ("limit=ten", 400, "IOTDA.000017"),
        ("marker=1", 400, "IOTDA.000018"),
        ("offset=501", 400, "IOTDA.000006"),
        ("app_id=other", 403, "IOTDA.001000"),
    ] {
        assert_eq!(code(bench.call("GET", "devices", name, None)), expected(status, wanted), "{name}");
    }
}
