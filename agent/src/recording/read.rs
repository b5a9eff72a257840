//! Recordings out of files that anybody may have made.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use tracemend_core::decode::{Event, Room};
use tracemend_core::recording::{self, Entry, Header};

use super::{FRAME_BYTES_MAX, MAGIC};

/// A recording that cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or is cut short.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It begins with something else.
    #[error("is not a recording of tracemend")]
    NoRecording,
    /// It was made by an agent that recorded in another layout.
    #[error(
        "has version {0} of the layout, and this agent reads versions {oldest} to {latest}",
        oldest = recording::OLDEST,
        latest = recording::VERSION
    )]
    Version(u16),
    /// A frame is longer than any is.
    #[error("is damaged: entry {entry} claims to have {bytes} bytes")]
    Long {
        /// Which entry, from 1; 0 is the header.
        entry: u64,
        /// Bytes.
        bytes: u32,
    },
    /// A frame holds something else.
    #[error("is damaged: entry {entry} is {source}")]
    Damaged {
        /// Which entry, from 1; 0 is the header.
        entry: u64,
        /// Why.
        source: recording::Error,
    },
    /// It ends without having been ended.
    #[error("is cut short behind entry {0}")]
    Short(u64),
}

/// The entries of a recording, one after the other. Behind an error there are no more.
pub struct Recording<R> {
    header: Header,
    frames: GzDecoder<R>,
    room: Room,
    entries: u64,
    over: bool,
}

impl Recording<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read, or is no recording of this layout.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::new(BufReader::new(File::open(path)?))
    }
}

impl<R: Read> Recording<R> {
    /// Reads the beginning of a recording.
    ///
    /// # Errors
    /// It cannot be read, or is no recording of this layout.
    pub fn new(mut source: R) -> Result<Self, Error> {
        let mut start = [0; MAGIC.len() + 2];
        match source.read_exact(&mut start) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Error::NoRecording),
            other => other?,
        }
        let [magic @ .., low, high] = start;
        if magic != MAGIC {
            return Err(Error::NoRecording);
        }
        let version = u16::from_le_bytes([low, high]);
        if !(recording::OLDEST..=recording::VERSION).contains(&version) {
            return Err(Error::Version(version));
        }
        let mut frames = GzDecoder::new(source);
        let header = frame(&mut frames, 0)?.ok_or(Error::Short(0))?;
        let header = Header::decode(&header).map_err(|source| Error::Damaged { entry: 0, source })?;
        Ok(Self { header, frames, room: Room::default(), entries: 0, over: false })
    }

    /// What the run began with.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    fn entry(&mut self) -> Result<Entry, Error> {
        let entry = self.entries + 1;
        let bytes = frame(&mut self.frames, entry)?.ok_or(Error::Short(self.entries))?;
        let mut decoded = Entry::decode(&bytes).map_err(|source| Error::Damaged { entry, source })?;
        if let Entry::Event(Event::Data(data)) = &mut decoded {
            // They lie as those that come out of a ring do.
            data.bytes = self.room.keep(&data.bytes);
        }
        self.entries = entry;
        Ok(decoded)
    }
}

impl<R: Read> Iterator for Recording<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let entry = self.entry();
        self.over = matches!(entry, Ok(Entry::End(_)) | Err(_));
        Some(entry)
    }
}

/// The next frame; none if the stream ends before it.
fn frame(frames: &mut impl Read, entry: u64) -> Result<Option<Vec<u8>>, Error> {
    let short = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Short(entry.saturating_sub(1)),
        _ => Error::Io(error),
    };
    let mut length = [0; 4];
    if frames.read(&mut length[..1]).map_err(short)? == 0 {
        return Ok(None);
    }
    frames.read_exact(&mut length[1..]).map_err(short)?;
    let bytes = u32::from_le_bytes(length);
    if bytes as usize > FRAME_BYTES_MAX {
        return Err(Error::Long { entry, bytes });
    }
    let mut frame = vec![0; bytes as usize];
    frames.read_exact(&mut frame).map_err(short)?;
    Ok(Some(frame))
}
