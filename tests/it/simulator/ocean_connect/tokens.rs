//! Who calls, and how often.

use super::*;

const LIST: &str = "/iodm/northbound/v1.5.0/category";

#[test]
fn only_the_last_token_of_an_application_is_valid() {
    let mut bench = Bench::new("");
    let first = bench.token.clone();
    assert_eq!(bench.call("GET", LIST, "", None).0, 200);
    let (_, second) = bench.log_in("app1", "secret1");
    assert_eq!(code(&bench.call("GET", LIST, "", None)), (403, "1010005"), "a login ended {first}");
    let refresh = second["refreshToken"].as_str().unwrap();
    let (status, third) = bench.refresh(refresh);
    assert_eq!((status, third["expiresIn"].as_i64()), (200, Some(3600)));
    bench.token = second["accessToken"].as_str().unwrap().to_owned();
    assert_eq!(code(&bench.call("GET", LIST, "", None)), (403, "1010005"), "a refresh ended it");
    assert_eq!(bench.refresh(refresh).0, 401, "a refresh token serves once");
    bench.token = third["accessToken"].as_str().unwrap().to_owned();
    bench.log_in("app2", "secret2");
    assert_eq!(bench.call("GET", LIST, "", None).0, 200, "another application is another matter");
}

#[test]
fn a_token_ends_and_faults_end_it_sooner() {
    let mut bench = Bench::new("");
    bench.wall += SignedDuration::from_secs(3599);
    assert_eq!(bench.call("GET", LIST, "", None).0, 200);
    bench.wall += SignedDuration::from_secs(1);
    assert_eq!(code(&bench.call("GET", LIST, "", None)), (403, "1010005"));
    bench.token = bench.log_in("app1", "secret1").1["accessToken"].as_str().unwrap().to_owned();
    let fault = serde_json::from_value(json!({"kind": "expireTokens"})).unwrap();
    bench.simulator.inject(fault, bench.wall).unwrap();
    assert_eq!(code(&bench.call("GET", LIST, "", None)), (403, "1010005"));
}

#[test]
fn signing_in_needs_the_right_form() {
    let mut bench = Bench::new("");
    let login = "/iocm/app/sec/v1.1.0/login";
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let cases = [
        (&form[..], "appId=app1&secret=wrong", (401, "100208")),
        (&form[..], "appId=app9&secret=secret1", (401, "100208")),
        (&form[..], "appId=app1", (400, "100449")),
        (&[][..], "appId=app1&secret=secret1", (400, "100449")),
    ];
    for (headers, body, expected) in cases {
        let answer = bench.send("POST", login, "", headers, body);
        assert_eq!(code(&answer), expected, "{body}");
    }
    let bearer = format!("Bearer {}", bench.token);
    let cases = [
        (vec![("Authorization", bearer.as_str())], (500, "100220")),
        (vec![("app_key", "app2"), ("Authorization", bearer.as_str())], (403, "1010005")),
        (vec![("app_key", "app1"), ("Authorization", &bearer[7..])], (403, "1010005")),
        (vec![("app_key", "app1")], (403, "1010005")),
    ];
    for (headers, expected) in cases {
        assert_eq!(code(&bench.send("GET", LIST, "", &headers, "")), expected, "{headers:?}");
    }
}

#[test]
fn a_hundred_calls_a_minute_and_api_pass() {
    let mut bench = Bench::new("");
    for _ in 0..100 {
        assert_eq!(bench.call("GET", LIST, "", None).0, 200);
    }
    assert_eq!(code(&bench.call("GET", LIST, "", None)), (403, "1010009"));
    assert_eq!(bench.upgrade("GET", "operations", "").0, 200, "another API has calls of its own");
    bench.wall += SignedDuration::from_secs(60);
    assert_eq!(bench.call("GET", LIST, "", None).0, 200);
}
