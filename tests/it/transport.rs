//! The HTTP transport against small servers on this machine.

mod clients;
mod tls;
mod upload;

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{any, get},
};
use rollwave::cloud::{
    Effect, ErrorClass, Transport, TransportError, WireRequest, WireResponse,
    transport::{HttpOptions, HttpTransport},
};
use std::{env, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const BODY_LIMIT: usize = 1000;

fn transport() -> HttpTransport {
    HttpTransport::new(HttpOptions { body_limit: BODY_LIMIT, ..HttpOptions::default() }).unwrap()
}

fn request(origin: &str, path: &str) -> WireRequest {
    WireRequest {
        method: "GET",
        origin: origin.to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers: vec![],
        body: "".into(),
        upload: None,
    }
}

async fn get_from(address: SocketAddr, path: &str) -> Result<WireResponse, TransportError> {
    transport().send(request(&format!("http://{address}"), path)).await
}

async fn bytes_of(request: Request) -> impl IntoResponse {
    let count = request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(0);
    "x".repeat(count)
}

/// Gives back what came in: request line, headers, body.
async fn echo(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1000).await.unwrap();
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter().map(|(name, value)| format!("{name}: {}\n", text(value)));
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    format!("{} {}\n{}\n{}", parts.method, parts.uri, headers.concat(), String::from_utf8_lossy(&body))
}

async fn server() -> SocketAddr {
    let away = get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/echo")]) });
    let packed = get(|| async { ([(header::CONTENT_ENCODING, "gzip")], "not gzip at all") });
    let app = Router::new()
        .route("/bytes", get(bytes_of))
        .route("/away", away)
        .route("/packed", packed)
        .route("/cookie", get(|| async { [(header::SET_COOKIE, "a=b")] }))
        .fallback(any(echo));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A server that reads something, writes `bytes`, and then either holds the connection or drops it.
async fn raw_server(bytes: &'static [u8], hold: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held: Vec<TcpStream> = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(bytes).await;
            if hold {
                held.push(stream);
            }
        }
    });
    address
}

#[tokio::test]
async fn what_the_request_states_is_what_is_sent() {
    let address = server().await;
    let request = WireRequest {
        method: "POST",
        origin: format!("http://{address}"),
        path: "/v5/%E4%B8%AD~x!*'()@:$,;=".into(),
        query: "a=%E7%81%AF%20%2B&b=".into(),
        headers: [("Host", "custom.example.com"), ("X-Name", "测试"), ("Content-Type", "application/json")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: "{\"中\":1}".into(),
        upload: None,
    };
    let response = transport().send(request).await.unwrap();
    let echoed = String::from_utf8(response.body.to_vec()).unwrap();
    insta::assert_snapshot!(echoed.replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r#"
    POST /v5/%E4%B8%AD~x!*'()@:$,;=?a=%E7%81%AF%20%2B&b=
    accept: */*
    content-length: 9
    content-type: application/json
    host: custom.example.com
    user-agent: rollwave/VERSION
    x-name: 测试

    {"中":1}
    "#);
}

#[tokio::test]
async fn a_path_that_would_change_on_the_way_is_not_sent() {
    for path in ["/v5/../admin", "/v5/a b", "/v5/中"] {
        let error = transport().send(request("http://127.0.0.1:1", path)).await.unwrap_err();
        assert_eq!((error.class, error.effect), (ErrorClass::Invalid, Effect::None));
        assert!(error.message.contains("would be changed"), "{path}: {error}");
    }
}

#[tokio::test]
async fn an_answer_may_be_as_long_as_the_limit_and_no_longer() {
    let address = server().await;
    let origin = format!("http://{address}");
    let sized = |count: usize| WireRequest { query: count.to_string(), ..request(&origin, "/bytes") };
    assert_eq!(transport().send(sized(BODY_LIMIT)).await.unwrap().body.len(), BODY_LIMIT);
    let error = transport().send(sized(BODY_LIMIT + 1)).await.unwrap_err();
    assert_eq!((error.class, error.effect), (ErrorClass::Unintelligible, Effect::Unknown));
    assert!(error.message.contains("longer than 1000 bytes"), "{error}");
}

#[tokio::test]
async fn redirects_cookies_and_encodings_are_left_to_the_caller() {
    let address = server().await;
    let redirect = get_from(address, "/away").await.unwrap();
    assert_eq!((redirect.status, redirect.header("location")), (302, Some("/echo")));
    assert_eq!(get_from(address, "/packed").await.unwrap().body, "not gzip at all");
    let transport = transport();
    let origin = format!("http://{address}");
    transport.send(request(&origin, "/cookie")).await.unwrap();
    let echoed = transport.send(request(&origin, "/echo")).await.unwrap();
    assert!(!String::from_utf8_lossy(&echoed.body).contains("cookie"));
}

#[tokio::test]
async fn only_a_connection_that_was_never_made_proves_that_nothing_was_sent() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = raw_server(b"", true).await;
    let half = b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{";
    let cases = [
        (Effect::None, "nobody listens", format!("http://{unused}")),
        (Effect::None, "no such name", "http://rollwave.invalid".to_owned()),
        (Effect::None, "no TLS in time", format!("https://{silent}")),
        (Effect::Unknown, "no answer in time", format!("http://{silent}")),
        (Effect::Unknown, "closed before the answer", format!("http://{}", raw_server(b"", false).await)),
        (Effect::Unknown, "closed within the body", format!("http://{}", raw_server(half, false).await)),
        (Effect::Unknown, "stuck within the body", format!("http://{}", raw_server(half, true).await)),
    ];
    for (effect, case, origin) in cases {
        let error = impatient(effect).send(request(&origin, "/")).await.unwrap_err();
        assert_eq!((error.class, error.effect), (ErrorClass::Unavailable, effect), "{case}: {error}");
        assert!(error.message.starts_with(&origin) && !error.next_step.is_empty(), "{case}: {error}");
    }
}

/// Only one of the two times is short, so that a slow machine cannot mistake one for the other.
fn impatient(expected: Effect) -> HttpTransport {
    let options = HttpOptions::default();
    let short = Duration::from_millis(300);
    HttpTransport::new(match expected {
        Effect::None => HttpOptions { connect_timeout: short, ..options },
        Effect::Unknown => HttpOptions { total_timeout: short, ..options },
    })
    .unwrap()
}

/// Proxy variables belong to a process, so this test runs itself again in one that has them.
#[tokio::test]
async fn a_proxy_is_used_but_never_for_this_machine() {
    const ORIGIN: &str = "ROLLWAVE_TEST_ORIGIN";
    if let Ok(origin) = env::var(ORIGIN) {
        let direct = transport().send(request(&origin, "/direct")).await.unwrap();
        assert!(direct.body.starts_with(b"GET /direct\n"), "{direct:?}");
        let through = transport().send(request("http://rollwave.invalid", "/through")).await.unwrap();
        assert!(through.body.starts_with(b"GET http://rollwave.invalid/through\n"), "{through:?}");
        return;
    }
    let origin = format!("http://{}", server().await);
    let output = tokio::process::Command::new(env::current_exe().unwrap())
        .args(["--exact", "transport::a_proxy_is_used_but_never_for_this_machine"])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env("http_proxy", &origin)
        .env("HTTP_PROXY", &origin)
        .env(ORIGIN, &origin)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
