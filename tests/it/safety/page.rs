//! The page shows figures of the bench.
