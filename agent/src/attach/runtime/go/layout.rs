//! Where a build keeps what is read of its structures: taken from the code that uses it, so that there is no table of
//! versions.

use agent_ebpf::wire::config::Go;
use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::super::code::{Code, member};

/// `g.m` and `m.curg` (runtime/runtime2.go), out of `runtime.systemstack`, which is written in assembly: it follows `g.m`
/// and compares `g` with `m.gsignal` and then with `m.curg`.
pub(super) fn current(systemstack: &Code) -> Option<(u32, u32)> {
    let mut members = systemstack.instructions().iter().filter_map(|one| Some((one, member(one)?)));
    let (load, (_, g_m)) = members.find(|(one, _)| one.mnemonic() == Mnemonic::Mov && is_load(one))?;
    let of_m = move |(one, (base, _)): &(&Instruction, (Register, u32))| {
        one.mnemonic() == Mnemonic::Cmp && *base == load.op0_register()
    };
    let (_, (_, m_curg)) = members.filter(of_m).nth(1)?;
    Some((g_m, m_curg))
}

/// `g.goid`, out of `runtime.newproc1`: there a number is read from the processor's store of them, given to the new
/// goroutine, and raised in the store. And where the number is given.
pub(super) fn goid(newproc1: &Code) -> Option<(u32, u64)> {
    let all = newproc1.instructions();
    let raised = all.iter().enumerate().filter(|(_, one)| one.mnemonic() == Mnemonic::Inc && is_word(one));
    raised.filter_map(|(index, one)| Some((index, member(one)?.1))).find_map(|(index, store)| {
        let before = all.get(..index)?;
        let read = before.iter().rposition(|one| is_load(one) && member(one).is_some_and(|(_, at)| at == store))?;
        let number = before.get(read)?.op0_register();
        let given = before.get(read..)?.iter().find(|one| is_store(one) && one.op1_register() == number)?;
        Some((member(given)?.1, given.ip()))
    })
}

/// `net/http.persistConn.conn`, its second word, out of its method `Read`: the interface's two words are read, and a method
/// of the first called on the second.
pub(super) fn connection(read: &Code) -> Option<u32> {
    let call = |one: &Instruction| one.flow_control() == FlowControl::IndirectCall;
    let before: Vec<_> = read.instructions().iter().take_while(|one| !call(one)).collect();
    let mut loads = before.iter().rev().filter(|one| is_load(one)).filter_map(|one| member(one)).collect::<Vec<_>>();
    loads.reverse();
    let two = loads.windows(2).rev().find(|two| two[0].0 == two[1].0 && two[0].1 + 8 == two[1].1)?;
    Some(two[1].1)
}

/// The layout as a whole; `connection` is 0 where the program does not call over HTTP.
pub(super) fn layout(systemstack: &Code, goid: u32, connection: u32) -> Option<Go> {
    let (g_m, m_curg) = current(systemstack)?;
    Some(Go { g_m, m_curg, g_goid: goid, connection })
}

/// True of 64 bits.
fn is_word(instruction: &Instruction) -> bool {
    instruction.memory_size().size() == 8
}

fn is_load(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Mov && instruction.op1_kind() == OpKind::Memory && is_word(instruction)
}

fn is_store(instruction: &Instruction) -> bool {
    let registers = instruction.op0_kind() == OpKind::Memory && instruction.op1_kind() == OpKind::Register;
    instruction.mnemonic() == Mnemonic::Mov && registers && is_word(instruction) && member(instruction).is_some()
}
