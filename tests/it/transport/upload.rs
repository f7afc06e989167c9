//! Files within a body: streamed whole, or broken off when they are not the expected ones.

use super::{request, transport};
use axum::{Router, body::to_bytes, extract::Request, routing::post};
use rollwave::cloud::{
    Effect, ErrorClass, LocalFile, Transport, TransportError, WireRequest,
    transport::{HttpOptions, HttpTransport, Upload},
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{net::TcpListener, sync::mpsc};

const BYTES: &[u8] = b"firmware";
/// Of something else.
const SHA256: &str = "1f98537ea402cedad36fdf3f4b30f6ebbf6a23ae7ba18a0b96e6a3ec0ee3b4f0";

/// A server that tells of every request how it ended: its whole body, or none when it was broken off.
async fn server() -> (SocketAddr, mpsc::UnboundedReceiver<Option<Vec<u8>>>) {
    let (tell, told) = mpsc::unbounded_channel();
    let answer = move |request: Request| {
        let tell = tell.clone();
        async move {
            let body = to_bytes(request.into_body(), usize::MAX).await;
            tell.send(body.ok().map(|body| body.to_vec())).unwrap();
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
    (address, told)
}

fn with(address: SocketAddr, file: LocalFile) -> WireRequest {
    let upload = Upload { file, after: "after".into() };
    WireRequest {
        method: "POST",
        body: "before-".into(),
        upload: Some(Box::new(upload)),
        ..request(&format!("http://{address}"), "/")
    }
}

fn file(path: PathBuf) -> LocalFile {
    LocalFile { path, root: "/".into(), sha256: digest(), md5: None, size: None }
}

fn digest() -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(BYTES))
}

async fn refusal(change: impl FnOnce(&mut LocalFile)) -> (TransportError, Option<Option<Vec<u8>>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v2.bin");
    fs_err::write(&path, BYTES).unwrap();
    let mut file = file(path);
    change(&mut file);
    let (address, mut told) = server().await;
    let error = transport().send(with(address, file)).await.unwrap_err();
    (error, told.try_recv().ok())
}

#[tokio::test]
async fn a_file_is_sent_between_what_stands_before_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v2.bin");
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    fs_err::write(&path, &large).unwrap();
    use sha2::Digest as _;
    let sha256 = hex::encode(sha2::Sha256::digest(&large));
    let file = LocalFile { sha256, size: Some(1_000_000), ..file(path) };
    let (address, mut told) = server().await;
    let reply = transport().send(with(address, file)).await.unwrap();
    assert_eq!(reply.status, 200);
    let expected = [b"before-".as_slice(), &large, b"after"].concat();
    assert!(told.recv().await.unwrap() == Some(expected), "the body is what was to be sent");
}

#[tokio::test]
async fn of_another_file_no_byte_is_sent() {
    type Change = fn(&mut LocalFile);
    let changes: [(&str, Change); 4] = [
        ("has the SHA-256", |file| file.sha256 = SHA256.into()),
        ("has the MD5", |file| file.md5 = Some("0".repeat(32))),
        ("has 8 bytes, expected 9", |file| file.size = Some(9)),
        ("cannot be read", |file| file.path = "/nowhere/v2.bin".into()),
    ];
    for (expected, change) in changes {
        let (error, told) = refusal(change).await;
        assert!(error.message.contains(expected), "{error}");
        assert_eq!((error.class, error.effect), (ErrorClass::Invalid, Effect::None), "{error}");
        assert!(told.is_none(), "{expected}: the server was called");
    }
}

#[tokio::test]
async fn a_request_with_a_file_has_the_time_of_an_upload_and_not_that_of_other_requests() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v2.bin");
    fs_err::write(&path, BYTES).unwrap();
    let slow = post(|request: Request| async {
        drop(to_bytes(request.into_body(), usize::MAX).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", slow)).await });
    let options = HttpOptions { total_timeout: Duration::from_millis(300), ..HttpOptions::default() };
    let transport = HttpTransport::new(options).unwrap();
    assert_eq!(transport.send(with(address, file(path))).await.unwrap().status, 200);
    let plain = WireRequest { method: "POST", ..request(&format!("http://{address}"), "/") };
    let error = transport.send(plain).await.unwrap_err();
    assert!(error.message.contains("did not respond in time"), "{error}");
}
