//! Secrets: referenced in a manifest, stored elsewhere, read when they are needed.

use crate::api::SecretSource;
use secrecy::SecretString;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    fs::OpenOptions,
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

/// Maximum size of a secret.
const SIZE_LIMIT: u64 = 64 * 1024;
/// How long a command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// Flag of `open`: return immediately, whatever the file is.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Why a secret cannot be read. Never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The manifest has something other than a source; it may be the secret itself, so it is not shown.
    #[error("is not env:VAR, file:PATH or exec:CMD; do not write the secret itself into a manifest")]
    NotASource,
    /// The variable does not exist.
    #[error("environment variable {0} is not set; set it to the secret")]
    Unset(String),
    /// The secret is empty or blank.
    #[error("{0} is empty; it must contain the secret")]
    Empty(String),
    /// Not UTF-8.
    #[error("{0} is not UTF-8 text")]
    NotText(String),
    /// Longer than 64 KiB.
    #[error("{0} is longer than 64 KiB, the limit of a secret")]
    TooLong(String),
    /// The file cannot be read.
    #[error("file {path} cannot be read: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A pipe, a socket, a device or a folder.
    #[error("file {path} is not a regular file", path = .0.display())]
    Special(PathBuf),
    /// The command cannot be run.
    #[error("the command cannot be run: {0}")]
    Start(std::io::Error),
    /// The command failed.
    #[error("the command failed with {status}: {}", if said.is_empty() { "nothing on stderr" } else { said })]
    Failed {
        /// Exit status.
        status: ExitStatus,
        /// First line on stderr.
        said: String,
    },
    /// The command took longer than 10 seconds, and was killed.
    #[error("the command took longer than {} seconds and was killed", COMMAND_LIMIT.as_secs())]
    TooSlow,
}

/// Reads a secret. Paths of files and commands start from `base`, the folder of the manifest.
///
/// # Errors
/// [`SecretError`]: which variable, file or command, and why; the caller knows the field.
pub async fn read(source: &SecretSource, base: &Path) -> Result<SecretString, SecretError> {
    match source.0.split_once(':') {
        Some(("env", name)) => from_variable(name, std::env::var_os(name)),
        Some(("file", path)) => from_file(&base.join(path)).await,
        Some(("exec", command)) => from_command(command, base, tokio::time::sleep(COMMAND_LIMIT)).await,
        _ => Err(SecretError::NotASource),
    }
}

fn from_variable(name: &str, value: Option<OsString>) -> Result<SecretString, SecretError> {
    let value = value.ok_or_else(|| SecretError::Unset(name.to_owned()))?;
    let name = format!("environment variable {name}");
    let text = value.into_string().map_err(|_| SecretError::NotText(name.clone()))?;
    without_line_end(&text, &name)
}

/// A trailing line break comes from the tool that wrote the secret (`echo key | base64`).
fn without_line_end(text: &str, what: &str) -> Result<SecretString, SecretError> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() { Err(SecretError::Empty(what.to_owned())) } else { Ok(text.into()) }
}

async fn from_file(path: &Path) -> Result<SecretString, SecretError> {
    let failed = |error| SecretError::File { path: path.to_owned(), error };
    // Without blocking until something writes into a pipe.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(NONBLOCK);
    let mut file = options.open(path).await.map_err(failed)?;
    if !file.metadata().await.map_err(failed)?.is_file() {
        return Err(SecretError::Special(path.to_owned()));
    }
    let bytes = limited(&mut file).await.map_err(failed)?;
    from_bytes(bytes, &format!("file {}", path.display()))
}

/// `too_long` completes when the time of the command is over.
async fn from_command(
    command: &str,
    base: &Path,
    too_long: impl Future<Output = ()>,
) -> Result<SecretString, SecretError> {
    let here = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let mut child = Command::new("sh")
        .args(["-c", command])
        .current_dir(here)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(SecretError::Start)?;
    let group = child.id();
    tokio::select! {
        biased;
        result = finish(&mut child) => result,
        () = too_long => {
            kill_group(group).await;
            Err(SecretError::TooSlow)
        }
    }
}

