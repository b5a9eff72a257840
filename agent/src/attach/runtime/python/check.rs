//! Whether a process's memory is what its version says: every thread that the runtime lists is one of the kernel's, and runs
//! in a context or in none.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use super::super::Refusal;
use super::super::elf::word;
use super::layout::Layout;

/// Thread states that are looked at.
const THREADS_MAX: usize = 256;
/// Threads and contexts come and go while they are looked at: it is looked so often before a process is refused.
const LOOKS: usize = 3;
/// `PyObject.ob_type` (Include/object.h).
const OB_TYPE: u64 = 8;
/// Where C libraries keep the kernel's number of a thread, from its thread pointer on: glibc (`struct pthread.tid`,
/// nptl/descr.h) and musl from 1.2 on (src/internal/pthread_impl.h), on x86-64.
const TID: [u64; 2] = [720, 48];

/// What is looked for in a process.
pub(super) struct Expected {
    /// Process id.
    pub(super) tgid: u32,
    /// Address of `_PyRuntime`.
    pub(super) runtime: u64,
    /// Address of `PyContext_Type`.
    pub(super) context_type: u64,
    /// Where its version keeps things.
    pub(super) layout: Layout,
}

impl Expected {
    /// Looks at the process: the pointers of its threads.
    ///
    /// # Errors
    /// It is not what was expected, or is not yet.
    pub(super) fn check(&self) -> Result<Vec<u64>, Refusal> {
        let memory = File::open(format!("/proc/{}/mem", self.tgid)).map_err(|_| Refusal::Unreadable("its memory"))?;
        let mut outcome = self.look(&memory);
        for _ in 1..LOOKS {
            if !matches!(outcome, Err(Refusal::Check(_))) {
                break;
            }
            outcome = self.look(&memory);
        }
        outcome
    }

    fn look(&self, memory: &File) -> Result<Vec<u64>, Refusal> {
        let head = word(memory, self.runtime.wrapping_add(self.layout.interpreters_head.into()));
        let interpreter = head.map_err(|_| Refusal::Unreadable("its memory"))?;
        if interpreter == 0 {
            return Err(Refusal::NotStarted);
        }
        let broken = |_| Refusal::Check("a list of threads leads nowhere");
        let mut state = word(memory, interpreter.wrapping_add(self.layout.threads_head.into())).map_err(broken)?;
        if state == 0 {
            return Err(Refusal::NotStarted);
        }
        let tasks = tasks(self.tgid).ok_or(Refusal::Unreadable("its threads"))?;
        let mut pointers = Vec::new();
        while state != 0 && pointers.len() < THREADS_MAX {
            let member = |offset: u32| word(memory, state.wrapping_add(offset.into())).map_err(broken);
            let pointer = member(self.layout.thread_id)?;
            let known = match self.layout.native_id {
                // One that is just being made has none yet.
                Some(offset) => {
                    let native = member(offset)?;
                    native == 0 || tasks.contains(&native)
                }
                None => is_thread(memory, pointer, &tasks),
            };
            if !known {
                return Err(Refusal::Check("it lists a thread that the kernel does not know"));
            }
            let context = member(self.layout.context)?;
            if context != 0 && word(memory, context.wrapping_add(OB_TYPE)).ok() != Some(self.context_type) {
                return Err(Refusal::Check("it runs a thread in what is not a context"));
            }
            pointers.push(pointer);
            state = member(self.layout.thread_next)?;
        }
        Ok(pointers)
    }
}

/// True if a thread pointer is that of one of the kernel's threads. What it points to begins with itself (System V ABI for
/// x86-64, thread-local storage, variant II), and somewhere behind is the kernel's number.
fn is_thread(memory: &File, pointer: u64, tasks: &BTreeSet<u64>) -> bool {
    const LOW_HALF: u64 = 0xffff_ffff;
    let at = |offset| word(memory, pointer.wrapping_add(offset)).ok();
    at(0) == Some(pointer) && TID.iter().any(|offset| at(*offset).is_some_and(|tid| tasks.contains(&(tid & LOW_HALF))))
}

