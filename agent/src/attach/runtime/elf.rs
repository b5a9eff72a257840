//! An ELF file of somebody else's: symbols, and what is at an address. Read piece by piece and never mapped; the pieces are
//! capped, so that a forged one costs little.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use iced_x86::{Decoder, DecoderOptions, FlowControl};
use object::elf::{PT_TLS, R_X86_64_DTPMOD64};
use object::read::elf::{ElfFile64, ProgramHeader as _};
use object::read::{ReadCache, ReadCacheOps, ReadRef as _};
use object::{
    LittleEndian, Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, ObjectSymbolTable as _,
    RelocationFlags, RelocationTarget,
};

use super::Refusal;

/// Bytes of one piece: the dynamic symbols and relocations of an interpreter with all its extensions built in.
const PIECE_BYTES_MAX: usize = 32 << 20;
/// The longest instruction (Intel SDM, volume 2, 2.3.11).
const INSTRUCTION: u64 = 15;
/// `sizeof(PyMethodDef)`.
const METHOD: u64 = 32;
/// Methods of a type.
const METHODS_MAX: u64 = 128;
/// Bytes of all pieces.
const BYTES_MAX: usize = 128 << 20;

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
    cache: &'a ReadCache<Capped>,
    file: ElfFile64<'a, LittleEndian, &'a ReadCache<Capped>>,
}

