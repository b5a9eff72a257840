use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::wait_for;
use crate::export::limits::TRACE_QUIET;
use crate::export::testing::span;
use crate::export::{Clock, Config, Console, Destination, DropReason, Exporter, Sampler};

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic under the lock").clone()).expect("text")
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic under the lock").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn exporter(output: impl Write + Send + 'static) -> Exporter {
    let console = Console { width: Some(80), colours: false, output: Box::new(output) };
    let clock: Clock = Box::new(|| 0);
    let destination = Destination::Console(console);
    Exporter::start(Config { destination, sampler: Sampler::default(), clock }).expect("an exporter")
}

#[test]
fn a_trace_is_drawn_once_it_is_quiet() {
    let screen = Screen::default();
    let exporter = exporter(screen.clone());
    let start = Instant::now();
    exporter.send(vec![span(1)]);
    wait_for("a drawing", || !screen.text().is_empty());
    assert!(start.elapsed() >= TRACE_QUIET);
    assert!(screen.text().starts_with("trace 0101"), "{}", screen.text());
    assert_eq!(exporter.counts().read().exported, 1);
}

#[test]
fn stopping_draws_what_is_held() {
    let screen = Screen::default();
    let exporter = exporter(screen.clone());
    exporter.send(vec![span(1), span(2)]);
    let start = Instant::now();
    assert_eq!(exporter.shutdown(Duration::from_secs(5)).exported, 2);
    assert!(start.elapsed() < TRACE_QUIET);
    assert_eq!(screen.text().matches("trace ").count(), 2);
}

#[test]
fn a_terminal_that_is_gone_is_counted_and_not_fatal() {
    let exporter = exporter(Broken);
    exporter.send(vec![span(1)]);
    let counters = exporter.shutdown(Duration::from_secs(5));
    assert_eq!(counters.dropped.of(DropReason::Io), 1);
}
