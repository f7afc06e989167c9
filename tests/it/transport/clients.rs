//! Each cloud's client, when the answer is longer than the transport takes: cut off, and told in one clear message.

use super::BODY_LIMIT;
use axum::{Router, body::Body, routing::any};
use bytes::Bytes;
use futures::stream;
use jiff::Timestamp;
use rollwave::cloud::{
    Call, Cloud, Cursor, Effect, ErrorClass, PackageKind, Transport, aliyun_iot, enos,
    huawei_iotda::{self, Keys},
    ocean_connect::{self, Sessions},
};
use serde_json::{Value, json};
use std::{convert::Infallible, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// A server whose answers never end.
async fn endless() -> SocketAddr {
    let chunks = || stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 64])));
    let app = Router::new().fallback(any(move || async move { Body::from_stream(chunks()) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn spec<T: serde::de::DeserializeOwned>(spec: Value) -> T {
    serde_json::from_value(spec).unwrap()
}

fn clients(origin: &str) -> [Arc<dyn Cloud>; 4] {
    let transport = || Arc::new(super::transport()) as Arc<dyn Transport>;
    let iotda = json!({"endpoint": origin, "region": "cn-north-4", "projectId": "p", "appId": "a", "auth": "SdkHmac"});
    let iotda_keys = Keys::AccessKey { id: "id".into(), secret: "secret".into(), security_token: None };
    let aliyun = json!({"endpoint": origin, "regionId": "cn-shanghai"});
    let aliyun_keys = aliyun_iot::Keys { id: "id".into(), secret: "secret".into(), security_token: None };
    let enos = json!({"endpoint": origin, "orgId": "o"});
    let enos_keys = enos::Keys { app_key: "key".into(), app_secret: "secret".into() };
    let ocean = json!({"endpoint": origin, "appId": "a"});
    [
        huawei_iotda::connect(&spec(iotda), iotda_keys, transport()),
        aliyun_iot::connect(&spec(aliyun), aliyun_keys, transport(), "tests"),
        enos::connect(&spec(enos), enos_keys, transport()),
        ocean_connect::connect(&spec(ocean), "secret".into(), &Sessions::default(), transport()),
    ]
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_and_reported_on_every_cloud() {
    let origin = format!("http://{}", endless().await);
    let call = Call::ListPackages { kind: PackageKind::Firmware, exactly: None, cursor: Cursor::start() };
    for client in clients(&origin) {
        let cloud = client.capabilities().cloud;
        let error = client.perform(&call, Timestamp::UNIX_EPOCH).await.unwrap_err();
        assert_eq!(
            (error.class, error.effect),
            (ErrorClass::Unintelligible, Effect::None),
            "{cloud:?}: {error}"
        );
        let told = format!("the response of {origin} is longer than {BODY_LIMIT} bytes");
        assert!(error.message.contains(&told), "{cloud:?}: {error}");
        assert!(error.next_step.contains("endpoint"), "{cloud:?}: {error}");
    }
}
