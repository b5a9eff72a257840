//! A function of somebody else's, instruction by instruction: where a probe may go in it.

use iced_x86::{Code as Opcode, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, Register};

/// Bytes of a function that are looked at.
pub(super) const BYTES_MAX: u64 = 64 << 10;

/// The instructions of a function.
#[derive(Debug)]
pub(super) struct Code {
    instructions: Vec<Instruction>,
}

impl Code {
    /// Takes a function apart that begins at an address.
    pub(super) fn new(start: u64, bytes: &[u8]) -> Self {
        Self { instructions: Decoder::with_ip(64, bytes, start, DecoderOptions::NONE).into_iter().collect() }
    }

    /// Its instructions, in order.
    pub(super) fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The calls of a function within it, in order.
    pub(super) fn calls(&self, function: u64) -> impl DoubleEndedIterator<Item = u64> {
        let leads_there =
            move |one: &&Instruction| one.code() == Opcode::Call_rel32_64 && one.near_branch_target() == function;
        self.instructions.iter().filter(leads_there).map(Instruction::ip)
    }

    /// The functions that are called within it, and from where, in order.
    pub(super) fn all_calls(&self) -> impl Iterator<Item = (u64, u64)> {
        let direct = self.instructions.iter().filter(|one| one.code() == Opcode::Call_rel32_64);
        direct.map(|one| (one.ip(), one.near_branch_target()))
    }

    /// The first site behind a jump that leads away, as from a check of the stack's room: the instruction there, if the
    /// kernel emulates it, or else the jump itself. A probe there must not count a jump that is taken.
    pub(super) fn behind_check(&self, jump: Mnemonic) -> Option<u64> {
        let check = self.instructions.iter().position(|one| one.flow_control() != FlowControl::Next)?;
        let taken = self.instructions.get(check).filter(|one| one.mnemonic() == jump)?;
        let next = self.instructions.get(check + 1)?;
        Some(if is_emulated(next) { next.ip() } else { taken.ip() })
    }
}

/// True if the kernel does what an instruction does itself (arch/x86/kernel/uprobes.c): a probe on any other one costs ten
/// times as much, since that is stepped over.
pub(super) fn is_emulated(instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => true,
        _ => instruction.code() == Opcode::Push_r64,
    }
}

/// What a member of a structure is at: the offset in an operand in memory, and the register that leads to the structure. What
/// is a thread's own, behind a segment's register, is no structure.
pub(super) fn member(instruction: &Instruction) -> Option<(Register, u32)> {
    let base = instruction.memory_base();
    let plain = instruction.segment_prefix() == Register::None
        && base.is_gpr64()
        && base != Register::RSP
        && instruction.memory_index() == Register::None;
    let offset = u32::try_from(instruction.memory_displacement64()).ok()?;
    plain.then_some((base, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cmp rsp, [r14+16]; jbe +3; push rbp; call +0; call -5; ret`, and the same with `sub rsp, 8` for the `push`.
    const PUSHES: &[u8] = b"\x49\x3b\x66\x10\x76\x03\x55\xe8\0\0\0\0\xe8\xfb\xff\xff\xff\xc3";
    const SUBTRACTS: &[u8] = b"\x49\x3b\x66\x10\x76\x03\x48\x83\xec\x08\xc3";

    #[test]
    fn a_probe_goes_behind_the_check_or_on_its_jump() {
        assert_eq!(Code::new(0x1000, PUSHES).behind_check(Mnemonic::Jbe), Some(0x1006));
        assert_eq!(Code::new(0x1000, SUBTRACTS).behind_check(Mnemonic::Jbe), Some(0x1004));
        assert_eq!(Code::new(0x1000, PUSHES).behind_check(Mnemonic::Je), None);
        assert_eq!(Code::new(0x1000, b"\xc3").behind_check(Mnemonic::Jbe), None);
    }

    #[test]
    fn calls_are_known_by_where_they_lead() {
        let code = Code::new(0x1000, PUSHES);
        assert_eq!(code.calls(0x100c).collect::<Vec<_>>(), [0x1007, 0x100c]);
        assert_eq!(code.calls(0x1000).count(), 0);
    }

    #[test]
    fn members_are_found_through_registers_alone() {
        let of = |bytes: &[u8]| member(&Code::new(0, bytes).instructions()[0]);
        assert_eq!(of(b"\x49\x3b\x66\x10"), Some((Register::R14, 16)));
        assert_eq!(of(b"\x48\x8b\x44\x24\x08"), None); // mov rax, [rsp+8]
        assert_eq!(of(b"\x48\x8b\x05\0\0\0\0"), None); // mov rax, [rip]
        assert_eq!(of(b"\x64\x48\x8b\x01"), None); // mov rax, fs:[rcx]
    }
}
