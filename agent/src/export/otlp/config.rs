//! Where and how to send, by the environment variables of OpenTelemetry's OTLP exporter specification.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Scheme, Uri};
use percent_encoding::percent_decode_str;

use super::tls;
use crate::export::env::{EnvError, Lookup, get};

/// What is sent; each may have a collector of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// The agent's own metrics.
    Metrics,
}

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP with protobuf bodies.
    HttpProtobuf,
}

/// How to reach one collector.
#[derive(Clone, Debug)]
pub struct Config {
    /// How requests travel.
    pub protocol: Protocol,
    /// Scheme, host and port; over HTTP with the path to post to.
    pub endpoint: Uri,
    /// Header fields of each request; their values are secrets.
    pub headers: HeaderMap,
    /// Longest time for one try.
    pub timeout: Duration,
    /// Request bodies are compressed with gzip.
    pub gzip: bool,
    /// TLS, where the scheme is https.
    pub tls: Option<rustls::ClientConfig>,
}

/// True if a variable names a collector for this signal.
#[must_use]
pub fn is_configured(signal: Signal, lookup: Lookup<'_>) -> bool {
    Variables { signal, lookup }.get("ENDPOINT").is_some()
}

impl Config {
    /// Reads the `OTEL_EXPORTER_OTLP_*` variables. Where no protocol is set it is `http/protobuf`, as the specification
    /// recommends, except towards port 4317, which is registered for gRPC.
    ///
    /// # Errors
    /// A value that is not understood, or a certificate that cannot be used.
    pub fn from_env(signal: Signal, lookup: Lookup<'_>) -> Result<Self, EnvError> {
        let variables = Variables { signal, lookup };
        let (protocol, endpoint) = variables.destination()?;
        let tls = endpoint.scheme() == Some(&Scheme::HTTPS);
        Ok(Self {
            protocol,
            endpoint,
            headers: variables.headers()?,
            timeout: variables.timeout()?,
            gzip: variables.gzip()?,
            tls: tls.then(|| variables.tls()).transpose()?,
        })
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Grpc => "gRPC",
            Protocol::HttpProtobuf => "HTTP",
        };
        write!(f, "OTLP over {protocol} to {}", self.endpoint)
    }
}

/// The variables of one signal: `OTEL_EXPORTER_OTLP_TRACES_X` before `OTEL_EXPORTER_OTLP_X`.
#[derive(Clone, Copy)]
struct Variables<'a> {
    signal: Signal,
    lookup: Lookup<'a>,
}

/// A variable that is set.
struct Set {
    variable: String,
    value: String,
    /// It is the signal's own.
    own: bool,
}

impl Set {
    fn error(&self, expected: &'static str) -> EnvError {
        EnvError::value(&self.variable, &self.value, expected)
    }

    fn secret(&self, expected: &'static str) -> EnvError {
        EnvError::Secret { variable: self.variable.clone(), expected }
    }
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<Set> {
        let signal = match self.signal {
            Signal::Traces => "TRACES",
            Signal::Metrics => "METRICS",
        };
        let find = |variable: String, own| get(self.lookup, &variable).map(|value| Set { variable, value, own });
        find(format!("OTEL_EXPORTER_OTLP_{signal}_{name}"), true)
            .or_else(|| find(format!("OTEL_EXPORTER_OTLP_{name}"), false))
    }

    fn destination(&self) -> Result<(Protocol, Uri), EnvError> {
        let protocol = self.protocol()?;
        let Some(set) = self.get("ENDPOINT") else {
            let protocol = protocol.unwrap_or(Protocol::HttpProtobuf);
            return Ok((protocol, self.default_endpoint(protocol)));
        };
        // The endpoint may hold a password, which no message may repeat.
        if set.value.contains('@') {
            return Err(set.secret("no credentials in a URL: use OTEL_EXPORTER_OTLP_HEADERS"));
        }
        let expected = "a URL such as http://localhost:4318";
        let insecure = self.insecure()?;
        let text = if set.value.contains("://") {
            set.value.clone()
        } else if protocol == Some(Protocol::Grpc) {
            // gRPC targets may come without a scheme, and only there the insecure option has a say.
            format!("{}://{}", if insecure { "http" } else { "https" }, set.value)
        } else {
            return Err(set.error(expected));
        };
        let uri = Uri::from_str(&text).map_err(|_| set.error(expected))?;
        if ![Some("http"), Some("https")].contains(&uri.scheme_str()) || uri.host().is_none() {
            return Err(set.error(expected));
        }
        let registered = if uri.port_u16() == Some(4317) { Protocol::Grpc } else { Protocol::HttpProtobuf };
        let protocol = protocol.unwrap_or(registered);
        let path = match protocol {
            Protocol::Grpc => "/".to_owned(),
            Protocol::HttpProtobuf if set.own => uri.path().to_owned(),
            Protocol::HttpProtobuf => {
                format!("{}/{}", uri.path().trim_end_matches('/'), self.path())
            }
        };
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(path.parse().map_err(|_| set.error(expected))?);
        let uri = Uri::from_parts(parts).map_err(|_| set.error(expected))?;
        Ok((protocol, uri))
    }

