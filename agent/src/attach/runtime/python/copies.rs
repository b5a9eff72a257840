//! Where contexts are copied: within `PyContext_CopyCurrent` (Python/context.c), once the copy has its memory.
//!
//! A copy's memory is new, from `_PyObject_GC_New(&PyContext_Type)`, or that of a context that was freed before, which
//! `_Py_NewReference` brings back. So there are two places: the jump that looks whether there was memory, with the copy in rax,
//! and the call that brings one back, with the copy in rdi. The kernel emulates both, and unlike a return probe they leave the
//! stack alone, which greenlets copy. What the compiler did not put into the function is followed: jumps out of it, and calls.

use std::collections::{BTreeMap, BTreeSet};

use agent_ebpf::wire::names::program;
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use super::super::Refusal;
use super::super::elf::Elf;

/// Instructions that are looked at, in all.
const INSTRUCTIONS_MAX: usize = 4096;
/// Bytes that are read for a piece of code.
const PIECE: u64 = 4096;
/// Calls within calls that are followed: `context_new_from_vars`, and `_context_alloc` in it.
const DEPTH_MAX: usize = 2;

/// Programs and addresses of the probes.
///
/// # Errors
/// The code is not as it is in the builds known.
pub(super) fn find(elf: &Elf<'_>, copy: u64) -> Result<Vec<(&'static str, u64)>, Refusal> {
    let missing = Refusal::Symbols("where PyContext_CopyCurrent makes the copy");
    let mut search = Search {
        elf,
        context_type: elf.exported("PyContext_Type")?,
        new: elf.exported("_PyObject_GC_New")?,
        again: elf.exported("_Py_NewReference")?,
        left: INSTRUCTIONS_MAX,
        factory: InstructionInfoFactory::new(),
        functions: BTreeSet::new(),
        sites: BTreeMap::new(),
    };
    search.function(copy, 0).ok_or_else(|| missing.clone())?;
    let sites: Vec<_> = search.sites.into_iter().map(|(address, program)| (program, address)).collect();
    let has = |wanted| sites.iter().any(|(program, _)| *program == wanted);
    if has(program::PYTHON_MADE) && has(program::PYTHON_REUSED) { Ok(sites) } else { Err(missing) }
}

struct Search<'a> {
    elf: &'a Elf<'a>,
    context_type: u64,
    new: u64,
    again: u64,
    left: usize,
    factory: InstructionInfoFactory,
    functions: BTreeSet<u64>,
    sites: BTreeMap<u64, &'static str>,
}

/// What is known at an instruction of what ran before it.
#[derive(Clone, Default)]
struct Known {
    /// Addresses in registers.
    addresses: BTreeMap<Register, u64>,
    /// rax is a new context, or null.
    made: bool,
}

/// Registers that a function leaves as they were (System V ABI for x86-64, 3.2.1).
const KEPT: [Register; 6] = [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];

impl Search<'_> {
    /// Looks through a function and those it calls; none if that is more than can be.
    fn function(&mut self, start: u64, depth: usize) -> Option<()> {
        if !self.functions.insert(start) {
            return Some(());
        }
        let (mut made, mut reused, mut called) = (Vec::new(), Vec::new(), Vec::new());
        let (mut seen, mut next) = (BTreeSet::new(), vec![(start, Known::default())]);
        while let Some((start, mut known)) = next.pop() {
            for instruction in code(self.elf, start) {
                if !seen.insert(instruction.ip()) {
                    break;
                }
                self.left = self.left.checked_sub(1)?;
                let target = instruction.near_branch_target();
                match instruction.flow_control() {
                    FlowControl::Next => self.learn(&mut known, &instruction),
                    FlowControl::ConditionalBranch => {
                        made.extend(known.made.then_some(instruction.ip()));
                        known.made = false;
                        next.push((target, known.clone()));
                    }
                    FlowControl::UnconditionalBranch => {
                        next.push((target, known));
                        break;
                    }
                    FlowControl::Call => {
                        let callee = self.callee(target);
                        let first = known.addresses.get(&Register::RDI);
                        known.made = callee == Some(self.new) && first == Some(&self.context_type);
                        known.addresses.retain(|register, _| KEPT.contains(register));
                        if callee == Some(self.again) {
                            reused.push(instruction.ip());
                        } else if callee.is_none() {
                            called.push(target);
                        }
                    }
                    FlowControl::IndirectCall => known = Known::default(),
                    _ => break,
                }
            }
        }
        // What is brought back where no context is made is something else.
        if !made.is_empty() {
            self.sites.extend(made.into_iter().map(|at| (at, program::PYTHON_MADE)));
            self.sites.extend(reused.into_iter().map(|at| (at, program::PYTHON_REUSED)));
        }
        if depth < DEPTH_MAX {
            for function in called {
                self.function(function, depth + 1)?;
            }
        }
        Some(())
    }

    /// Which of the functions that matter is called, if it is one that other files may replace or that matters; none if it is
    /// the file's own.
    fn callee(&self, target: u64) -> Option<u64> {
        match self.elf.import(target) {
            Some(b"_PyObject_GC_New") => Some(self.new),
            Some(b"_Py_NewReference") => Some(self.again),
            Some(_) => Some(target),
            None => [self.new, self.again].into_iter().find(|known| *known == target),
        }
    }

    fn learn(&mut self, known: &mut Known, instruction: &Instruction) {
        let address = self.address(known, instruction);
        let used = self.factory.info(instruction).used_registers();
        let writes = |register: Register| {
            used.iter().any(|used| {
                used.register().full_register() == register
                    && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead)
            })
        };
        if writes(Register::RAX) {
            known.made = false;
        }
        known.addresses.retain(|register, _| !writes(*register));
        if let Some(address) = address {
            known.addresses.insert(instruction.op0_register().full_register(), address);
        }
    }

    /// The address that an instruction puts into a register, where it is that of something in the file.
    fn address(&self, known: &Known, instruction: &Instruction) -> Option<u64> {
        if instruction.op0_kind() != OpKind::Register {
            return None;
        }
        match (instruction.mnemonic(), instruction.op1_kind()) {
            (Mnemonic::Lea, _) if instruction.is_ip_rel_memory_operand() => Some(instruction.ip_rel_memory_address()),
            (Mnemonic::Mov, OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64) => {
                Some(instruction.immediate(1))
            }
            (Mnemonic::Mov, OpKind::Register) => {
                known.addresses.get(&instruction.op1_register().full_register()).copied()
            }
            (Mnemonic::Mov, OpKind::Memory) if instruction.is_ip_rel_memory_operand() => {
                let slot = instruction.ip_rel_memory_address();
                match self.elf.imported_at(slot) {
                    Some(b"PyContext_Type") => Some(self.context_type),
                    Some(_) => None,
                    None => self.elf.pointer(slot),
                }
            }
            _ => None,
        }
    }
}

/// The instructions from an address on.
pub(super) fn code(elf: &Elf<'_>, start: u64) -> impl Iterator<Item = Instruction> {
    let bytes = elf.piece(start, PIECE).unwrap_or_default();
    Decoder::with_ip(64, bytes, start, DecoderOptions::NONE).into_iter()
}
