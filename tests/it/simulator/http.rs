//! What only a socket shows: cut connections, half answers, large bodies, and who may listen where.

use super::account;
use rollwave::simulator::{Running, World, faults::Fault, serve};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

async fn start() -> Running {
    let world = World::parse("world.yaml", account()).unwrap();
    serve(&world, "127.0.0.1:0".parse().unwrap()).await.unwrap()
}

/// Sends one request and reads until the connection ends.
async fn raw(running: &Running, body: Vec<u8>) -> Vec<u8> {
    let address = running.address;
    tokio::task::spawn_blocking(move || send(address, &body)).await.unwrap()
}

fn send(address: SocketAddr, body: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = "POST /v5/iot/p1/batchtasks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    socket.write_all(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes()).unwrap();
    // A server that cuts the connection may do so before everything is written.
    let _ = socket.write_all(body);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answer
}

fn inject(running: &Running, fault: serde_json::Value) {
    let fault: Fault = serde_json::from_value(fault).unwrap();
    running.handle.with(|simulator, wall| simulator.inject(fault, wall)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_sends_nothing_and_a_truncated_answer_breaks_off() {
    let running = start().await;
    let whole = String::from_utf8(raw(&running, b"{}".to_vec()).await).unwrap();
    assert!(whole.starts_with("HTTP/1.1 401"), "{whole}");
    inject(&running, json!({"kind": "reset", "count": 1}));
    assert_eq!(raw(&running, b"{}".to_vec()).await, b"");
    inject(&running, json!({"kind": "truncated", "count": 1}));
    let half = String::from_utf8(raw(&running, b"{}".to_vec()).await).unwrap();
    let (head, body) = half.split_once("\r\n\r\n").unwrap();
    let length = |head: &str| {
        let line = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        line.unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(body.len(), length(head) / 2, "{half}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_is_cut_by_the_shutdown() {
    let running = start().await;
    inject(&running, json!({"kind": "hang"}));
    let address = running.address;
    let hanging = tokio::task::spawn_blocking(move || send(address, b"{}"));
    while running.handle.with(|simulator, _| simulator.calls("CreateBatchTask")) == 0 {
        tokio::task::yield_now().await;
    }
    running.shutdown().await;
    assert_eq!(hanging.await.unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_over_12_mb_are_refused_by_the_gateway() {
    let running = start().await;
    let limit = 12 * 1024 * 1024;
    let allowed = String::from_utf8(raw(&running, vec![b' '; limit]).await).unwrap();
    assert!(allowed.starts_with("HTTP/1.1 401"), "{allowed}");
    let refused = String::from_utf8(raw(&running, vec![b' '; limit + 1]).await).unwrap();
    assert!(refused.starts_with("HTTP/1.1 413") && refused.contains("APIGW.0201"), "{refused}");
    running.shutdown().await;
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let world = World::parse("world.yaml", account()).unwrap();
    let refused = serve(&world, "0.0.0.0:0".parse().unwrap()).await.unwrap_err().to_string();
    insta::assert_snapshot!(refused, @"0.0.0.0:0 is not a loopback address; the admin API has no authentication (try 127.0.0.1:0)");
}
