//! Lists that never end, from clouds or from proxies that answer for them: each client cuts them off and says why.

use crate::fuzz::accounts::{SignIn, client, token};
use async_trait::async_trait;
use futures::FutureExt as _;
use rollwave::{
    api::CloudKind,
    cloud::{
        Call, CallError, Cursor, Effect, ErrorClass, MOST_PAGES, PackageKind, Reply, Transport,
        TransportError, WireRequest, WireResponse,
    },
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Answers lists of packages with full pages; keeps the pages that were asked for.
struct Endless {
    cloud: CloudKind,
    /// Answers for ever with the page that was asked for first.
    stands_still: bool,
    asked: Mutex<Vec<u64>>,
}

#[async_trait]
impl Transport for Endless {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        let body = token(&request.path).unwrap_or_else(|| {
            let mut asked = self.asked.lock().unwrap();
            asked.push(page_asked_for(self.cloud, &request));
            let page = if self.stands_still { asked[0] } else { asked[asked.len() - 1] };
            body(self.cloud, page)
        });
        Ok(WireResponse { status: 200, headers: vec![], body: body.to_string().into() })
    }
}

/// Numbers from where the cloud's begin; markers are numbers here, too.
fn page_asked_for(cloud: CloudKind, request: &WireRequest) -> u64 {
    let asked = |name: &str| {
        let pairs = url::form_urlencoded::parse(request.query.as_bytes());
        pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.parse().unwrap())
    };
    match cloud {
        CloudKind::HuaweiIotda => asked("marker").unwrap_or(0),
        CloudKind::OceanConnect => asked("pageNo").unwrap(),
        CloudKind::AliyunIot => asked("CurrentPage").unwrap(),
        CloudKind::Enos => {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            body["pagination"]["pageNo"].as_u64().unwrap()
        }
    }
}

/// A full page, of a list that always has one more.
fn body(cloud: CloudKind, page: u64) -> Value {
    let rows = |size: u64, row: &dyn Fn(String) -> Value| -> Vec<Value> {
        (0..size).map(|n| row(format!("{}", page * size + n))).collect()
    };
    match cloud {
        CloudKind::HuaweiIotda => {
            let row = |id: String| json!({"package_id": id, "package_type": "firmwarePackage", "product_id": "p", "version": id});
            json!({"packages": rows(50, &row), "page": {"count": 1_000_000, "marker": (page + 1).to_string()}})
        }
        CloudKind::OceanConnect => {
            let row = |id: String| {
                json!({"fileId": id, "version": "V2", "fileType": "firmwarePackage", "deviceType": "Meter",
                       "model": "WM1", "manufacturerName": "Acme"})
            };
            json!({"data": rows(100, &row), "pageNo": page, "totalCount": (page + 1) * 100 + 1})
        }
        CloudKind::AliyunIot => {
            let row = |id: String| json!({"FirmwareId": id, "DestVersion": "V2", "ProductKey": "p"});
            json!({"Success": true, "FirmwareInfo": {"SimpleFirmwareInfo": rows(100, &row)},
                   "CurrentPage": page, "PageCount": page + 1, "Total": page * 100 + 1})
        }
        CloudKind::Enos => {
            let row = |id: String| json!({"firmwareId": id, "version": "V2"});
            json!({"code": 0, "data": rows(50, &row),
                   "pagination": {"pageNo": page, "pageSize": 50, "totalSize": page * 50 + 1}})
        }
    }
}

/// The error that ends the walk through a list, and how many pages were asked for.
fn walk(cloud: CloudKind, stands_still: bool, from: Cursor) -> (CallError, usize) {
    let transport = Arc::new(Endless { cloud, stands_still, asked: Mutex::default() });
    let client = client(cloud, SignIn::Works, transport.clone());
    let mut cursor = from;
    loop {
        let call = Call::ListPackages { kind: PackageKind::Firmware, exactly: None, cursor };
        let now = "2024-03-05T06:07:08Z".parse().unwrap();
        match client.perform(&call, now).now_or_never().expect("nothing to wait for") {
            Ok(Reply::Packages(page)) => cursor = page.next.expect("there is always more"),
            Ok(reply) => panic!("{reply:?}"),
            Err(error) => return (error, transport.asked.lock().unwrap().len()),
        }
        assert!(transport.asked.lock().unwrap().len() < 10, "{cloud:?}: it goes on");
    }
}

fn assert_cut_off(error: &CallError, words: &str) {
    assert_eq!((error.class, error.effect), (ErrorClass::Unintelligible, Effect::None), "{error}");
    assert!(error.message.contains(words) && !error.next_step.is_empty(), "{error}");
}

/// Where a walk stands three pages before the last one that is read.
fn near_the_end(cloud: CloudKind) -> Cursor {
    let pages = MOST_PAGES - 3;
    let (marker, seen) = match cloud {
        CloudKind::HuaweiIotda => (pages, pages * 50),
        CloudKind::OceanConnect => (pages, pages * 100),
        CloudKind::AliyunIot => (pages + 1, pages * 100),
        CloudKind::Enos => (pages * 50 + 1, pages * 50),
    };
    Cursor { marker: Some(marker.to_string()), seen: u64::from(seen), pages }
}

#[test]
fn a_list_that_always_has_one_more_page_is_cut_off() {
    for cloud in CloudKind::ALL {
        let (error, asked) = walk(cloud, false, near_the_end(cloud));
        assert_cut_off(&error, "the list does not end after 20000 pages");
        assert_eq!(asked, 3, "{cloud:?}");
    }
}

#[test]
fn a_page_that_comes_again_and_again_is_noticed_the_second_time() {
    let said = [
        (CloudKind::HuaweiIotda, "the list does not advance"),
        (CloudKind::OceanConnect, "page 1 was requested, the response is page 0"),
        (CloudKind::AliyunIot, "page 2 was requested, the response is page 1"),
        (CloudKind::Enos, "page 2 was requested, the response is page 1"),
    ];
    for (cloud, words) in said {
        let (error, asked) = walk(cloud, true, Cursor::start());
        assert_cut_off(&error, words);
        assert_eq!(asked, 2, "{cloud:?}");
    }
}
