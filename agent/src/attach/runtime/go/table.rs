//! The linker's table of all functions, which every Go program carries for its own tracebacks (`.gopclntab`;
//! internal/abi/symtab.go and runtime/symtab.go, `pcHeader`), and what the build says of itself (`.go.buildinfo`;
//! debug/buildinfo).

use object::{Bytes, LittleEndian as LE, U32, U64};

use super::super::Refusal;
use super::super::code::{BYTES_MAX, Code};
use super::super::elf::Elf;

/// `pcHeader.magic` of Go 1.18 and 1.19, and of Go from 1.20 on.
const MAGICS: [u32; 2] = [0xffff_fff0, 0xffff_fff1];
/// Bytes of `pcHeader`.
const HEADER_BYTES: u64 = 72;
/// Where it has the address of the code, if it does.
const HEADER_TEXT: u64 = 24;
/// `moduledata.text`, among the words of `moduledata` (runtime/symtab.go), which begins with the address of the `pcHeader`.
const MODULE_TEXT: u64 = 22 * 8;
/// Bytes before the version in `.go.buildinfo`, whose length comes first.
const BUILD_HEAD: u64 = 32;
/// `flagsVersionInl`: the version is where it is said to be, as from 1.18 on.
const BUILD_INLINE: u8 = 2;

/// Where the table is: address and bytes up to the end of its section. C's linker puts it among other data that is relocated
/// where code may be moved, up to 1.25: there it is known by how it begins.
fn section(elf: &Elf<'_>) -> Option<(u64, u64)> {
    /// Of x86-64: two zeros, the smallest instruction's size, a pointer's.
    const REST: [u8; 4] = [0, 0, 1, 8];
    if let Some(own) = elf.section(".gopclntab") {
        return Some(own);
    }
    elf.section(".go.buildinfo")?;
    let (address, size) = elf.section(".data.rel.ro")?;
    let words = elf.piece(address, size)?.as_chunks::<8>().0.iter();
    let begins = |word: &[u8; 8]| MAGICS.iter().any(|magic| [magic.to_le_bytes(), REST].concat() == word);
    let mut places = words.enumerate().filter(|(_, word)| begins(word)).map(|(index, _)| index as u64 * 8);
    let place = places.next().filter(|_| places.next().is_none())?;
    Some((address.wrapping_add(place), size - place))
}

/// All functions of a program.
pub(super) struct Table<'a> {
    text: u64,
    names: &'a [u8],
    /// An entry of each: where its code begins, from that of the text on, and where more of it is; behind them is that.
    functions: &'a [u8],
    count: usize,
}

/// Where a function's code begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    end: u64,
}

