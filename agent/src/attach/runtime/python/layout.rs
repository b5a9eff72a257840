//! Versions of CPython: how one is told from its file, and where it keeps what is read.

use std::fmt;

use agent_ebpf::wire::config::Python;

use super::super::Refusal;
use super::super::elf::Elf;

/// What begins `_PyRuntime` from 3.13 on, as far as it is read (`_Py_DebugOffsets`, Include/internal/pycore_debug_offsets.h,
/// and pycore_runtime.h in 3.13).
const BURNT_IN_BYTES: usize = 232;
/// `simplequeueobject.lst` (Modules/_queuemodule.c) up to 3.12.
pub(super) const SIMPLE_LIST: u32 = 32;
/// How that begins.
const COOKIE: [u8; 8] = *b"xdebugpy";
/// Bytes of `Py_GetVersion` in which its arguments are.
const GET_VERSION_BYTES: usize = 64;

/// A version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) major: u8,
    pub(super) minor: u8,
    pub(super) micro: u8,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// Offsets of its structures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// `_PyRuntimeState.interpreters.head`.
    pub(super) interpreters_head: u32,
    /// `PyInterpreterState.threads.head`; `tstate_head` up to 3.10.
    pub(super) threads_head: u32,
    /// `PyThreadState.next`.
    pub(super) thread_next: u32,
    /// `PyThreadState.thread_id`: the thread pointer.
    pub(super) thread_id: u32,
    /// `PyThreadState.native_thread_id`: the kernel's number of the thread. From 3.11 on.
    pub(super) native_id: Option<u32>,
    /// `PyThreadState.context`.
    pub(super) context: u32,
    /// Where the frame that runs is told.
    pub(super) frame: Frame,
    /// `simplequeueobject.lst`; 0 from 3.13 on, where items are in no list.
    pub(super) simple_list: u32,
}

/// Where the code that runs, and its name, are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// `PyThreadState.frame` up to 3.10, `cframe` in 3.11 and 3.12, `current_frame` from 3.13 on.
    pub(super) thread: u32,
    /// `_PyCFrame.current_frame`; [`Python::DIRECT`] where the thread's state leads to the frame itself.
    pub(super) within: u32,
    /// `f_code` of the frame; `f_executable` from 3.13 on.
    pub(super) code: u32,
    /// `PyCodeObject.co_name`.
    pub(super) name: u32,
    /// `sizeof(PyASCIIObject)`: where the characters of a string begin.
    pub(super) text: u32,
}

impl Layout {
    /// That of the version whose runtime an ELF file holds.
    ///
    /// # Errors
    /// The version is not supported, or is not told.
    pub(super) fn of(elf: &Elf<'_>) -> Result<(Version, Self), Refusal> {
        let version = Version::of(elf)?;
        let table = Self::table(version).ok_or_else(|| Refusal::Version(version.to_string()))?;
        if version.minor < 13 {
            return Ok((version, table));
        }
        let burnt_in = elf.bytes(elf.exported("_PyRuntime")?).ok_or(Refusal::Symbols("_Py_DebugOffsets"))?;
        Ok((version, table.corrected(version, &burnt_in)?))
    }

    /// Read out of the debugging information of 3.9.18, 3.10.13, 3.11.7, 3.12.1 and 3.13.0 for x86-64 (gdb,
    /// `print &((PyThreadState *)0)->context`); of 3.14, compiled against the headers of 3.14.10 (`offsetof`). A version keeps
    /// its structures from its first release on; where one does not, the check of each process says so.
    const fn table(version: Version) -> Option<Self> {
        let Version { major: 3, minor, .. } = version else { return None };
        let [interpreters_head, threads_head, thread_next, thread_id, native_id, context] = match minor {
            9 | 10 => [32, 8, 8, 176, 0, 240],
            11 => [40, 16, 8, 152, 160, 224],
            12 => [40, 72, 8, 136, 144, 208],
            13 => [632, 7344, 8, 152, 160, 208],
            14 => [808, 7344, 8, 152, 160, 208],
            _ => return None,
        };
        let native_id = if native_id == 0 { None } else { Some(native_id) };
        let [thread, within, code, name, text] = match minor {
            9 | 10 => [24, Python::DIRECT, 32, 112, 48],
            11 => [56, 8, 32, 120, 48],
            12 => [56, 0, 0, 120, 40],
            _ => [72, Python::DIRECT, 0, 120, 40],
        };
        let frame = Frame { thread, within, code, name, text };
        let simple_list = if minor < 13 { SIMPLE_LIST } else { 0 };
        Some(Self { interpreters_head, threads_head, thread_next, thread_id, native_id, context, frame, simple_list })
    }

    /// The same with what this very build says of itself: all but the places of the context, and of a frame's members.
    fn corrected(self, version: Version, burnt_in: &[u8; BURNT_IN_BYTES]) -> Result<Self, Refusal> {
        let word = |index: usize| burnt_in.as_chunks::<8>().0.get(index).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if !burnt_in.starts_with(&COOKIE) || Version::of_hex(word(1)) != version {
            return Err(Refusal::Check("its debug offsets are not of its version"));
        }
        if word(2) != 0 {
            return Err(Refusal::Version(format!("{version}, free-threaded")));
        }
        // 3.14 says three more of `PyInterpreterState`, which stands before `PyThreadState`.
        let thread = if version.minor == 13 { 19 } else { 22 };
        let offset = |index| u32::try_from(word(index)).map_err(|_| Refusal::Check("its debug offsets lead nowhere"));
        Ok(Self {
            interpreters_head: offset(5)?,
            threads_head: offset(9)?,
            thread_next: offset(thread + 2)?,
            thread_id: offset(thread + 5)?,
            native_id: Some(offset(thread + 6)?),
            frame: Frame { thread: offset(thread + 4)?, ..self.frame },
            ..self
        })
    }
}

