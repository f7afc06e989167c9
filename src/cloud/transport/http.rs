//! HTTP over TCP and TLS.

use super::{Transport, TransportError, UPLOAD_TIMEOUT, WireRequest, WireResponse, upload::FileBody};
use crate::cloud::{Effect, ErrorClass};
use async_trait::async_trait;
use bytes::BytesMut;
use jiff::SignedDuration;
use reqwest::{
    Body, Certificate, Client, ClientBuilder, Identity, Method, Response, Url,
    header::{self, HeaderName, HeaderValue},
    redirect, retry,
};
use secrecy::{ExposeSecret, SecretString};
use std::{error::Error, time::Duration};

/// Shorter than the idle timeout of load balancers: a request on a connection that is just being closed has an unknown outcome.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// Limits of a transport, and the certificates that it trusts. `Debug` shows no certificate.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From the first byte to the last one.
    pub total_timeout: Duration,
    /// From the first byte to the last one of a request that carries a file.
    pub upload_timeout: Duration,
    /// Bytes of a response's body.
    pub body_limit: usize,
    /// Certificates (PEM) that the server's is checked against, instead of the system's.
    pub ca_bundle: Option<SecretString>,
    /// Certificate chain and private key (PEM, one after the other) that the server requires of clients.
    pub client_identity: Option<SecretString>,
}

impl Default for HttpOptions {
    /// 10 seconds, 60 seconds, half an hour for files (1,000 MB at 4.7 Mbit/s), 16 MiB: a page of 50 rows with every text at its
    /// limit is a hundredth of that.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(60),
            upload_timeout: UPLOAD_TIMEOUT.unsigned_abs(),
            body_limit: 16 * 1024 * 1024,
            ca_bundle: None,
            client_identity: None,
        }
    }
}

/// HTTP/1.1 with rustls and the system's trust store: no redirects, cookies, decompression or retries. Uses the proxy that
/// `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name, but never for an address of this machine.
pub struct HttpTransport {
    proxied: Client,
    direct: Client,
    options: HttpOptions,
}

