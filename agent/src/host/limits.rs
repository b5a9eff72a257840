//! Every bound on what is read of other processes, with its reason and what happens at the limit.

use std::time::Duration;

/// Bytes of `/proc/PID/cmdline`: Java class paths reach tens of KiB before the class is named. Beyond: cut, and the
/// process is named by its executable.
pub(super) const CMDLINE_BYTES_MAX: usize = 64 << 10;

/// Bytes of `/proc/PID/environ`: containers of large clusters carry some thousand service variables. Beyond: variables
/// behind it are not seen.
pub(super) const ENVIRON_BYTES_MAX: usize = 256 << 10;

/// Bytes of `/proc/PID/cgroup`: at most 14 hierarchies with paths of at most 4 KiB. Beyond: cut at the last whole line.
pub(super) const CGROUP_BYTES_MAX: usize = 64 << 10;

/// Bytes of `/proc/PID/stat` and of other one-line files: the kernel writes less than 1 KiB. Beyond: cut.
pub(super) const LINE_BYTES_MAX: usize = 4 << 10;

/// Bytes of `/proc/PID/status`, whose list of groups may hold 65,536. Beyond: capabilities count as missing.
pub(super) const STATUS_BYTES_MAX: usize = 1 << 20;

/// Bytes of `/proc/PID/net/tcp` and its kin: listeners stand first, 150 bytes each, so this holds 27,000 of them.
/// Beyond: later listeners are not known.
pub(super) const SOCKET_TABLE_BYTES_MAX: usize = 4 << 20;

/// Bytes of `/proc/locks`. Beyond: the holder of the lock is not named.
pub(super) const LOCKS_BYTES_MAX: usize = 1 << 20;

/// Bytes of a link's text: paths end at `PATH_MAX`. Beyond: no link.
pub(super) const LINK_BYTES_MAX: usize = 4 << 10;

/// Arguments looked at when a process is named. Beyond: as if they were not there.
pub(super) const ARGUMENTS_MAX: usize = 512;

/// Attributes taken from a process's `OTEL_RESOURCE_ATTRIBUTES`. Beyond: dropped, in the order written.
pub(super) const DECLARED_ATTRIBUTES_MAX: usize = 32;

/// Characters of a name (of a service, an executable, an attribute). Beyond: cut.
pub(super) const NAME_CHARS_MAX: usize = 128;

/// Characters of an attribute value that a process chose. Beyond: cut.
pub(super) const VALUE_CHARS_MAX: usize = 256;

/// Processes of the same executable asked for a name, from child to parent: a server's master, its supervisor, and one
/// to spare. Beyond: named by what is known.
pub(super) const ANCESTORS_MAX: usize = 4;

/// Processes whose facts are kept, about 1 KiB each. Beyond: the half not asked for the longest is read again when
/// asked for.
pub(super) const KNOWN_PROCESSES_MAX: usize = 8192;

/// Processes looked at in one scan: the default `pid_max` of large machines is 4 million, of which few are alive.
/// Beyond: the rest is not scanned.
pub(super) const SCANNED_PROCESSES_MAX: usize = 65_536;

/// Network namespaces whose listeners are read: one per pod. Beyond: their old connections have no role until seen.
pub(super) const NAMESPACES_MAX: usize = 4096;

/// Listeners known, over all network namespaces: far more than hosts have, and as many as may delay the start. Beyond:
/// those of the youngest processes' namespaces are not known.
pub(super) const LISTENERS_MAX: usize = 65_536;

/// Unix connections older than the agent that are known as such: what the kernel half's map holds. Beyond: a connection
/// is taken for a new one, and read from whatever moves first.
pub(super) const UNIX_SOCKETS_MAX: usize = 65_536;

/// Descriptors looked at when the owner of a listening socket is searched: servers open them early, and they are looked
/// at in order of their numbers. Beyond: not found.
pub(super) const DESCRIPTORS_MAX: usize = 1024;

/// How long one read of a process's own memory may take. The kernel takes that process's memory lock for it, which a
/// process stuck on a dead file server holds. At the limit: named without its command line and environment.
pub(super) const MEMORY_READ_MAX: Duration = Duration::from_millis(250);

/// Reads that may be stuck at a time; each holds a thread. At the limit: no command line or environment is read until
/// one returns.
pub(super) const STUCK_READS_MAX: usize = 4;
