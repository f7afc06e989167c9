//! The token that processes of one state share: only the newest token of an application is valid, so that a `plan` with its own
//! sign-in would invalidate the token of a `run` beside it.

use super::session::Token;
use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Storage that the processes of one state share.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// The entry of this name (hexadecimal), exclusively for this caller until it is dropped. None when nothing can be shared
    /// now: the process then signs in for itself.
    async fn open(&self, name: &str) -> Option<Box<dyn Kept>>;
}

/// An entry, held exclusively.
pub trait Kept: Send {
    /// What was last written; none when there is nothing, or it cannot be read.
    fn read(&mut self) -> Option<SecretString>;

    /// Replaces it. What cannot be written is not shared, which is no error.
    fn write(&mut self, text: &SecretString);
}

/// A stored token. Has no `Debug`: it is a secret.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    /// Hash of the application secret that it was issued for: it must not be used with another one.
    given_for: String,
    access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    renew_at: Timestamp,
}

/// The name of the entry of an application's token.
pub(super) fn name_of(origin: &str, app_id: &str) -> String {
    hash(&[origin, app_id])
}

/// The stored token, if it was issued for this application secret.
pub(super) fn read(kept: &mut dyn Kept, secret: &SecretString) -> Option<Token> {
    let text = kept.read()?;
    let note: Note = serde_json::from_str(text.expose_secret()).ok()?;
    let is_ours = note.given_for == hash(&[secret.expose_secret()]) && !note.access_token.is_empty();
    is_ours.then(|| Token {
        secret: note.access_token.into(),
        refresh: note.refresh_token.map(SecretString::from),
        renew_at: note.renew_at,
    })
}

/// Stores a token for the other processes.
pub(super) fn write(kept: &mut dyn Kept, secret: &SecretString, token: &Token) {
    let note = Note {
        given_for: hash(&[secret.expose_secret()]),
        access_token: token.secret.expose_secret().to_owned(),
        refresh_token: token.refresh.as_ref().map(|refresh| refresh.expose_secret().to_owned()),
        renew_at: token.renew_at,
    };
    if let Ok(text) = serde_json::to_string(&note) {
        kept.write(&text.into());
    }
}

fn hash(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    hex::encode(&digest.finalize()[..16])
}
