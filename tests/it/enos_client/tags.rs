//! Searches for devices by tag, which decide which devices are upgraded.

use super::{Bench, presence, refusal, rows, start, token};
use rollwave::cloud::{Call, Cloud, Cursor, ErrorClass, Reply};
use serde_json::{Value, json};

fn tagged(cursor: Cursor) -> Call {
    let values = vec!["north".to_owned(), "east".to_owned()];
    Call::ListTaggedDevices { product: "meter".into(), key: "site".into(), values, cursor }
}

#[test]
fn devices_with_a_tag_are_searched_for_without_their_secrets() {
    let sent = Bench::new().client.render(&tagged(Cursor::start())).unwrap().remove(0);
    assert_eq!(
        (sent.path.as_str(), sent.query.as_str()),
        ("/connect-service/v2.1/devices", "action=search&orgId=o1")
    );
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let expected = json!({
        "expression": "productKey = 'meter' and deviceTags.site in ('north', 'east')",
        "pagination": {"pageNo": 1, "pageSize": 200},
        "projection": ["productKey", "deviceKey", "deviceTags"],
    });
    assert_eq!(body, expected);
    let with = |key: &str, values: &[&str]| Call::ListTaggedDevices {
        product: "meter".into(),
        key: key.into(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        cursor: Cursor::start(),
    };
    for call in [
        with("site' or deviceKey != '", &["a"]),
        with("a.b", &["a"]),
        with("a b", &["a"]),
        with("", &["a"]),
        with("site", &[]),
        with("site", &["it's"]),
        with("site", &["a", "b\\"]),
    ] {
        let error = Bench::new().client.render(&call).unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid, "{call:?}");
    }
}

/// The answer decides which devices are upgraded: nothing is concluded from one that does not show what was asked for.
#[test]
fn only_an_answer_that_shows_product_and_tag_says_which_devices_have_it() {
    let row = |key: &str, site: &str| json!({"productKey": "meter", "deviceKey": key, "deviceTags": {"site": site, "line": "b"}});
    let read = |answer: Value| Bench::answer(&tagged(Cursor::start()), answer);
    let Ok(Reply::DeviceIds(page)) = read(rows(&[row("a", "north"), row("b", "east")], 1, 2)) else {
        panic!()
    };
    assert_eq!((page.items, page.next), (vec!["a".to_owned(), "b".to_owned()], None));
    let Ok(Reply::DeviceIds(page)) = read(rows(&[], 1, 0)) else { panic!("no device has it") };
    assert!(page.items.is_empty());
    for answer in [
        rows(&[row("a", "south")], 1, 1),
        rows(&[json!({"productKey": "meter", "deviceKey": "a"})], 1, 1),
        rows(&[json!({"productKey": "other", "deviceKey": "a", "deviceTags": {"site": "north"}})], 1, 1),
        rows(&[json!({"productKey": "meter", "deviceTags": {"site": "north"}})], 1, 1),
        rows(&[], 1, 3),
        rows(&[row("a", "north")], 2, 1),
        json!({"code": 0, "msg": "OK", "data": null, "pagination": {"pageNo": 1, "pageSize": 200, "totalSize": 0}}),
        json!({"code": 0, "msg": "OK", "pagination": {"pageNo": 1, "pageSize": 200, "totalSize": 0}}),
        json!({"code": 0, "msg": "OK", "data": []}),
        json!({"code": 0}),
        json!({}),
    ] {
        let error = read(answer.clone()).unwrap_err();
        assert_eq!(error.class, ErrorClass::Unintelligible, "{answer}: {error}");
        assert!(!error.to_string().contains("north"), "no row in an error: {error}");
    }
    let full = vec![row("a", "north"); 200];
    let Ok(Reply::DeviceIds(page)) = read(rows(&full, 1, 201)) else { panic!() };
    let second = || tagged(page.next.clone().unwrap());
    let Ok(Reply::DeviceIds(last)) = Bench::answer(&second(), rows(&[row("b", "east")], 2, 201)) else {
        panic!()
    };
    assert_eq!((last.items.len(), last.next), (1, None));
    for total in [200, 202] {
        let answer = rows(&vec![row("b", "east"); total - 200], 2, total as u64);
        let error = Bench::answer(&second(), answer).unwrap_err();
        assert_eq!(error.class, ErrorClass::Unintelligible, "the list changed meanwhile: {error}");
    }
}

#[test]
fn a_refused_search_for_a_tag_names_the_permission_and_is_asked_again() {
    let bench = Bench::new();
    for answers in [vec![token("t", 7200), refusal(99403)], vec![refusal(99403)]] {
        let error = bench.perform(&tagged(Cursor::start()), start(), &answers).unwrap_err();
        assert_eq!(error.class, ErrorClass::Forbidden);
        assert!(error.next_step.contains("permission Read of Device Management"), "{error}");
    }
    let refused = bench.perform(&presence(Cursor::start()), start(), &[refusal(99403)]);
    assert!(matches!(refused, Ok(Reply::Presence(_))), "{refused:?}");
    let answer =
        rows(&[json!({"productKey": "meter", "deviceKey": "a", "deviceTags": {"site": "east"}})], 1, 1);
    let reply = bench.perform(&tagged(Cursor::start()), start(), &[answer]);
    assert!(matches!(reply, Ok(Reply::DeviceIds(_))), "the permission was granted: {reply:?}");
}

#[test]
fn devices_with_an_attribute_are_searched_for_in_the_same_way() {
    let call = |name: &str| Call::ListDevicesByAttribute {
        product: "meter".into(),
        name: name.into(),
        values: vec!["x1".into(), "7".into()],
        cursor: Cursor::start(),
    };
    let sent = Bench::new().client.render(&call("model")).unwrap().remove(0);
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let expected = json!({
        "expression": "productKey = 'meter' and deviceAttributes.model in ('x1', '7')",
        "pagination": {"pageNo": 1, "pageSize": 200},
        "projection": ["productKey", "deviceKey", "deviceAttributes"],
    });
    assert_eq!(body, expected);
    assert_eq!(Bench::new().client.render(&call("a.b")).unwrap_err().class, ErrorClass::Invalid);
    let read = |attributes: Value| {
        let row = json!({"productKey": "meter", "deviceKey": "a", "deviceAttributes": attributes});
        Bench::answer(&call("model"), rows(&[row], 1, 1))
    };
    for found in [json!({"model": "x1"}), json!({"model": 7, "other": null})] {
        let Ok(Reply::DeviceIds(page)) = read(found) else { panic!() };
        assert_eq!(page.items, ["a"]);
    }
    for other in [json!({"model": "x2"}), json!({"model": null}), json!({}), json!({"model": ["x1"]})] {
        assert_eq!(read(other.clone()).unwrap_err().class, ErrorClass::Unintelligible, "{other}");
    }
    let error =
        Bench::new().perform(&call("model"), start(), &[token("t", 7200), refusal(99403)]).unwrap_err();
    assert!(error.next_step.contains("permission Read of Device Management"), "{error}");
}
