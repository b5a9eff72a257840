//! An ELF file of somebody else's: symbols, and what is at an address. Read piece by piece and never mapped; the pieces are
//! capped, so that a forged one costs little.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use object::read::elf::ElfFile64;
use object::read::{ReadCache, ReadCacheOps};
use object::{LittleEndian, Object as _, ObjectSegment as _, ObjectSymbol as _, RelocationTarget};

use super::Refusal;

/// Bytes of one piece: the dynamic symbols and relocations of an interpreter with all its extensions built in.
const PIECE_BYTES_MAX: usize = 32 << 20;
/// Bytes of all pieces.
const BYTES_MAX: usize = 96 << 20;

/// A file to read from within bounds.
pub(super) struct Capped {
    file: File,
    left: usize,
}

impl Capped {
    pub(super) fn new(file: File) -> ReadCache<Self> {
        ReadCache::new(Self { file, left: BYTES_MAX })
    }

    fn take(&mut self, bytes: usize) -> Result<(), ()> {
        if bytes > PIECE_BYTES_MAX || bytes > self.left {
            return Err(());
        }
        self.left -= bytes;
        Ok(())
    }
}

impl ReadCacheOps for Capped {
    fn len(&mut self) -> Result<u64, ()> {
        Seek::seek(&mut self.file, SeekFrom::End(0)).map_err(drop)
    }

    fn seek(&mut self, position: u64) -> Result<u64, ()> {
        Seek::seek(&mut self.file, SeekFrom::Start(position)).map_err(drop)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ()> {
        self.take(bytes.len())?;
        Read::read(&mut self.file, bytes).map_err(drop)
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), ()> {
        self.take(bytes.len())?;
        Read::read_exact(&mut self.file, bytes).map_err(drop)
    }
}

/// A file that is what it says.
pub(super) struct Elf<'a> {
    file: ElfFile64<'a, LittleEndian, &'a ReadCache<Capped>>,
}

impl<'a> Elf<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    /// It is no such file.
    pub(super) fn parse(cache: &'a ReadCache<Capped>) -> Result<Self, Refusal> {
        let file = ElfFile64::parse(cache).map_err(|_| Refusal::Unreadable("the ELF headers of its runtime"))?;
        Ok(Self { file })
    }

    /// The address of an exported symbol.
    pub(super) fn exported(&self, name: &'static str) -> Result<u64, Refusal> {
        let is_it = |symbol: &object::read::elf::ElfSymbol64<'_, '_, _, _>| {
            symbol.is_definition() && symbol.name_bytes() == Ok(name.as_bytes())
        };
        let symbol = self.file.dynamic_symbols().find(is_it);
        symbol.map(|symbol| symbol.address()).ok_or(Refusal::Symbols(name))
    }

    /// Bytes at an address, as the file has them.
    pub(super) fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let holds = |segment: &object::read::elf::ElfSegment64<'_, '_, _, _>| {
            address.checked_sub(segment.address()).is_some_and(|within| within < segment.size())
        };
        let segment = self.file.segments().find(holds)?;
        segment.data_range(address, N as u64).ok()??.try_into().ok()
    }

    /// The pointer at an address, as the loader leaves it (before its bias is added).
    pub(super) fn pointer(&self, address: u64) -> Option<u64> {
        let relocated = self.file.dynamic_relocations().into_iter().flatten().find(|(at, _)| *at == address);
        match relocated {
            Some((_, relocation)) if relocation.target() == RelocationTarget::Absolute => {
                u64::try_from(relocation.addend()).ok()
            }
            Some(_) => None,
            None => self.bytes(address).map(u64::from_le_bytes),
        }
    }

    /// Where in the file the byte of an address is.
    pub(super) fn file_offset(&self, address: u64) -> Option<u64> {
        self.file.segments().find_map(|segment| {
            let (offset, size) = segment.file_range();
            let within = address.checked_sub(segment.address())?;
            (within < size).then(|| offset + within)
        })
    }

    /// What is added to addresses in a process that has mapped the file's part from `offset` on at `start`.
    pub(super) fn bias(&self, start: u64, offset: u64) -> Option<u64> {
        /// Mappings begin at pages, segments anywhere in them.
        const PAGE: u64 = 4096;
        self.file.segments().find_map(|segment| {
            let (begin, size) = segment.file_range();
            let holds = begin / PAGE * PAGE <= offset && offset < begin.saturating_add(size);
            holds.then(|| start.wrapping_sub(segment.address().wrapping_sub(begin).wrapping_add(offset)))
        })
    }
}

/// Bytes of a process's memory, through its `/proc/PID/mem`.
pub(super) fn word(memory: &File, address: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    std::os::unix::fs::FileExt::read_exact_at(memory, &mut bytes, address)?;
    Ok(u64::from_le_bytes(bytes))
}
