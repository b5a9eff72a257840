//! Reading OpenTelemetry's environment variables. A value that is not understood is an error: an agent that exports to
//! the wrong place, or nothing, is worse than one that does not start.

use std::io;
use std::path::PathBuf;

/// Where variables are looked up: the process's environment, or a table in a test.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable that is not understood.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// Its value is not one of those allowed.
    #[error("{variable}={value}: expected {expected}")]
    Value {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The same, where the value may hold a secret.
    #[error("{variable}: expected {expected}")]
    Secret {
        /// The variable.
        variable: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The file it names cannot be read.
    #[error("{variable}: cannot read {}: {source}", path.display())]
    File {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file it names holds no such thing.
    #[error("{variable}: {} holds no {expected} in PEM form", path.display())]
    Pem {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A client certificate without its key, or a key without its certificate.
    #[error("{present} is set without {missing}")]
    Pair {
        /// The variable that is set.
        present: String,
        /// The variable that is missing.
        missing: String,
    },
    /// The client certificate and its key do not make a TLS identity.
    #[error("{certificate} and its key are not usable: {source}")]
    Identity {
        /// The certificate's variable.
        certificate: String,
        /// Why.
        source: rustls::Error,
    },
    /// The system trusts no certificate authority.
    #[error("no certificate authority of the system was found; set OTEL_EXPORTER_OTLP_CERTIFICATE")]
    NoRoots,
}

impl EnvError {
    pub(crate) fn value(variable: &str, value: &str, expected: &'static str) -> Self {
        Self::Value { variable: variable.to_owned(), value: value.to_owned(), expected }
    }
}

/// The trimmed value of a variable; an empty one counts as unset (OpenTelemetry specification, "Parsing empty value").
pub(crate) fn get(lookup: Lookup<'_>, variable: &str) -> Option<String> {
    let value = lookup(variable)?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}
