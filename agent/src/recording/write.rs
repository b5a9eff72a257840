//! Recordings into files, compressed on a thread of their own.
//!
//! What the thread cannot take at once holds up the ring's reader: the rings fill, turns are shed, and the recording says
//! so. It never misses an entry in its middle.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;
use tracemend_core::decode::Event;
use tracemend_core::recording::{self, Entry, Header, Redact};

use super::MAGIC;

/// Entries are handed over in blocks of this size.
const BLOCK_BYTES: usize = 64 << 10;

/// Blocks that wait for the thread at most: 4 MiB.
const BLOCKS_MAX: usize = 64;

/// How a run is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Secrets are not masked.
    pub with_secrets: bool,
    /// The recording ends, and says so, when its file has so many bytes.
    pub bytes_max: u64,
}

/// A recording that is being made.
pub struct Recorder {
    redact: Option<Redact>,
    block: Vec<u8>,
    blocks: SyncSender<Vec<u8>>,
    writer: JoinHandle<io::Result<u64>>,
}

impl Recorder {
    /// Creates the file, for its owner alone, and begins.
    ///
    /// # Errors
    /// The file exists, or cannot be created.
    pub fn start(path: &Path, options: Options, header: &Header) -> io::Result<Self> {
        // A file that exists may be somebody's, or a link to it.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let (blocks, inbox) = sync_channel(BLOCKS_MAX);
        let begin = [MAGIC.as_slice(), &recording::VERSION.to_le_bytes()].concat();
        let writer = std::thread::Builder::new()
            .name("recording".into())
            .spawn(move || write(file, &begin, &inbox, options.bytes_max))?;
        let redact = (!options.with_secrets).then(Redact::default);
        let mut recorder = Self { redact, block: Vec::with_capacity(BLOCK_BYTES), blocks, writer };
        recorder.frame(|block| [block, header.encode()].concat());
        Ok(recorder)
    }

    /// Records an event, with its secrets masked.
    pub fn event(&mut self, event: &Event) {
        let mut event = event.clone();
        if let Some(redact) = &mut self.redact {
            redact.redact(&mut event);
        }
        self.entry(&Entry::Event(event));
    }

    /// Records what is no event.
    pub fn entry(&mut self, entry: &Entry) {
        self.frame(|block| entry.encode(block));
    }

    /// Ends the recording; `lost` is what was lost before the core. Returns the bytes of the file.
    ///
    /// # Errors
    /// Something of it could not be written.
    pub fn finish(mut self, lost: Vec<(String, u64)>) -> io::Result<u64> {
        self.entry(&Entry::End(lost));
        self.send();
        drop(self.blocks);
        self.writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer failed")))
    }

    fn frame(&mut self, append: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let at = self.block.len();
        let mut block = std::mem::take(&mut self.block);
        block.extend([0; 4]);
        block = append(block);
        let length = u32::try_from(block.len() - at - 4).unwrap_or(u32::MAX);
        block[at..at + 4].copy_from_slice(&length.to_le_bytes());
        self.block = block;
        if self.block.len() >= BLOCK_BYTES {
            self.send();
        }
    }

    fn send(&mut self) {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES));
        // The writer is over: what it has to say, it says at the end.
        let _ = self.blocks.send(block);
    }
}

/// Writes blocks until there are no more, or the file is full.
fn write(file: File, begin: &[u8], blocks: &Receiver<Vec<u8>>, bytes_max: u64) -> io::Result<u64> {
    let mut file = BufWriter::new(Counted { file, bytes: 0 });
    file.write_all(begin)?;
    let mut stream = GzEncoder::new(file, Compression::fast());
    let outcome = blocks.iter().try_for_each(|block| {
        stream.write_all(&block)?;
        if stream.get_ref().get_ref().bytes > bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {bytes_max} bytes")));
        }
        Ok(())
    });
    if let Err(error) = &outcome {
        tracing::error!(%error, "recording is over, and cut short");
    }
    let mut file = stream.finish()?;
    file.flush()?;
    outcome.map(|()| file.get_ref().bytes)
}

/// A file that counts.
struct Counted {
    file: File,
    bytes: u64,
}

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
