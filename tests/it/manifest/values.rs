//! Values that can be written, and cannot be meant.

use super::*;

#[test]
fn addresses_that_cannot_be_or_are_not_encrypted_are_refused() {
    let address = "https://9bc34a0001.st1.iotda-app.cn-north-4.myhuaweicloud.com";
    for (written, words) in [
        ("https://iot.example.com:8743", None),
        ("http://127.0.0.1:7070", None),
        ("'http://[::1]:7070'", None),
        ("http://localhost:7070/", None),
        ("http://127.0.0.1:99999", Some("is not an address")),
        ("http://::1:8080", Some("an IPv6 address in brackets")),
        ("http://:8080", Some("is not an address")),
        ("'http://a..b_{}'", Some("is not an address")),
        ("https://999.1.1.1", Some("is not an address: invalid IPv4 address")),
        ("http://iot.example.com", Some("is not encrypted: use https://")),
        ("http://127.0.0.1.example.com", Some("is not encrypted: use https://")),
    ] {
        let said = said_of(CLOUD, address, written).join("\n");
        match words {
            None => assert_eq!(said, "", "{written}"),
            Some(words) => assert!(said.contains(words), "{written}: {said}"),
        }
    }
    let text = CLOUD.replace("spec:\n", "spec:\n  allowInsecure: true\n");
    assert_eq!(said_of(&text, address, "http://iot.example.com"), Vec::<String>::new());
}

#[test]
fn small_values_that_cannot_be_meant_are_refused() {
    for (interval, words) in [
        ("30s", ""),
        ("1m", ""),
        ("0d0h0m30s", ""),
        ("1d0s", ""),
        ("0s", "driftInterval must be at least 30s"),
        ("29s", "driftInterval must be at least 30s"),
        ("0m5s", "driftInterval must be at least 30s"),
    ] {
        let said = said_of(CLOUD, "driftInterval: 5m", &format!("driftInterval: {interval}")).join("\n");
        assert!(said.contains(words) && said.is_empty() == words.is_empty(), "{interval}: {said}");
    }
    let windows = "windows: [{days: [Sat], start: \"01:00\", duration: 4h, timeZone: UTC}]";
    let stage = |more: &str| format!("select: {{rest: true}}\n      {more}");
    for (from, to, words) in [
        ("select: {rest: true}", stage(&windows.replace("[Sat]", "[]")), "has 0 items, at least 1"),
        (
            "select: {rest: true}",
            stage("notBefore: 9999-12-31T23:59:59Z"),
            "is later than 9999-12-30T22:00:00",
        ),
        ("count: 60", "count: 060".to_owned(), "060 is 60 here and a different number in other programs"),
    ] {
        let said = said_of(RELEASE, from, &to).join("\n");
        assert!(said.contains(words), "{to}: {said}");
    }
}
