//! What goes wrong around the process: its log, the files that manifests name, the folder of its state.

use super::harness::{Ended, Lab, PACKAGE, Process, ROLLOUT, each};
use rollwave::simulator::faults::{Kind, When};
use std::process::{Command, Stdio};
use std::time::Duration;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("package.yaml", PACKAGE);
    lab.write("rollout.yaml", ROLLOUT);
    lab
}

fn full_disk() -> Stdio {
    fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap().into_file().into()
}

#[test]
fn log_lines_that_cannot_be_written_are_lost_and_the_work_goes_on() {
    let everything_is_logged = |command: &mut Command| command.env("RUST_LOG", "debug").spawn().unwrap();
    type Log = fn() -> Stdio;
    let cases: [(&str, Log); 2] = [("full disk", full_disk), ("reader gone", Stdio::piped)];
    each(&cases, |(name, log)| {
        let lab = lab();
        let mut command = lab.verb("run", &[]);
        command.stdout(Stdio::null()).stderr(log());
        let mut child = everything_is_logged(&mut command);
        drop(child.stderr.take());
        let process = Process::from(child);
        lab.until(name, || lab.firmware("meter-0019").as_deref() == Some("V2"));
        let (status, _) = process.terminate();
        assert_eq!(status.code(), Some(0), "{name}");
    });
}

#[test]
fn a_warning_that_cannot_be_written_changes_no_exit_code() {
    let lab = lab();
    lab.fault("ListOtaPackageInfo", Some(2), Kind::Error { status: 503, when: When::default() });
    let mut apply = lab.verb("apply", &["--wait", "--timeout", "60s"]);
    let status = apply.stdout(Stdio::null()).stderr(full_disk()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_secret_that_is_no_regular_file_is_refused_and_holds_up_nothing() {
    let lab = lab();
    let pipe = lab.manifest("ak.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    lab.write("cloud.yaml", &lab.cloud_manifest().replace("env:LAB_AK", "file:ak.pipe"));
    let ended = Ended::of(&mut lab.verb("apply", &["--wait", "--timeout", "30s"]));
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.said().contains("ak.pipe is not a regular file"), "{}", ended.said());
    let log = lab.path().join("log");
    let process = Process::start_with_log(&mut lab.verb("run", &[]), &log);
    lab.until("the pipe is named", || fs_err::read_to_string(&log).unwrap().contains("ak.pipe"));
    let (status, took) = process.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_process_whose_state_folder_was_taken_away_sends_nothing_more_and_ends() {
    type Replace = fn(&Lab);
    let state = |lab: &Lab| lab.path().join("state");
    let cases: [(&str, Replace); 3] = [
        ("moved away", |lab| fs_err::rename(lab.path().join("state"), lab.path().join("away")).unwrap()),
        ("removed", |lab| fs_err::remove_dir_all(lab.path().join("state")).unwrap()),
        ("restored over it", |lab| {
            let (live, copy) = (lab.path().join("state/state.redb"), lab.path().join("copy.redb"));
            fs_err::copy(&live, &copy).unwrap();
            fs_err::rename(copy, live).unwrap();
        }),
    ];
    each(&cases, |(name, replace)| {
        let lab = lab();
        for device in ["verify-1", "verify-2"] {
            lab.connect(device, false);
        }
        let log = lab.path().join("log");
        let process = Process::start_with_log(&mut lab.verb("run", &[]), &log);
        lab.until("the verify job is there", || !lab.tasks().is_empty());
        replace(&lab);
        for device in ["verify-1", "verify-2"] {
            lab.connect(device, true);
        }
        let status = process.ended();
        let log = fs_err::read_to_string(log).unwrap();
        assert_eq!(status.code(), Some(1), "{name}: {log}");
        assert!(log.contains("was removed or replaced while it was in use"), "{name}: {log}");
        assert_eq!(lab.tasks().len(), 1, "{name}: nothing was created without a journal");
        assert!(*name == "restored over it" || !state(&lab).exists(), "{name}: no empty state was begun");
    });
}
