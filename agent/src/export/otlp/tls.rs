//! TLS to the collector: one configuration for every protocol and signal.

use std::path::PathBuf;
use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::config::{Config, Protocol};
use crate::export::env::EnvError;
use crate::export::limits::{CONNECT_TIMEOUT, UNACKNOWLEDGED_MAX};

/// Opens connections for http and https.
pub(super) type Connector = HttpsConnector<HttpConnector>;

/// A PEM file named by a variable.
pub(super) struct PemFile {
    pub(super) variable: String,
    path: PathBuf,
    content: Vec<u8>,
}

impl PemFile {
    pub(super) fn read(variable: String, path: String) -> Result<Self, EnvError> {
        let path = PathBuf::from(path);
        match std::fs::read(&path) {
            Ok(content) => Ok(Self { variable, path, content }),
            Err(source) => Err(EnvError::File { variable, path, source }),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, EnvError> {
        let expected = "certificate";
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.content).collect();
        all.ok().filter(|all| !all.is_empty()).ok_or_else(|| self.lacks(expected))
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, EnvError> {
        PrivateKeyDer::from_pem_slice(&self.content).map_err(|_| self.lacks("private key"))
    }

    fn lacks(&self, expected: &'static str) -> EnvError {
        EnvError::Pem { variable: self.variable.clone(), path: self.path.clone(), expected }
    }
}

/// A configuration that trusts `authorities` alone, else those of the system, and shows `identity` if asked.
pub(super) fn client(
    authorities: Option<&PemFile>,
    identity: Option<&(PemFile, PemFile)>,
) -> Result<ClientConfig, EnvError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(file) => {
            for certificate in file.certificates()? {
                roots.add(certificate).map_err(|_| file.lacks("certificate"))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(EnvError::NoRoots);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions")
        .with_root_certificates(roots);
    let Some((certificate, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    builder
        .with_client_auth_cert(certificate.certificates()?, key.key()?)
        .map_err(|source| EnvError::Identity { certificate: certificate.variable.clone(), source })
}

/// What opens connections to a configured collector.
pub(super) fn connector(config: &Config) -> Connector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
    let tls = config.tls.clone().unwrap_or_else(|| {
        // Never used: without TLS the scheme is http. An empty store trusts nobody.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()
    });
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    match config.protocol {
        Protocol::Grpc => builder.enable_http2().wrap_connector(http),
        Protocol::HttpProtobuf => builder.enable_http1().wrap_connector(http),
    }
}
