//! `struct task_struct` (Linux 6.18, include/linux/sched.h) and what hangs off it.

use core::ffi::c_void;

use aya_ebpf::bindings::{BPF_LOCAL_STORAGE_GET_F_CREATE, task_struct};
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs, bpf_task_storage_get};

use crate::kernel::{copy, load};
use crate::maps::{self, THREADS, Thread, Value, offset};

/// `PF_IO_WORKER`, `PF_USER_WORKER` and `PF_KTHREAD`: tasks without registers of their own.
const PF_NO_USER: u32 = 0x10 | 0x4000 | 0x0020_0000;
/// `TS_COMPAT`: the task is in a 32-bit system call.
const TS_COMPAT: u32 = 2;
/// `SIGNAL_GROUP_EXIT`.
const SIGNAL_GROUP_EXIT: u32 = 4;
/// A task, as a BTF pointer.
#[derive(Clone, Copy)]
pub struct Task(*mut task_struct);

impl Task {
    /// The task this hook runs in.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper has no preconditions.
        Self(unsafe { bpf_get_current_task_btf() })
    }

    /// A task a tracepoint hands out.
    #[inline(always)]
    pub const fn from_argument(pointer: *const c_void) -> Self {
        Self(pointer.cast_mut().cast())
    }

    #[inline(always)]
    const fn base(self) -> *const c_void {
        self.0.cast_const().cast()
    }

    /// Process id in the initial pid namespace.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        load(self.base(), offset!(task_tgid))
    }

    /// Thread id in the initial pid namespace.
    #[inline(always)]
    pub fn tid(self) -> u32 {
        load(self.base(), offset!(task_pid))
    }

    /// When its process started: `start_boottime` of the group leader.
    #[inline(always)]
    pub fn process_start(self) -> u64 {
        let leader: *const c_void = load(self.base(), offset!(task_group_leader));
        load(leader, offset!(task_start))
    }

    /// What its process is called: `comm` of the group leader, which an exec sets to the program's name.
    #[inline(always)]
    pub fn process_comm(self) -> [u8; 16] {
        let leader: *const c_void = load(self.base(), offset!(task_group_leader));
        copy(leader.wrapping_byte_add(offset!(task_comm) as usize)).unwrap_or_default()
    }

    /// What user space calls the thread by (`pthread_self`).
    #[inline(always)]
    pub fn thread_pointer(self) -> u64 {
        load(self.base(), offset!(task_thread_pointer))
    }

    /// True if its registers are those of a 64-bit system call of its own.
    #[inline(always)]
    pub fn has_user_registers(self) -> bool {
        let flags: u32 = load(self.base(), offset!(task_flags));
        if flags & PF_NO_USER != 0 {
            return false;
        }
        let status: u32 = load(self.base(), offset!(task_status));
        status & TS_COMPAT == 0
    }

    /// True if its whole process is ending: the thread did not end by itself.
    #[inline(always)]
    pub fn group_exits(self) -> bool {
        let signal: *const c_void = load(self.base(), offset!(task_signal));
        let flags: u32 = load(signal, offset!(signal_flags));
        flags & SIGNAL_GROUP_EXIT != 0
    }

    /// True if no other thread of its process lives (`signal_struct.live` is lowered before the exit hook runs).
    #[inline(always)]
    pub fn last_of_process(self) -> bool {
        let signal: *const c_void = load(self.base(), offset!(task_signal));
        let live: i32 = load(signal, offset!(signal_live));
        live == 0
    }

    /// The registers of its system call.
    #[inline(always)]
    pub fn registers(self) -> Registers {
        // SAFETY: the task is a BTF pointer, as the helper demands; it returns a pointer to `struct pt_regs`.
        Registers(unsafe { bpf_task_pt_regs(self.0) } as usize as *const c_void)
    }

    /// Address of the file that descriptor `fd` leads to; 0 if there is no such descriptor.
    #[inline(always)]
    pub fn file_of(self, fd: u32) -> u64 {
        let files: *const c_void = load(self.base(), offset!(task_files));
        let table: *const c_void = load(files, offset!(files_table));
        let max: u32 = load(table, offset!(table_max));
        if fd >= max {
            return 0;
        }
        let slots: u64 = load(table, offset!(table_files));
        copy((slots + u64::from(fd) * 8) as *const c_void).unwrap_or(0)
    }

    /// Cookie of the socket that descriptor `fd` leads to; 0 if it leads to something else, or nobody asked for it yet.
    #[inline(always)]
    pub fn cookie_of(self, fd: u32) -> u64 {
        let file = self.file_of(fd);
        // What is no socket has something else there, which leads back to no such file.
        let member = |base: u64, offset: u32| copy::<u64>((base + u64::from(offset)) as *const c_void).unwrap_or(0);
        let socket = member(file, offset!(file_private));
        if file == 0 || member(socket, offset!(socket_file)) != file {
            return 0;
        }
        member(member(socket, offset!(socket_sock)), offset!(sock_cookie))
    }

    /// Number of the pipe that descriptor `fd` leads to; none if it leads to something else.
    #[inline(always)]
    pub fn pipe_of(self, fd: u32) -> Option<u64> {
        /// `S_IFMT` and `S_IFIFO`.
        const TYPE: u16 = 0o170_000;
        const PIPE: u16 = 0o010_000;
        let file = self.file_of(fd);
        if file == 0 {
            return None;
        }
        let inode: u64 = copy((file + u64::from(offset!(file_inode))) as *const c_void)?;
        let mode: u16 = copy((inode + u64::from(offset!(inode_mode))) as *const c_void)?;
        if mode & TYPE != PIPE {
            return None;
        }
        copy((inode + u64::from(offset!(inode_number))) as *const c_void)
    }

    /// What this thread carries, made if it is not there yet.
    #[inline(always)]
    pub fn thread(self) -> Option<Value<Thread>> {
        self.storage(u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE))
    }

    /// What this thread carries, if it ever carried anything.
    #[inline(always)]
    pub fn known_thread(self) -> Option<Value<Thread>> {
        self.storage(0)
    }

    #[inline(always)]
    fn storage(self, flags: u64) -> Option<Value<Thread>> {
        let map = maps::TaskStorage::as_ptr(&THREADS);
        // SAFETY: the map is task storage and the task a BTF pointer; a null value means zeroed.
        Value::new(unsafe { bpf_task_storage_get(map, self.0, core::ptr::null_mut(), flags) }.cast())
    }
}

