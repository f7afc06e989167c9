//! Secrets of a cluster: read by name when they are needed, never listed, never cached. A finalizer keeps a Secret as long as an
//! account needs it, so that jobs can still be stopped when everything is deleted at once.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use secrecy::SecretString;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a deleted Secret is kept for an account that is not deleted: `kubectl delete -f` deletes one object after the other.
const HELD_AFTER_DELETION: SignedDuration = SignedDuration::from_mins(1);
/// Field manager name at the API server.
const MANAGER: &str = "rollwave";
/// Prefix of our finalizers; the uid of the account follows.
const FINALIZER_PREFIX: &str = "ota.rollwave.dev/account-";

/// Why a Secret cannot be read. Never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The Secret does not exist.
    #[error("there is no Secret {name} in namespace {namespace}")]
    Absent {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// The role of the controller does not permit it.
    #[error(
        "the controller may not read the Secret {name} in namespace {namespace}: grant its role `get` on secrets"
    )]
    Forbidden {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// The role of the controller does not permit writing our finalizer.
    #[error(
        "the controller may not change the finalizers of the Secret {name} in namespace {namespace}: grant its role `patch` on secrets"
    )]
    NotKept {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// A value is empty, or not UTF-8.
    #[error("key {key} of the Secret {name} is empty or not UTF-8 text")]
    Unusable {
        /// Name of the Secret.
        name: String,
        /// Name of the key.
        key: String,
    },
    /// The API server did not answer.
    #[error("the Secret {name} could not be read: {cause}")]
    Unavailable {
        /// Name.
        name: String,
        /// Cause.
        cause: String,
    },
}

/// A Secret, and the account that needs it.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    /// Namespace of both.
    pub namespace: &'a str,
    /// Name of the Secret.
    pub name: &'a str,
    /// Uid of the `OtaCloud`.
    pub holder: &'a str,
}

impl Named<'_> {
    /// The entries of the Secret by their keys; a line break at the end of a value is removed. From now on the Secret is kept for
    /// its holder, if the controller may do that.
    ///
    /// # Errors
    /// [`SecretError`]
    pub async fn read(&self, client: &Client) -> Result<BTreeMap<String, SecretString>, SecretError> {
        let secret = self.get(client).await?;
        self.hold(client, &secret).await?;
        self.entries(secret)
    }

    /// The same, for a process that changes nothing.
    ///
    /// # Errors
    /// [`SecretError`]
    pub async fn peek(&self, client: &Client) -> Result<BTreeMap<String, SecretString>, SecretError> {
        self.entries(self.get(client).await?)
    }

    fn entries(&self, secret: Secret) -> Result<BTreeMap<String, SecretString>, SecretError> {
        let entries = secret.data.unwrap_or_default().into_iter();
        let unusable = |key: &str| SecretError::Unusable { name: self.name.to_owned(), key: key.to_owned() };
        entries
            .map(|(key, value)| text(value.0).ok_or_else(|| unusable(&key)).map(|text| (key, text)))
            .collect()
    }

    /// Adds our finalizer to a Secret that lost it; releases a deleted Secret whose account stays.
    ///
    /// # Errors
    /// [`SecretError`]
    pub async fn keep(&self, client: &Client, now: Timestamp) -> Result<(), SecretError> {
        let secret = match self.get(client).await {
            Err(SecretError::Absent { .. }) => return Ok(()),
            found => found?,
        };
        match &secret.metadata.deletion_timestamp {
            None => self.hold(client, &secret).await,
            Some(deleted) if now.duration_since(deleted.0) < HELD_AFTER_DELETION => Ok(()),
            Some(_) => self.let_go(client, &secret).await,
        }
    }

    /// Releases the Secret: its account no longer needs it.
    ///
    /// # Errors
    /// [`SecretError`]
    pub async fn release(&self, client: &Client) -> Result<(), SecretError> {
        match self.get(client).await {
            Err(SecretError::Absent { .. } | SecretError::Forbidden { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(secret) => self.let_go(client, &secret).await,
        }
    }

    fn finalizer(&self) -> String {
        format!("{FINALIZER_PREFIX}{}", self.holder)
    }

    async fn hold(&self, client: &Client, secret: &Secret) -> Result<(), SecretError> {
        // An API server accepts no new finalizer for an object that is being deleted.
        if secret.metadata.deletion_timestamp.is_some() || self.is_held(secret) {
            return Ok(());
        }
        let ours = self.finalizer();
        let finalizers: Vec<&String> = secret.metadata.finalizers.iter().flatten().chain([&ours]).collect();
        match self.write_finalizers(client, secret, &finalizers).await {
            Err(SecretError::NotKept { .. }) => {
                tracing::info!(
                    "the Secret {} in namespace {} may be deleted while it is needed: grant the controller's role `patch` on secrets",
                    self.name,
                    self.namespace
                );
                Ok(())
            }
            written => written,
        }
    }

    async fn let_go(&self, client: &Client, secret: &Secret) -> Result<(), SecretError> {
        if !self.is_held(secret) {
            return Ok(());
        }
        let ours = self.finalizer();
        let others: Vec<&String> =
            secret.metadata.finalizers.iter().flatten().filter(|name| **name != ours).collect();
        match self.write_finalizers(client, secret, &others).await {
            Err(SecretError::Absent { .. }) => Ok(()),
            written => written,
        }
    }

    fn is_held(&self, secret: &Secret) -> bool {
        let ours = self.finalizer();
        secret.metadata.finalizers.iter().flatten().any(|name| *name == ours)
    }

    async fn write_finalizers(
        &self,
        client: &Client,
        secret: &Secret,
        finalizers: &[&String],
    ) -> Result<(), SecretError> {
        let version = &secret.metadata.resource_version;
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}}));
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.answer(self.api(client).patch_metadata(self.name, &params, &patch), true).await.map(drop)
    }

    async fn get(&self, client: &Client) -> Result<Secret, SecretError> {
        self.answer(self.api(client).get(self.name), false).await
    }

    fn api(&self, client: &Client) -> Api<Secret> {
        Api::namespaced(client.clone(), self.namespace)
    }

    async fn answer<T>(
        &self,
        request: impl Future<Output = kube::Result<T>>,
        writes: bool,
    ) -> Result<T, SecretError> {
        let (namespace, name) = (self.namespace.to_owned(), self.name.to_owned());
        let unavailable = |cause: String| SecretError::Unavailable { name: self.name.to_owned(), cause };
        let answer = tokio::time::timeout(LIMIT, request).await;
        match answer.map_err(|_| unavailable(format!("no response within {} seconds", LIMIT.as_secs())))? {
            Ok(answer) => Ok(answer),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                Err(SecretError::Absent { namespace, name })
            }
            Err(kube::Error::Api(status)) if status.code == 403 && writes => {
                Err(SecretError::NotKept { namespace, name })
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                Err(SecretError::Forbidden { namespace, name })
            }
            Err(error) => Err(unavailable(error.to_string())),
        }
    }
}

