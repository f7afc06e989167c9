//! Lists: by marker, to the end, and never in a circle.

use super::*;
use rollwave::cloud::{ErrorClass, PackageKey, PackageRow};
use std::collections::BTreeSet;

/// A platform with packages whose record ids go down from `count` to 1.
fn platform(count: u64) -> Arc<Scripted> {
    changing_platform(move |_| (1..=count).collect())
}

/// A platform that has packages of these record ids when it gets its first request, its second, and so on.
fn changing_platform(ids: impl Fn(usize) -> BTreeSet<u64> + Send + Sync + 'static) -> Arc<Scripted> {
    Scripted::new(move |request, number| {
        let there = ids(number);
        let asked = |name: &str| {
            let pairs = url::form_urlencoded::parse(request.query.as_bytes());
            pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!(asked("offset"), None, "the offset ends at 500");
        assert_eq!(asked("limit").as_deref(), Some("50"));
        let below = asked("marker").map_or(u64::MAX, |marker| u64::from_str_radix(&marker, 16).unwrap());
        let ids: Vec<u64> = there.range(..below).rev().take(50).copied().collect();
        let marker = ids.last().map_or(String::new(), |id| format!("{id:024x}"));
        let packages: Vec<_> = ids.iter().map(|id| row(&id.to_string())).collect();
        let page = json!({"packages": packages, "page": {"count": there.len(), "marker": marker}});
        Ok(answer(200, &[], &page.to_string()))
    })
}

fn row(id: &str) -> Value {
    json!({"package_id": id, "package_type": "firmwarePackage", "product_id": "p", "version": id})
}

async fn read_all(transport: &Arc<Scripted>) -> Vec<PackageRow> {
    let mut rows = Vec::new();
    let mut cursor = Some(Cursor::start());
    while let Some(at) = cursor {
        let Reply::Packages(page) = perform(transport, &list_packages(at)).await.unwrap() else {
            panic!("not packages")
        };
        rows.extend(page.items);
        cursor = page.next;
    }
    rows
}

#[tokio::test]
async fn a_list_is_read_whole_with_as_few_calls_as_it_has_pages() {
    for (packages, calls) in [(0, 1), (1, 1), (49, 1), (50, 1), (51, 2), (100, 3), (551, 12), (10_000, 201)] {
        let transport = platform(packages);
        let mut ids: Vec<_> = read_all(&transport).await.into_iter().map(|row| row.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len() as u64, packages);
        assert_eq!(transport.sent().len(), calls, "{packages} packages");
    }
}

#[tokio::test]
async fn a_marker_that_stands_still_ends_the_walk() {
    let rows: Vec<_> = (0..50).map(|id| row(&id.to_string())).collect();
    for page in [json!({"count": 500, "marker": "aa"}), json!({"count": 500}), Value::Null] {
        let body = json!({"packages": rows, "page": page}).to_string();
        let cursor = Cursor { marker: Some("aa".into()), seen: 50, pages: 1 };
        let error = perform(&Scripted::always(200, &[], &body), &list_packages(cursor)).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unintelligible, "{error}");
    }
}

#[tokio::test]
async fn a_search_for_one_version_finds_no_other() {
    let body =
        json!({"packages": [row("V1"), row("V1.1")], "page": {"count": 2, "marker": "aa"}}).to_string();
    let key =
        PackageKey { kind: PackageKind::Firmware, product: "p".into(), version: "V1".into(), module: None };
    let call = Call::ListPackages {
        kind: PackageKind::Firmware,
        exactly: Some(key.clone()),
        cursor: Cursor::start(),
    };
    let reply = perform(&Scripted::always(200, &[], &body), &call).await.unwrap();
    let Reply::Packages(page) = reply else { panic!("not packages") };
    let found: Vec<_> = page.items.into_iter().map(|row| row.key).collect();
    assert_eq!(found, [key]);
}

/// Packages that were read already are deleted while the list is read: `count` falls to what was seen, or below it, and the
/// oldest packages are still to come.
#[tokio::test]
async fn a_list_that_gets_shorter_while_it_is_read_is_read_to_its_end() {
    for deleted in [1, 19, 20, 21, 50] {
        let transport = changing_platform(move |request| {
            let newest = if request == 1 { 120 } else { 120 - deleted };
            (1..=newest).collect()
        });
        let ids: BTreeSet<String> = read_all(&transport).await.into_iter().map(|row| row.id).collect();
        assert_eq!(ids, (1..=120_u64).map(|id| id.to_string()).collect(), "{deleted} deleted");
    }
}
