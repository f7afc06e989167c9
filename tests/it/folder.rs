//! Folders of manifests: what is read, and when a watched folder is read again.

use crate::support::within_reason;
use async_trait::async_trait;
use rollwave::source::Snapshot;
use rollwave::source::folder::{self, Settle, Watch, WatchOptions};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;

fn cloud(name: &str) -> String {
    // Each name is an account of its own.
    include_str!("../../examples/fleet/1-cloud.yaml")
        .replace("name: meters", &format!("name: {name}"))
        .replace("projectId: 84ffa6b1c9d0446b8f5d3e2a1b0c9d8e", &format!("projectId: {name}"))
}

/// A folder with these files.
fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.objects.keys().map(|key| key.name.as_str()).collect()
}

/// The problems, with the folder's own path taken out.
fn said(snapshot: &Snapshot, root: &Path) -> Vec<String> {
    let root = root.display().to_string();
    snapshot.problems.iter().map(|problem| problem.to_string().replace(&root, "ROOT")).collect()
}

#[test]
fn every_manifest_of_a_folder_is_read_once_and_nothing_else() {
    let (a, b, c) = (cloud("a"), cloud("b"), cloud("c"));
    let folder = folder_of(&[
        ("b.yaml", &b),
        ("deep/er/a.yml", &a),
        ("c.JSON", &c),
        ("notes.txt", "not a manifest"),
        (".hidden.yaml", "kind: ["),
        (".git/x.yaml", "kind: ["),
        ("b.yaml~", "kind: ["),
    ]);
    symlink("b.yaml", folder.path().join("again.yaml")).unwrap();
    symlink("deep", folder.path().join("deep2")).unwrap();
    let roots = [folder.path().to_owned(), folder.path().join("b.yaml")];
    let reading = folder::read_all(&roots);
    assert_eq!(said(&reading.snapshot, folder.path()), Vec::<String>::new());
    assert_eq!(names(&reading.snapshot), ["a", "b", "c"]);
    assert_eq!(reading.files.len(), 3);
}