async fn finish(child: &mut Child) -> Result<SecretString, SecretError> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (written, said) = tokio::join!(all_of(stdout), all_of(stderr));
    let written = written.map_err(SecretError::Start)?;
    if written.len() as u64 > SIZE_LIMIT {
        return from_bytes(written, "the command's output");
    }
    let status = child.wait().await.map_err(SecretError::Start)?;
    if status.success() {
        return from_bytes(written, "the command's output");
    }
    let said =
        String::from_utf8_lossy(&said.unwrap_or_default()).lines().next().unwrap_or_default().to_owned();
    Err(SecretError::Failed { status, said })
}

async fn all_of(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    match pipe {
        Some(mut pipe) => limited(&mut pipe).await,
        None => Ok(Vec::new()),
    }
}

/// At most one byte more than a secret may have.
async fn limited(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(SIZE_LIMIT + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn from_bytes(bytes: Vec<u8>, what: &str) -> Result<SecretString, SecretError> {
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(SecretError::TooLong(what.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(what.to_owned()))?;
    without_line_end(&text, what)
}

/// Kills the processes that the shell started, too; std can only kill the shell. An error means that nothing is left to kill.
async fn kill_group(leader: Option<u32>) {
    if let Some(leader) = leader {
        let kill = format!("kill -KILL -{leader}");
        let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    async fn text(source: &str, base: &Path) -> String {
        match read(&SecretSource(source.to_owned()), base).await {
            Ok(secret) => secret.expose_secret().to_owned(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[tokio::test]
    async fn a_secret_is_read_from_where_the_manifest_says() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("key"), "hunter2\n").unwrap();
        assert_eq!(text("file:key", folder.path()).await, "hunter2");
        assert_eq!(text("exec:cat key | tr 2 3", folder.path()).await, "hunter3");
        assert_eq!(text("env:PATH", folder.path()).await, std::env::var("PATH").unwrap());
    }

    #[test]
    fn the_line_end_of_a_variable_is_no_part_of_its_secret() {
        for value in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            let secret = from_variable("KEY", Some(value.into())).unwrap();
            assert_eq!(secret.expose_secret(), "hunter2", "{value:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_said_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        fs_err::write(base.join("empty"), "\n").unwrap();
        fs_err::write(base.join("binary"), [0xff, 0xfe]).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, base.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
        fs_err::write(base.join("long"), "x".repeat(65 * 1024)).unwrap();
        let cases = [
            ("hunter2", "error: is not env:VAR, file:PATH or exec:CMD; do not write the secret itself"),
            ("env:ROLLWAVE_NO_SUCH_KEY", "error: environment variable ROLLWAVE_NO_SUCH_KEY is not set"),
            ("file:empty", "empty is empty"),
            ("file:binary", "binary is not UTF-8 text"),
            ("file:long", "long is longer than 64 KiB"),
            ("file:none", "none cannot be read: No such file"),
            ("file:pipe", "pipe is not a regular file"),
            ("file:.", ". is not a regular file"),
            (
                "exec:echo locked >&2; echo more >&2; exit 3",
                "error: the command failed with exit status: 3: locked",
            ),
            ("exec:true", "error: the command's output is empty"),
            ("exec:yes", "error: the command's output is longer than 64 KiB"),
        ];
        for (source, expected) in cases {
            let said = text(source, base).await;
            assert!(said.contains(expected), "{source}: {said}");
            assert!(!said.contains("hunter2") && !said.contains("more"), "{source}: {said}");
        }
        for nothing in ["", "\n", " \r\n"] {
            let empty = from_variable("KEY", Some(nothing.into())).unwrap_err();
            assert_eq!(empty.to_string(), "environment variable KEY is empty; it must contain the secret");
        }
    }

    async fn until(mut done: impl FnMut() -> bool) {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("child");
        let child = || fs_err::read_to_string(&note).unwrap_or_default().trim_end().to_owned();
        let command = "sleep 1000 & echo $! > child; wait";
        let error = from_command(command, folder.path(), until(|| !child().is_empty())).await.unwrap_err();
        assert_eq!(error.to_string(), "the command took longer than 10 seconds and was killed");
        let stat = format!("/proc/{}/stat", child());
        let is_gone = || fs_err::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        tokio::time::timeout(Duration::from_secs(30), until(is_gone)).await.unwrap();
    }
}