impl HttpTransport {
    /// A transport with its own connection pool.
    ///
    /// # Errors
    /// When the trust store, the given certificates or the key cannot be read, or a proxy variable is not a URL.
    pub fn new(options: HttpOptions) -> Result<Self, TransportError> {
        // Fails when a provider is installed already, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = |proxied: bool| {
            let client = Client::builder()
                .user_agent(concat!("rollwave/", env!("CARGO_PKG_VERSION")))
                .http1_only()
                .referer(false)
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .pool_idle_timeout(POOL_IDLE)
                .connect_timeout(options.connect_timeout)
                .timeout(options.total_timeout);
            let client = trusting(client, &options)?;
            if proxied { client.build() } else { client.no_proxy().build() }.map_err(never_sent)
        };
        Ok(Self { proxied: build(true)?, direct: build(false)?, options })
    }

    async fn exchange(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        let url = url_of(&request)?;
        let client = if is_loopback(&url) { &self.direct } else { &self.proxied };
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| unsendable(&error))?;
        let mut builder = client.request(method, url);
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unsendable(&error))?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| unsendable(&error))?;
            builder = builder.header(name, value);
        }
        let Some(upload) = request.upload else {
            let response = builder.body(request.body).send().await;
            let response = response.map_err(|error| failed(error, &request.origin))?;
            return self.read(response, &request.origin).await;
        };
        let body = FileBody::open(request.body, *upload).await?;
        let fault = body.fault.clone();
        let builder =
            builder.timeout(self.options.upload_timeout).header(header::CONTENT_LENGTH, body.length);
        let sent = builder.body(Body::wrap_stream(body.into_stream())).send().await;
        let response =
            sent.map_err(|error| fault.error().unwrap_or_else(|| failed(error, &request.origin)))?;
        self.read(response, &request.origin).await
    }

    async fn read(&self, mut response: Response, origin: &str) -> Result<WireResponse, TransportError> {
        let status = response.status().as_u16();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers =
            response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(error, origin))? {
            if body.len().saturating_add(chunk.len()) > self.options.body_limit {
                return Err(TransportError {
                    class: ErrorClass::Unintelligible,
                    effect: Effect::Unknown,
                    message: format!(
                        "the response of {origin} is longer than {} bytes",
                        self.options.body_limit
                    ),
                    next_step: "check that the endpoint is that of the cloud".to_owned(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(WireResponse { status, headers, body: body.freeze() })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        self.exchange(request).await
    }

    fn total_timeout(&self) -> SignedDuration {
        SignedDuration::try_from(self.options.total_timeout).unwrap_or(SignedDuration::MAX)
    }

    fn upload_timeout(&self) -> SignedDuration {
        SignedDuration::try_from(self.options.upload_timeout).unwrap_or(SignedDuration::MAX)
    }
}

/// The URL, if it is sent exactly as the request specifies it: what is signed must be what is sent.
fn url_of(request: &WireRequest) -> Result<Url, TransportError> {
    let mut text = format!("{}{}", request.origin, request.path);
    if !request.query.is_empty() {
        text = format!("{text}?{}", request.query);
    }
    let url = Url::parse(&text).map_err(|error| unsendable(&error))?;
    if url.path() != request.path || url.query().unwrap_or_default() != request.query {
        return Err(unsendable(&"path or query would be changed by URL encoding"));
    }
    Ok(url)
}

/// Configures a client with the certificates that the options name.
fn trusting(mut client: ClientBuilder, options: &HttpOptions) -> Result<ClientBuilder, TransportError> {
    if let Some(bundle) = &options.ca_bundle {
        let unreadable = |_| unusable("the CA bundle contains no PEM certificate");
        let trusted = Certificate::from_pem_bundle(bundle.expose_secret().as_bytes()).map_err(unreadable)?;
        if trusted.is_empty() {
            return Err(unusable("the CA bundle contains no PEM certificate"));
        }
        client = client.tls_certs_only(trusted);
    }
    if let Some(identity) = &options.client_identity {
        let unreadable = |_| unusable("the client certificate and its key are not valid PEM");
        let identity = Identity::from_pem(identity.expose_secret().as_bytes()).map_err(unreadable)?;
        client = client.identity(identity);
    }
    Ok(client)
}

/// Omits the text of the parser: it may quote a key.
fn unusable(message: &str) -> TransportError {
    TransportError {
        class: ErrorClass::Invalid,
        effect: Effect::None,
        message: message.to_owned(),
        next_step: "check the certificate files of the OtaCloud".to_owned(),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn unsendable(why: &impl ToString) -> TransportError {
    TransportError {
        class: ErrorClass::Invalid,
        effect: Effect::None,
        message: format!("the request cannot be sent: {}", why.to_string()),
        next_step: "check the endpoint and the ids in the manifest".to_owned(),
    }
}

fn never_sent(error: reqwest::Error) -> TransportError {
    TransportError {
        class: ErrorClass::Unavailable,
        effect: Effect::None,
        message: causes(error),
        next_step: "check the system's trust store and HTTPS_PROXY".to_owned(),
    }
}

/// Only an error of connecting, or of building the request, means that nothing was sent: anything else may have reached the
/// cloud.
fn failed(error: reqwest::Error, origin: &str) -> TransportError {
    if error.is_builder() {
        return unsendable(&causes(error));
    }
    let (effect, what, next_step) = match (error.is_connect(), error.is_timeout()) {
        (true, _) => (Effect::None, "cannot be reached", "check the endpoint, the network, and HTTPS_PROXY"),
        (false, true) => (Effect::Unknown, "did not respond in time", "wait"),
        (false, false) => (Effect::Unknown, "closed the connection before the response was complete", "wait"),
    };
    let message = format!("{origin} {what}: {}", causes(error));
    TransportError { class: ErrorClass::Unavailable, effect, message, next_step: next_step.to_owned() }
}

/// The innermost two errors; the outer ones only state that sending failed. Never the URL: its query may contain secrets.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        texts.push(inner.to_string());
        cause = inner.source();
    }
    texts.dedup();
    let outer = texts.len().saturating_sub(2);
    texts.split_off(outer).join(": ")
}