    fn default_endpoint(&self, protocol: Protocol) -> Uri {
        match (protocol, self.signal) {
            (Protocol::Grpc, _) => Uri::from_static("http://localhost:4317/"),
            (Protocol::HttpProtobuf, Signal::Traces) => Uri::from_static("http://localhost:4318/v1/traces"),
            (Protocol::HttpProtobuf, Signal::Metrics) => Uri::from_static("http://localhost:4318/v1/metrics"),
        }
    }

    fn path(&self) -> &'static str {
        match self.signal {
            Signal::Traces => "v1/traces",
            Signal::Metrics => "v1/metrics",
        }
    }

    fn protocol(&self) -> Result<Option<Protocol>, EnvError> {
        let Some(set) = self.get("PROTOCOL") else {
            return Ok(None);
        };
        match set.value.as_str() {
            "grpc" => Ok(Some(Protocol::Grpc)),
            "http/protobuf" => Ok(Some(Protocol::HttpProtobuf)),
            _ => Err(set.error("grpc or http/protobuf")),
        }
    }

    fn insecure(&self) -> Result<bool, EnvError> {
        let Some(set) = self.get("INSECURE") else {
            return Ok(false);
        };
        match set.value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(set.error("true or false")),
        }
    }

    fn gzip(&self) -> Result<bool, EnvError> {
        let Some(set) = self.get("COMPRESSION") else {
            return Ok(false);
        };
        match set.value.as_str() {
            "gzip" => Ok(true),
            "none" => Ok(false),
            _ => Err(set.error("gzip or none")),
        }
    }

    fn timeout(&self) -> Result<Duration, EnvError> {
        const DEFAULT: Duration = Duration::from_secs(10);
        let Some(set) = self.get("TIMEOUT") else {
            return Ok(DEFAULT);
        };
        let ms = set.value.parse().ok().filter(|ms| *ms > 0);
        ms.map(Duration::from_millis).ok_or_else(|| set.error("milliseconds, at least 1"))
    }

    /// `key1=value1,key2=value2` with percent-encoded values.
    fn headers(&self) -> Result<HeaderMap, EnvError> {
        let mut headers = HeaderMap::new();
        let Some(set) = self.get("HEADERS") else {
            return Ok(headers);
        };
        let expected = "key1=value1,key2=value2 with names of HTTP header fields and percent-encoded values";
        for pair in set.value.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| set.secret(expected))?;
            let value: Vec<u8> = percent_decode_str(value.trim()).collect();
            let name = HeaderName::from_str(name.trim()).map_err(|_| set.secret(expected))?;
            let mut value = HeaderValue::from_bytes(&value).map_err(|_| set.secret(expected))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(headers)
    }

    fn tls(&self) -> Result<rustls::ClientConfig, EnvError> {
        let file = |name| self.get(name).map(|set| tls::PemFile::read(set.variable, set.value)).transpose();
        let missing = |present: &tls::PemFile, missing: &str| EnvError::Pair {
            present: present.variable.clone(),
            missing: format!("OTEL_EXPORTER_OTLP_{missing}"),
        };
        let identity = match (file("CLIENT_CERTIFICATE")?, file("CLIENT_KEY")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(certificate), None) => return Err(missing(&certificate, "CLIENT_KEY")),
            (None, Some(key)) => return Err(missing(&key, "CLIENT_CERTIFICATE")),
            (None, None) => None,
        };
        tls::client(file("CERTIFICATE")?.as_ref(), identity.as_ref())
    }
}
