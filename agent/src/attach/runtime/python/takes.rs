//! Where an item leaves a `SimpleQueue` that keeps its items in a list, up to 3.12 (`simplequeue_pop_item`,
//! Modules/_queuemodule.c): on the jump behind the place where the list's slot was emptied and `lst_pos` raised.
//!
//! Found in builds up to 3.11: 3.12 counts references with a jump in between, and is left to a return probe, as later versions are.
//! Both `get` and a `get` that waited come by there, whenever they began: one that a thread was in before there was a probe too.
//! The kernel emulates the jump, and unlike a return probe it leaves the stack alone. Which registers hold the item and the queue
//! is up to the compiler.

use std::collections::BTreeSet;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::super::elf::Elf;
use super::copies::code;

/// Instructions that are looked at, in all.
const INSTRUCTIONS_MAX: usize = 4096;
/// Calls within calls that are followed: `get_impl`, and `simplequeue_pop_item` in it.
const DEPTH_MAX: usize = 2;
/// From `simplequeueobject.lst` to `lst_pos`.
const POSITION: u64 = 8;

/// A jump behind the place where an item was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Taken {
    /// Address of the jump.
    pub(super) at: u64,
    /// The registers that hold the item and the queue there.
    pub(super) registers: Registers,
}

/// Where `struct pt_regs` has the registers that hold an item and its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Registers {
    pub(super) item: u32,
    pub(super) queue: u32,
}

/// The places in these functions, and in those they call; none if there is not exactly one use of registers. `list` is where a
/// queue leads to its list.
pub(super) fn find(elf: &Elf<'_>, functions: &[u64], list: u64) -> Option<Vec<Taken>> {
    let mut search = Search {
        elf,
        position: list + POSITION,
        left: INSTRUCTIONS_MAX,
        factory: InstructionInfoFactory::new(),
        functions: BTreeSet::new(),
        found: BTreeSet::new(),
    };
    functions.iter().try_for_each(|function| search.function(*function, 0))?;
    let found: Vec<_> = search.found.into_iter().collect();
    let first = found.first()?.registers;
    found.iter().all(|taken| taken.registers == first).then_some(found)
}

struct Search<'a> {
    elf: &'a Elf<'a>,
    position: u64,
    left: usize,
    factory: InstructionInfoFactory,
    functions: BTreeSet<u64>,
    found: BTreeSet<Taken>,
}

/// What is known at an instruction of those right before it.
#[derive(Debug, Default)]
struct Known {
    /// Registers that hold what is in a slot, and the registers that lead to that.
    loaded: Vec<(Register, Slot)>,
    /// A register that holds what was in a slot before something else was put there.
    item: Option<Register>,
    /// The register that leads to what has its `lst_pos` written.
    queue: Option<Register>,
}

/// An operand in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    base: Register,
    index: Register,
    scale: u32,
    displacement: u64,
}

impl Search<'_> {
    /// Looks through a function and those it calls; none if that is more than can be.
    fn function(&mut self, start: u64, depth: usize) -> Option<()> {
        if !self.functions.insert(start) {
            return Some(());
        }
        let (mut seen, mut next, mut called) = (BTreeSet::new(), vec![start], Vec::new());
        while let Some(start) = next.pop() {
            let mut known = Known::default();
            for instruction in code(self.elf, start) {
                if !seen.insert(instruction.ip()) {
                    break;
                }
                self.left = self.left.checked_sub(1)?;
                let target = instruction.near_branch_target();
                match instruction.flow_control() {
                    FlowControl::Next => known.learn(&instruction, self.position, &mut self.factory),
                    FlowControl::ConditionalBranch => {
                        let registers = known.registers().filter(|_| instruction.is_jcc_short_or_near());
                        self.found.extend(registers.map(|registers| Taken { at: instruction.ip(), registers }));
                        known = Known::default();
                        next.push(target);
                    }
                    FlowControl::UnconditionalBranch => {
                        next.push(target);
                        break;
                    }
                    FlowControl::Call => {
                        known = Known::default();
                        called.extend(self.elf.import(target).is_none().then_some(target));
                    }
                    FlowControl::IndirectCall => known = Known::default(),
                    _ => break,
                }
            }
        }
        if depth < DEPTH_MAX {
            called.into_iter().try_for_each(|function| self.function(function, depth + 1))?;
        }
        Some(())
    }
}

