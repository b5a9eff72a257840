//! A thread a connection, and ureq.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use crate::service_time;

pub(crate) fn serve(mode: &str, listen: &str, url: &str) {
    let listener = TcpListener::bind(listen).expect("a free port");
    let agent = ureq::Agent::new_with_defaults();
    let rayon = mode == "rayon";
    // Started by nobody's request.
    rayon::ThreadPoolBuilder::new().num_threads(16).build_global().expect("the first pool");
    for stream in listener.incoming() {
        let (agent, url) = (agent.clone(), url.to_owned());
        thread::spawn(move || connection(&stream.expect("a connection"), rayon, &agent, &url));
    }
}

fn connection(stream: &TcpStream, rayon: bool, agent: &ureq::Agent, url: &str) {
    stream.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::new(stream);
    while let Some(id) = request(&mut reader) {
        let (agent, url) = (agent.clone(), url.to_owned());
        let work = move || call(&agent, &url, &format!("{id}.1"));
        if rayon {
            let (made, done) = mpsc::channel();
            rayon::spawn(move || {
                work();
                made.send(()).expect("somebody waits");
            });
            done.recv().expect("called");
        } else {
            thread::spawn(work).join().expect("called");
        }
        (&mut &*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").expect("sent");
    }
}

/// Reads a head; gives the id in it. None at the end of the stream.
fn request(reader: &mut impl BufRead) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head).expect("a line") == 0 {
            return None;
        }
    }
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(&head).expect("a head");
    let field = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("x-truth")).expect("an id");
    Some(String::from_utf8_lossy(field.value).into_owned())
}

fn call(agent: &ureq::Agent, url: &str, id: &str) {
    thread::sleep(service_time());
    let mut answer = agent.get(url).header("x-truth", id).call().expect("an answer");
    answer.body_mut().read_to_string().expect("a body");
}
