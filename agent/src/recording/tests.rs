use std::io;
use std::os::unix::fs::PermissionsExt as _;

use tracemend_core::decode::{Closing, Event};
use tracemend_core::ids::{BootNanos, SockCookie};
use tracemend_core::recording::{self, Entry, Header};

use super::*;

fn header() -> Header {
    Header { agent: "0.1.0".into(), nonce: [1; 16], exclude_paths: vec!["/healthz".into()], redacted: true }
}

fn entries() -> Vec<Entry> {
    let closing = |n| Event::Closing { cookie: SockCookie(n), what: Closing::Closed, time: BootNanos(n) };
    let mut entries: Vec<_> = (0..4_000).map(|n| Entry::Event(closing(n))).collect();
    entries.extend([Entry::Clock(7), Entry::Tick(BootNanos(9)), Entry::Finish(BootNanos(9))]);
    entries
}

/// A whole recording as bytes.
fn recorded() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.tmrec");
    let options = Options { with_secrets: false, bytes_max: 1 << 20 };
    let mut recorder = Recorder::start(&path, options, &header()).expect("the file");
    entries().iter().for_each(|entry| recorder.entry(entry));
    let bytes = recorder.finish(vec![("ring_full".into(), 2)]).expect("written");
    let file = std::fs::read(&path).expect("the file");
    assert_eq!(bytes, file.len() as u64);
    assert_eq!(path.metadata().expect("the file").permissions().mode() & 0o777, 0o600);
    file
}

#[test]
fn what_was_recorded_is_read_back() {
    let file = recorded();
    let recording = Recording::new(file.as_slice()).expect("a recording");
    assert_eq!(recording.header(), &header());
    let mut read: Vec<Entry> = recording.map(|entry| entry.expect("an entry")).collect();
    assert_eq!(read.pop(), Some(Entry::End(vec![("ring_full".into(), 2)])));
    assert_eq!(read, entries());
}

#[test]
fn a_file_that_exists_is_not_overwritten() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let options = Options { with_secrets: false, bytes_max: 1 };
    let error = Recorder::start(file.path(), options, &header()).err().expect("refused");
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_full_file_ends_the_recording_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.tmrec");
    let options = Options { with_secrets: false, bytes_max: 1000 };
    let mut recorder = Recorder::start(&path, options, &header()).expect("the file");
    (0..20).for_each(|_| entries().iter().for_each(|entry| recorder.entry(entry)));
    assert_eq!(recorder.finish(Vec::new()).expect_err("full").kind(), io::ErrorKind::FileTooLarge);
    let read: Vec<_> = Recording::open(&path).expect("a recording").collect();
    assert!(read.len() > 1 && matches!(read.last(), Some(Err(Error::Short(_)))), "{:?}", read.last());
}

#[test]
fn other_files_are_refused_and_damaged_ones_named() {
    let whole = recorded();
    let refused = |bytes: &[u8]| Recording::new(bytes).err().map(|error| error.to_string()).expect("refused");
    assert_eq!(refused(b""), "is not a recording of tracemend");
    assert_eq!(refused(b"{\"resourceSpans\":[]}"), "is not a recording of tracemend");
    let mut other = whole.clone();
    other[8] = 99;
    assert_eq!(
        refused(&other),
        format!(
            "has version 99 of the layout, and this agent reads versions {} to {}",
            recording::OLDEST,
            recording::VERSION
        )
    );
    for cut in [11, 20, whole.len() / 2, whole.len() - 20] {
        let read: Result<Vec<Entry>, Error> = Recording::new(&whole[..cut]).and_then(Iterator::collect);
        assert!(matches!(read, Err(Error::Short(_))), "cut at {cut}: {:?}", read.err());
    }
    for place in (12..whole.len() - 8).step_by(211) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x55;
        // Whatever it says, it ends.
        let _ = Recording::new(damaged.as_slice()).and_then(Iterator::collect::<Result<Vec<Entry>, Error>>);
    }
}

#[test]
fn a_replay_says_what_was_lost_and_where_it_was_cut() {
    let whole = recorded();
    let run = |bytes: &[u8]| replay(Recording::new(bytes).expect("a recording"), Replay::default(), |_, _| {});
    let summary = run(&whole).expect("replayed");
    assert_eq!((summary.entries, summary.spans), (4_004, 0));
    assert_eq!(summary.losses, [("ring_full".to_owned(), 2)]);
    assert!(summary.cut_short.is_none());
    let summary = run(&whole[..whole.len() / 2]).expect("replayed");
    assert!(summary.entries > 1000 && matches!(summary.cut_short, Some(Error::Short(_))), "{summary:?}");
}
