//! `rollwave simulate` as a process.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

fn simulate(world: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollwave"));
    command.args(["simulate", "--world", world]).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn it_reports_where_it_serves_and_ends_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoints.json");
    let more = ["--listen", "127.0.0.1:0", "--endpoints", file.to_str().unwrap()];
    let mut process = simulate("examples/world.yaml", &more).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("serving huaweiIotda at ").unwrap().to_owned();
    let endpoints: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(endpoints, serde_json::json!({"huaweiIotda": url}));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left in the folder");
    Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[test]
fn what_it_cannot_serve_it_reports() {
    let refusal = |world: &str, more: &[&str]| {
        let output = simulate(world, more).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = refusal("no-such-world.yaml", &[]);
    assert!(missing.contains("no-such-world.yaml"), "{missing}");
    let open = refusal("examples/world.yaml", &["--listen", "0.0.0.0:0"]);
    assert!(open.contains("0.0.0.0:0 is not a loopback address"), "{open}");
    let wrong = refusal("Cargo.toml", &[]);
    assert!(wrong.contains("Cargo.toml"), "{wrong}");
}
