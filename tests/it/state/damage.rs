//! What cannot be trusted is refused, and left as it is.

use super::*;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use redb::{Database, ReadableDatabase as _, TableDefinition};
use rollwave::state::StateError;
use std::{fs, path::Path, sync::LazyLock};
use tempfile::TempDir;

/// A directory with two objects and a status in it.
fn filled() -> TempDir {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [package("a", "V1"), package("b", "V1")], 1);
    let stored = load(&local, &key("a")).unwrap();
    answer(local.save_status(&with_message(&stored, "done"))).unwrap();
    dir
}

/// The error of opening a state whose file was treated like this, twice: the first time changed nothing about it.
fn refused(treat: impl Fn(&Path)) -> String {
    let dir = filled();
    let file = dir.path().join("state.redb");
    treat(&file);
    let open = || {
        let error = Local::open(dir.path()).unwrap_err();
        assert!(matches!(error, StateError::Corrupt { .. }), "{error}");
        error.to_string().replace(&file.display().to_string(), "FILE")
    };
    let first = open();
    assert_eq!(open(), first);
    first
}

/// The same for a file that redb cannot read: not a byte of it changes.
fn refused_untouched(treat: impl Fn(&Path)) -> String {
    let dir = filled();
    let file = dir.path().join("state.redb");
    treat(&file);
    let before = fs::read(&file).unwrap();
    Local::open(dir.path()).unwrap_err();
    assert!(fs::read(&file).unwrap() == before, "never overwritten");
    refused(treat)
}

fn cut(file: &Path, length: u64) {
    fs::File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

fn put_row(file: &Path, table: &str, row: &str, value: &[u8]) {
    let table = TableDefinition::<&str, &[u8]>::new(table);
    let database = Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(row, value).unwrap();
    transaction.commit().unwrap();
}

fn set_format(file: &Path, format: u64) {
    let about = TableDefinition::<&str, u64>::new("rollwave");
    let database = Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(about).unwrap().insert("format", format).unwrap();
    transaction.commit().unwrap();
}

fn another_program(file: &Path) {
    fs::remove_file(file).unwrap();
    let database = Database::create(file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<&str, &str>::new("recipes")).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_damaged_file_is_refused_with_its_reason_and_a_next_step() {
    let size = fs::metadata(filled().path().join("state.redb")).unwrap().len();
    let empty = refused_untouched(|file| cut(file, 0));
    assert!(empty.starts_with("FILE is not a readable state: "), "{empty}");
    assert!(
        empty.contains("restore it from a backup, or move it away to start with an empty state"),
        "{empty}"
    );
    refused_untouched(|file| cut(file, 100));
    refused_untouched(|file| cut(file, 4_096));
    refused_untouched(|file| cut(file, size / 2));
    refused_untouched(|file| {
        fs::write(file, "apiVersion: ota.rollwave.dev/v1alpha1\n".repeat(1_000)).unwrap();
    });
    refused(another_program);
    let newer = refused(|file| set_format(file, 2));
    assert!(newer.contains("written by a newer Rollwave (format 2; this one reads 1)"), "{newer}");
    let wrong = refused(|file| put_row(file, "specs", "OtaPackage/default/a", b"{\"spec\": 1}"));
    assert!(wrong.contains("OtaPackage/default/a: "), "{wrong}");
    let unknown = refused(|file| put_row(file, "specs", "OtaToaster/default/a", b"{}"));
    assert!(unknown.contains("OtaToaster/default/a: not the name of an object"), "{unknown}");
    let status = refused(|file| put_row(file, "statuses", "OtaPackage/default/a", b"done"));
    assert!(status.contains("OtaPackage/default/a: "), "{status}");
}

#[test]
fn a_status_that_could_not_be_read_back_is_never_written() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    let key = ObjectKey::new(Kind::OtaRollout, "default", "r");
    apply(&local, [rollout("r")], 1);
    let mut judged = load(&local, &key).unwrap();
    if let Object::Rollout(o) = &mut judged {
        let status = json!({"stoppedBy": {
            "rule": "bad", "method": "Ratio", "verdict": "Fail", "sample": 0, "failures": 0, "assigned": 0,
            "value": 0.0, "threshold": 0.0, "message": "", "at": "2026-01-01T00:00:00Z",
        }});
        let mut status: OtaRolloutStatus = serde_json::from_value(status).unwrap();
        status.stopped_by.as_mut().unwrap().value = f64::NAN;
        o.status = Some(status);
    }
    let refused = answer(local.save_status(&judged)).unwrap_err().to_string();
    assert!(refused.starts_with("cannot write OtaRollout/r: it could not be read back: "), "{refused}");
    drop(local);
    assert!(load(&Local::open(dir.path()).unwrap(), &key).is_some());
}

#[test]
fn a_directory_that_cannot_be_made_is_a_write_error() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Local::open(&file.join("state")).unwrap_err();
    assert!(matches!(&error, StateError::Write { .. }), "{error}");
    assert!(error.to_string().ends_with("nothing was sent to a cloud"), "{error}");
}

