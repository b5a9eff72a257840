//! OTLP over HTTP/1.1 with protobuf bodies.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use tonic_types::pb::Status;

use super::config::Config;
use super::retry::{Accepted, Failure};
use super::{AGENT, message, tls};
use crate::export::limits::RESPONSE_BYTES_MAX;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// A client for one collector; connections are kept open.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<tls::Connector, Full<Bytes>>,
    uri: Uri,
    /// Of the configuration alone.
    configured: HeaderMap,
    /// Of a request for spans.
    headers: HeaderMap,
    gzip: bool,
    timeout: Duration,
}

impl Http {
    pub(crate) fn new(config: &Config) -> Self {
        let mut headers = config.headers.clone();
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        if config.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Self {
            client: Client::builder(TokioExecutor::new()).build(tls::connector(config)),
            uri: config.endpoint.clone(),
            configured: config.headers.clone(),
            headers,
            gzip: config.gzip,
            timeout: config.timeout,
        }
    }

    /// Sends an encoded `ExportTraceServiceRequest`.
    pub(crate) async fn send(&self, body: Bytes) -> Result<Accepted, Failure> {
        let body = if self.gzip { compress(&body) } else { body };
        let mut request = Request::post(self.uri.clone()).body(body).expect("the URI was parsed");
        *request.headers_mut() = self.headers.clone();
        match self.exchange(request).await {
            Ok(response) => verdict(&response, SystemTime::now()),
            Err(error) => Err(Failure::Transient { reason: chain(&*error), after: None }),
        }
    }

    /// Passes on a request that was built elsewhere, with the configured header fields.
    pub(crate) async fn forward(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Box<dyn Error + Send + Sync>> {
        request.headers_mut().extend(self.configured.clone());
        self.exchange(request).await
    }

    /// One exchange within the time-out. A body beyond the limit reads as empty.
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Box<dyn Error + Send + Sync>> {
        let exchange = async {
            let response = self.client.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = match Limited::new(body, RESPONSE_BYTES_MAX).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<http_body_util::LengthLimitError>() => Bytes::new(),
                Err(error) => return Err(error),
            };
            Ok(Response::from_parts(head, body))
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {:?}", self.timeout).into()),
        }
    }
}

/// OTLP specification, "OTLP/HTTP Response".
fn verdict(response: &Response<Bytes>, now: SystemTime) -> Result<Accepted, Failure> {
    let status = response.status();
    if status.is_success() {
        let answer = ExportTraceServiceResponse::decode(response.body().clone()).unwrap_or_default();
        return Ok(super::accepted(answer));
    }
    let said = Status::decode(response.body().clone()).map(|status| message(&status.message)).unwrap_or_default();
    let reason = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Err(Failure::Transient { reason, after: retry_after(response.headers(), now) })
        }
        _ => Err(Failure::Permanent { reason }),
    }
}

/// RFC 9110 section 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn compress(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).expect("a vector takes every write");
    encoder.finish().expect("a vector takes every write").into()
}

/// An error with its causes, which is where the news is.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    message(&text)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use http::Response;
    use prost::Message as _;
    use tonic_types::pb::Status;

    use super::{Failure, verdict};

    fn failure(status: u16, retry_after: &str) -> Failure {
        let body = Status { message: "no\u{1b} room".into(), ..Status::default() }.encode_to_vec();
        let response = Response::builder().status(status).header("retry-after", retry_after);
        let response = response.body(Bytes::from(body)).expect("a response");
        verdict(&response, SystemTime::UNIX_EPOCH).expect_err("not taken")
    }

    #[test]
    fn only_the_specified_codes_are_tried_again() {
        for status in 400..600 {
            let transient = matches!(failure(status, ""), Failure::Transient { .. });
            assert_eq!(transient, [429, 502, 503, 504].contains(&status), "{status}");
        }
    }

    #[test]
    fn a_redirect_is_not_followed() {
        assert!(matches!(failure(302, ""), Failure::Permanent { .. }));
    }

    #[test]
    fn the_collector_says_when_and_why() {
        let expected = |seconds| Failure::Transient {
            reason: "429 Too Many Requests: no\u{fffd} room".into(),
            after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(failure(429, "7"), expected(7));
        assert_eq!(failure(429, "Thu, 01 Jan 1970 00:01:00 GMT"), expected(60));
    }
}
