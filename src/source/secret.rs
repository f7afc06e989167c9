//! `env:VAR`, `file:PATH`, `exec:CMD`.
