//! The four clouds over HTTP, and the virtual fleet behind them.
