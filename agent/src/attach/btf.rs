//! Offsets of structure members in a BTF blob (Documentation/bpf/btf.rst): all that is needed of it, in one walk.
//!
//! The crates that model the whole of BTF take ten times the memory and time for this one question.

use std::collections::HashMap;

use thiserror::Error;

const MAGIC: u16 = 0xeb9f;
/// Structures and anonymous members may nest this deep in a look-up.
const DEPTH_MAX: u32 = 16;
/// Members looked at in one look-up: `task_struct` has some 300 with all that is anonymous in it. Beyond, the blob makes its
/// structures hold each other.
const MEMBERS_MAX: u32 = 65_536;

/// What is wrong with a blob, or missing in it.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Error {
    /// It is cut short, or not BTF in this machine's byte order.
    #[error("not a BTF blob, or cut short at byte {0}")]
    Malformed(usize),
    /// It holds a kind of type this walk does not know.
    #[error("unknown BTF kind {0}: the kernel is newer than this agent")]
    UnknownKind(u32),
    /// The kernel has no such structure.
    #[error("this kernel has no struct {0}")]
    NoStructure(String),
    /// The structure has no such member.
    #[error("struct {0} of this kernel has no member {1}")]
    NoMember(String, String),
}

/// An indexed blob.
pub(super) struct Btf<'a> {
    strings: &'a [u8],
    types: &'a [u8],
    /// Byte position of each type in `types`; id 0 is void.
    positions: Vec<u32>,
    structures: HashMap<&'a str, u32>,
}

/// The fixed part of a type.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    members: u32,
    bitfields: bool,
    refers: u32,
}

const STRUCT: u32 = 4;
const UNION: u32 = 5;

