//! Names of programs and maps: the strings both halves must agree on, each written once.

/// Program names, at most 15 bytes: the kernel keeps no more.
pub mod program {
    /// `tp_btf/sock_send_length`.
    pub const SOCK_SEND: &str = "sock_send_out";
    /// `tp_btf/sock_recv_length`.
    pub const SOCK_RECV: &str = "sock_recv_out";
    /// `tp_btf/inet_sock_set_state`.
    pub const SOCK_STATE: &str = "sock_state_in";
    /// `tp_btf/sched_process_fork`.
    pub const FORK: &str = "fork_in";
    /// `tp_btf/sched_process_exec`.
    pub const EXEC: &str = "exec_in";
    /// `tp_btf/sched_process_exit`.
    pub const EXIT: &str = "exit_in";
    /// Probe in `PyContext_CopyCurrent`, on the jump behind `_PyObject_GC_New`.
    pub const PYTHON_MADE: &str = "py_made_in";
    /// Probe in `PyContext_CopyCurrent`, on the call of `_Py_NewReference`.
    pub const PYTHON_REUSED: &str = "py_reused_in";
    /// Return probe on `PyContext_CopyCurrent`, where these are not found.
    pub const PYTHON_COPY: &str = "py_copy_out";
    /// Probe behind the beginning of `PyContext_Type.tp_dealloc`.
    pub const PYTHON_FREE: &str = "py_free_in";
    /// Probe on the constructor of `greenlet::UserGreenlet`.
    pub const GREENLET_MAKE: &str = "gr_make_in";
    /// Probe behind the beginning of `PyGreenlet_Type.tp_dealloc`.
    pub const GREENLET_FREE: &str = "gr_free_in";
    /// Probe on `_queue.SimpleQueue.put`.
    pub const PYTHON_PUT: &str = "py_put_in";
    /// Probe in `_queue.SimpleQueue.get`, behind the place where an item was taken.
    pub const PYTHON_TAKEN: &str = "py_taken_in";
    /// Return probe on `_queue.SimpleQueue.get`, where that is not found.
    pub const PYTHON_GET: &str = "py_get_out";
    /// Probe on `collections.deque.append`.
    pub const PYTHON_APPEND: &str = "py_append_in";
    /// Probe on `collections.deque.popleft`.
    pub const PYTHON_POPLEFT: &str = "py_popleft_in";
    /// Probe in the C library's `write`.
    pub const PIPE_WRITE: &str = "pipe_write_in";
    /// Probe in the C library's `read`, behind its system calls.
    pub const PIPE_READ: &str = "pipe_read_out";
    /// Probe in `runtime.newproc1`, where the new goroutine has its number.
    pub const GO_MADE: &str = "go_made_in";
    /// Probe in `runtime.newproc.func1`, where the new goroutine is put into a queue.
    pub const GO_QUEUED: &str = "go_queued_in";
    /// Probe in `runtime.gdestroy` or `runtime.goexit0`.
    pub const GO_ENDED: &str = "go_ended_in";
    /// Probe in `net/http.(*persistConn).writeLoop`.
    pub const GO_WRITER: &str = "go_writer_in";
    /// Probe in `net/http.(*persistConn).roundTrip`.
    pub const GO_ROUND: &str = "go_round_in";
    /// Probe in `net/http.serverHandler.ServeHTTP`.
    pub const GO_SERVE: &str = "go_serve_in";
    /// Probe in `runtime.chansend`, where something is put into a channel's buffer.
    pub const GO_PUT: &str = "go_put_in";
    /// The same in `runtime.selectgo`.
    pub const GO_PUT_SELECT: &str = "go_sput_in";
    /// Probe in `runtime.chanrecv`, where something is taken out of a channel's buffer.
    pub const GO_TAKE: &str = "go_take_in";
    /// The same in `runtime.selectgo`.
    pub const GO_TAKE_SELECT: &str = "go_stake_in";
    /// Probe in `runtime.send`: something is handed to a goroutine that waits.
    pub const GO_HAND: &str = "go_hand_in";
    /// Probe in `runtime.recv`: something is fetched from a goroutine that waits.
    pub const GO_FETCH: &str = "go_fetch_in";
    /// Probe in the same, where that is put into a full channel's buffer behind what is taken from it.
    pub const GO_REFILL: &str = "go_refill_in";
    /// Probe in `runtime.closechan`, where one that waited is woken, by a function value.
    pub const GO_CLOSE: &str = "go_close_in";
    /// The same where it is woken by a call, as up to 1.20.
    pub const GO_CLOSE_CALL: &str = "go_closec_in";
    /// Probe in `time.AfterFunc`.
    pub const GO_TIMER: &str = "go_timer_in";
    /// Probe in `time.stopTimer`.
    pub const GO_TIMER_STOP: &str = "go_tstop_in";
    /// Probe in `time.resetTimer`.
    pub const GO_TIMER_RESET: &str = "go_treset_in";
}

/// Names of the data rings, one per shard.
pub const RINGS: [&str; 4] = ["RING_0", "RING_1", "RING_2", "RING_3"];
/// Per-process policy and budget, keyed by process id.
pub const PROCESSES: &str = "PROCESSES";
/// Per-connection capture policy, keyed by socket cookie.
pub const POLICIES: &str = "POLICIES";
/// Ports that were listened on when the agent started, keyed by network namespace and port.
pub const LISTENERS: &str = "LISTENERS";
/// Inodes of unix sockets that were connected when the agent started.
pub const OLD_SOCKETS: &str = "OLD_SOCKETS";
/// Progress of bytes beyond the captured heads, keyed by socket cookie and direction.
pub const COUNTS: &str = "COUNTS";
/// Where Python keeps what runs on each thread, keyed by process id.
pub const PYTHONS: &str = "PYTHONS";
/// Whether probes that are passed often see anything in a process, keyed by process id.
pub const WATCHES: &str = "WATCHES";
/// What came of it, keyed likewise: a value of [`crate::rules::watches::verdict`].
pub const VERDICTS: &str = "VERDICTS";
/// Where Go keeps what runs on each thread, keyed by process id.
pub const GOS: &str = "GOS";
/// Units of runtimes, keyed by process and address.
pub const UNITS: &str = "UNITS";
/// Items in queues of runtimes, keyed by process and address.
pub const ITEMS: &str = "ITEMS";
/// What units took from queues, keyed as the units.
pub const TAKES: &str = "TAKES";
/// Contexts of requests that are served, keyed as the units.
pub const CONTEXTS: &str = "CONTEXTS";
/// Processes that hold more than their share of units or items, by process id.
pub const OVER_SHARE: &str = "OVER_SHARE";
/// Losses by reason, one counter per CPU.
pub const LOSSES: &str = "LOSSES";
/// Settings that change while the agent runs: an array of one.
pub const CONTROL: &str = "CONTROL";
/// Read-only global: offsets of kernel members.
pub const OFFSETS: &str = "OFFSETS";
/// Read-only global: settings fixed at load. Its name carries [`super::ABI_VERSION`], so that an object with other
/// layouts is refused when it is loaded.
pub const SETTINGS: &str = "SETTINGS_16";
