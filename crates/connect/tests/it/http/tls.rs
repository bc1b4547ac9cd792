//! Certificates: the wrong ones are refused as what is wrong with the way there.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use event::sink::{Delivery, FailureKind};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use super::kit::{Server, deliver, deliver_one, failure_of_one, numbers, raw_server, reply, sink};

/// An authority that nobody knows, with its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(folder.path().join("ca.pem"), format!("a comment\n{pem}")).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server's side, with a certificate for `name`.
    fn server(&self, name: &str) -> Arc<rustls::ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Arc::new(config)
    }
}

#[test]
fn a_certificate_is_trusted_through_ca_file_only() {
    let authority = Authority::new();
    let server = Server::with_tls(Some(authority.server("127.0.0.1")), |_| reply(200));
    let mut options = server.options();
    let failure = failure_of_one(&options);
    assert_eq!((failure.class.as_str(), failure.kind), ("tls", FailureKind::Unreachable));
    assert!(failure.message.contains("certificate"), "{}", failure.message);
    assert_eq!(server.seen().len(), 0, "nothing was sent");

    options.ca_file = Some(authority.file());
    options.connections_max = 1;
    let mut sink = sink(&options);
    assert_eq!(deliver(&mut sink, &numbers(3)), vec![Delivery::Delivered; 3]);
    assert_eq!(server.connections(), 2, "one refused, one used for all calls");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server = Server::with_tls(Some(authority.server("elsewhere.test")), |_| reply(200));
    let mut options = server.options();
    options.ca_file = Some(authority.file());
    let failure = failure_of_one(&options);
    assert_eq!((failure.class.as_str(), failure.kind), ("tls", FailureKind::Unreachable));
    assert_eq!(server.seen().len(), 0);

    let server = Server::with_tls(Some(authority.server("localhost")), |_| reply(200));
    options.url = format!("https://localhost:{}/", server.port());
    assert_eq!(deliver_one(&options), Delivery::Delivered, "a name instead of an address");
}

#[test]
fn a_receiver_without_tls_is_not_talked_to() {
    let url = raw_server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 4096]);
    });
    let options = connect::HttpOptions::new(url.replace("http://", "https://"));
    let failure = failure_of_one(&options);
    assert_eq!((failure.class.as_str(), failure.kind), ("tls", FailureKind::Unreachable));
}

#[test]
fn a_ca_file_without_certificates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "no certificate").unwrap();
    let mut options = connect::HttpOptions::new("https://127.0.0.1:1/".into());
    options.ca_file = Some(path);
    let clock = Arc::new(event::TestClock::new(0));
    let error = connect::HttpClient::new(&options, clock).unwrap_err();
    assert!(error.to_string().contains("holds no certificate"), "{error}");
}
