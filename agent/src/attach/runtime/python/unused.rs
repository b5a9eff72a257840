//! Whether a process has ever taken something from a queue that keeps its items in a deque.
//!
//! `queue.Queue` and `asyncio.Queue` both do that with a method `_get`, and an interpreter counts in a method's code how often that
//! ran, until it is worth more work. So a word of the code says that it never has, and is another one as soon as it begins to.
//! Methods are found as the interpreter finds them: by its modules, and what their names are bound to.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use agent_ebpf::wire::config::Word;

use super::super::elf::word;
use super::layout::{Layout, Version};

/// Modules with a class `Queue`, which has the method.
const MODULES: [&str; 2] = ["queue", "asyncio.queues"];
/// Names in a dictionary that are looked at: one with more says nothing.
const NAMES_MAX: u64 = 16_384;

/// `PyModuleObject.md_dict` and `PyTypeObject.tp_dict` (Include/): the same since 3.9, as are the next.
const MODULE_NAMES: u64 = 16;
const TYPE_NAMES: u64 = 264;
/// `PyDictObject.ma_used`, `ma_keys` and `ma_values`.
const USED: u64 = 16;
const KEYS: u64 = 32;
const VALUES: u64 = 40;
/// `PyASCIIObject.length`.
const LENGTH: u64 = 16;

/// Where a process shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused {
    tgid: u32,
    /// Address of `_PyRuntimeState.interpreters.head`.
    interpreter: u64,
    /// `sizeof(PyASCIIObject)`.
    text: u64,
    places: Places,
}

/// Where a version keeps things, beside those that are read all the time ([`Layout`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    /// `PyInterpreterState.modules`; `imports.modules` from 3.12 on.
    modules: u64,
    /// `PyFunctionObject.func_code`.
    code: u64,
    /// A word of `PyCodeObject`, and what it is of a `_get` that never ran.
    count: u64,
    never_ran: u64,
    /// `PyDictKeysObject` tells its size by its logarithm, and whether all names are strings.
    logarithms: bool,
}

impl Places {
    /// Measured in 3.9.18, 3.10.13, 3.11.2, 3.11.7, 3.12.1, 3.13.0 and 3.14.10 for x86-64. Where a release
    /// differs, what is found is no method that never ran.
    const fn of(version: Version) -> Option<Self> {
        let (modules, code, count, never_ran) = match version.minor {
            // `co_opcache_flag`, and half of `co_opcache`, which is null.
            9 => (856, 16, 164, 0),
            10 => (856, 48, 164, 0),
            // `co_flags` and `co_warmup`.
            11 => (888, 48, 48, u64::from_le_bytes([3, 0, 0, 0, 0xf8, 0xff, 0, 0])),
            // `co_code_adaptive`: RESUME, LOAD_FAST, and LOAD_ATTR with its counter.
            12 => (944, 48, 192, u64::from_le_bytes([0x97, 0, 0x7c, 0, 0x6a, 0, 0x11, 0])),
            13 => (7656, 48, 200, u64::from_le_bytes([0x95, 0, 0x55, 0, 0x52, 0, 0x11, 0])),
            14 => (7688, 48, 208, u64::from_le_bytes([0x80, 0, 0x56, 0, 0x50, 0, 0x11, 0])),
            _ => return None,
        };
        Some(Self { modules, code, count, never_ran, logarithms: version.minor >= 11 })
    }
}

impl Unused {
    /// Of a process with its runtime at an address; none if its version does not show it.
    pub(super) fn of(tgid: u32, runtime: u64, version: Version, layout: &Layout) -> Option<Self> {
        let interpreter = runtime.wrapping_add(layout.interpreters_head.into());
        Some(Self { tgid, interpreter, text: layout.frame.text.into(), places: Places::of(version)? })
    }

    /// The words of the process's memory that stand for as long as it takes nothing from a queue; none if it has, or if
    /// it cannot be known.
    pub fn look(&self) -> Option<[Word; 2]> {
        let memory = self.memory()?;
        let modules = word(&memory, word(&memory, self.interpreter).ok()?.wrapping_add(self.places.modules)).ok()?;
        let mut words = [Word::default(); 2];
        for (word, module) in words.iter_mut().zip(MODULES) {
            *word = self.method(&memory, modules, module)?;
        }
        Some(words)
    }

