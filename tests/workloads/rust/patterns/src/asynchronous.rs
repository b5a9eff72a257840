//! axum and reqwest on tokio's threads.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use tokio::sync::{mpsc, oneshot};

use crate::service_time;

/// Tasks that take jobs.
const WORKERS: usize = 16;

/// A request's work, to be handed over.
type Job = (String, oneshot::Sender<()>);

#[derive(Clone)]
struct Server {
    mode: String,
    url: String,
    client: reqwest::Client,
    blocking: ureq::Agent,
    jobs: mpsc::Sender<Job>,
}

pub(crate) fn serve(mode: &str, listen: &str, url: String) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (jobs, inbox) = mpsc::channel(64);
        let server = Server {
            mode: mode.to_owned(),
            url,
            client: reqwest::Client::new(),
            blocking: ureq::Agent::new_with_defaults(),
            jobs,
        };
        start_workers(&server, inbox);
        let listener = tokio::net::TcpListener::bind(listen).await.expect("a free port");
        axum::serve(listener, Router::new().route("/", get(handle)).with_state(server)).await.expect("served");
    });
}

async fn handle(State(server): State<Server>, headers: HeaderMap) -> &'static str {
    let id = headers["x-truth"].to_str().expect("an id").to_owned();
    match server.mode.as_str() {
        "tokio-direct" => server.call(format!("{id}.1")).await,
        "tokio-spawn" => tokio::spawn(async move { server.call(format!("{id}.1")).await }).await.expect("called"),
        "spawn-blocking" => {
            tokio::task::spawn_blocking(move || server.call_blocking(&format!("{id}.1"))).await.expect("called")
        }
        "join-all" => {
            futures::future::join_all((1..=3).map(|part| server.call(format!("{id}.{part}")))).await;
        }
        "tokio-mpsc" => {
            let (made, done) = oneshot::channel();
            server.jobs.send((id, made)).await.expect("workers");
            done.await.expect("called");
        }
        other => panic!("no mode is called {other}"),
    }
    "ok\n"
}

impl Server {
    async fn call(&self, id: String) {
        tokio::time::sleep(service_time()).await;
        let answer = self.client.get(&self.url).header("x-truth", id).send().await.expect("an answer");
        answer.bytes().await.expect("a body");
    }

    fn call_blocking(&self, id: &str) {
        std::thread::sleep(service_time());
        let mut answer = self.blocking.get(&self.url).header("x-truth", id).call().expect("an answer");
        answer.body_mut().read_to_string().expect("a body");
    }
}

/// Each takes a job out of the channel that they share.
fn start_workers(server: &Server, inbox: mpsc::Receiver<Job>) {
    let inbox = std::sync::Arc::new(tokio::sync::Mutex::new(inbox));
    for _ in 0..WORKERS {
        let (server, inbox) = (server.clone(), inbox.clone());
        tokio::spawn(async move {
            loop {
                let Some((id, made)) = inbox.lock().await.recv().await else { return };
                server.call(format!("{id}.1")).await;
                let _ = made.send(());
            }
        });
    }
}