/// `struct pt_regs` of a system call on x86-64 (arch/x86/include/asm/ptrace.h; a stable layout).
#[derive(Clone, Copy)]
pub struct Registers(*const c_void);

impl Registers {
    /// System call number.
    #[inline(always)]
    pub fn number(self) -> u64 {
        load(self.0, 120)
    }

    /// True while the call runs: the entry code sets its result to `-ENOSYS` (arch/x86/entry/entry_64.S), and what is done
    /// for a task on its way back to user space, such as completions of io_uring, comes behind the result.
    #[inline(always)]
    pub fn in_call(self) -> bool {
        const ENOSYS: i64 = 38;
        let result: i64 = load(self.0, 80);
        result == -ENOSYS
    }

    /// First argument.
    #[inline(always)]
    pub fn first(self) -> u64 {
        load(self.0, 112)
    }

    /// Second argument.
    #[inline(always)]
    pub fn second(self) -> u64 {
        load(self.0, 104)
    }

    /// Third argument.
    #[inline(always)]
    pub fn third(self) -> u64 {
        load(self.0, 96)
    }
}

/// Registers of user space where a probe is, and in a system call: what Go keeps in them.
impl Registers {
    /// Those of a probe of user space, whose context they are.
    #[inline(always)]
    pub const fn from_probe(context: *mut c_void) -> Self {
        Self(context)
    }

    /// The register at a place of the structure that user space knows; 0 if there is none.
    #[inline(always)]
    pub fn at(self, place: u32) -> u64 {
        // The verifier takes no offset that it does not know, but for a copy.
        copy(self.0.wrapping_byte_add(place as usize)).unwrap_or(0)
    }

    /// `r14`: the goroutine (`g`), in Go's own code.
    #[inline(always)]
    pub fn r14(self) -> u64 {
        load(self.0, 8)
    }

    /// `rbp`: the frame.
    #[inline(always)]
    pub fn rbp(self) -> u64 {
        load(self.0, 32)
    }

    /// `rsp`: the stack.
    #[inline(always)]
    pub fn rsp(self) -> u64 {
        load(self.0, 152)
    }

    /// `rcx`: the third argument of Go's functions.
    #[inline(always)]
    pub fn rcx(self) -> u64 {
        load(self.0, 88)
    }

    /// `rbx`: the second argument of Go's functions.
    #[inline(always)]
    pub fn rbx(self) -> u64 {
        load(self.0, 40)
    }

    /// `rax`: the first argument of Go's functions.
    #[inline(always)]
    pub fn rax(self) -> u64 {
        load(self.0, 80)
    }

    /// True if a jump for "below or equal" is taken: the carry or the zero flag is set.
    #[inline(always)]
    pub fn below_or_equal(self) -> bool {
        const CARRY_OR_ZERO: u64 = 0x41;
        let flags: u64 = load(self.0, 144);
        flags & CARRY_OR_ZERO != 0
    }
}
