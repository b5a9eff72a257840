//! OTLP over gRPC.

use std::time::Duration;

use bytes::{BufMut as _, Bytes};
use http::HeaderMap;
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use tonic::client::Grpc as Client;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::config::Config;
use super::retry::{Accepted, Failure};
use super::{AGENT, message, tls};
use crate::export::limits::CONNECT_TIMEOUT;

const EXPORT: PathAndQuery = PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");

/// A client for one collector over one channel, which connects by itself when there is something to send.
#[derive(Clone, Debug)]
pub(crate) struct Grpc {
    client: Client<Channel>,
    headers: HeaderMap,
    timeout: Duration,
}

impl Grpc {
    pub(crate) fn new(config: &Config) -> Self {
        let mut client = Client::new(channel(config));
        if config.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        Self { client, headers: config.headers.clone(), timeout: config.timeout }
    }

    /// Sends an encoded `ExportTraceServiceRequest`.
    pub(crate) async fn send(&self, body: Bytes) -> Result<Accepted, Failure> {
        let exchange = async {
            let mut client = self.client.clone();
            client.ready().await.map_err(|error| Status::from_error(error.into()))?;
            let mut request = Request::new(body);
            *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
            request.set_timeout(self.timeout);
            client.unary(request, EXPORT, Encoded).await
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(Ok(response)) => Ok(super::accepted(response.into_inner())),
            Ok(Err(status)) => Err(failure(&status)),
            Err(_) => {
                let reason = format!("no answer within {:?}", self.timeout);
                Err(Failure::Transient { reason, after: None })
            }
        }
    }
}

/// A channel to a configured collector; needs a runtime around it.
pub(crate) fn channel(config: &Config) -> Channel {
    Endpoint::from(config.endpoint.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(AGENT)
        .expect("a constant without line breaks")
        .connect_with_connector_lazy(tls::connector(config))
}

/// OTLP specification, "OTLP/gRPC Response".
fn failure(status: &Status) -> Failure {
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let reason = format!("{}: {}", status.code().description(), message(status.message()));
    let transient = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => after.is_some(),
        // A connection that broke is reported as unknown or internal with the cause in its source.
        Code::Unknown | Code::Internal => std::error::Error::source(status).is_some(),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::Unimplemented => false,
    };
    if transient { Failure::Transient { reason, after } } else { Failure::Permanent { reason } }
}

/// Requests come encoded, so that a retry costs no second encoding and both protocols share one.
#[derive(Clone, Copy, Debug)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        // The collector has taken the request; an answer that cannot be read says nothing against it.
        Ok(Some(ExportTraceServiceResponse::decode(buffer).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::{Failure, failure};

    #[test]
    fn only_the_specified_codes_are_tried_again() {
        let transient: Vec<i32> = (0..17)
            .filter(|code| matches!(failure(&Status::new(Code::from_i32(*code), "")), Failure::Transient { .. }))
            .collect();
        let expected = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        assert_eq!(transient, expected.map(|code| code as i32));
    }

    #[test]
    fn exhausted_resources_are_tried_again_when_the_collector_says_when() {
        let delay = Duration::from_secs(3);
        let details = ErrorDetails::with_retry_info(Some(delay));
        let status = Status::with_error_details(Code::ResourceExhausted, "full", details);
        let Failure::Transient { after, .. } = failure(&status) else { panic!("refused for good") };
        assert_eq!(after, Some(delay));
    }
}