impl<'a> Elf<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    /// It is no such file.
    pub(super) fn parse(cache: &'a ReadCache<Capped>) -> Result<Self, Refusal> {
        let file = ElfFile64::parse(cache).map_err(|_| Refusal::Unreadable("the ELF headers of its runtime"))?;
        Ok(Self { cache, file })
    }

    /// The address of an exported symbol.
    pub(super) fn exported(&self, name: &'static str) -> Result<u64, Refusal> {
        let is_it = |symbol: &object::read::elf::ElfSymbol64<'_, '_, _, _>| {
            symbol.is_definition() && symbol.name_bytes() == Ok(name.as_bytes())
        };
        let symbol = self.file.dynamic_symbols().find(is_it);
        symbol.map(|symbol| symbol.address()).ok_or(Refusal::Symbols(name))
    }

    /// Address and size of an exported function.
    pub(super) fn exported_function(&self, name: &'static str) -> Result<(u64, u64), Refusal> {
        let mut all = self.file.dynamic_symbols();
        let symbol = all.find(|symbol| symbol.is_definition() && symbol.name_bytes() == Ok(name.as_bytes()));
        symbol.map(|symbol| (symbol.address(), symbol.size())).ok_or(Refusal::Symbols(name))
    }

    /// The address of the first exported function whose name begins so.
    pub(super) fn exported_as(&self, beginning: &str) -> Option<u64> {
        let is_it = |symbol: &object::read::elf::ElfSymbol64<'_, '_, _, _>| {
            let named = |name: &[u8]| name.starts_with(beginning.as_bytes());
            symbol.is_definition() && symbol.name_bytes().is_ok_and(named)
        };
        self.file.dynamic_symbols().find(is_it).map(|symbol| symbol.address())
    }

    /// Where the loader writes the number of the module for variables of a thread's own (System V ABI for x86-64, 4.4.1).
    pub(super) fn module_id(&self) -> Option<u64> {
        const DTPMOD64: RelocationFlags = RelocationFlags::Elf { r_type: R_X86_64_DTPMOD64 };
        let mut all = self.file.dynamic_relocations().into_iter().flatten();
        all.find(|(_, relocation)| relocation.flags() == DTPMOD64).map(|(address, _)| address)
    }

    /// Bytes of variables of a thread's own.
    pub(super) fn thread_local_bytes(&self) -> u64 {
        let mut segments = self.file.elf_program_headers().iter();
        let own = segments.find(|segment| segment.p_type(LittleEndian) == PT_TLS);
        own.map_or(0, |segment| segment.p_memsz(LittleEndian))
    }

    /// The first instruction of a function that does something. The mark of a jump's target would have to be stepped over by
    /// itself, at about ten times the cost of the probe; what commonly follows, a push, is emulated.
    pub(super) fn behind_marker(&self, address: u64) -> u64 {
        const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
        if self.bytes(address) == Some(ENDBR64) { address.wrapping_add(ENDBR64.len() as u64) } else { address }
    }

    /// Address and size of the section whose name ends so: a prefix may tell what the loader relocates in it.
    pub(super) fn section(&self, end: &str) -> Option<(u64, u64)> {
        let is_it = |section: &object::read::elf::ElfSection64<'_, '_, _, _>| {
            section.name_bytes().is_ok_and(|name| name.ends_with(end.as_bytes()))
        };
        self.file.sections().find(is_it).map(|section| (section.address(), section.size()))
    }

    /// As many bytes from an address on, as the file has them.
    pub(super) fn piece(&self, address: u64, size: u64) -> Option<&'a [u8]> {
        self.cache.read_bytes_at(self.file_offset(address)?, size).ok()
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

    /// The name of the function that a stub of the procedure linkage table leads to (System V ABI for x86-64, 5.2), if that is
    /// what stands at an address: a jump to where the loader writes the function's address.
    pub(super) fn import(&self, stub: u64) -> Option<&[u8]> {
        let bytes = self.piece(self.behind_marker(stub), INSTRUCTION)?;
        let jump = Decoder::with_ip(64, bytes, self.behind_marker(stub), DecoderOptions::NONE).decode();
        let leads = jump.flow_control() == FlowControl::IndirectBranch && jump.is_ip_rel_memory_operand();
        self.imported_at(leads.then(|| jump.ip_rel_memory_address())?)
    }

    /// The name of the symbol whose address the loader writes there.
    pub(super) fn imported_at(&self, slot: u64) -> Option<&[u8]> {
        let (_, relocation) = self.file.dynamic_relocations()?.find(|(at, _)| *at == slot)?;
        let RelocationTarget::Symbol(index) = relocation.target() else { return None };
        self.file.dynamic_symbol_table()?.symbol_by_index(index).ok()?.name_bytes().ok()
    }

    /// The functions of methods with these names, from the one table of methods (`PyMethodDef`, Include/methodobject.h) that
    /// has them all.
    pub(super) fn methods<const N: usize>(&self, names: [&str; N]) -> Option<[u64; N]> {
        let spelled = names.map(|name| self.spelled(name));
        let pointers = self.pointers_to(&spelled.concat());
        let in_table_of = |first: u64, spelled: &Vec<u64>| {
            let in_table =
                |at: u64| at.abs_diff(first) <= METHODS_MAX * METHOD && at.abs_diff(first).is_multiple_of(METHOD);
            let mut at =
                pointers.iter().filter(|(at, name)| in_table(*at) && spelled.contains(name)).map(|(at, _)| *at);
            // One that is named twice is in two tables.
            at.next().filter(|_| at.next().is_none())
        };
        let whole = |first: u64| {
            let places = spelled.each_ref().map(|spelled| in_table_of(first, spelled));
            let functions =
                places.map(|place| self.pointer(place?.wrapping_add(8)).filter(|at| self.file_offset(*at).is_some()));
            functions.iter().all(Option::is_some).then(|| functions.map(Option::unwrap_or_default))
        };
        let firsts = pointers.iter().filter(|(_, name)| spelled.first().is_some_and(|first| first.contains(name)));
        let mut tables = firsts.filter_map(|(at, _)| whole(*at));
        tables.next().filter(|_| tables.next().is_none())
    }

    /// The addresses where a text stands by itself.
    fn spelled(&self, text: &str) -> Vec<u64> {
        let bytes = [&b"\0"[..], text.as_bytes(), b"\0"].concat();
        let of_segment = |segment: object::read::elf::ElfSegment64<'_, '_, _, _>| {
            let at = segment.address().wrapping_add(1);
            let found: Vec<u64> = match segment.data() {
                Ok(data) => {
                    memchr::memmem::find_iter(data, &bytes).map(|place| at.wrapping_add(place as u64)).collect()
                }
                Err(_) => Vec::new(),
            };
            found
        };
        self.file.segments().flat_map(of_segment).collect()
    }

    /// Where one of these addresses stands as a pointer, and which: as the file has it, or as the loader leaves it.
    fn pointers_to(&self, addresses: &[u64]) -> BTreeSet<(u64, u64)> {
        let words = self.file.segments().flat_map(|segment| {
            let data = segment.data().unwrap_or_default();
            let at = (0..).step_by(8).map(|within: u64| segment.address().wrapping_add(within));
            let words = data.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            at.zip(words).filter(|(_, word)| addresses.contains(word)).collect::<Vec<_>>()
        });
        let relocated = self.file.dynamic_relocations().into_iter().flatten().filter_map(|(at, relocation)| {
            let addend = u64::try_from(relocation.addend()).ok()?;
            let absolute = relocation.target() == RelocationTarget::Absolute;
            (absolute && addresses.contains(&addend)).then_some((at, addend))
        });
        words.chain(relocated).collect()
    }

    /// Where in the file the byte of an address is, if the file is as long as it says.
    pub(super) fn file_offset(&self, address: u64) -> Option<u64> {
        let end = self.cache.len().ok()?;
        self.file.segments().find_map(|segment| {
            let (offset, size) = segment.file_range();
            let within = address.checked_sub(segment.address()).filter(|within| *within < size)?;
            offset.checked_add(within).filter(|offset| *offset < end)
        })
    }

    /// Where its parts are to be loaded.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let segment = |segment: object::read::elf::ElfSegment64<'_, '_, _, _>| {
            let (offset, size) = segment.file_range();
            Segment { address: segment.address(), offset, size }
        };
        self.file.segments().map(segment).collect()
    }
}

/// A part of a file that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    address: u64,
    offset: u64,
    size: u64,
}

impl Segment {
    /// What is added to addresses in a process that has mapped the file's part from `offset` on at `start`.
    pub(super) fn bias(segments: &[Self], start: u64, offset: u64) -> Option<u64> {
        /// Mappings begin at pages, segments anywhere in them.
        const PAGE: u64 = 4096;
        segments.iter().find_map(|segment| {
            let holds = segment.offset / PAGE * PAGE <= offset && offset < segment.offset.saturating_add(segment.size);
            holds.then(|| start.wrapping_sub(segment.address.wrapping_sub(segment.offset).wrapping_add(offset)))
        })
    }
}

/// Bytes of a process's memory, through its `/proc/PID/mem`.
pub(super) fn word(memory: &File, address: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    std::os::unix::fs::FileExt::read_exact_at(memory, &mut bytes, address)?;
    Ok(u64::from_le_bytes(bytes))
}