fn text(bytes: Vec<u8>) -> Option<SecretString> {
    let text = String::from_utf8(bytes).ok()?;
    let text = text.trim_end_matches(['\r', '\n']);
    (!text.trim().is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use axum::{Json, Router, routing::get};
    use secrecy::ExposeSecret as _;
    use serde_json::Value;
    use std::sync::{Arc, Mutex};

    /// An API server with one Secret, whose finalizers may be written or not.
    struct Server {
        client: Client,
        secret: Arc<Mutex<Value>>,
    }

    impl Server {
        fn new(may_write: bool) -> Self {
            let metadata =
                json!({"name": "keys", "namespace": "n", "resourceVersion": "7", "finalizers": ["other"]});
            let secret = json!({"metadata": metadata, "data": {"accessKey": "QUsK"}});
            let secret = Arc::new(Mutex::new(secret));
            let (read, written) = (secret.clone(), secret.clone());
            let read = move || async move { Json(read.lock().unwrap().clone()) };
            let write = move |Json(patch): Json<Value>| async move {
                let mut secret = written.lock().unwrap();
                assert_eq!(patch["metadata"]["resourceVersion"], secret["metadata"]["resourceVersion"]);
                if !may_write {
                    let status =
                        json!({"status": "Failure", "message": "no", "reason": "Forbidden", "code": 403});
                    return (StatusCode::FORBIDDEN, Json(status));
                }
                secret["metadata"]["finalizers"] = patch["metadata"]["finalizers"].clone();
                (StatusCode::OK, Json(json!({"metadata": secret["metadata"]})))
            };
            let router = Router::new().route("/api/v1/namespaces/n/secrets/keys", get(read).patch(write));
            Self { client: Client::new(router, "n"), secret }
        }

        fn finalizers(&self) -> Value {
            self.secret.lock().unwrap()["metadata"]["finalizers"].clone()
        }
    }

    const KEYS: Named<'_> = Named { namespace: "n", name: "keys", holder: "u-1" };

    #[tokio::test]
    async fn a_secret_is_kept_from_when_it_is_read_until_its_account_is_gone() {
        let server = Server::new(true);
        let entries = KEYS.read(&server.client).await.unwrap();
        assert_eq!(entries["accessKey"].expose_secret(), "AK");
        let held = json!(["other", "ota.rollwave.dev/account-u-1"]);
        assert_eq!(server.finalizers(), held);
        let another = Named { holder: "u-2", ..KEYS };
        another.read(&server.client).await.unwrap();
        another.release(&server.client).await.unwrap();
        assert_eq!(server.finalizers(), held, "each account has a finalizer of its own");
        KEYS.release(&server.client).await.unwrap();
        assert_eq!(server.finalizers(), json!(["other"]));
    }

    #[tokio::test]
    async fn a_secret_that_is_deleted_alone_goes_after_a_minute_and_a_lost_finalizer_comes_back() {
        let server = Server::new(true);
        let at = |second| Timestamp::from_second(second).unwrap();
        KEYS.keep(&server.client, at(0)).await.unwrap();
        let held = json!(["other", "ota.rollwave.dev/account-u-1"]);
        assert_eq!(server.finalizers(), held);
        server.secret.lock().unwrap()["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:01:00Z");
        KEYS.keep(&server.client, at(119)).await.unwrap();
        assert_eq!(server.finalizers(), held);
        KEYS.keep(&server.client, at(120)).await.unwrap();
        assert_eq!(server.finalizers(), json!(["other"]));
        KEYS.read(&server.client).await.unwrap();
        assert_eq!(
            server.finalizers(),
            json!(["other"]),
            "a Secret that is being deleted accepts no finalizer"
        );
    }

    #[tokio::test]
    async fn a_controller_that_may_not_keep_a_secret_reads_it_all_the_same() {
        let server = Server::new(false);
        assert_eq!(KEYS.read(&server.client).await.unwrap().len(), 1);
        KEYS.release(&server.client).await.unwrap();
        server.secret.lock().unwrap()["metadata"]["finalizers"] = json!(["ota.rollwave.dev/account-u-1"]);
        let refused = KEYS.release(&server.client).await.unwrap_err();
        assert!(refused.to_string().contains("`patch` on secrets"), "{refused}");
        let absent = Named { name: "others", ..KEYS };
        assert!(matches!(absent.read(&server.client).await, Err(SecretError::Absent { .. })));
        assert!(absent.keep(&server.client, Timestamp::UNIX_EPOCH).await.is_ok());
    }
}
