//! Every documented refusal of the upgrade calls, paging, devices and groups.

use super::*;

const DEVICES: &str = "
devices:
- {count: 300, idPrefix: m-, product: Acme/WaterMeter/WM1, firmware: V1, groups: [north]}
- {id: other, product: Acme/WaterMeter/WM2, firmware: V1}
";

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("m-{n:04}")).collect()
}

#[test]
fn each_rule_of_a_new_task_has_its_code() {
    let mut bench = Bench::new(DEVICES);
    let file = bench.package();
    let devices = json!({"devices": ["m-0000"]});
    let with = |targets: &Value, policy: Value| json!({"fileId": file, "targets": targets, "policy": policy});
    let window = |start: &str, end: &str| {
        with(&devices, json!({"executeType": "custom", "startTime": start, "endTime": end}))
    };
    let now = json!({"executeType": "now"});
    let groups = json!({"deviceGroups": ["north"], "manufacturerName": "Acme", "deviceType": "WaterMeter", "model": "WM1"});
    let without = |field: &str| {
        let mut groups = groups.clone();
        groups.as_object_mut().unwrap().remove(field);
        with(&groups, now.clone())
    };
    let retry =
        |times: Value| with(&devices, json!({"executeType": "now", "retryType": true, "retryTimes": times}));
    let cases = [
        ("no package", json!({"targets": devices}), (400, "120015")),
        ("unknown package", json!({"fileId": "f", "targets": devices}), (404, "123002")),
        ("unknown device", with(&json!({"devices": ["m-9999"]}), now.clone()), (404, "123002")),
        ("another product", with(&json!({"devices": ["other"]}), now.clone()), (400, "123016")),
        ("no manufacturer", without("manufacturerName"), (400, "123019")),
        ("no type", without("deviceType"), (400, "123020")),
        ("no model", without("model"), (400, "123021")),
        ("no targets", json!({"fileId": file}), (400, "123022")),
        ("empty targets", with(&json!({"devices": []}), now.clone()), (400, "123022")),
        (
            "both",
            with(&json!({"devices": ["m-0000"], "deviceGroups": ["north"]}), now.clone()),
            (400, "123023"),
        ),
        ("256", with(&json!({"devices": ids(256)}), now.clone()), (201, "")),
        ("257", with(&json!({"devices": ids(257)}), now.clone()), (400, "123024")),
        ("no type of execution", with(&devices, json!({})), (400, "123025")),
        ("another type of execution", with(&devices, json!({"executeType": "soon"})), (400, "123025")),
        ("no times", with(&devices, json!({"executeType": "custom"})), (400, "123026")),
        ("malformed", window("2026-03-01T12:00:00Z", "20260301T130000Z"), (400, "123026")),
        ("no retries", retry(Value::Null), (400, "123028")),
        ("6 retries", retry(json!(6)), (400, "123028")),
        ("5 retries", retry(json!(5)), (201, "")),
        ("start after end", window("20260301T140000Z", "20260301T130000Z"), (400, "123032")),
        ("start in the past", window("20260301T110000Z", "20260301T130000Z"), (400, "123033")),
        ("5 minutes", window("20260301T130000Z", "20260301T130500Z"), (400, "123034")),
        ("more than 5 minutes", window("20260301T130000Z", "20260301T130501Z"), (201, "")),
        ("groups", with(&groups, now.clone()), (201, "")),
    ];
    for (name, body, expected) in cases {
        let answer = bench.create(&body);
        assert_eq!(code(&answer), expected, "{name}: {}", answer.1);
    }
    let software = format!("{UPGRADE}/operations/softwareUpgrade");
    let answer = bench.call("POST", &software, "", Some(&with(&devices, now.clone())));
    assert_eq!(code(&answer), (404, "123002"), "a firmware package is no software");
}

#[test]
fn lists_begin_at_page_0_and_know_their_limits() {
    let mut bench = Bench::new(DEVICES);
    for query in ["pageSize=0", "pageSize=101", "pageNo=-1", "pageNo=x"] {
        for list in ["category", "operations"] {
            assert_eq!(code(&bench.upgrade("GET", list, query)), (400, "123029"), "{list}?{query}");
        }
    }
    let devices = "/iocm/app/dm/v1.4.0/devices";
    let mut seen = Vec::new();
    for page in 0..3 {
        let query = format!("pageNo={page}&pageSize=250&sort=ASC&deviceType=WaterMeter");
        let (status, answer) = bench.call("GET", devices, &query, None);
        assert_eq!((status, answer["totalCount"].as_u64()), (200, Some(301)));
        let rows = answer["devices"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["deviceId"].as_str().unwrap().to_owned()));
    }
    assert_eq!((seen.len(), seen[0].as_str(), seen[300].as_str()), (301, "m-0000", "other"));
    assert_eq!(bench.call("GET", devices, "pageNo=0&pageSize=251", None).0, 400);
    assert_eq!(bench.call("GET", devices, "pageSize=25", None).0, 400, "neither gatewayId nor pageNo");
    assert_eq!(bench.call("GET", devices, "pageNo=0&appId=app2", None).0, 403);
    let (_, device) = bench.call("GET", &format!("{devices}/m-0007"), "appId=app1", None);
    assert_eq!(device["deviceInfo"]["fwVersion"], "V1");
    assert_eq!(bench.call("GET", &format!("{devices}/none"), "", None).0, 404);
}

