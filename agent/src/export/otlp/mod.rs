//! OTLP to a collector, over gRPC or HTTP.

mod config;
mod encode;
mod grpc;
mod http;
mod retry;
mod sender;
mod tls;

pub use config::{Config, Protocol, Signal, is_configured};
pub(crate) use grpc::channel;
pub(crate) use http::Http;
pub(crate) use sender::Sender;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

use self::grpc::Grpc;
use self::retry::{Accepted, Failure};
use super::limits::MESSAGE_CHARS_MAX;

/// How the agent names itself to a collector.
const AGENT: &str = concat!("tracemend/", env!("CARGO_PKG_VERSION"));

/// A client for one collector.
#[derive(Debug)]
enum Client {
    Grpc(Box<Grpc>),
    Http(Box<Http>),
}

impl Client {
    fn new(config: &Config) -> Self {
        match config.protocol {
            Protocol::Grpc => Self::Grpc(Box::new(Grpc::new(config))),
            Protocol::HttpProtobuf => Self::Http(Box::new(Http::new(config))),
        }
    }

    async fn send(&self, body: Bytes) -> Result<Accepted, Failure> {
        match self {
            Self::Grpc(client) => client.send(body).await,
            Self::Http(client) => client.send(body).await,
        }
    }
}

fn accepted(response: ExportTraceServiceResponse) -> Accepted {
    let partial = response.partial_success.unwrap_or_default();
    Accepted { rejected: partial.rejected_spans.try_into().unwrap_or(0), message: message(&partial.error_message) }
}

/// Text of a collector, made fit for a log line.
fn message(text: &str) -> String {
    let clean = |c: char| {
        if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }
    };
    text.chars().take(MESSAGE_CHARS_MAX).map(clean).collect()
}

#[cfg(test)]
mod tests;
