use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

use super::{PROTOCOLS, exporter, send_and_stop, span};
use crate::export::DropReason;
use crate::export::testing::collector::Collector;

/// An authority with a certificate for localhost, as PEM files.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let authority = Self { folder, issuer };
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority.issuer).expect("a certificate");
        for (name, pem) in
            [("ca.pem", authority.issuer.pem()), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())]
        {
            std::fs::write(authority.file(name), pem).expect("a file");
        }
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn server(&self, asks_for_clients: bool) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if asks_for_clients {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let certificate = CertificateDer::from_pem_file(self.file("cert.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(self.file("key.pem")).expect("a key");
        let mut config = builder.with_single_cert(vec![certificate], key).expect("an identity");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn spans_travel_encrypted_to_a_collector_of_the_given_authority() {
    let authority = Authority::new();
    for (protocol, asks) in PROTOCOLS.into_iter().flat_map(|protocol| [(protocol, false), (protocol, true)]) {
        let collector = Collector::listen("127.0.0.1:0", Some(authority.server(asks)), []);
        let endpoint = format!("https://localhost:{}", collector.address.port());
        let files = ["ca.pem", "cert.pem", "key.pem"].map(|name| authority.file(name));
        let mut variables =
            vec![("ENDPOINT", endpoint.as_str()), ("PROTOCOL", protocol), ("CERTIFICATE", text(&files[0]))];
        if asks {
            variables.extend([("CLIENT_CERTIFICATE", text(&files[1])), ("CLIENT_KEY", text(&files[2]))]);
        }
        let counters = send_and_stop(exporter(&variables), 2);
        assert_eq!(counters.exported, 2, "{protocol}, asks for clients: {asks}");
        assert_eq!(collector.seen().len(), 1);
    }
}

#[test]
fn a_collector_of_another_authority_gets_nothing() {
    let (trusted, other) = (Authority::new(), Authority::new());
    for protocol in PROTOCOLS {
        let collector = Collector::listen("127.0.0.1:0", Some(other.server(false)), []);
        let endpoint = format!("https://localhost:{}", collector.address.port());
        let authority = trusted.file("ca.pem");
        let variables = [("ENDPOINT", endpoint.as_str()), ("PROTOCOL", protocol), ("CERTIFICATE", text(&authority))];
        let exporter = exporter(&variables);
        exporter.send(vec![span(1)]);
        let counters = exporter.shutdown(std::time::Duration::from_secs(1));
        assert_eq!(counters.dropped.of(DropReason::Shutdown), 1, "{protocol}");
        assert!(collector.seen().is_empty());
    }
}
