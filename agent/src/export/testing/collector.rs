//! A collector in this process: takes OTLP over gRPC and HTTP on one port and answers by a script.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::Service as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// What the collector answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Taken,
    Partial { rejected: i64 },
    Unavailable { after: Option<Duration> },
    Refused,
    Silence,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) at: Instant,
    pub(crate) request: ExportTraceServiceRequest,
}

impl Seen {
    /// Last bytes of the span ids.
    pub(crate) fn spans(&self) -> Vec<u8> {
        let scopes = self.request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans).map(|span| span.span_id[7]).collect()
    }
}

/// A running collector; dropping it closes its port.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _runtime: Runtime,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    seen: Vec<Seen>,
    metrics: Vec<ExportMetricsServiceRequest>,
}

impl Collector {
    /// Answers in this order, then takes everything.
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::listen("127.0.0.1:0", None, answers)
    }

    pub(crate) fn listen(
        address: &str,
        tls: Option<rustls::ServerConfig>,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(address)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { answers: answers.into_iter().collect(), ..State::default() }));
        runtime.spawn(accept(listener, tls, Arc::clone(&state)));
        Self { address, state, _runtime: runtime }
    }

    /// Takes the metrics that came so far.
    pub(crate) fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        std::mem::take(&mut self.state.lock().expect("no panic under the lock").metrics)
    }

    /// Takes the spans that came so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.lock().expect("no panic under the lock").seen)
    }
}

async fn accept(listener: TcpListener, tls: Option<rustls::ServerConfig>, state: Arc<Mutex<State>>) {
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, state).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, state).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    // A connection that breaks is the client's doing, and what the client made of it is what tests look at.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Body>, Infallible> {
    let headers = request.headers().clone();
    let path = request.uri().path().to_owned();
    let call = Call { headers, path, state };
    if call.headers[CONTENT_TYPE].as_bytes().starts_with(b"application/grpc") {
        if call.path.contains("Metrics") {
            let server = MetricsServiceServer::new(call).accept_compressed(CompressionEncoding::Gzip);
            return { server }.call(request).await;
        }
        let server = TraceServiceServer::new(call).accept_compressed(CompressionEncoding::Gzip);
        return { server }.call(request).await;
    }
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    let response = call.http(body).await;
    Ok(response.map(|body| Body::new(Full::new(body))))
}

/// One request on its way through.
struct Call {
    headers: HeaderMap,
    path: String,
    state: Arc<Mutex<State>>,
}

impl Call {
    fn record(&self, request: ExportTraceServiceRequest) -> Answer {
        let mut state = self.state.lock().expect("no panic under the lock");
        let (path, headers) = (self.path.clone(), self.headers.clone());
        state.seen.push(Seen { path, headers, at: Instant::now(), request });
        state.answers.pop_front().unwrap_or(Answer::Taken)
    }

    fn record_metrics(&self, request: ExportMetricsServiceRequest) {
        assert_eq!(self.headers["tenant"], "7");
        self.state.lock().expect("no panic under the lock").metrics.push(request);
    }

    async fn http(&self, body: Bytes) -> Response<Bytes> {
        let body = match self.headers.get(CONTENT_ENCODING) {
            None => body,
            Some(encoding) => {
                assert_eq!(encoding, "gzip");
                let mut plain = Vec::new();
                GzDecoder::new(&body[..]).read_to_end(&mut plain).expect("gzip");
                plain.into()
            }
        };
        if self.path.ends_with("metrics") {
            self.record_metrics(ExportMetricsServiceRequest::decode(body).expect("a request"));
            return Response::new(Bytes::new());
        }
        let request = ExportTraceServiceRequest::decode(body).expect("a request");
        let response = Response::builder().header(CONTENT_TYPE, "application/x-protobuf");
        let response = match self.record(request) {
            Answer::Taken => response.body(Bytes::new()),
            Answer::Partial { rejected } => response.body(partial(rejected).encode_to_vec().into()),
            Answer::Unavailable { after: None } => response.status(503).body(Bytes::new()),
            Answer::Unavailable { after: Some(after) } => {
                response.status(503).header("retry-after", after.as_secs()).body(Bytes::new())
            }
            Answer::Refused => response.status(400).body(Bytes::new()),
            Answer::Silence => std::future::pending().await,
        };
        response.expect("a response")
    }
}

#[tonic::async_trait]
impl TraceService for Call {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        match self.record(request.into_inner()) {
            Answer::Taken => Ok(tonic::Response::new(ExportTraceServiceResponse::default())),
            Answer::Partial { rejected } => Ok(tonic::Response::new(partial(rejected))),
            Answer::Unavailable { after } => {
                let details = ErrorDetails::with_retry_info(after);
                Err(Status::with_error_details(Code::Unavailable, "busy", details))
            }
            Answer::Refused => Err(Status::invalid_argument("no")),
            Answer::Silence => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl MetricsService for Call {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        self.record_metrics(request.into_inner());
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn partial(rejected: i64) -> ExportTraceServiceResponse {
    let message = "some were bad".to_owned();
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: message };
    ExportTraceServiceResponse { partial_success: Some(partial) }
}
