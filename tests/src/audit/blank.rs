//! A recording without the driver's ids: whoever links by it links by something else.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tracemend::recording::{Options, Recorder, Recording};
use tracemend_core::decode::Event;
use tracemend_core::recording::Entry;

/// The field that carries the truth.
const FIELD: &[u8] = b"x-truth:";

/// Copies a recording with every id of the truth overwritten, byte for byte, so that nothing else changes.
///
/// # Errors
/// The recording cannot be read, the copy cannot be written, or there was no id in it.
pub fn blank(from: &Path, to: &Path) -> Result<()> {
    let recording = Recording::open(from).with_context(|| from.display().to_string())?;
    let options = Options { with_secrets: true, bytes_max: u64::MAX };
    let mut copy = Recorder::start(to, options, recording.header()).with_context(|| to.display().to_string())?;
    let (mut blanked, mut lost) = (0, Vec::new());
    for entry in recording {
        let mut entry = entry?;
        if let Entry::Event(Event::Data(data)) = &mut entry {
            let mut bytes = data.bytes.to_vec();
            blanked += blank_bytes(&mut bytes);
            data.bytes = bytes.into();
        }
        match entry {
            Entry::End(told) => lost = told,
            entry => copy.entry(&entry),
        }
    }
    copy.finish(lost)?;
    ensure!(blanked > 0, "no id in {}", from.display());
    Ok(())
}

/// Overwrites the value of every field; gives how many there were.
fn blank_bytes(bytes: &mut [u8]) -> usize {
    let mut count = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(FIELD.len()).position(|window| window.eq_ignore_ascii_case(FIELD)) {
        at += found + FIELD.len();
        let end = bytes[at..].iter().position(|byte| *byte == b'\r').map_or(bytes.len(), |length| at + length);
        bytes[at..end].iter_mut().filter(|byte| **byte != b' ').for_each(|byte| *byte = b'0');
        at = end;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_overwritten_in_their_place() {
        let mut bytes = *b"GET / HTTP/1.1\r\nX-Truth: r0000001.1\r\nhost: r\r\nx-truth:q";
        assert_eq!(blank_bytes(&mut bytes), 2);
        assert_eq!(&bytes, b"GET / HTTP/1.1\r\nX-Truth: 0000000000\r\nhost: r\r\nx-truth:0");
    }
}
