//! The IoTDA client against a scripted transport: what it sends, and what it makes of answers.

mod auth;
mod errors;
mod paging;
mod requests;

use async_trait::async_trait;
use jiff::Timestamp;
use rollwave::{
    api::HuaweiIotda,
    cloud::{
        Call, CallError, Cloud, Cursor, Effect, PackageKind, Reply, Transport, TransportError, WireRequest,
        WireResponse,
        huawei_iotda::{IotdaClient, Keys, User, wire::parse_time},
    },
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

type Answer = dyn Fn(&WireRequest, usize) -> Result<WireResponse, TransportError> + Send + Sync;

/// Answers by a function of the request and its number, and keeps what was sent.
struct Scripted {
    answer: Box<Answer>,
    sent: Mutex<Vec<WireRequest>>,
}

impl Scripted {
    fn new(
        answer: impl Fn(&WireRequest, usize) -> Result<WireResponse, TransportError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), sent: Mutex::default() })
    }

    fn always(status: u16, headers: &[(&str, &str)], body: &str) -> Arc<Self> {
        let response = answer(status, headers, body);
        Self::new(move |_, _| Ok(response.clone()))
    }

    fn sent(&self) -> Vec<WireRequest> {
        self.sent.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        let number = {
            let mut sent = self.sent.lock().unwrap();
            sent.push(request.clone());
            sent.len()
        };
        tokio::task::yield_now().await;
        (self.answer)(&request, number)
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> WireResponse {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    WireResponse { status, headers, body: body.to_owned().into() }
}

fn spec(change: &Value) -> HuaweiIotda {
    let mut spec = json!({
        "endpoint": "https://9bc34a0001.st1.iotda-app.cn-north-4.myhuaweicloud.com/",
        "region": "cn-north-4",
        "projectId": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "appId": "61f7e74d036aca5be29e1ed4",
    });
    spec.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap_or_default());
    serde_json::from_value(spec).unwrap()
}

fn access_key() -> Keys {
    Keys::AccessKey { id: "AK-of-tests".into(), secret: "SK-of-tests".into(), security_token: None }
}

fn user() -> Keys {
    Keys::User(User { name: "ann".into(), password: "hunter2".into(), domain: "acme".into() })
}

fn now() -> Timestamp {
    parse_time("20240305T060708Z").unwrap()
}

async fn perform(transport: &Arc<Scripted>, call: &Call) -> Result<Reply, CallError> {
    IotdaClient::new(&spec(&json!({})), access_key(), transport.clone()).perform(call, now()).await
}

fn list_packages(cursor: Cursor) -> Call {
    Call::ListPackages { kind: PackageKind::Firmware, exactly: None, cursor }
}

fn a_write() -> Call {
    Call::StopJob { id: "5c8ba99030344005c02316ad".into() }
}
