//! Manifests: from text to objects, with all problems of all documents at once.
//!
//! ```text
//! text ─yaml─▶ trees ─walk─▶ against the schema ─rules─▶ CEL ─▶ objects ─link─▶ snapshot
//! ```
//!
//! **Invariant:** a document becomes an object only when it has no problem, and a text that is not valid YAML up to its end
//! yields no object: half a file never takes effect.

mod documents;
mod link;
mod rules;
mod scalar;
mod schema;
mod tree;
mod walk;
mod words;
mod yaml;

pub(super) use documents::too_large;
pub use documents::{MAX_BYTES, Manifests, check_update, parse};
pub use link::{Surroundings, gather, gather_in, link};
