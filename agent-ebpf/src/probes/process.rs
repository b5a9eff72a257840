//! Threads and processes come and go.
//!
//! Hooks (include/trace/events/sched.h): `tp_btf/sched_process_fork`, prototype
//! `(struct task_struct *parent, struct task_struct *child)`; `tp_btf/sched_process_exec`, prototype
//! `(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`; `tp_btf/sched_process_exit`, prototype
//! `(struct task_struct *p)`, with a `bool group_dead` behind it since Linux 6.15. The fork hook runs before the child
//! does, so the child's tags are there from its first instruction.

use agent_ebpf::wire::config::{Process, trace};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{Actor, Exec, Exit, Fork, Tag, kind};
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::emit;
use crate::kernel::runtime;
use crate::kernel::task::Task;
use crate::maps::{PROCESSES, Thread, Value};

/// A thread or a process is created.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn fork_in(ctx: BtfTracePointContext) -> i32 {
    let parent = Task::from_argument(ctx.arg(0));
    let child = Task::from_argument(ctx.arg(1));
    if child.tgid() != parent.tgid() {
        inherit_policy(parent.tgid(), child.tgid());
        runtime::inherit(parent.tgid(), child.tgid());
    }
    inherit_tags(parent, child);
    0
}

/// A process replaces its program.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn exec_in(ctx: BtfTracePointContext) -> i32 {
    let task = Task::from_argument(ctx.arg(0));
    runtime::forget(task.tgid());
    let header = emit::header::<Exec>(kind::EXEC);
    emit::news(0, &Exec { header, tgid: task.tgid(), tid: task.tid(), start: task.process_start() });
    0
}

/// A thread ends.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn exit_in(ctx: BtfTracePointContext) -> i32 {
    let task = Task::from_argument(ctx.arg(0));
    let last = task.last_of_process();
    let known = task.known_thread().is_some();
    if last {
        // Absent for most processes: nothing to delete is no error.
        let _ = PROCESSES.remove(task.tgid());
        runtime::forget(task.tgid());
    }
    if known || last {
        let exit = Exit {
            header: emit::header::<Exit>(kind::EXIT),
            tgid: task.tgid(),
            tid: task.tid(),
            start: task.process_start(),
            last: u32::from(last),
            group: u32::from(task.group_exits()),
        };
        emit::record(0, &exit);
    }
    0
}

/// A child is traced as its parent is.
#[inline(always)]
fn inherit_policy(parent: u32, child: u32) {
    let Some(process) = PROCESSES.get_ptr_mut(parent).and_then(Value::<Process>::new) else {
        return;
    };
    if process.trace == trace::DEFAULT {
        return;
    }
    let inherited = Process { trace: process.trace, lossy: process.lossy, window: 0, window_bytes: 0 };
    if PROCESSES.insert(child, inherited, u64::from(BPF_ANY)).is_err() {
        emit::count(loss::PROCESSES_FULL);
    }
}

/// A child gets its creator's tags by value: the creator may move on to its next request at once.
#[inline(always)]
fn inherit_tags(parent: Task, child: Task) -> Option<()> {
    // User space has to know of a child whose pipes are to be watched, whoever made it.
    let told = child.tgid() != parent.tgid() && runtime::watches_pipes(parent.tgid());
    let mut creator = if told { parent.thread() } else { parent.known_thread() }?;
    // A thread that never moved a byte does not know whether it is traced.
    if creator.generation != 0 && creator.traced == 0 {
        return None;
    }
    let nothing = creator.own.cookie == 0 && creator.birth.cookie == 0 && creator.ancestor.cookie == 0;
    if nothing && child.tgid() == parent.tgid() {
        return None;
    }
    let Some(mut created) = child.thread() else {
        emit::count(loss::TASK_STORAGE);
        emit::lossy(child.tgid());
        return None;
    };
    created.birth = creator.own;
    created.ancestor = if creator.birth.cookie == 0 { creator.ancestor } else { creator.birth };
    tell(parent, child, &mut creator);
    Some(())
}

#[inline(always)]
fn tell(parent: Task, child: Task, creator: &mut Thread) {
    let none = Tag { cookie: 0, offset: 0 };
    let mut fork = Fork {
        header: emit::header::<Fork>(kind::FORK),
        actor: Actor {
            tgid: 0,
            tid: 0,
            start: 0,
            seq: 0,
            lossy: 0,
            turn: none,
            own: none,
            birth: none,
            ancestor: none,
        },
        child_tgid: child.tgid(),
        child_tid: child.tid(),
        child_start: child.process_start(),
    };
    emit::actor(&mut fork.actor, parent, creator);
    if child.tgid() == parent.tgid() {
        emit::record(0, &fork);
    } else {
        // Its pipes are to be watched before it reads from them.
        emit::news(0, &fork);
    }
}
