//! The only way to stdout and stderr: color, quiet and broken pipes are handled in one place.

use super::{Exit, global::ColorWhen};
use anstyle::{AnsiColor, Style};
use std::{
    fmt::{self, Display},
    io::{self, IsTerminal, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tracing::Level;

/// Good: passed, ready, completed.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Needs attention, and may resolve by itself: held, inconclusive.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// Bad: failed, stalled, aborted.
pub const BAD: Style = AnsiColor::Red.on_default();
/// In progress.
pub const BUSY: Style = AnsiColor::Cyan.on_default();
/// Less important.
pub const DIM: Style = Style::new().dimmed();
/// Headings and names.
pub const STRONG: Style = Style::new().bold();

/// `text` in `style`; the printer strips styles where color is off.
#[must_use]
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes results to stdout, and notes and errors to stderr.
///
/// Text may carry ANSI styles; they are stripped where color is off. When the reader of stdout closes it (`| head`), the rest is
/// dropped silently and the exit code stays the same.
pub struct Printer {
    out: Mutex<Sink>,
    err: Mutex<Sink>,
    quiet: bool,
    logs: AtomicBool,
}

struct Sink {
    to: Box<dyn Write + Send>,
    color: bool,
    terminal: bool,
    broken: Option<io::ErrorKind>,
}

impl Sink {
    fn write(&mut self, text: &str) {
        if self.color {
            self.write_raw(text);
        } else {
            self.write_raw(&anstream::adapter::strip_str(text).to_string());
        }
    }

    fn write_raw(&mut self, text: &str) {
        if self.broken.is_some() {
            return;
        }
        let written = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush());
        self.broken = written.err().map(|error| error.kind());
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer").field("quiet", &self.quiet).finish_non_exhaustive()
    }
}

impl Printer {
    /// The printer of this process.
    #[must_use]
    pub fn of_process(color: ColorWhen, quiet: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let wanted = |terminal: bool| match color {
            ColorWhen::Auto => terminal && !no_color && !dumb,
            ColorWhen::Always => true,
            ColorWhen::Never => false,
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            out: Mutex::new(Sink {
                to: Box::new(io::stdout()),
                color: wanted(out),
                terminal: out,
                broken: None,
            }),
            err: Mutex::new(Sink {
                to: Box::new(io::stderr()),
                color: wanted(err),
                terminal: err,
                broken: None,
            }),
            quiet,
            logs: AtomicBool::new(false),
        }
    }

    /// A printer into these writers, without color and without a terminal.
    pub fn plain(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        let sink = |to| Mutex::new(Sink { to, color: false, terminal: false, broken: None });
        Self {
            out: sink(Box::new(out)),
            err: sink(Box::new(err)),
            quiet: false,
            logs: AtomicBool::new(false),
        }
    }

    /// Prints a result as it is: text that ends its own lines.
    pub fn print(&self, text: impl Display) {
        with(&self.out, |sink| sink.write(&text.to_string()));
    }

    /// Prints a result and ends the line.
    pub fn line(&self, text: impl Display) {
        self.print(format_args!("{text}\n"));
    }

    /// Moves the cursor or clears the screen; ignored where stdout is no terminal.
    pub fn control(&self, sequence: &str) {
        with(&self.out, |sink| {
            if sink.terminal {
                sink.write_raw(sequence);
            }
        });
    }

    /// From now on notes, problems, warnings and errors go through the log, so that stderr has one format only.
    pub fn log_instead(&self) {
        self.logs.store(true, Ordering::Relaxed);
    }

    /// Prints a progress note on stderr; silent with `--quiet`.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            self.say(Level::INFO, &format!("{text}"), "");
        }
    }

    /// Prints a line on stderr as it is, also with `--quiet`: a problem that contains its location.
    pub fn problem(&self, text: impl Display) {
        self.say(Level::ERROR, &format!("{text}"), "");
    }

    /// Warns on stderr, also with `--quiet`.
    pub fn warning(&self, text: impl Display) {
        self.say(Level::WARN, &format!("{text}"), &paint(WARN, "warning:"));
    }

    /// Prints an error on stderr, also with `--quiet`.
    pub fn error(&self, text: impl Display) {
        self.say(Level::ERROR, &format!("{text}"), &paint(BAD, "error:"));
    }

    fn say(&self, level: Level, text: &str, label: &str) {
        if !self.logs.load(Ordering::Relaxed) {
            let space = if label.is_empty() { "" } else { " " };
            return with(&self.err, |sink| sink.write(&format!("{label}{space}{text}\n")));
        }
        let text = anstream::adapter::strip_str(text).to_string();
        match level {
            Level::ERROR => tracing::error!("{text}"),
            Level::WARN => tracing::warn!("{text}"),
            _ => tracing::info!("{text}"),
        }
    }

    /// True when stdout is a terminal, so that output may be redrawn.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        with(&self.out, |sink| sink.terminal)
    }

    /// True once the reader of stdout has closed it; verbs that keep running end then.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        with(&self.out, |sink| sink.broken.is_some())
    }

    /// True when color is used on stderr.
    #[must_use]
    pub fn colors_stderr(&self) -> bool {
        with(&self.err, |sink| sink.color)
    }

    /// The exit of the command: that of its verb, unless its output could not be written (a full disk, for example).
    #[must_use]
    pub fn finish(&self, exit: Exit) -> Exit {
        match with(&self.out, |sink| sink.broken) {
            None | Some(io::ErrorKind::BrokenPipe) => exit,
            Some(kind) => {
                self.error(format_args!("cannot write the output: {kind}"));
                Exit::Failed
            }
        }
    }
}

/// Usable after a panic elsewhere: a sink only holds bytes already written.
fn with<T>(sink: &Mutex<Sink>, act: impl FnOnce(&mut Sink) -> T) -> T {
    act(&mut sink.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn styles_are_stripped_without_colour() {
        let out = Shared::default();
        Printer::plain(out.clone(), io::sink()).line(paint(GOOD, "ready"));
        assert_eq!(out.0.lock().unwrap().as_slice(), b"ready\n");
    }

    #[test]
    fn a_broken_pipe_is_no_failure_and_a_full_disk_is_one() {
        for (kind, exit) in
            [(io::ErrorKind::BrokenPipe, Exit::Done), (io::ErrorKind::StorageFull, Exit::Failed)]
        {
            let printer = Printer::plain(Refusing(kind), io::sink());
            assert!(!printer.is_closed());
            printer.line("text");
            assert!(printer.is_closed(), "{kind}");
            assert_eq!(printer.finish(Exit::Done), exit, "{kind}");
        }
    }

    #[test]
    fn quiet_silences_notes_but_not_errors() {
        let err = Shared::default();
        let mut printer = Printer::plain(io::sink(), err.clone());
        printer.quiet = true;
        printer.note("creating");
        printer.warning("small canary");
        printer.error("no such file");
        assert_eq!(err.0.lock().unwrap().as_slice(), b"warning: small canary\nerror: no such file\n");
    }
}
