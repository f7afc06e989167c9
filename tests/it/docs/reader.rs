//! A reader: a shell in an empty folder, and the program on the `PATH`.
//!
//! - A block with `file=PATH` is saved.
//! - Each line of a `sh` block is typed; `# exit code N` behind it is how it must end, 0 without.
//! - In a `console` block each line behind `$ ` is typed, and the lines below it must be printed. `…` stands for any lines. Times, ids
//!   and addresses are compared by their form; with `varies` behind the fence so is every number.
//! - `rollwave simulate` runs in the background until the page ends.
//! - Blocks with `skip` behind the fence are not typed.

use super::page::{Block, blocks};
use regex::Regex;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The address of the simulated cloud in every page.
const ADDRESS: &str = "127.0.0.1:8080";

pub struct Reader {
    folder: TempDir,
    /// Where the reader is.
    place: PathBuf,
    variables: BTreeMap<String, String>,
    address: String,
    cloud: Option<Child>,
    typed: usize,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Reader {
    pub fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_rollwave")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        Self {
            place: folder.path().to_owned(),
            folder,
            variables: BTreeMap::from([("PATH".to_owned(), path)]),
            address: format!("127.0.0.1:{port}"),
            cloud: None,
            typed: 0,
        }
    }

    /// In a checkout of the project, as far as pages need one.
    pub fn with_examples() -> Self {
        let reader = Self::new();
        let copied = Command::new("cp")
            .args(["-r", "examples"])
            .arg(reader.folder.path())
            .current_dir(root())
            .status()
            .unwrap();
        assert!(copied.success());
        reader
    }

    /// Does what the page shows.
    pub fn follows(&mut self, name: &str, page: &str) {
        for block in blocks(page).iter().filter(|block| !block.info.contains("skip")) {
            if let Some(file) = block.file() {
                let path = self.place.join(file);
                fs_err::create_dir_all(path.parent().unwrap()).unwrap();
                fs_err::write(path, self.here(&block.text)).unwrap();
            } else if block.kind() == "sh" {
                block.text.lines().for_each(|line| self.types_and_checks(name, line));
            } else if block.kind() == "console" {
                self.compares(name, block);
            }
        }
    }

    /// So many lines were typed at least: a page whose blocks are no longer recognised fails.
    pub fn is_at_the_end_of(&self, what: &str, least: usize) {
        assert!(self.typed >= least, "{what}: {} lines were typed", self.typed);
    }

    /// The text with the address of this reader's cloud.
    fn here(&self, text: &str) -> String {
        text.replace(ADDRESS, &self.address)
    }

    fn types_and_checks(&mut self, name: &str, line: &str) {
        let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
        let code = comment.trim().strip_prefix("exit code ").map_or(0, |rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        });
        let Some(output) = self.types(command.trim()) else { return };
        assert_eq!(output.status.code(), Some(code), "{name}: {command}\n{}", shown(&output));
    }

    /// Types a line; none where a shell prints nothing for it.
    fn types(&mut self, line: &str) -> Option<Output> {
        let line = self.here(line);
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        self.typed += 1;
        if let Some(folder) = line.strip_prefix("cd ") {
            self.place = self.place.join(folder);
        } else if line.starts_with("rollwave simulate ") {
            self.starts_the_cloud(&line);
        } else if let Some(assigned) = assignments(line.strip_prefix("export ").unwrap_or(&line)) {
            self.variables.extend(assigned);
        } else {
            return Some(self.shell(&line).output().unwrap());
        }
        None
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-ec", line])
            .current_dir(&self.place)
            .env_remove("ROLLWAVE_STATE")
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1")
            .envs(&self.variables)
            .stdin(Stdio::null());
        command
    }

    /// Returns once it has printed where it listens.
    fn starts_the_cloud(&mut self, line: &str) {
        let mut command = self.shell(&format!("exec {line}"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains(&self.address), "{line}: {ready}");
        self.cloud = Some(child);
    }

    fn compares(&mut self, name: &str, block: &Block) {
        let varies = block.info.contains("varies");
        for part in block.text.split("$ ").skip(1) {
            let (command, expected) = part.split_once('\n').unwrap();
            let output = self.types(command).unwrap_or_else(|| panic!("{name}: {command} prints nothing"));
            let printed = shown(&output);
            let missing = first_missing(&form(expected, varies), &form(&printed, varies));
            assert!(missing.is_none(), "{name}: {command}\nnot printed: {missing:?}\nprinted:\n{printed}");
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(cloud) = &mut self.cloud {
            let _ = cloud.kill();
            let _ = cloud.wait();
        }
    }
}

/// `A=b C=d`, when the line is nothing else.
fn assignments(line: &str) -> Option<Vec<(String, String)>> {
    let split = |word: &str| {
        let (name, value) = word.split_once('=')?;
        let is_name = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        is_name.then(|| (name.to_owned(), value.to_owned()))
    };
    line.split_whitespace().map(split).collect()
}

/// What a reader sees of both streams.
fn shown(output: &Output) -> String {
    let stream = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    stream(&output.stdout) + &stream(&output.stderr)
}

/// Lines in which times, ids and addresses have the same form.
fn form(text: &str, varies: bool) -> Vec<String> {
    let mut rules = vec![
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"127\.0\.0\.1:\d+", "ADDRESS"),
        (r"\b[0-9a-f]{16,64}\b", "ID"),
    ];
    if varies {
        rules.extend([(r"[█x▒░]+", "BAR"), (r"\d+(\.\d+)?", "0")]);
    }
    let rules: Vec<(Regex, &str)> =
        rules.into_iter().map(|(pattern, form)| (Regex::new(pattern).unwrap(), form)).collect();
    let of_line = |line: &str| {
        let formed = rules
            .iter()
            .fold(line.to_owned(), |line, (rule, form)| rule.replace_all(&line, *form).into_owned());
        formed.trim_end().to_owned()
    };
    text.lines().map(of_line).collect()
}

/// The first expected line that is not printed where it should be: next, or anywhere after `…`.
fn first_missing(expected: &[String], printed: &[String]) -> Option<String> {
    let mut rest = printed.iter();
    let mut skips = false;
    for line in expected {
        if line.trim() == "…" {
            skips = true;
            continue;
        }
        let found = if skips { rest.any(|other| other == line) } else { rest.next() == Some(line) };
        if !found {
            return Some(line.clone());
        }
        skips = false;
    }
    (!skips)
        .then(|| {
            rest.find(|line| !line.is_empty()).map(|line| format!("(nothing after the last line) {line}"))
        })
        .flatten()
}

#[test]
fn what_is_not_printed_is_found() {
    let missing =
        |expected: &str, printed: &str| first_missing(&form(expected, false), &form(printed, false));
    assert_eq!(missing("a\nb", "a\nb\n"), None);
    assert_eq!(missing("a\n…\nd", "a\nb\nc\nd"), None);
    assert_eq!(missing("…", "a\nb"), None);
    assert_eq!(missing("a\nc", "a\nb\nc"), Some("c".to_owned()));
    assert!(missing("a", "a\nb").is_some_and(|line| line.ends_with('b')));
    assert_eq!(missing("at 2026-01-02 03:04:05Z", "at 2027-11-12 13:14:15Z"), None);
    assert_eq!(missing("5 of 23", "6 of 24"), Some("5 of 23".to_owned()));
    assert_eq!(first_missing(&form("5 of 23 ███", true), &form("6 of 24 █x▒", true)), None);
}
