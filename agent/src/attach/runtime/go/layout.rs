//! Where a build keeps what is read of its structures: taken from the code that uses it, so that there is no table of
//! versions.

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

/// `net/http.Request.ctx`, out of its method `write`, which first asks for a value of it: both words of the interface's value
/// are read before the first call.
pub(super) fn request_context(write: &Code) -> Option<u32> {
    let before = write.instructions().iter().take_while(|one| one.flow_control() != FlowControl::IndirectCall);
    let loads: Vec<_> = before.filter(|one| is_load(one)).filter_map(member).collect();
    let (request, first) = loads.iter().copied().find(|(base, _)| *base == Register::RAX)?;
    (first != 0 && loads.contains(&(request, first + 8))).then_some(first)
}

/// `g.sched.ctxt`, out of `runtime.mcall`, which is written in assembly: it stores what `g` goes on with, the stack's pointer
/// first among the members (runtime/runtime2.go, `gobuf`: sp, pc, g, ctxt).
pub(super) fn function(mcall: &Code) -> Option<u32> {
    const CTXT: u32 = 24;
    let stores = mcall.instructions().iter().filter(|one| is_store(one)).filter_map(member);
    let first = stores.filter(|(base, _)| *base == Register::R14).map(|(_, offset)| offset).min()?;
    Some(first + CTXT)
}

/// `g.sched.bp`, out of the same: the last that it stores before it leaves the goroutine.
pub(super) fn frame(mcall: &Code) -> Option<u32> {
    let before = mcall.instructions().iter().take_while(|one| one.flow_control() == FlowControl::Next);
    let stores = before.filter(|one| is_store(one)).filter_map(member);
    stores.filter(|(base, _)| *base == Register::R14).map(|(_, offset)| offset).last()
}

/// `hchan.elemtype`, out of `runtime.chansend`: it is the first argument of the call that copies what is sent.
pub(super) fn channel_type(chansend: &Code, copies: u64) -> Option<u32> {
    let before = chansend.instructions().iter().take_while(|one| one.ip() < copies);
    let last = before.filter(|one| is_load(one) && one.op0_register() == Register::RAX).last()?;
    member(last).map(|(_, offset)| offset)
}

/// `g.startpc`, out of `runtime.newproc1`: the first word of the function value is read and kept, behind the number.
pub(super) fn start(newproc1: &Code, goid: u32) -> Option<u32> {
    newproc1.instructions().array_windows().find_map(|[read, kept]| {
        let reads = is_load(read) && member(read).is_some_and(|(_, offset)| offset == 0);
        let keeps = is_store(kept) && kept.op1_register() == read.op0_register();
        member(kept).filter(|(_, offset)| reads && keeps && *offset > goid).map(|(_, offset)| offset)
    })
}

/// How far below the highest address of its stack a coroutine keeps its `coro`, out of `runtime.corostart`, its first
/// function, which reads it from `g` and puts it on the stack.
pub(super) fn coroutine(corostart: &Code) -> Option<u32> {
    /// Bytes above that function's frame: four words that `newproc1` leaves, where it returns to, and the frame's pointer.
    const ABOVE: u32 = 48;
    let all = corostart.instructions();
    let frame = all.iter().find(|one| one.mnemonic() == Mnemonic::Sub && one.op0_register() == Register::RSP)?;
    let read = all.iter().find(|one| is_load(one) && member(one).is_some_and(|(base, _)| base == Register::R14))?;
    let kept = all.iter().skip_while(|one| one.ip() <= read.ip()).find(|one| {
        let stores = one.mnemonic() == Mnemonic::Mov && one.op0_kind() == OpKind::Memory;
        stores && one.memory_base() == Register::RSP && one.op1_register() == read.op0_register()
    })?;
    let (size, place) = (u32::try_from(frame.immediate(1)).ok()?, u32::try_from(kept.memory_displacement64()).ok()?);
    size.checked_add(ABOVE)?.checked_sub(place)
}

/// `timer.arg`, its second word, from what stands for the timer in package `time`. Out of the function that runs one, which
/// reads when, period, f, arg (two words) and seq before it calls anything (runtime/time.go), and out of `time.stopTimer`,
/// which leads from the one to the other.
pub(super) fn timer_function(runs: &Code, stop: &Code) -> Option<u32> {
    const MEMBERS: usize = 6;
    const ARG: u32 = 32;
    let before = runs.instructions().iter().take_while(|one| one.flow_control() != FlowControl::Call);
    let mut read: Vec<_> = before.filter(|one| is_load(one)).filter_map(member).filter(|(_, at)| *at != 0).collect();
    read.sort_unstable();
    read.dedup();
    let follow = |two: &[(Register, u32)]| two[0].0 == two[1].0 && two[0].1 + 8 == two[1].1;
    let begin = read.windows(MEMBERS).find(|six| six.windows(2).all(follow))?.first()?.1;
    let leads = |one: &&Instruction| one.mnemonic() == Mnemonic::Add && one.op0_register() == Register::RAX;
    let within = stop.instructions().iter().find(leads).map_or(0, |one| one.immediate(1));
    u32::try_from(within).ok()?.checked_add(begin + ARG)
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
