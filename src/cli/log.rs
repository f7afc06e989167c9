//! Logging: `tracing` to stderr.

use super::global::LogFormat;
use std::io::{self, Write};
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging; `RUST_LOG` wins over `level`.
///
/// # Errors
/// A message that says what is wrong with `RUST_LOG`.
pub fn init(format: LogFormat, level: &str, color: bool) -> Result<(), String> {
    let filter = filter(std::env::var("RUST_LOG").ok().as_deref(), level)?;
    let lines = fmt().with_env_filter(filter).with_writer(|| Lossy(io::stderr())).with_ansi(color);
    // It would report a line that was lost on stderr, and panic when that cannot be written either.
    let lines = lines.log_internal_errors(false);
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("logging cannot start: {error}"))
}

/// Writes log lines and drops those that cannot be written: a full disk or a closed reader stops no work.
struct Lossy<W>(W);

impl<W: Write> Write for Lossy<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

fn filter(wanted: Option<&str>, level: &str) -> Result<EnvFilter, String> {
    let text = wanted.filter(|text| !text.trim().is_empty()).unwrap_or(level);
    EnvFilter::try_new(text)
        .map_err(|error| format!("RUST_LOG={text} is invalid: {error}; try RUST_LOG=rollwave=debug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_log_wins_and_is_never_ignored() {
        assert_eq!(filter(Some("rollwave=debug"), "warn").unwrap().to_string(), "rollwave=debug");
        assert_eq!(filter(Some(" "), "warn").unwrap().to_string(), "warn");
        assert_eq!(filter(None, "info").unwrap().to_string(), "info");
        let error = filter(Some("rollwave=loud"), "warn").unwrap_err();
        assert!(error.starts_with("RUST_LOG=rollwave=loud is invalid"), "{error}");
    }
}
