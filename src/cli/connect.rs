//! Builds the client of an `OtaCloud`: reads its secrets, and uses the one transport that all accounts share.

use crate::{
    api::{
        AliyunIot, ClientCert, CloudRef, Credentials, DEFAULT_NAMESPACE, Enos, HuaweiIotda, OceanConnect,
        OtaCloud, SecretSource, folder_of,
    },
    cloud::{
        CallError, Cloud, ErrorClass, Transport, TransportError,
        address::{self, AllowedHost},
        aliyun_iot, enos,
        huawei_iotda::{self, Keys, Scheme, User},
        ocean_connect, recording_time,
        transport::{HttpOptions, HttpTransport},
    },
    engine::ports::{Connector, Fenced, Leadership, Sole},
    source::{kubernetes::secret::Named, secret},
};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// Connects accounts over HTTP.
pub struct HttpConnector {
    transport: Arc<dyn Transport>,
    sessions: ocean_connect::Sessions,
    vault: Option<Arc<dyn Vault>>,
    /// Hosts that keys may be sent to; any host when empty.
    allowed: Vec<AllowedHost>,
    leadership: Arc<dyn Leadership>,
}

/// The entries of a Secret by their keys.
pub type Entries = BTreeMap<String, SecretString>;

/// Reads the Secrets that `spec.credentials.secretRef` names, in a cluster.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Reads the entries of a Secret. A controller then keeps the Secret for its holder.
    ///
    /// # Errors
    /// [`CallError`]: the Secret does not exist, may not be read, or cannot be read now.
    async fn read(&self, secret: Named<'_>) -> Result<Entries, CallError>;

    /// Keeps a Secret that was read for as long as its holder exists.
    ///
    /// # Errors
    /// [`CallError`]: the request failed.
    async fn keep(&self, secret: Named<'_>) -> Result<(), CallError>;

    /// Releases the Secret: its holder no longer needs it.
    ///
    /// # Errors
    /// [`CallError`]: the Secret may still be kept.
    async fn release(&self, secret: Named<'_>) -> Result<(), CallError>;
}

fn named<'a>(cloud: &'a OtaCloud, name: &'a str) -> Named<'a> {
    let namespace = cloud.metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    Named { namespace, name, holder: cloud.metadata.uid.as_deref().unwrap_or_default() }
}

impl HttpConnector {
    /// A connector with its own connection pool.
    ///
    /// # Errors
    /// When the system's trust store or proxy variables are not usable.
    pub fn new() -> Result<Self, TransportError> {
        let transport = Arc::new(HttpTransport::new(HttpOptions::default())?);
        let (sessions, leadership) = (ocean_connect::Sessions::default(), Arc::new(Sole));
        Ok(Self { transport, sessions, vault: None, allowed: Vec::new(), leadership })
    }

    /// The same connector, sharing its sessions with other processes.
    #[must_use]
    pub fn sharing(self, shelf: Arc<dyn ocean_connect::Shelf>) -> Self {
        Self { sessions: ocean_connect::Sessions::shared(shelf), ..self }
    }

    /// The same connector, reading keys from Secrets.
    #[must_use]
    pub fn with_vault(self, vault: Arc<dyn Vault>) -> Self {
        Self { vault: Some(vault), ..self }
    }

    /// The same connector, sending requests only while this instance leads.
    #[must_use]
    pub fn led_by(self, leadership: Arc<dyn Leadership>) -> Self {
        Self { transport: Arc::new(Fenced::new(self.transport, leadership.clone())), leadership, ..self }
    }

    /// The same connector, sending keys only to these hosts.
    #[must_use]
    pub fn sending_to(self, allowed: Vec<AllowedHost>) -> Self {
        Self { allowed, ..self }
    }

    /// Checked before any secret is read: keys are sent only to allowed addresses.
    fn check_addresses(&self, cloud: &OtaCloud) -> Result<(), CallError> {
        let named = cloud.spec.cloud().map(CloudRef::addresses).unwrap_or_default();
        let derived = huawei_iotda::derived_iam(&cloud.spec);
        let derived = derived.iter().map(|iam| ("the IAM address".to_owned(), iam.as_str()));
        for (field, address) in named.into_iter().chain(derived) {
            let invalid = |message| CallError::new(ErrorClass::Invalid, "Connect", message);
            let url = address::check(address, cloud.spec.allow_insecure)
                .map_err(|why| invalid(format!("{field}: {why}")).next_step(format!("correct {field}")))?;
            if !self.allowed.is_empty() && !self.allowed.iter().any(|host| host.allows(&url)) {
                let message = format!("{field}: {address} is not a host that keys may be sent to");
                return Err(invalid(message).next_step(
                    "correct the address, or start the controller with --allow-host for this host",
                ));
            }
        }
        Ok(())
    }

    /// The Secret of the account, if it names one.
    async fn entries(&self, cloud: &OtaCloud) -> Result<Option<Entries>, CallError> {
        let Some(reference) = &cloud.spec.credentials.secret_ref else { return Ok(None) };
        let Some(vault) = &self.vault else {
            return Err(refused("spec.credentials.secretRef works in a Kubernetes cluster only".to_owned())
                .next_step("give each key as env:VAR, file:PATH or exec:CMD, or use `rollwave controller`"));
        };
        match (vault.read(named(cloud, &reference.name)).await, cloud.former_secret()) {
            // Deleted before the new keys were read: jobs that were created with the former keys are stopped with them.
            (Err(error), Some(former)) if cloud.metadata.deletion_timestamp.is_some() => {
                vault.read(named(cloud, former)).await.map_err(|_| error).map(Some)
            }
            (read, _) => read.map(Some),
        }
    }
}

#[async_trait]
impl Connector for HttpConnector {
    async fn connect(&self, cloud: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError> {
        self.check_addresses(cloud)?;
        let secrets = Secrets {
            credentials: &cloud.spec.credentials,
            entries: self.entries(cloud).await?,
            base: folder_of(&cloud.metadata),
        };
        match cloud.spec.cloud() {
            Some(CloudRef::HuaweiIotda(spec)) => self.iotda(spec, &secrets).await,
            Some(CloudRef::OceanConnect(spec)) => self.ocean_connect(spec, &secrets).await,
            Some(CloudRef::Enos(spec)) => self.enos(spec, &secrets).await,
            Some(CloudRef::AliyunIot(spec)) => self.aliyun(spec, &secrets).await,
            None => Err(refused("spec must name exactly one cloud".to_owned())),
        }
    }

    async fn keep_secret(&self, cloud: &OtaCloud) -> Result<(), CallError> {
        match (&self.vault, &cloud.spec.credentials.secret_ref) {
            (Some(vault), Some(reference)) => vault.keep(named(cloud, &reference.name)).await,
            _ => Ok(()),
        }
    }

    async fn release_secret(&self, cloud: &OtaCloud, name: &str) -> Result<(), CallError> {
        match &self.vault {
            Some(vault) => vault.release(named(cloud, name)).await,
            None => Ok(()),
        }
    }
}

impl HttpConnector {
    async fn enos(&self, spec: &Enos, secrets: &Secrets<'_>) -> Result<Arc<dyn Cloud>, CallError> {
        let given = secrets.credentials;
        let keys = enos::Keys {
            app_key: secrets.needed("accessKey", given.access_key.as_ref()).await?,
            app_secret: secrets.needed("secretKey", given.secret_key.as_ref()).await?,
        };
        recording_time(self.transport.clone(), |transport| Ok(enos::connect(spec, keys, transport)))
    }

    async fn iotda(&self, spec: &HuaweiIotda, secrets: &Secrets<'_>) -> Result<Arc<dyn Cloud>, CallError> {
        let keys = match Scheme::of(spec) {
            Scheme::Signed(_) => secrets.access_key().await?,
            Scheme::Token => secrets.user().await?,
        };
        recording_time(self.transport.clone(), |transport| Ok(huawei_iotda::connect(spec, keys, transport)))
    }

    async fn ocean_connect(
        &self,
        spec: &OceanConnect,
        secrets: &Secrets<'_>,
    ) -> Result<Arc<dyn Cloud>, CallError> {
        let secret = secrets.needed("appSecret", secrets.credentials.app_secret.as_ref()).await?;
        let ca_bundle = secrets.file("caBundle", "ca.crt", spec.ca_bundle.as_ref()).await?;
        let client_identity = secrets.identity(spec.client_cert.as_ref()).await?;
        let transport: Arc<dyn Transport> = if ca_bundle.is_none() && client_identity.is_none() {
            Arc::clone(&self.transport)
        } else {
            let options = HttpOptions { ca_bundle, client_identity, ..HttpOptions::default() };
            let unusable = |error: TransportError| {
                refused(format!("spec.oceanConnect: {}", error.message)).next_step(error.next_step)
            };
            let own = Arc::new(HttpTransport::new(options).map_err(unusable)?);
            Arc::new(Fenced::new(own, self.leadership.clone()))
        };
        let sessions = &self.sessions;
        recording_time(transport, |transport| Ok(ocean_connect::connect(spec, secret, sessions, transport)))
    }

    async fn aliyun(&self, spec: &AliyunIot, secrets: &Secrets<'_>) -> Result<Arc<dyn Cloud>, CallError> {
        let (id, secret, security_token) = secrets.signing_key().await?;
        let keys = aliyun_iot::Keys { id, secret, security_token };
        // A new value each time: the gateway refuses a nonce that it has seen.
        let nonces = format!("{:x}{:x}", fastrand::u128(..), std::process::id());
        recording_time(self.transport.clone(), |transport| {
            Ok(aliyun_iot::connect(spec, keys, transport, &nonces))
        })
    }
}

struct Secrets<'a> {
    credentials: &'a Credentials,
    /// Entries of the Secret that the account names; if present, every key comes from them.
    entries: Option<Entries>,
    base: PathBuf,
}

impl Secrets<'_> {
    async fn access_key(&self) -> Result<Keys, CallError> {
        let (id, secret, security_token) = self.signing_key().await?;
        Ok(Keys::AccessKey { id, secret, security_token })
    }

    /// Access key, secret key, and the security token of temporary keys.
    async fn signing_key(&self) -> Result<(SecretString, SecretString, Option<SecretString>), CallError> {
        let given = self.credentials;
        let id = self.needed("accessKey", given.access_key.as_ref()).await?;
        let secret = self.needed("secretKey", given.secret_key.as_ref()).await?;
        let is_given = given.security_token.is_some() || self.entry("securityToken").is_some();
        let security_token = match is_given {
            true => Some(self.needed("securityToken", given.security_token.as_ref()).await?),
            false => None,
        };
        Ok((id, secret, security_token))
    }

    async fn user(&self) -> Result<Keys, CallError> {
        let given = self.credentials;
        Ok(Keys::User(User {
            name: self.needed("username", given.username.as_ref()).await?,
            password: self.needed("password", given.password.as_ref()).await?,
            domain: self.needed("domain", given.domain.as_ref()).await?,
        }))
    }

    /// An optional file of `spec.oceanConnect`, or the entry of the Secret.
    async fn file(
        &self,
        field: &str,
        key: &str,
        source: Option<&SecretSource>,
    ) -> Result<Option<SecretString>, CallError> {
        let Some(source) = source else { return Ok(self.entry(key).cloned()) };
        let wrong = |error| refused(format!("spec.oceanConnect.{field}: {error}"));
        secret::read(source, &self.base).await.map(Some).map_err(wrong)
    }

    /// Certificate and key, one after the other.
    async fn identity(&self, given: Option<&ClientCert>) -> Result<Option<SecretString>, CallError> {
        let (certificate, key) = (given.map(|given| &given.certificate), given.map(|given| &given.key));
        let certificate = self.file("clientCert.certificate", "tls.crt", certificate).await?;
        let key = self.file("clientCert.key", "tls.key", key).await?;
        let parts: Vec<&str> = certificate.iter().chain(&key).map(ExposeSecret::expose_secret).collect();
        Ok((!parts.is_empty()).then(|| parts.join("\n").into()))
    }

    fn entry(&self, key: &str) -> Option<&SecretString> {
        self.entries.as_ref()?.get(key)
    }

    async fn needed(&self, field: &str, source: Option<&SecretSource>) -> Result<SecretString, CallError> {
        let path = format!("spec.credentials.{field}");
        if let (Some(_), Some(named)) = (&self.entries, &self.credentials.secret_ref) {
            let absent = || {
                refused(format!("the Secret {} has no key {field}", named.name))
                    .next_step(format!("add the key {field} to it"))
            };
            return self.entry(field).cloned().ok_or_else(absent);
        }
        let Some(source) = source else {
            return Err(refused(format!("{path} is missing"))
                .next_step(format!("set {path}, or choose another spec.huaweiIotda.auth")));
        };
        secret::read(source, &self.base).await.map_err(|error| refused(format!("{path}: {error}")))
    }
}

fn refused(message: String) -> CallError {
    CallError::new(ErrorClass::Unauthorized, "Connect", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{OtaCloudStatus, SOURCE_FILE_ANNOTATION, Time};
    use std::path::Path;

    fn cloud(auth: &str, credentials: &str, folder: &Path) -> OtaCloud {
        let manifest = folder.join("cloud.yaml");
        let text = format!(
            r#"{{"apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaCloud",
                "metadata": {{"name": "c", "annotations": {{"{SOURCE_FILE_ANNOTATION}": {manifest:?}}}}},
                "spec": {{"huaweiIotda": {{"endpoint": "http://127.0.0.1:1", "region": "cn-north-4",
                    "projectId": "p", "appId": "a", "auth": "{auth}"}}, "credentials": {credentials}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[tokio::test]
    async fn a_missing_secret_is_named_with_its_field() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("key"), "AK\n").unwrap();
        let access_key = r#"{"accessKey": "file:key", "secretKey": "env:ROLLWAVE_NO_SUCH_KEY"}"#;
        let cases = [
            ("V11", r#"{"username": "file:key"}"#, "spec.credentials.accessKey is missing"),
            (
                "Auto",
                access_key,
                "spec.credentials.secretKey: environment variable ROLLWAVE_NO_SUCH_KEY is not set",
            ),
            ("Token", access_key, "spec.credentials.username is missing"),
        ];
        let connector = HttpConnector::new().unwrap();
        for (auth, credentials, expected) in cases {
            let error = connector.connect(&cloud(auth, credentials, folder.path())).await.err().unwrap();
            assert_eq!(error.class, ErrorClass::Unauthorized);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    /// A vault that must not be opened.
    struct Sealed;

    #[async_trait]
    impl Vault for Sealed {
        async fn read(&self, secret: Named<'_>) -> Result<Entries, CallError> {
            Err(CallError::new(ErrorClass::Unavailable, "Connect", format!("{} was read", secret.name)))
        }

        async fn keep(&self, _: Named<'_>) -> Result<(), CallError> {
            Ok(())
        }

        async fn release(&self, _: Named<'_>) -> Result<(), CallError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn keys_are_not_even_read_for_an_address_that_they_may_not_be_sent_to() {
        let hosts = |hosts: &[&str]| hosts.iter().map(|host| host.parse().unwrap()).collect::<Vec<_>>();
        let mut account = cloud("Token", r#"{"secretRef": {"name": "keys"}}"#, Path::new(""));
        let mut connect = async |endpoint: &str, allowed: &[&str]| {
            account.spec.huawei_iotda.as_mut().unwrap().endpoint = endpoint.to_owned();
            let connector = HttpConnector::new().unwrap().with_vault(Arc::new(Sealed));
            connector.sending_to(hosts(allowed)).connect(&account).await.err().unwrap()
        };
        let iam = "iam.cn-north-4.myhuaweicloud.com";
        for (endpoint, allowed, expected) in [
            (
                "https://evil.example.com",
                &["iot.example.com", iam][..],
                "not a host that keys may be sent to",
            ),
            ("https://iot.example.com", &["iot.example.com"], "the IAM address: https://iam.cn-north-4"),
            (
                "http://iot.example.com",
                &[],
                "spec.huaweiIotda.endpoint: http://iot.example.com is not encrypted",
            ),
            ("https://iot.example.com:99999", &[], "is not an address"),
        ] {
            let error = connect(endpoint, allowed).await;
            assert_eq!(error.class, ErrorClass::Invalid, "{endpoint}: {error}");
            assert!(error.to_string().contains(expected), "{endpoint}: {error}");
        }
        for allowed in [&[][..], &["iot.example.com", iam], &["*.example.com", "*.myhuaweicloud.com"]] {
            let error = connect("https://iot.example.com", allowed).await;
            assert!(error.to_string().contains("keys was read"), "{allowed:?}: {error}");
        }
    }

    /// A cluster with one Secret.
    struct Only(&'static str);

    #[async_trait]
    impl Vault for Only {
        async fn read(&self, secret: Named<'_>) -> Result<Entries, CallError> {
            let keys = ["accessKey", "secretKey"].map(|key| (key.to_owned(), SecretString::from("k")));
            let absent = || refused(format!("there is no Secret {}", secret.name));
            if secret.name == self.0 { Ok(keys.into()) } else { Err(absent()) }
        }

        async fn keep(&self, _: Named<'_>) -> Result<(), CallError> {
            Ok(())
        }

        async fn release(&self, _: Named<'_>) -> Result<(), CallError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_former_keys_settle_an_account_that_is_deleted_before_its_new_ones_were_read() {
        let mut account = cloud("Auto", r#"{"secretRef": {"name": "new"}}"#, Path::new(""));
        let status = OtaCloudStatus { secret_name: Some("old".into()), ..OtaCloudStatus::default() };
        account.status = Some(status);
        let connector = HttpConnector::new().unwrap().with_vault(Arc::new(Only("old")));
        let missing = connector.connect(&account).await.err().unwrap();
        assert!(missing.to_string().contains("there is no Secret new"), "{missing}");
        account.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        assert!(connector.connect(&account).await.is_ok());
    }

    #[tokio::test]
    async fn files_are_looked_for_beside_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("key"), "AK\n").unwrap();
        let keys = r#"{"accessKey": "file:key", "secretKey": "exec:cat key"}"#;
        let connected = HttpConnector::new().unwrap().connect(&cloud("Auto", keys, folder.path())).await;
        assert_eq!(connected.unwrap().capabilities().cloud, crate::api::CloudKind::HuaweiIotda);
    }
}
