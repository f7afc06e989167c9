//! Certificates of both sides: whom the transport trusts, and whom a platform that asks for a certificate lets in.

use super::{Effect, HttpOptions, HttpTransport, Transport as _, request};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use secrecy::SecretString;
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

/// An authority with one server certificate and one client certificate.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn bundle(&self) -> SecretString {
        self.issuer.pem().into()
    }

    /// Certificate and key, one after the other.
    fn issue(&self, name: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        certificate.pem() + &key.serialize_pem()
    }
}

/// A platform that asks its callers for a certificate of this authority.
fn platform(authority: &Authority) -> SocketAddr {
    let mut trusted = RootCertStore::empty();
    trusted.add(authority.issuer.der().clone()).unwrap();
    let pem = authority.issue("localhost");
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), ring.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            let mut head = [0; 1000];
            if stream.read(&mut head).is_ok_and(|read| read > 0) {
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi");
                let _ = stream.flush();
            }
        }
    });
    address
}

#[tokio::test]
async fn a_platform_with_its_own_authority_lets_in_whom_it_knows() {
    let (own, other) = (Authority::new(), Authority::new());
    let origin = format!("https://localhost:{}", platform(&own).port());
    let cases = [
        ("both as they should be", Some(own.bundle()), Some(own.issue("na").into()), true),
        ("no client certificate", Some(own.bundle()), None, false),
        ("a client certificate of somebody else", Some(own.bundle()), Some(other.issue("na").into()), false),
        ("the platform is not who it should be", Some(other.bundle()), Some(own.issue("na").into()), false),
        ("the system's authorities", None, Some(own.issue("na").into()), false),
    ];
    for (name, ca_bundle, client_identity, is_let_in) in cases {
        let options = HttpOptions { ca_bundle, client_identity, ..HttpOptions::default() };
        let answer = HttpTransport::new(options).unwrap().send(request(&origin, "/")).await;
        assert_eq!(answer.is_ok(), is_let_in, "{name}: {answer:?}");
        assert!(answer.is_err() || answer.unwrap().body == "hi", "{name}");
    }
}

#[test]
fn files_that_hold_no_certificate_are_reported_without_their_text() {
    let with = |ca_bundle: Option<&str>, client_identity: Option<&str>| HttpOptions {
        ca_bundle: ca_bundle.map(SecretString::from),
        client_identity: client_identity.map(SecretString::from),
        ..HttpOptions::default()
    };
    for options in [with(Some("hunter2"), None), with(None, Some("hunter2")), with(None, Some(""))] {
        assert!(!format!("{options:?}").contains("hunter2"));
        let error = HttpTransport::new(options).err().expect("nothing to trust or to show");
        assert_eq!(error.effect, Effect::None);
        assert!(error.message.contains("PEM") && !error.to_string().contains("hunter2"), "{error}");
    }
}
