//! Where a probe of a runtime goes.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Which processes a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All that use the file.
    File,
    /// One process: the place is passed too often to be watched everywhere.
    Process,
    /// One process, once it serves, and while it may hand over work there: the place is passed tens of times a request. These are
    /// attached all or none, and without them the process is adapted all the same.
    Watched,
    /// One process, once it serves: the place is passed too often to be watched everywhere, or its probe is a return probe.
    Serving,
}

/// A place in a file, and the program that is to run there.
#[derive(Clone, Debug)]
pub struct Site {
    /// Name of the program.
    pub program: &'static str,
    /// The file, open for as long as somebody may attach to it.
    file: Arc<File>,
    /// Device and inode of the file.
    pub inode: (u64, u64),
    /// Where in the file.
    pub offset: u64,
    /// For whom.
    pub reach: Reach,
}

impl Site {
    /// A place in a file that was just looked at.
    #[must_use]
    pub fn new(program: &'static str, file: &Arc<File>, offset: u64, reach: Reach) -> Self {
        let inode = file.metadata().map_or((0, 0), |about| (about.dev(), about.ino()));
        Self { program, file: Arc::clone(file), inode, offset, reach }
    }

    /// A path that leads to the file itself, whatever has its name now.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}
