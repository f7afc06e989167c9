//! An API server that misbehaves: a proxy before the real one, which refuses, delays and cuts what a test says.

use super::control_plane::{CONTROLLER, ControlPlane};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// What becomes of a request.
pub enum Fate {
    Passed,
    /// Answered with a Status of this code, and not passed on.
    Refused(u16, &'static str),
    /// Passed on; the answer is this one, whatever came of it.
    AnsweredWith(u16, &'static str),
    /// Passed on; this is done before its answer is handed over.
    PassedAnd(Box<dyn FnOnce() + Send>),
    /// A watch that was passed on, and ends with this code in its stream, as an expired one does.
    Expired,
}

/// A request as far as a test wants to know.
pub struct Asked<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub body: &'a [u8],
}

impl Asked<'_> {
    pub fn is_watch(&self) -> bool {
        self.uri.query().is_some_and(|query| query.contains("watch=true"))
    }

    pub fn writes_status(&self) -> bool {
        self.method == Method::PUT && self.uri.path().ends_with("/status")
    }

    /// A status with a create that is about to be sent.
    pub fn writes_intent(&self) -> bool {
        let body = || serde_json::from_slice::<Value>(self.body).unwrap_or_default();
        self.writes_status() && body()["status"]["pending"][0]["state"] == "Intended"
    }
}

type Judge = dyn Fn(&Asked<'_>) -> Fate + Send + Sync;

/// The proxy; it ends with this.
pub struct Unruly {
    kubeconfig: PathBuf,
    _runtime: Runtime,
}

#[derive(Clone)]
struct Upstream {
    server: String,
    client: reqwest::Client,
    judge: Arc<Judge>,
}

impl Unruly {
    /// Stands before the API server; `dir` takes the kubeconfig of a controller that asks here.
    pub fn before(
        plane: &ControlPlane,
        dir: &std::path::Path,
        judge: impl Fn(&Asked<'_>) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut config: Value =
            serde_json::from_slice(&fs_err::read(plane.kubeconfig_file(CONTROLLER)).unwrap()).unwrap();
        let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
        // The real one's certificate is checked by every other test.
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy();
        let upstream = Upstream { server, client: client.build().unwrap(), judge: Arc::new(judge) };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let routes = axum::Router::new().fallback(answer).with_state(upstream);
        runtime.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        config["clusters"][0]["cluster"] = json!({"server": address});
        let kubeconfig = dir.join("unruly.kubeconfig");
        fs_err::write(&kubeconfig, config.to_string()).unwrap();
        Self { kubeconfig, _runtime: runtime }
    }

    /// Where `KUBECONFIG` of a controller points to that asks here.
    pub fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let asked = Asked { method: &parts.method, uri: &parts.uri, body: &body };
    match (upstream.judge)(&asked) {
        Fate::Passed => pass(&upstream, &parts.method, &parts.uri, parts.headers, body).await,
        Fate::Refused(code, reason) => status(code, reason),
        Fate::AnsweredWith(code, reason) => {
            pass(&upstream, &parts.method, &parts.uri, parts.headers, body).await;
            status(code, reason)
        }
        Fate::PassedAnd(act) => {
            let answer = pass(&upstream, &parts.method, &parts.uri, parts.headers, body).await;
            tokio::task::spawn_blocking(act).await.unwrap();
            answer
        }
        Fate::Expired => {
            let event = json!({"type": "ERROR", "object": status_of(410, "Expired")});
            Response::new(Body::from(format!("{event}\n")))
        }
    }
}

async fn pass(
    upstream: &Upstream,
    method: &Method,
    uri: &Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    headers.remove("host");
    let request = upstream.client.request(method.clone(), format!("{}{uri}", upstream.server));
    match request.headers(headers).body(body).send().await {
        Ok(answer) => {
            let mut response = Response::builder().status(answer.status());
            response.headers_mut().unwrap().extend(answer.headers().clone());
            response.headers_mut().unwrap().remove("transfer-encoding");
            response.body(Body::from_stream(answer.bytes_stream().map_err(std::io::Error::other))).unwrap()
        }
        Err(_) => status(502, "BadGateway"),
    }
}

fn status_of(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "message": "the test says so", "reason": reason, "code": code})
}

fn status(code: u16, reason: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(status_of(code, reason).to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    if code == 429 {
        response.headers_mut().insert("retry-after", "1".parse().unwrap());
    }
    response
}