#[test]
fn what_cannot_be_read_is_a_problem() {
    let elsewhere = folder_of(&[("secret.yaml", "kind: [")]);
    let folder = folder_of(&[("sub/a.yaml", &cloud("a"))]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("bytes.yaml"), b"a: 1\nb: \xff\n").unwrap();
    fs::write(at("large.yaml"), vec![b' '; 8 * 1024 * 1024 + 1]).unwrap();
    symlink(elsewhere.path().join("secret.yaml"), at("escape.yaml")).unwrap();
    symlink("..", at("sub/loop")).unwrap();
    symlink("nowhere", at("dangling.yaml")).unwrap();
    symlink("self.yaml", at("self.yaml")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket.yaml")).unwrap();
    let snapshot = folder::read(folder.path());
    let said = said(&snapshot, folder.path()).join("\n");
    let said = said.replace(&elsewhere.path().display().to_string(), "ELSEWHERE");
    insta::assert_snapshot!(said, @r##"
    ROOT/bytes.yaml:2:4: not UTF-8: the byte 0xFF cannot stand here
    ROOT/dangling.yaml:1:1: there is no such file or folder
    ROOT/escape.yaml:1:1: a symbolic link to ELSEWHERE/secret.yaml, outside of the folder: it is not read
    ROOT/large.yaml:1:1: has 8388609 bytes, at most 8388608 (8 MiB)
    ROOT/self.yaml:1:1: cannot be read: filesystem loop or indirection limit (e.g. symlink loop)
    ROOT/socket.yaml:1:1: is neither a file nor a folder
    ROOT/sub/loop:1:1: a symbolic link that leads back to a folder above it
    "##);
    assert_eq!(names(&snapshot), ["a"]);
}

#[test]
fn an_unreadable_folder_is_a_problem_and_so_is_one_that_is_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder_of(&[("closed/a.yaml", &cloud("a"))]);
    let closed = folder.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything.
    let is_root = fs::read_dir(&closed).is_ok();
    let snapshot = folder::read(folder.path());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    if is_root {
        assert_eq!(names(&snapshot), ["a"]);
    } else {
        assert_eq!(said(&snapshot, folder.path()), ["ROOT/closed:1:1: cannot be read: permission denied"]);
    }
    let absent = folder::read(Path::new("no/such/folder"));
    assert_eq!(said(&absent, folder.path()), ["no/such/folder:1:1: there is no such file or folder"]);
}

/// Time that passes when the test says so.
struct Stage {
    quiet: Worker,
    at_most: Worker,
    poll: Worker,
}

struct Worker {
    asked: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Worker {
    fn new(open: bool) -> Self {
        Self { asked: watch::Sender::new(0), open: watch::Sender::new(open) }
    }

    /// Returns once somebody has begun to wait here for the `times`th time.
    async fn asked(&self, times: usize) {
        self.asked.subscribe().wait_for(|asked| *asked >= times).await.unwrap();
    }
}

const OPTIONS: WatchOptions = WatchOptions {
    quiet: Duration::from_millis(1),
    at_most: Duration::from_millis(2),
    poll: Duration::from_millis(3),
};

#[async_trait]
impl Settle for Stage {
    async fn sleep(&self, time: Duration) {
        let workers =
            [(OPTIONS.quiet, &self.quiet), (OPTIONS.at_most, &self.at_most), (OPTIONS.poll, &self.poll)];
        let (_, worker) = workers.into_iter().find(|(length, _)| *length == time).unwrap();
        worker.asked.send_modify(|asked| *asked += 1);
        worker.open.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

/// A watch of a folder that is at rest at once after each event, and is never polled.
fn watch(root: &Path) -> (Watch, Arc<Stage>) {
    let stage =
        Arc::new(Stage { quiet: Worker::new(true), at_most: Worker::new(false), poll: Worker::new(false) });
    (Watch::new(root, OPTIONS, stage.clone()), stage)
}

/// Waits for the snapshot that holds these objects without problems. On the way there, no snapshot may say that an object
/// of `always` is gone, unless it says that something is wrong, too.
async fn until(watch: &mut Watch, wanted: &[&str], always: &[&str]) -> Snapshot {
    within_reason(async {
        loop {
            let snapshot = watch.next().await;
            let lost = always.iter().any(|name| !names(&snapshot).contains(name));
            assert!(!lost || !snapshot.problems.is_empty(), "{:?}", names(&snapshot));
            if snapshot.problems.is_empty() && names(&snapshot) == wanted {
                return snapshot;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_new_file_a_replaced_file_and_a_removed_file_are_seen() {
    let folder = folder_of(&[("a.yaml", &cloud("a"))]);
    let (mut watch, _stage) = watch(folder.path());
    until(&mut watch, &["a"], &["a"]).await;
    fs::create_dir(folder.path().join("new")).unwrap();
    fs::write(folder.path().join("new/b.yaml"), cloud("b")).unwrap();
    until(&mut watch, &["a", "b"], &["a"]).await;
    // As editors and `git checkout` write: a temporary file takes the name.
    fs::write(folder.path().join(".a.yaml.tmp"), cloud("a2")).unwrap();
    fs::rename(folder.path().join(".a.yaml.tmp"), folder.path().join("a.yaml")).unwrap();
    until(&mut watch, &["a2", "b"], &["b"]).await;
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    until(&mut watch, &["b"], &["b"]).await;
}

#[tokio::test]
async fn a_half_written_file_never_takes_its_objects_away() {
    use std::io::Write as _;
    let folder = folder_of(&[("a.yaml", &cloud("a")), ("b.yaml", &cloud("b"))]);
    let (mut watch, _stage) = watch(folder.path());
    until(&mut watch, &["a", "b"], &["a", "b"]).await;
    let text = cloud("a").replace("driftInterval: 5m", "driftInterval: 6m");
    let (first, rest) = text.split_at(text.find("endpoint:").unwrap() + 4);
    let mut file = fs::File::create(folder.path().join("a.yaml")).unwrap();
    let emptied = within_reason(watch.next()).await;
    assert_eq!(
        said(&emptied, folder.path()),
        ["ROOT/a.yaml:1:1: is empty now: remove the file if its objects are to go"]
    );
    file.write_all(first.as_bytes()).unwrap();
    let half = within_reason(watch.next()).await;
    assert!(said(&half, folder.path())[0].starts_with("ROOT/a.yaml:"), "{:?}", half.problems);
    file.write_all(rest.as_bytes()).unwrap();
    until(&mut watch, &["a", "b"], &["b"]).await;
}

#[tokio::test]
async fn a_config_map_is_swapped_as_one() {
    let folder = folder_of(&[("..1/a.yaml", &cloud("a")), ("..1/b.yaml", &cloud("b"))]);
    let at = |name: &str| folder.path().join(name);
    symlink("..1", at("..data")).unwrap();
    symlink("..data/a.yaml", at("a.yaml")).unwrap();
    symlink("..data/b.yaml", at("b.yaml")).unwrap();
    let (mut watch, _stage) = watch(folder.path());
    until(&mut watch, &["a", "b"], &["a", "b"]).await;
    // The order in which the kubelet does it.
    fs::create_dir(at("..2")).unwrap();
    fs::write(at("..2/a.yaml"), cloud("a")).unwrap();
    fs::write(at("..2/b.yaml"), cloud("b2")).unwrap();
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    fs::remove_dir_all(at("..1")).unwrap();
    let snapshot = until(&mut watch, &["a", "b2"], &["a"]).await;
    let files: Vec<PathBuf> = snapshot.objects.values().map(|sourced| sourced.place.file.clone()).collect();
    assert_eq!(files, [at("a.yaml"), at("b.yaml")]);
}

#[tokio::test]
async fn a_single_file_is_watched_through_replacement() {
    let folder = folder_of(&[("a.yaml", &cloud("a")), ("other.yaml", &cloud("other"))]);
    let (mut watch, _stage) = watch(&folder.path().join("a.yaml"));
    until(&mut watch, &["a"], &["a"]).await;
    fs::write(folder.path().join("tmp"), cloud("a2")).unwrap();
    fs::rename(folder.path().join("tmp"), folder.path().join("a.yaml")).unwrap();
    until(&mut watch, &["a2"], &[]).await;
}

#[tokio::test]
async fn a_folder_that_is_replaced_is_watched_again() {
    let parent = folder_of(&[("live/a.yaml", &cloud("a")), ("next/b.yaml", &cloud("b"))]);
    let at = |name: &str| parent.path().join(name);
    let (mut watch, stage) = watch(&at("live"));
    until(&mut watch, &["a"], &["a"]).await;
    fs::rename(at("live"), at("old")).unwrap();
    fs::rename(at("next"), at("live")).unwrap();
    stage.poll.open.send_replace(true);
    until(&mut watch, &["b"], &[]).await;
    stage.poll.open.send_replace(false);
    fs::write(at("live/c.yaml"), cloud("c")).unwrap();
    until(&mut watch, &["b", "c"], &["b"]).await;
}

#[tokio::test]
async fn a_folder_is_read_when_it_has_come_to_rest_and_at_the_latest_after_a_while() {
    let folder = folder_of(&[]);
    let (mut watch, stage) = watch(folder.path());
    within_reason(watch.next()).await;
    stage.quiet.open.send_replace(false);
    let write = |name: &str| fs::write(folder.path().join(format!("{name}.yaml")), cloud(name)).unwrap();
    let steps = async {
        write("a");
        stage.quiet.asked(1).await;
        write("b");
        stage.at_most.open.send_replace(true);
    };
    let (snapshot, ()) = within_reason(async { tokio::join!(watch.next(), steps) }).await;
    assert_eq!(names(&snapshot), ["a", "b"]);
    let restless = "ROOT:1:1: is being written to without a pause: nothing is removed until it comes to rest";
    assert_eq!(said(&snapshot, folder.path()), [restless]);
    stage.at_most.open.send_replace(false);
    stage.quiet.open.send_replace(true);
    until(&mut watch, &["a", "b"], &[]).await;
}

#[tokio::test]
async fn a_change_is_not_lost_when_nobody_waits_for_it_any_more() {
    let folder = folder_of(&[]);
    let (mut watch, stage) = watch(folder.path());
    within_reason(watch.next()).await;
    stage.quiet.open.send_replace(false);
    fs::rename(folder_of(&[("a.yaml", &cloud("a"))]).path().join("a.yaml"), folder.path().join("a.yaml"))
        .unwrap();
    within_reason(async {
        tokio::select! {
            _ = watch.next() => panic!("the folder is not at rest"),
            () = stage.quiet.asked(1) => {}
        }
    })
    .await;
    stage.quiet.open.send_replace(true);
    until(&mut watch, &["a"], &[]).await;
}

#[tokio::test]
async fn events_that_change_nothing_yield_nothing() {
    let folder = folder_of(&[("a.yaml", &cloud("a"))]);
    let (mut watch, stage) = watch(folder.path());
    until(&mut watch, &["a"], &["a"]).await;
    let steps = async {
        stage.poll.asked(1).await;
        fs::write(folder.path().join("notes.txt"), "not a manifest").unwrap();
        // The folder was read, and is waited for again.
        stage.poll.asked(2).await;
    };
    within_reason(async {
        tokio::select! {
            _ = watch.next() => panic!("nothing has changed"),
            () = steps => {}
        }
    })
    .await;
}

#[tokio::test]
async fn a_folder_without_events_is_polled() {
    let parent = folder_of(&[]);
    let root = parent.path().join("not/there/yet");
    let (mut watch, stage) = watch(&root);
    let snapshot = within_reason(watch.next()).await;
    assert_eq!(said(&snapshot, parent.path()), ["ROOT/not/there/yet:1:1: there is no such file or folder"]);
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("a.yaml"), cloud("a")).unwrap();
    stage.poll.open.send_replace(true);
    until(&mut watch, &["a"], &[]).await;
}
