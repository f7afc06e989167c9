//! The tasks of named devices of a job: how they are asked for, and what is made of the answer.

use super::{client, ok, once};
use rollwave::cloud::aliyun_iot::sign;
use rollwave::cloud::{Call, Cursor, DeviceOutcome, ErrorClass, NamedDevices, Reply};
use serde_json::{Value, json};

/// The tasks of some devices of a job.
fn tasks_of(ids: &[&str]) -> Call {
    Call::ListJobDevices {
        id: "wahVIzGkCMuAUE2gDERM020000".into(),
        outcome: None,
        only: Some(NamedDevices {
            product: "a1VJwBwExmp".into(),
            ids: ids.iter().map(|id| (*id).into()).collect(),
        }),
        cursor: Cursor::start(),
    }
}

#[tokio::test]
async fn tasks_of_named_devices_come_at_once_and_are_those_that_were_queried() {
    let row = |product: &str, name: &str, status: &str| json!({"ProductKey": product, "DeviceName": name, "TaskStatus": status, "NewField": [1]});
    let answer = |rows: &[Value], total: u64| {
        ok(
            json!({"Data": {"SimpleOTATaskInfo": rows, "More": {}}, "Total": total, "CurrentPage": 7, "PageSize": 3}),
        )
    };
    let mine = |name: &str, status: &str| row("a1VJwBwExmp", name, status);
    let rows = [
        mine("d1", "QUEUED"),
        row("another", "d1", "IN_PROGRESS"),
        mine("d2", "FAILED"),
        mine("d2", "NOTIFIED"),
    ];
    let call = tasks_of(&["d1", "d2", "d3"]);
    let Reply::JobDevices(page) = once(&call, 200, answer(&rows, 4)).await.unwrap() else { panic!() };
    let found: Vec<_> = page.items.iter().map(|row| (row.device.as_str(), row.outcome.clone())).collect();
    use DeviceOutcome::{Failed, InFlight, Queued};
    assert_eq!(found, [("d1", Queued), ("d2", Failed), ("d2", InFlight)], "a name is one of a product");
    assert_eq!(page.next, None);
    let Reply::JobDevices(page) = once(&call, 200, ok(json!({"Data": {}}))).await.unwrap() else { panic!() };
    assert_eq!(page.items, []);
    for (body, words) in [
        (answer(&[mine("d9", "QUEUED")], 1), "d9 was not requested"),
        (answer(&[mine("d1", "QUEUED")], 2), "has 1 rows of a total"),
    ] {
        let error = once(&call, 200, body).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unintelligible);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn tasks_of_at_most_fifty_devices_are_queried_without_pages() {
    let client = client("Acs3", &[(200, json!({}))]);
    let request = client.cloud.render(&tasks_of(&["d1", "d 2"])).unwrap_err();
    assert!(request.to_string().contains("DeviceName"), "{request}");
    let request = client.cloud.render(&tasks_of(&["d1", "d2"])).unwrap();
    assert_eq!(
        sign::parse_query(&request[0].query),
        [
            ("Action", "ListOTATaskByJob"),
            ("DeviceNames.1", "d1"),
            ("DeviceNames.2", "d2"),
            ("IotInstanceId", "iot-060a"),
            ("JobId", "wahVIzGkCMuAUE2gDERM020000"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let many = vec!["d"; 51];
    for (count, is_taken) in [(0, false), (1, true), (50, true), (51, false)] {
        assert_eq!(client.cloud.render(&tasks_of(&many[..count])).is_ok(), is_taken, "{count}");
    }
}
