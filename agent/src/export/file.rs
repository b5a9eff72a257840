//! Spans to a file: OTLP JSON lines, one `ExportTraceServiceRequest` a line, as the Collector's file exporter writes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::convert;
use super::counters::{Counts, DropReason};
use super::health::Health;
use super::queue::Stamped;

/// A file that is appended to. It is created with mode 0600, since URLs and user agents are in it; the mode of an
/// existing file is its owner's choice.
#[derive(Debug)]
pub(crate) struct Sink {
    file: File,
    counts: Counts,
    health: Health,
    /// The last write failed, perhaps within a line.
    torn: bool,
}

impl Sink {
    pub(crate) fn open(path: &Path, counts: Counts) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let health = Health::new(format!("file {}", path.display()));
        Ok(Self { file, counts, health, torn: false })
    }

    /// Writes a batch as one line. A failure drops the batch, counted, and is said once.
    pub(crate) fn write(&mut self, batch: Vec<Stamped>) {
        let spans = batch.len() as u64;
        let line = line(batch, self.torn);
        match self.file.write_all(&line) {
            Ok(()) => {
                self.torn = false;
                self.health.worked();
                self.counts.exported(spans);
            }
            Err(error) => {
                self.torn = true;
                self.health.failed(&error);
                self.counts.dropped(DropReason::Io, spans);
            }
        }
    }
}

/// After a torn line comes an empty one at worst, so that what was torn spoils no other line.
fn line(batch: Vec<Stamped>, after_torn: bool) -> Vec<u8> {
    let mut line = if after_torn { vec![b'\n'] } else { Vec::new() };
    serde_json::to_writer(&mut line, &convert::request(batch)).expect("text keys, and a vector takes every write");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Sink, line};
    use crate::export::counters::{Counts, DropReason};
    use crate::export::testing::{self, stamped};

    #[test]
    fn a_line_is_what_the_collector_writes() {
        let line = line(testing::two_processes(), false);
        let text = String::from_utf8(line).expect("text");
        let golden = include_str!("golden/two_processes.json").replace("VERSION", env!("CARGO_PKG_VERSION"));
        assert_eq!(text, golden);
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_is_appended_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spans.jsonl");
        let counts = Counts::default();
        for n in 1..=2 {
            Sink::open(&path, counts.clone()).expect("the file").write(vec![stamped(n)]);
        }
        let mode = path.metadata().expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(text.lines().count(), 2);
        assert_eq!(counts.read().exported, 2);
    }

    #[test]
    fn a_full_disk_is_counted_and_not_fatal() {
        let counts = Counts::default();
        let mut sink = Sink::open("/dev/full".as_ref(), counts.clone()).expect("the device");
        sink.write(vec![stamped(1)]);
        assert_eq!(counts.read().dropped.of(DropReason::Io), 1);
        assert!(sink.torn);
        assert!(line(vec![stamped(2)], sink.torn).starts_with(b"\n{"));
    }
}
