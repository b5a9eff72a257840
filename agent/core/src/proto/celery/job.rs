//! What a process of Celery's pool is given: a pickled tuple with the function to be run, the task's name, and its request
//! (celery/app/trace.py, `fast_trace_task` and `trace_task_ret`; billiard/pool.py, `TASK`).

use std::ops::Range;

use super::MASK;
use super::uuid::{CHARACTERS, Uuid};
use crate::ids::TaskId;

/// The module of these functions.
const MODULE: &[u8] = b"celery.app.trace";

/// How a pickle writes that a string of a UUID's length follows: `SHORT_BINUNICODE` from protocol 4 on, `BINUNICODE` before
/// (Lib/pickletools.py).
const STRINGS: [&[u8]; 2] = [&[0x8c, CHARACTERS as u8], &[b'X', CHARACTERS as u8, 0, 0, 0]];

/// The task of a job, out of its first bytes; none if it is no job, or its name lies behind them.
#[must_use]
pub fn task_of_job(bytes: &[u8]) -> Option<TaskId> {
    find(bytes).map(|(_, task)| task)
}

/// Masks all that [`task_of_job`] does not need.
pub fn mask_job(bytes: &mut [u8]) {
    let module = position(bytes, MODULE).map(|at| at..at + MODULE.len());
    let kept = find(bytes).map(|(name, _)| name).zip(module);
    for (at, byte) in bytes.iter_mut().enumerate() {
        if !kept.as_ref().is_some_and(|(name, module)| name.contains(&at) || module.contains(&at)) {
            *byte = MASK;
        }
    }
}

/// The first UUID behind the module's name, with the place of its string, opcode and all.
fn find(bytes: &[u8]) -> Option<(Range<usize>, TaskId)> {
    let behind = position(bytes, MODULE)? + MODULE.len();
    let begins = |at: usize| STRINGS.iter().find(|start| bytes[at..].starts_with(start)).map(|start| start.len());
    (behind..bytes.len()).find_map(|at| {
        let text = at + begins(at)?;
        let end = text + CHARACTERS;
        Some((at..end, Uuid::read(bytes.get(text..end)?)?))
    })
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