#[test]
fn names_that_would_leave_the_folder_are_refused_and_nothing_is_taken_over() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    for name in ["../../etc", "a/b", "a\\b", "a\0b", ""] {
        let both = manifests([package("fine", "V1"), package(name, "V1")]);
        let error = local.apply_desired(&both, true, at(1)).unwrap_err();
        assert!(matches!(error, StateError::Write { .. }), "{name:?}: {error}");
    }
    assert_eq!((load(&local, &key("fine")), local.writes()), (None, 0));
}

#[cfg(unix)]
#[test]
fn a_state_that_was_removed_or_replaced_under_its_holder_takes_nothing_more() {
    let replace_by_copy = |file: &Path| {
        let copy = file.with_extension("copy");
        fs::copy(file, &copy).unwrap();
        fs::rename(copy, file).unwrap();
    };
    type Replace<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, Replace<'_>); 6] = [
        ("folder removed", &|dir| fs::remove_dir_all(dir).unwrap()),
        ("folder moved", &|dir| fs::rename(dir, dir.with_extension("away")).unwrap()),
        ("folder replaced", &|dir| {
            fs::rename(dir, dir.with_extension("away")).unwrap();
            drop(Local::open(dir).unwrap());
        }),
        ("file removed", &|dir| fs::remove_file(dir.join("state.redb")).unwrap()),
        ("file replaced", &|dir| replace_by_copy(&dir.join("state.redb"))),
        ("lock replaced", &|dir| replace_by_copy(&dir.join("lock"))),
    ];
    for (name, replace) in cases {
        let parent = TempDir::new().unwrap();
        let dir = parent.path().join("state");
        let local = Local::open(&dir).unwrap();
        apply(&local, [package("a", "V1")], 1);
        let stored = load(&local, &key("a")).unwrap();
        local.check().unwrap();
        replace(&dir);
        let writes = [
            answer(local.save_status(&with_message(&stored, "intent"))),
            local.apply_desired(&manifests([package("b", "V1")]), true, at(2)).map(drop),
            local.take_requests().map(drop),
            local.check(),
        ];
        for written in writes {
            let error = written.unwrap_err();
            assert!(matches!(error, StateError::Replaced { .. }) && error.is_final(), "{name}: {error}");
        }
        assert!(name != "folder removed" || !dir.exists(), "no empty state is begun");
    }
}

#[cfg(unix)]
#[test]
fn the_directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("new/state");
    let _local = Local::open(&state).unwrap();
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn the_second_holder_reads_who_the_first_one_is_and_an_old_pid_is_no_obstacle() {
    let dir = TempDir::new().unwrap();
    let lock = dir.path().join("lock");
    fs::write(&lock, "4194305\n").unwrap();
    let first = Local::open(dir.path()).unwrap();
    let refused = Local::open(dir.path()).unwrap_err().to_string();
    assert_eq!(
        refused,
        format!(
            "{} is in use by process {}: stop it, or use another directory with --state",
            lock.display(),
            std::process::id()
        )
    );
    drop(first);
    Local::open(dir.path()).unwrap();
}

#[test]
fn a_creation_that_was_cut_off_is_begun_anew() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("state.redb.new"), "half a fi").unwrap();
    Local::open(dir.path()).unwrap();
    assert!(!dir.path().join("state.redb.new").exists());
}

/// The bytes of [`filled`], and the objects in it.
static SOUND: LazyLock<(Vec<u8>, Vec<Object>)> = LazyLock::new(|| {
    let dir = filled();
    let objects = objects(&Local::open(dir.path()).unwrap());
    (fs::read(dir.path().join("state.redb")).unwrap(), objects)
});

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(48)) })]

    #[test]
    fn a_flipped_byte_never_changes_an_object(place in any::<proptest::sample::Index>(), flip in 1..=255_u8) {
        let (sound, expected) = &*SOUND;
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("state.redb");
        let mut bytes = sound.clone();
        // Most of the file is 0 or 255: pages that are not used.
        let used: Vec<usize> = (0..bytes.len()).filter(|&i| !matches!(bytes[i], 0 | 255)).collect();
        let place = used[place.index(used.len())];
        bytes[place] ^= flip;
        fs::write(&file, &bytes).unwrap();
        match Local::open(dir.path()) {
            Ok(local) => prop_assert_eq!(&objects(&local), expected),
            Err(error) => prop_assert!(matches!(error, StateError::Corrupt { .. }), "{}", error),
        }
    }
}

/// The file is redb's own: a reader that opens it finds the tables that this test writes to.
#[test]
fn the_file_holds_one_row_for_the_spec_and_one_for_the_status() {
    let dir = filled();
    let database = Database::open(dir.path().join("state.redb")).unwrap();
    let transaction = database.begin_read().unwrap();
    let row = |table: &str, row: &str| -> Value {
        let table = transaction.open_table(TableDefinition::<&str, &[u8]>::new(table)).unwrap();
        serde_json::from_slice(table.get(row).unwrap().unwrap().value()).unwrap()
    };
    assert_eq!(row("specs", "OtaPackage/default/a")["spec"]["version"], "V1");
    assert_eq!(row("specs", "OtaPackage/default/a").get("status"), None);
    assert_eq!(row("statuses", "OtaPackage/default/a")["message"], "done");
}