impl<'a> Btf<'a> {
    /// Indexes `blob`.
    ///
    /// # Errors
    /// If the blob is malformed or holds an unknown kind.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, Error> {
        if blob.get(..2) != Some(&MAGIC.to_ne_bytes()) {
            return Err(Error::Malformed(0));
        }
        let header = word(blob, 4)? as usize;
        let section = |at: usize| -> Result<&'a [u8], Error> {
            let start = header + word(blob, at)? as usize;
            let length = word(blob, at + 4)? as usize;
            blob.get(start..start.saturating_add(length)).ok_or(Error::Malformed(at))
        };
        let types = section(8)?;
        let strings = section(16)?;
        let mut btf = Self { strings, types, positions: vec![0], structures: HashMap::new() };
        btf.index()?;
        Ok(btf)
    }

    /// Byte offset of `path` in structure `name`. A dot in the path enters an embedded structure; members of anonymous
    /// structures and unions are found as C finds them.
    ///
    /// # Errors
    /// If there is no such structure or member.
    pub(super) fn offset(&self, name: &str, path: &str) -> Result<u32, Error> {
        let missing = || Error::NoMember(name.to_owned(), path.to_owned());
        let mut id = *self.structures.get(name).ok_or_else(|| Error::NoStructure(name.to_owned()))?;
        let mut bits = 0;
        for part in path.split('.') {
            let (offset, member) = self.member(id, part, 0, &mut 0)?.ok_or_else(missing)?;
            bits = add(bits, offset)?;
            id = member;
        }
        if bits % 8 == 0 { Ok(bits / 8) } else { Err(missing()) }
    }

    /// Bit offset and type of a member. `seen` counts those that are looked at.
    fn member(&self, id: u32, name: &str, depth: u32, seen: &mut u32) -> Result<Option<(u32, u32)>, Error> {
        let Some((position, structure)) = self.aggregate(id)? else {
            return Ok(None);
        };
        if depth > DEPTH_MAX {
            return Ok(None);
        }
        for index in 0..structure.members {
            let at = position + 12 + index as usize * 12;
            *seen += 1;
            if *seen > MEMBERS_MAX {
                return Err(Error::Malformed(at));
            }
            let (member_name, member_type) = (word(self.types, at)?, word(self.types, at + 4)?);
            let raw = word(self.types, at + 8)?;
            let offset = if structure.bitfields { raw & 0x00ff_ffff } else { raw };
            let found = self.string(member_name);
            if found == name {
                return Ok(Some((offset, member_type)));
            }
            if found.is_empty()
                && let Some((inner, inner_type)) = self.member(member_type, name, depth + 1, seen)?
            {
                return Ok(Some((add(offset, inner)?, inner_type)));
            }
        }
        Ok(None)
    }

    /// The structure or union behind `id`, through typedefs and qualifiers.
    fn aggregate(&self, mut id: u32) -> Result<Option<(usize, Type)>, Error> {
        for _ in 0..DEPTH_MAX {
            let Some(position) = self.positions.get(id as usize).filter(|_| id != 0) else {
                return Ok(None);
            };
            let position = *position as usize;
            let kind = read_type(self.types, position)?;
            match kind.kind {
                STRUCT | UNION => return Ok(Some((position, kind))),
                // Typedefs, volatile, const, restrict and type tags stand for another type.
                8..=11 | 18 => id = kind.refers,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    fn index(&mut self) -> Result<(), Error> {
        let mut position = 0;
        while position < self.types.len() {
            let kind = read_type(self.types, position)?;
            let id = self.positions.len() as u32;
            self.positions.push(position as u32);
            if kind.kind == STRUCT && kind.name != 0 {
                let name = self.string(kind.name);
                self.structures.entry(name).or_insert(id);
            }
            position += 12 + trailer(kind)?;
        }
        Ok(())
    }

    fn string(&self, offset: u32) -> &'a str {
        let bytes = self.strings.get(offset as usize..).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
        str::from_utf8(&bytes[..end]).unwrap_or_default()
    }
}

/// Bytes behind the fixed part of a type.
fn trailer(kind: Type) -> Result<usize, Error> {
    let members = kind.members as usize;
    Ok(match kind.kind {
        2 | 7..=12 | 16 | 18 => 0,
        1 | 14 | 17 => 4,
        3 => 12,
        STRUCT | UNION | 15 | 19 => members * 12,
        6 | 13 => members * 8,
        unknown => return Err(Error::UnknownKind(unknown)),
    })
}

fn read_type(types: &[u8], position: usize) -> Result<Type, Error> {
    let info = word(types, position + 4)?;
    Ok(Type {
        name: word(types, position)?,
        kind: (info >> 24) & 0x1f,
        members: info & 0xffff,
        bitfields: info >> 31 == 1,
        refers: word(types, position + 8)?,
    })
}

/// No structure is half a gigabyte long.
fn add(bits: u32, more: u32) -> Result<u32, Error> {
    bits.checked_add(more).ok_or(Error::Malformed(0))
}

fn word(bytes: &[u8], at: usize) -> Result<u32, Error> {
    let slice = bytes.get(at..at.saturating_add(4)).ok_or(Error::Malformed(at))?;
    slice.try_into().map(u32::from_ne_bytes).map_err(|_| Error::Malformed(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A blob with `struct outer { int a; struct { struct inner b; }; }` and `struct inner { int c; int d; }`.
    fn blob() -> Vec<u8> {
        let strings = b"\0outer\0inner\0a\0b\0c\0d\0int\0";
        let at = |name: &str| {
            let needle = format!("\0{name}\0");
            (String::from_utf8_lossy(strings).find(&needle).expect("name is in the table") + 1) as u32
        };
        let structure = |members: u32| (STRUCT << 24) | members;
        let words = [
            [at("int"), 1 << 24, 4, 32].as_slice(),
            &[at("inner"), structure(2), 8, at("c"), 1, 0, at("d"), 1, 32],
            &[0, structure(1), 8, at("b"), 2, 0],
            &[at("outer"), structure(2), 12, at("a"), 1, 0, 0, 3, 32],
        ]
        .concat();
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut blob = MAGIC.to_ne_bytes().to_vec();
        blob.extend([1, 0]);
        for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            blob.extend(word.to_ne_bytes());
        }
        blob.extend(types);
        blob.extend(strings);
        blob
    }

    #[test]
    fn members_are_found_through_anonymous_and_embedded_structures() {
        let blob = blob();
        let btf = Btf::parse(&blob).expect("the blob is well formed");
        assert_eq!(btf.offset("outer", "a"), Ok(0));
        assert_eq!(btf.offset("outer", "b"), Ok(4));
        assert_eq!(btf.offset("outer", "b.d"), Ok(8));
    }

    #[test]
    fn what_is_missing_is_named() {
        let blob = blob();
        let btf = Btf::parse(&blob).expect("the blob is well formed");
        assert_eq!(btf.offset("other", "a"), Err(Error::NoStructure("other".into())));
        assert_eq!(btf.offset("outer", "b.x"), Err(Error::NoMember("outer".into(), "b.x".into())));
    }

    #[test]
    fn structures_that_are_too_long_or_hold_themselves_are_refused() {
        let blob = blob();
        let outer_members = blob.len() - b"\0outer\0inner\0a\0b\0c\0d\0int\0".len() - 2 * 12;
        let patched = |at: usize, word: u32| {
            let mut blob = blob.clone();
            blob[outer_members + at..][..4].copy_from_slice(&word.to_ne_bytes());
            blob
        };
        // Where the anonymous structure lies, and what it is.
        let far = patched(20, u32::MAX);
        let far = Btf::parse(&far).expect("the blob is well formed");
        assert_eq!(far.offset("outer", "b.d"), Err(Error::Malformed(0)));
        let mut circle = patched(16, 4);
        circle[outer_members..][..4].copy_from_slice(&[0; 4]);
        circle[outer_members + 4..][..4].copy_from_slice(&4_u32.to_ne_bytes());
        let circle = Btf::parse(&circle).expect("the blob is well formed");
        assert!(matches!(circle.offset("outer", "b"), Err(Error::Malformed(_))));
    }

    #[test]
    fn every_cut_of_a_blob_is_an_error_or_a_smaller_table() {
        let blob = blob();
        for length in 0..blob.len() {
            let cut = Btf::parse(&blob[..length]).map(|btf| btf.offset("outer", "b.d"));
            assert_ne!(cut, Ok(Ok(8)), "cut at {length}");
        }
    }

    impl std::fmt::Debug for Btf<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{} types", self.positions.len())
        }
    }

    impl PartialEq for Btf<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.types == other.types
        }
    }
}