impl<'a> Table<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// The program is not Go's, or from before 1.18.
    pub(super) fn parse(elf: &Elf<'a>) -> Result<Self, Refusal> {
        let (address, size) = section(elf).ok_or(Refusal::NoRuntime)?;
        let broken = Refusal::Unreadable("its table of functions");
        let header = elf.piece(address, HEADER_BYTES).ok_or(broken.clone())?;
        let mut bytes = Bytes(header);
        let magic = bytes.read::<U32<LE>>().map_err(|()| broken.clone())?.get(LE);
        if !MAGICS.contains(&magic) {
            return Err(Refusal::Version("of Go".to_owned()));
        }
        let words = bytes.skip(4).and_then(|()| bytes.read_slice::<U64<LE>>(8)).map_err(|()| broken.clone())?;
        let word = |index: usize| words.get(index).map_or(0, |word| word.get(LE));
        let (count, names, names_end, functions) = (word(0), word(3), word(4), word(7));
        let piece = |begin: u64, end: u64| {
            let size = end.checked_sub(begin).filter(|_| end <= size)?;
            elf.piece(address.checked_add(begin)?, size)
        };
        Ok(Self {
            text: text(elf, address).ok_or(Refusal::Symbols("runtime.text"))?,
            names: piece(names, names_end).ok_or(broken.clone())?,
            functions: piece(functions, size).ok_or(broken.clone())?,
            count: usize::try_from(count).map_err(|_| broken)?,
        })
    }

    /// Where the table is, and what it begins with.
    pub(super) fn beginning(elf: &Elf<'_>) -> Option<(u64, [u8; 4])> {
        let (address, _) = section(elf)?;
        Some((address, elf.bytes(address)?))
    }

    /// Where functions are, in the order of their names; none for one that the linker left out.
    pub(super) fn find<const N: usize>(&self, wanted: [&str; N]) -> [Option<Extent>; N] {
        let mut found = [None; N];
        let Ok((entries, _)) = object::pod::slice_from_bytes::<[U32<LE>; 2]>(self.functions, self.count) else {
            return found;
        };
        // The entry behind the last function says where that ends.
        let ends = entries.iter().skip(1).map(|entry| entry[0]);
        for (entry, end) in entries.iter().zip(ends) {
            let Some(name) = self.name(entry[1].get(LE)) else { continue };
            let index = wanted
                .iter()
                .position(|wanted| name.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)));
            if let Some(place) = index.and_then(|index| found.get_mut(index)) {
                let at = |offset: U32<LE>| self.text.wrapping_add(offset.get(LE).into());
                *place = Some(Extent { start: at(entry[0]), end: at(end) });
            }
        }
        found
    }

    /// Where the code of the functions begins and ends whose names begin with one of these, and of all between them. Those of one
    /// package are together, but for what the compiler makes for several packages: wrappers, and instances of generic functions.
    pub(super) fn range(&self, beginnings: &[&str]) -> Option<[u64; 2]> {
        let (entries, _) = object::pod::slice_from_bytes::<[U32<LE>; 2]>(self.functions, self.count).ok()?;
        let is_one = |entry: &[U32<LE>; 2]| {
            self.name(entry[1].get(LE))
                .is_some_and(|name| beginnings.iter().any(|one| name.starts_with(one.as_bytes())))
        };
        let ends = entries.iter().skip(1).map(|entry| entry[0]);
        let mut within = entries.iter().zip(ends).filter(|(entry, _)| is_one(entry));
        let at = |offset: U32<LE>| self.text.wrapping_add(offset.get(LE).into());
        let (first, end) = within.next()?;
        Some([at(first[0]), at(within.next_back().map_or(end, |(_, end)| end))])
    }

    /// A function's name and what follows, given where more of it is: its code's place again, and that of its name.
    fn name(&self, more: u32) -> Option<&'a [u8]> {
        let more = self.functions.get(usize::try_from(more).ok()?..)?;
        let (about, _) = object::pod::from_bytes::<[U32<LE>; 2]>(more).ok()?;
        self.names.get(usize::try_from(about[1].get(LE)).ok()?..)
    }
}

impl Extent {
    /// The function, taken apart.
    pub(super) fn code(self, elf: &Elf<'_>) -> Option<Code> {
        let size = self.end.checked_sub(self.start)?.min(BYTES_MAX);
        Some(Code::new(self.start, elf.piece(self.start, size)?))
    }
}

/// What the code's places are counted from. With a linker of C's it is not where the section begins.
fn text(elf: &Elf<'_>, table: u64) -> Option<u64> {
    if let Some(text) = elf.pointer(table.wrapping_add(HEADER_TEXT)).filter(|text| *text != 0) {
        return Some(text);
    }
    let (module, _) = elf.section(".go.module")?;
    (elf.pointer(module) == Some(table)).then(|| elf.pointer(module.wrapping_add(MODULE_TEXT)))?
}

/// The version that built it, in words.
pub(super) fn version(elf: &Elf<'_>) -> Option<String> {
    let (address, _) = elf.section(".go.buildinfo")?;
    let [.., flags] = elf.bytes::<16>(address)?;
    let [length] = elf.bytes::<1>(address.wrapping_add(BUILD_HEAD))?;
    // Of more than one byte is no length of a version's.
    if flags & BUILD_INLINE == 0 || length >= 0x80 {
        return None;
    }
    let text = elf.piece(address.wrapping_add(BUILD_HEAD + 1), length.into())?;
    Some(String::from_utf8_lossy(text).into_owned())
}
