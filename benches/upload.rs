//! Memory and speed of uploading the largest file that a cloud takes: 1,000 MB, streamed and checked on the way.
//!
//! `cargo bench --bench upload`. The sink is a process of its own, so that its memory is not counted.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use md5::Md5;
use rollwave::cloud::{
    LocalFile, Transport, WireRequest,
    transport::{HttpOptions, HttpTransport, Upload},
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Instant,
};

const SIZE: u64 = 1_000_000_000;
const BLOCK: usize = 1_000_000;
const GOAL_KIB: u64 = 64 * 1024;
const SINK: &str = "--sink";

fn main() {
    if std::env::args().any(|argument| argument == SINK) {
        return sink();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = generate(&folder.path().join("firmware.bin"));
    let (mut child, mut told, origin) = start_sink();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let before = peak_kib();
    let begin = Instant::now();
    let status = runtime.block_on(upload(origin, file));
    let seconds = begin.elapsed().as_secs_f64();
    let (peak, received) = (peak_kib(), told_of(&mut told));
    child.wait().unwrap();
    assert_eq!(status, 200);
    assert_eq!(received, SIZE.to_string(), "bytes that arrived");
    println!(
        "upload of {} MB, with SHA-256 and MD5: {:.0} MB/s",
        SIZE / 1_000_000,
        SIZE as f64 / 1e6 / seconds
    );
    println!("peak resident memory: {peak} KiB, {before} KiB of it before (goal: at most {GOAL_KIB})");
    assert!(peak <= GOAL_KIB, "{peak} KiB resident at the peak are more than {GOAL_KIB}");
}

/// A file whose blocks differ, and its digests.
fn generate(path: &Path) -> LocalFile {
    let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
    let mut file = File::create(path).unwrap();
    let mut block: Vec<u8> = (0..BLOCK).map(|place| (place % 251) as u8).collect();
    for number in 0..SIZE / BLOCK as u64 {
        block[..8].copy_from_slice(&number.to_le_bytes());
        sha256.update(&block);
        md5.update(&block);
        file.write_all(&block).unwrap();
    }
    LocalFile {
        path: PathBuf::from(path),
        root: "/".into(),
        sha256: hex::encode(sha256.finalize()),
        md5: Some(hex::encode(md5.finalize())),
        size: Some(SIZE),
    }
}

async fn upload(origin: String, file: LocalFile) -> u16 {
    let request = WireRequest {
        method: "POST",
        origin,
        path: "/".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes::new(),
        upload: Some(Box::new(Upload { file, after: Bytes::new() })),
    };
    let transport = HttpTransport::new(HttpOptions::default()).unwrap();
    transport.send(request).await.unwrap().status
}

fn start_sink() -> (Child, BufReader<ChildStdout>, String) {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).arg(SINK).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let address = told_of(&mut told);
    (child, told, format!("http://{address}"))
}

fn told_of(told: &mut impl BufRead) -> String {
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// Says its address, takes one request, throws its body away, and says how long that was.
fn sink() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let (stream, _) = listener.accept().unwrap();
    let received = discard(BufReader::new(&stream));
    answer(&stream);
    println!("{received}");
}

fn discard(mut request: BufReader<&TcpStream>) -> u64 {
    let mut length = 0;
    loop {
        let line = told_of(&mut request).to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    std::io::copy(&mut request.take(length), &mut std::io::sink()).unwrap()
}

fn answer(mut stream: &TcpStream) {
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
}

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