impl Version {
    fn of(elf: &Elf<'_>) -> Result<Self, Refusal> {
        match elf.exported("Py_Version") {
            Ok(address) => {
                let hex = elf.bytes(address).map(u32::from_le_bytes).ok_or(Refusal::Symbols("Py_Version"))?;
                Ok(Self::of_hex(hex.into()))
            }
            // Up to 3.10 the version is a text alone.
            Err(_) => Self::of_arguments(elf),
        }
    }

    /// `PY_VERSION_HEX` (Include/patchlevel.h): in the highest three of four bytes.
    const fn of_hex(hex: u64) -> Self {
        let [_, micro, minor, major, ..] = hex.to_le_bytes();
        Self { major, minor, micro }
    }

    /// The text that `Py_GetVersion` (Python/getversion.c) hands on, whose address is in its code: relative to the next
    /// instruction (`lea`), or as it is where code is not moved (`mov`).
    fn of_arguments(elf: &Elf<'_>) -> Result<Self, Refusal> {
        let function = elf.exported("Py_GetVersion")?;
        let code: [u8; GET_VERSION_BYTES] = elf.bytes(function).ok_or(Refusal::Symbols("Py_GetVersion"))?;
        let told = code.array_windows().zip(0..).find_map(|([operation, place @ ..], at): (&[u8; 5], u64)| {
            let next = function.wrapping_add(at + 5);
            let address = match operation {
                // `lea`'s operands begin with a byte of their own.
                0x05 | 0x0d | 0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d => {
                    next.wrapping_add_signed(i32::from_le_bytes(*place).into())
                }
                0xb8..=0xbf => u32::from_le_bytes(*place).into(),
                _ => return None,
            };
            Self::of_text(&elf.bytes::<8>(address)?)
        });
        told.ok_or(Refusal::Symbols("the text of its version"))
    }

    /// `3.9.18`, and whatever follows that is no part of a number.
    fn of_text(text: &[u8]) -> Option<Self> {
        let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.'))?;
        let mut numbers = str::from_utf8(&text[..end]).ok()?.split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let version = Self { major: next()?, minor: next()?, micro: next()? };
        numbers.next().is_none().then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn version(minor: u8, micro: u8) -> Version {
        Version { major: 3, minor, micro }
    }

    /// What a build says of itself, by the place of each word.
    fn burnt_in(words: &[(usize, u64)]) -> [u8; BURNT_IN_BYTES] {
        let mut bytes = [0; BURNT_IN_BYTES];
        bytes[..8].copy_from_slice(&COOKIE);
        for (place, word) in words {
            bytes[place * 8..][..8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_version_is_told_from_its_text() {
        assert_eq!(Version::of_text(b"3.9.18\0p"), Some(version(9, 18)));
        assert_eq!(Version::of_text(b"3.10.0rc"), Some(version(10, 0)));
        for other in [&b"%.80s (%"[..], b"3.9\0....", b"3.9.1.2\0", b"3.9.300\0", b"3..9\0", b"12345678", b"\0"] {
            assert_eq!(Version::of_text(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_build_that_tells_its_offsets_is_believed() {
        let table = |version| Layout::table(version).expect("supported");
        let told_by_14 = burnt_in(&[(1, 0x030e_0af0), (5, 1), (9, 2), (24, 3), (26, 6), (27, 4), (28, 5)]);
        let of_14 = table(version(14, 10));
        let corrected = Layout {
            interpreters_head: 1,
            threads_head: 2,
            thread_next: 3,
            thread_id: 4,
            native_id: Some(5),
            context: of_14.context,
            frame: Frame { thread: 6, ..of_14.frame },
            simple_list: 0,
        };
        assert_eq!(of_14.corrected(version(14, 10), &told_by_14), Ok(corrected));
        let told_by_13 = burnt_in(&[(1, 0x030d_00f0), (5, 1), (9, 2), (21, 3), (23, 6), (24, 4), (25, 5)]);
        assert_eq!(table(version(13, 0)).corrected(version(13, 0), &told_by_13), Ok(corrected));
    }

    #[test]
    fn what_cannot_be_believed_is_refused_by_its_reason() {
        let thirteen = version(13, 0);
        let corrected = |words: &[(usize, u64)]| {
            Layout::table(thirteen).expect("supported").corrected(thirteen, &burnt_in(words)).map(drop)
        };
        let free_threaded = corrected(&[(1, 0x030d_00f0), (2, 1)]);
        assert_eq!(free_threaded, Err(Refusal::Version("3.13.0, free-threaded".into())));
        let others = Err(Refusal::Check("its debug offsets are not of its version"));
        assert_eq!(corrected(&[(1, 0x030d_01f0)]), others);
        assert_eq!(corrected(&[(0, 0), (1, 0x030d_00f0)]), others);
        assert_eq!(
            corrected(&[(1, 0x030d_00f0), (5, u64::MAX)]),
            Err(Refusal::Check("its debug offsets lead nowhere"))
        );
        for unknown in [version(8, 0), version(15, 0), Version { major: 2, ..version(9, 0) }] {
            assert_eq!(Layout::table(unknown), None);
        }
    }
}
