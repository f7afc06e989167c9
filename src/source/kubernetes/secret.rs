//! Secrets of a cluster: read by name when they are needed, never listed, never kept.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::SecretString;
use std::{collections::BTreeMap, time::Duration};

/// How long a read may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a Secret cannot be read. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is none of that name.
    #[error("there is no Secret {name} in namespace {namespace}")]
    Absent {
        /// Where.
        namespace: String,
        /// Which.
        name: String,
    },
    /// The controller's role does not let it.
    #[error(
        "the controller may not read the Secret {name} in namespace {namespace}: its role needs `get` on secrets"
    )]
    Forbidden {
        /// Where.
        namespace: String,
        /// Which.
        name: String,
    },
    /// A value is empty, or not text.
    #[error("key {key} of the Secret {name} is empty, or not text in UTF-8")]
    Unusable {
        /// Which.
        name: String,
        /// Of what.
        key: String,
    },
    /// The API server did not answer.
    #[error("the Secret {name} could not be read: {cause}")]
    Unavailable {
        /// Which.
        name: String,
        /// Why.
        cause: String,
    },
}

/// The entries of a Secret by their keys; a line break at the end of a value does not belong to it.
///
/// # Errors
/// [`SecretError`]
pub async fn read(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<BTreeMap<String, SecretString>, SecretError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let unavailable = |cause: String| SecretError::Unavailable { name: name.to_owned(), cause };
    let read = tokio::time::timeout(LIMIT, api.get(name)).await;
    let secret = match read
        .map_err(|_| unavailable(format!("no answer within {} seconds", LIMIT.as_secs())))?
    {
        Ok(secret) => secret,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Err(SecretError::Absent { namespace: namespace.to_owned(), name: name.to_owned() });
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Err(SecretError::Forbidden { namespace: namespace.to_owned(), name: name.to_owned() });
        }
        Err(error) => return Err(unavailable(error.to_string())),
    };
    let entries = secret.data.unwrap_or_default().into_iter();
    let unusable = |key: &str| SecretError::Unusable { name: name.to_owned(), key: key.to_owned() };
    entries.map(|(key, value)| text(value.0).ok_or_else(|| unusable(&key)).map(|text| (key, text))).collect()
}

fn text(bytes: Vec<u8>) -> Option<SecretString> {
    let text = String::from_utf8(bytes).ok()?;
    let text = text.trim_end_matches(['\r', '\n']);
    (!text.trim().is_empty()).then(|| text.into())
}