impl Known {
    fn learn(&mut self, instruction: &Instruction, position: u64, factory: &mut InstructionInfoFactory) {
        let slot = Slot::of(instruction);
        let moves = instruction.mnemonic() == Mnemonic::Mov;
        let loads = moves && instruction.op0_kind() == OpKind::Register && instruction.op1_kind() == OpKind::Memory;
        if let Some(slot) = slot.filter(|_| moves && instruction.op0_kind() == OpKind::Memory) {
            let held = self.loaded.iter().find(|(_, loaded)| *loaded == slot).map(|(register, _)| *register);
            self.item = held.or(self.item);
            if slot.displacement == position && slot.index == Register::None {
                self.queue = Some(slot.base);
            }
        }
        let used = factory.info(instruction).used_registers();
        let writes = |register: Register| {
            used.iter().any(|used| {
                used.register().full_register() == register
                    && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead)
            })
        };
        self.loaded.retain(|(register, slot)| ![*register, slot.base, slot.index].into_iter().any(writes));
        self.item = self.item.filter(|register| !writes(*register));
        self.queue = self.queue.filter(|register| !writes(*register));
        let register = instruction.op0_register();
        if let Some(slot) = slot.filter(|slot| loads && register.is_gpr64() && !writes_any(*slot, writes)) {
            self.loaded.push((register, slot));
        }
    }

    fn registers(&self) -> Option<Registers> {
        Some(Registers { item: place(self.item?)?, queue: place(self.queue?)? })
    }
}

fn writes_any(slot: Slot, writes: impl Fn(Register) -> bool) -> bool {
    writes(slot.base) || writes(slot.index)
}

impl Slot {
    /// What an instruction works on in memory, if that is a structure or an array.
    fn of(instruction: &Instruction) -> Option<Self> {
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let plain = instruction.segment_prefix() == Register::None && base.is_gpr64() && base != Register::RSP;
        let displacement = instruction.memory_displacement64();
        plain.then(|| Self { base, index, scale: instruction.memory_index_scale(), displacement })
    }
}

/// Where `struct pt_regs` has a register (arch/x86/include/asm/ptrace.h).
fn place(register: Register) -> Option<u32> {
    let places = [
        Register::R15,
        Register::R14,
        Register::R13,
        Register::R12,
        Register::RBP,
        Register::RBX,
        Register::R11,
        Register::R10,
        Register::R9,
        Register::R8,
        Register::RAX,
        Register::RCX,
        Register::RDX,
        Register::RSI,
        Register::RDI,
    ];
    let place = places.iter().position(|one| *one == register)?;
    u32::try_from(place * 8).ok()
}

#[cfg(test)]
mod tests {
    use super::super::super::code::Code;
    use super::*;

    /// What is known behind these instructions.
    fn known(bytes: &[u8]) -> Option<Registers> {
        let (mut known, mut factory) = (Known::default(), InstructionInfoFactory::new());
        let code = Code::new(0, bytes);
        code.instructions().iter().for_each(|one| known.learn(one, 40, &mut factory));
        known.registers()
    }

    /// `mov rbx, [rsi]; mov [rsi], rcx; mov [r15+40], rdx`.
    const POP: &[u8] = b"\x48\x8b\x1e\x48\x89\x0e\x49\x89\x57\x28";

    #[test]
    fn an_item_is_what_was_in_a_slot_before_it_was_emptied() {
        assert_eq!(known(POP), Some(Registers { item: 40, queue: 0 }));
        let other_order = [&POP[..3], &POP[6..], &POP[3..6]].concat();
        assert_eq!(known(&other_order), known(POP));
    }

    #[test]
    fn nothing_is_known_of_registers_that_were_written() {
        // `xor ebx, ebx` behind it; `inc rsi` before the slot is emptied; `mov r15, rax` behind it.
        assert_eq!(known(&[POP, b"\x31\xdb"].concat()), None);
        assert_eq!(known(&[&POP[..3], b"\x48\xff\xc6", &POP[3..]].concat()), None);
        assert_eq!(known(&[POP, b"\x49\x89\xc7"].concat()), None);
    }

    #[test]
    fn another_slot_or_another_member_is_none() {
        // `mov [rdi], rcx` in place of `mov [rsi], rcx`; `mov [r15+48], rdx` in place of `mov [r15+40], rdx`.
        assert_eq!(known(&[&POP[..3], b"\x48\x89\x0f", &POP[6..]].concat()), None);
        assert_eq!(known(&[&POP[..9], b"\x30"].concat()), None);
    }
}