/// Thread ids as the process itself knows them.
fn tasks(tgid: u32) -> Option<BTreeSet<u64>> {
    let threads = std::fs::read_dir(format!("/proc/{tgid}/task")).ok()?.flatten().take(4 * THREADS_MAX);
    Some(threads.filter_map(|task| inner_id(&task.path().join("status"))).collect())
}

/// The last number of `NSpid` (proc_pid_status(5)).
fn inner_id(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_ascii_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::thread::JoinHandleExt as _;

    use super::super::layout::Frame;
    use super::*;

    /// A runtime of two threads in this process's own memory, by the place of each word.
    #[repr(C)]
    struct Forged {
        interpreter: u64,
        threads: u64,
        first: [u64; 4],
        second: [u64; 4],
        context: [u64; 2],
    }

    const LAYOUT: Layout = Layout {
        interpreters_head: 0,
        threads_head: 0,
        thread_next: 0,
        thread_id: 8,
        native_id: Some(16),
        context: 24,
        frame: Frame { thread: 0, within: 0, code: 0, name: 0, text: 0 },
        simple_list: 0,
    };
    const TYPE: u64 = 0x7e57;

    /// One that is as it should be, but for what is done to it.
    fn checked(layout: Layout, but: impl FnOnce(&mut Forged)) -> Result<Vec<u64>, Refusal> {
        let native: u64 = std::process::id().into();
        let mut forged =
            Box::new(Forged { interpreter: 0, threads: 0, first: [0; 4], second: [0; 4], context: [0, TYPE] });
        forged.interpreter = &raw const forged.threads as u64;
        forged.threads = forged.first.as_ptr() as u64;
        forged.first = [forged.second.as_ptr() as u64, 0, native, forged.context.as_ptr() as u64];
        forged.second = [0, 0, native, 0];
        but(&mut forged);
        let runtime = &raw const *forged as u64;
        Expected { tgid: std::process::id(), runtime, context_type: TYPE, layout }.check()
    }

    #[test]
    fn a_runtime_is_what_its_layout_says() {
        let checked = |but: fn(&mut Forged)| checked(LAYOUT, but);
        assert_eq!(checked(|_| {}), Ok(vec![0, 0]));
        assert_eq!(checked(|forged| forged.interpreter = 0), Err(Refusal::NotStarted));
        assert_eq!(checked(|forged| forged.threads = 0), Err(Refusal::NotStarted));
        let nowhere = Err(Refusal::Check("a list of threads leads nowhere"));
        assert_eq!(checked(|forged| forged.first[0] = 8), nowhere);
        let stranger = Err(Refusal::Check("it lists a thread that the kernel does not know"));
        assert_eq!(checked(|forged| forged.second[2] = u64::MAX), stranger);
        let no_context = Err(Refusal::Check("it runs a thread in what is not a context"));
        assert_eq!(checked(|forged| forged.context[1] = TYPE + 8), no_context);
        assert_eq!(checked(|forged| forged.second[3] = 8), no_context);
    }

    #[test]
    fn without_the_kernels_number_a_thread_is_known_by_its_pointer() {
        let (said, heard) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || heard.recv());
        let pointer = thread.as_pthread_t();
        let checked = |pointer| {
            let layout = Layout { native_id: None, ..LAYOUT };
            checked(layout, |forged| (forged.first[1], forged.second[1]) = (pointer, pointer))
        };
        assert_eq!(checked(pointer), Ok(vec![pointer, pointer]));
        let itself = Box::new(0_u64);
        for other in [0, 8, pointer + 8, &raw const *itself as u64] {
            assert!(matches!(checked(other), Err(Refusal::Check(_))), "{other:#x}");
        }
        drop(said);
        assert!(thread.join().expect("it did not panic").is_err());
    }
}
