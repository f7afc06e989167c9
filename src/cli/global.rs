//! Options that every verb takes.

use clap::ValueEnum;
use std::path::PathBuf;

/// Options of every verb.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Folder for status and journal; .rollwave by default.
    #[arg(long, global = true, value_name = "DIR", env = "ROLLWAVE_STATE", hide_env_values = true)]
    pub state: Option<PathBuf>,
    /// Format of log lines; they go to stderr, filtered by RUST_LOG.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// When to use color.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorWhen::Auto)]
    pub color: ColorWhen,
    /// Print no progress notes on stderr.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// Format of log lines.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// When to use color.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