    /// True if words of the process's memory are as they were.
    pub fn stand(&self, words: [Word; 2]) -> bool {
        let stands = |memory: &File, one: &Word| word(memory, one.place).is_ok_and(|value| value == one.value);
        self.memory().is_some_and(|memory| words.iter().all(|one| stands(&memory, one)))
    }

    fn memory(&self) -> Option<File> {
        File::open(format!("/proc/{}/mem", self.tgid)).ok()
    }

    /// The word that a module's method has as long as it does not run. Where the module is not there, how many are.
    fn method(&self, memory: &File, modules: u64, module: &str) -> Option<Word> {
        let read = |address| word(memory, address).ok();
        let Names { found, word: count } = self.names(memory, modules, module)?;
        let Some(module) = found else { return Some(count) };
        let class = self.names(memory, read(module.wrapping_add(MODULE_NAMES))?, "Queue")?.found?;
        let method = self.names(memory, read(class.wrapping_add(TYPE_NAMES))?, "_get")?.found?;
        let place = read(method.wrapping_add(self.places.code))?.wrapping_add(self.places.count);
        (read(place)? == self.places.never_ran).then_some(Word { place, value: self.places.never_ran })
    }

    /// What a dictionary has by a name; none if it cannot be read.
    fn names(&self, memory: &File, dictionary: u64, name: &str) -> Option<Names> {
        let read = |address| word(memory, address).ok();
        let place = dictionary.wrapping_add(USED);
        let before = (read(place)?, read(dictionary.wrapping_add(KEYS))?);
        // Otherwise what the names are bound to is kept elsewhere.
        (read(dictionary.wrapping_add(VALUES))? == 0).then_some(())?;
        let entries = self.entries(memory, before.1)?;
        let mut found = None;
        for at in (0..entries.count).map(|index| entries.first.wrapping_add(index * entries.bytes)) {
            let key = read(at.wrapping_add(entries.key))?;
            if key != 0 && self.is_named(memory, key, name)? {
                // Null once it was deleted.
                found = Some(read(at.wrapping_add(entries.key + 8))?).filter(|value| *value != 0);
            }
        }
        // Names may have come while they were read.
        let after = (read(place)?, read(dictionary.wrapping_add(KEYS))?);
        (before == after).then_some(Names { found, word: Word { place, value: before.0 } })
    }

    /// Where the entries of a dictionary are (`PyDictKeysObject`, Objects/dict-common.h, Include/internal/pycore_dict.h).
    fn entries(&self, memory: &File, keys: u64) -> Option<Entries> {
        let read = |offset: u64| word(memory, keys.wrapping_add(offset)).ok();
        let (count, first, strings) = if self.places.logarithms {
            let [_, index_bytes, kind, ..] = read(8)?.to_le_bytes();
            let indices = 1_u64.checked_shl(index_bytes.into())?;
            (read(24)?, keys.wrapping_add(32).checked_add(indices)?, kind == 1)
        } else {
            let size = read(8)?;
            let index = if size <= 0xff {
                1
            } else if size <= 0xffff {
                2
            } else {
                4
            };
            (read(32)?, keys.wrapping_add(40).checked_add(size.checked_mul(index)?)?, false)
        };
        // Where not all names are strings, each has its hash before it.
        let (key, bytes) = if strings { (0, 16) } else { (8, 24) };
        (count <= NAMES_MAX).then_some(Entries { first, count, key, bytes })
    }

    fn is_named(&self, memory: &File, key: u64, name: &str) -> Option<bool> {
        if word(memory, key.wrapping_add(LENGTH)).ok()? != name.len() as u64 {
            return Some(false);
        }
        let mut text = [0; 16];
        let text = text.get_mut(..name.len())?;
        memory.read_exact_at(text, key.wrapping_add(self.text)).ok()?;
        Some(text == name.as_bytes())
    }
}

/// What was found in a dictionary, if it was, and the word that says how many names that has.
struct Names {
    found: Option<u64>,
    word: Word,
}

struct Entries {
    first: u64,
    count: u64,
    /// Where in an entry its name is told; what it is bound to follows.
    key: u64,
    bytes: u64,
}