#[test]
fn packages_come_from_the_portal_and_are_found_in_both_spellings() {
    let mut bench = Bench::new(DEVICES);
    for (query, count) in [
        ("manufacturerName=Acme&version=V2", 1),
        ("manufactureName=Acme", 1),
        ("?&manufacturerName=Other", 0),
        ("&manufacturerName=Other", 0),
        ("fileType=softwarePackage", 0),
        ("deviceType=WaterMeter&model=WM1&fileType=firmwarePackage", 1),
    ] {
        let (status, answer) = bench.upgrade("GET", "category", query);
        assert_eq!((status, answer["totalCount"].as_u64()), (200, Some(count)), "{query}: {answer}");
    }
    let mut package =
        json!({"fileType": "softwarePackage", "product": PRODUCT, "version": "S2", "sourceVersions": []});
    let upload = |bench: &mut Bench, package: &Value| {
        let package = serde_json::from_value(package.clone()).unwrap();
        bench.simulator.upload_by_hand(&package, bench.wall)
    };
    assert!(upload(&mut bench, &package).unwrap_err().0.contains("sourceVersions"));
    package["sourceVersions"] = json!(["S1"]);
    let id = upload(&mut bench, &package).unwrap();
    let (_, shown) = bench.upgrade("GET", &format!("category/{id}"), "");
    assert_eq!((&shown["version"], shown.get("sourceVersions")), (&json!("S2"), None), "never shown");
    assert_eq!(bench.upgrade("DELETE", &format!("category/{id}"), ""), (200, Value::Null));
    assert_eq!(code(&bench.upgrade("GET", &format!("category/{id}"), "")), (404, "123002"));
}

#[test]
fn groups_have_members_and_names_of_letters_and_digits() {
    let mut bench = Bench::new(DEVICES);
    let groups = "/iocm/app/devgroup/v1.3.0/devGroups";
    assert_eq!(bench.call("POST", groups, "", Some(&json!({"name": "a b"}))).0, 400);
    let new = json!({"name": "lab1", "maxDevNum": 2, "deviceIds": ["m-0001"]});
    let (status, group) = bench.call("POST", groups, "", Some(&new));
    assert_eq!((status, &group["curDevNum"]), (200, &json!(1)), "{group}");
    let id = group["id"].as_str().unwrap().to_owned();
    let members = |bench: &mut Bench| {
        let query = format!("accessAppId=app1&devGroupId={id}&pageNo=0&pageSize=100");
        bench.call("GET", "/iocm/app/dm/v1.2.0/devices/ids", &query, None).1["deviceIds"].clone()
    };
    let change = |bench: &mut Bench, verb: &str, devices: &[&str]| {
        let body = json!({"devGroupId": id, "deviceIds": devices});
        bench.call("POST", &format!("/iocm/app/dm/v1.1.0/devices/{verb}"), "accessAppId=app1", Some(&body)).0
    };
    assert_eq!(change(&mut bench, "addDevGroupTagToDevices", &["m-0002", "m-0003"]), 400, "it is full");
    assert_eq!(change(&mut bench, "addDevGroupTagToDevices", &["m-0002"]), 200);
    assert_eq!(members(&mut bench), json!(["m-0001", "m-0002"]));
    assert_eq!(change(&mut bench, "deleteDevGroupTagFromDevices", &["m-0001"]), 200);
    assert_eq!(members(&mut bench), json!(["m-0002"]));
    assert_eq!(bench.call("GET", &format!("{groups}/{id}"), "accessAppId=app2", None).0, 403);
    assert_eq!(bench.call("DELETE", &format!("{groups}/{id}"), "accessAppId=app1", None).0, 200);
    let (_, list) = bench.call("GET", groups, "accessAppId=app1&pageNo=0&pageSize=10", None);
    assert_eq!((list["totalCount"].as_u64(), &list["list"][0]["curDevNum"]), (Some(1), &json!(300)));
}
