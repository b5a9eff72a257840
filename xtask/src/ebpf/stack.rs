//! How much stack the probes of user space take.
//!
//! Such a probe can be preempted, and since Linux 6.13 a program that takes 64 bytes or more has them on a stack of its
//! processor: a second probe there would overwrite the first one's (`bpf_enable_priv_stack`, `BPF_PRIV_STACK_MIN_SIZE`).
//! What a program takes is counted as the verifier does: by how far below the frame pointer it reaches, each function by
//! itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SectionIndex, SymbolKind};

/// Bytes that a function of a probe may take: the next multiple of 16 is one too many.
const STACK_BYTES_MAX: u64 = 48;
/// Sections of probes of user space.
const PROBES: [&str; 2] = ["uprobe", "uretprobe"];
/// The frame pointer.
const R10: u8 = 10;

/// Where a function is: its section and the address in it.
type Place = (usize, u64);

struct Function {
    name: String,
    stack: u64,
    calls: BTreeSet<Place>,
}

/// Checks that every probe of user space, and all that it calls, keeps to the limit. Gives the most that one takes.
pub(super) fn check(file: &object::File<'_>) -> Result<u64> {
    let functions = functions(file)?;
    let probe = |place: &Place| {
        let section = file
            .section_by_index(SectionIndex(place.0))
            .ok()
            .and_then(|section| section.name().ok().map(str::to_owned));
        section.is_some_and(|name| PROBES.contains(&name.as_str()))
    };
    let mut open: Vec<Place> = functions.keys().copied().filter(probe).collect();
    let mut seen: BTreeSet<Place> = open.iter().copied().collect();
    let mut most = 0;
    while let Some(place) = open.pop() {
        let function = functions.get(&place).context("a call that leads to no function")?;
        ensure!(
            function.stack <= STACK_BYTES_MAX,
            "`{}`, of a probe of user space, takes {} bytes of stack, and may take {STACK_BYTES_MAX}",
            function.name,
            function.stack
        );
        most = most.max(function.stack);
        open.extend(function.calls.iter().copied().filter(|callee| seen.insert(*callee)));
    }
    Ok(most)
}

fn functions(file: &object::File<'_>) -> Result<BTreeMap<Place, Function>> {
    let mut found = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0) {
        let Some(index) = symbol.section_index() else { continue };
        let section = file.section_by_index(index)?;
        let code = section.data().context("an unreadable section of code")?;
        let (start, end) = (symbol.address(), symbol.address() + symbol.size());
        let range = usize::try_from(start)?..usize::try_from(end)?;
        let code = code.get(range).context("a function beyond its section")?;
        let mut function = Function { name: symbol.name()?.to_owned(), stack: 0, calls: BTreeSet::new() };
        let relocated: BTreeMap<u64, Place> = section
            .relocations()
            .filter_map(|(offset, relocation)| {
                let RelocationTarget::Symbol(target) = relocation.target() else { return None };
                let target = file.symbol_by_index(target).ok()?;
                Some((offset, (target.section_index()?.0, target.address())))
            })
            .collect();
        let mut frames = BTreeSet::new();
        for (number, instruction) in (0_u64..).zip(code.as_chunks::<8>().0) {
            let instruction = Instruction::of(instruction);
            let offset = start + number * 8;
            function.stack = function.stack.max(instruction.depth(&mut frames));
            if instruction.calls() {
                function.calls.insert(callee(&instruction, index.0, offset, relocated.get(&offset).copied())?);
            }
        }
        found.insert((index.0, start), function);
    }
    Ok(found)
}

/// Where a call leads: to a symbol, or to an instruction of a section counted from the symbol's or from the call.
fn callee(call: &Instruction, section: usize, offset: u64, target: Option<Place>) -> Result<Place> {
    let distance = (i64::from(call.immediate) + 1) * 8;
    let (section, base) = match target {
        Some((section, address)) => (section, address),
        None => (section, offset),
    };
    Ok((section, base.checked_add_signed(distance).context("a call that leads nowhere")?))
}

/// `struct bpf_insn` (include/uapi/linux/bpf.h).
struct Instruction {
    code: u8,
    target: u8,
    source: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    fn of(bytes: &[u8; 8]) -> Self {
        let [code, registers, o0, o1, i0, i1, i2, i3] = *bytes;
        Self {
            code,
            target: registers & 15,
            source: registers >> 4,
            offset: i16::from_le_bytes([o0, o1]),
            immediate: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    }

    /// It calls a function of the object (`BPF_PSEUDO_CALL`).
    fn calls(&self) -> bool {
        self.code == 0x85 && self.source == 1
    }

    /// How far below the frame pointer it reaches; `frames`: registers that hold that pointer.
    fn depth(&self, frames: &mut BTreeSet<u8>) -> u64 {
        /// Classes and operations of `code`.
        const LDX: u8 = 1;
        const ST: u8 = 2;
        const STX: u8 = 3;
        const MOV64: u8 = 0xbf;
        const ADD64: u8 = 0x07;
        let below = |offset: i64| u64::try_from(-offset).unwrap_or(0);
        let class = self.code & 7;
        if self.code == MOV64 && self.source == R10 {
            frames.insert(self.target);
            return 0;
        }
        if self.code == ADD64 && frames.remove(&self.target) {
            return below(self.immediate.into());
        }
        let base = match class {
            LDX => self.source,
            ST | STX => self.target,
            _ => return 0,
        };
        if base == R10 { below(self.offset.into()) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(code: &[[u8; 8]]) -> u64 {
        let mut frames = BTreeSet::new();
        code.iter().map(|bytes| Instruction::of(bytes).depth(&mut frames)).max().unwrap_or(0)
    }

    #[test]
    fn what_is_stored_loaded_or_pointed_to_below_the_frame_counts() {
        // *(u64 *)(r10 - 24) = r1; r2 = *(u32 *)(r10 - 40); r3 = r10; r3 += -64
        let store = [0x7b, 0x1a, 0xe8, 0xff, 0, 0, 0, 0];
        let load = [0x61, 0xa2, 0xd8, 0xff, 0, 0, 0, 0];
        let point = [[0xbf, 0xa3, 0, 0, 0, 0, 0, 0], [0x07, 0x03, 0, 0, 0xc0, 0xff, 0xff, 0xff]];
        assert_eq!(depth(&[store]), 24);
        assert_eq!(depth(&[load]), 40);
        assert_eq!(depth(&point), 64);
        // *(u64 *)(r1 - 24) = r2 is somebody else's memory.
        assert_eq!(depth(&[[0x7b, 0x21, 0xe8, 0xff, 0, 0, 0, 0]]), 0);
    }

    #[test]
    fn calls_lead_to_symbols_or_along_the_section() {
        let call = Instruction::of(&[0x85, 0x10, 0, 0, 3, 0, 0, 0]);
        assert!(call.calls());
        let (here, there) = (1, 2);
        assert_eq!(callee(&call, here, 16, None).expect("leads somewhere"), (here, 16 + 4 * 8));
        let to = Instruction::of(&[0x85, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(callee(&to, here, 16, Some((there, 80))).expect("leads somewhere"), (there, 80));
    }
}
