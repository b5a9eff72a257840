//! A recording: the frames of one, packed as its file is, and the same bytes as a file themselves.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tracemend::recording::{Recording, Replay, replay};
use tracemend_core::recording::VERSION;

pub(crate) fn run(bytes: &[u8]) {
    read(bytes);
    let mut file = b"tmrecord".to_vec();
    file.extend(VERSION.to_le_bytes());
    let mut packed = GzEncoder::new(file, Compression::none());
    packed.write_all(bytes).expect("a vector takes all bytes");
    read(&packed.finish().expect("a vector takes all bytes"));
}

/// Replays what is a recording, as far as it is one.
fn read(file: &[u8]) {
    let Ok(recording) = Recording::new(file) else { return };
    let mut spans = Vec::new();
    let explained = Replay { explain: true, ..Replay::default() };
    let told = |told: Vec<tracemend::export::Stamped>, _| spans.extend(told.into_iter().map(|stamped| stamped.span));
    // A pattern that is none is refused.
    if replay(recording, explained, told).is_ok() {
        super::engine::check(&spans);
    }
}
