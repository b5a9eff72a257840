//! Listening TCP sockets of every network namespace.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::{LISTENERS_MAX, NAMESPACES_MAX, SOCKET_TABLE_BYTES_MAX};
use super::proc::{Proc, ProcessDir};

/// A port that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listener {
    /// Network namespace (`net.ns.inum`).
    pub netns: u32,
    /// TCP port.
    pub port: u16,
}

/// Every listener, with the inodes of its sockets (several share a port under `SO_REUSEPORT`, or listen on several
/// addresses). What cannot be read is left out.
pub(super) fn all(proc: &Proc) -> BTreeMap<Listener, Vec<u64>> {
    let mut listeners: BTreeMap<Listener, Vec<u64>> = BTreeMap::new();
    each_namespace(proc, |netns, process| {
        for (port, inode) in of_namespace(process)? {
            if listeners.len() < LISTENERS_MAX {
                listeners.entry(Listener { netns, port }).or_default().push(inode);
            }
        }
        Some(())
    });
    listeners
}

/// Visits one process of each network namespace; another one where `visit` could not read the first.
pub(super) fn each_namespace(proc: &Proc, mut visit: impl FnMut(u32, &ProcessDir) -> Option<()>) {
    let mut namespaces = BTreeSet::new();
    for pid in proc.pids().unwrap_or_default() {
        let Ok(process) = proc.process(pid) else {
            continue;
        };
        let Some(netns) = process.namespace("net") else {
            continue;
        };
        if namespaces.contains(&netns) {
            continue;
        }
        if namespaces.len() >= NAMESPACES_MAX {
            break;
        }
        if visit(netns, &process).is_some() {
            namespaces.insert(netns);
        }
    }
}

/// Port and inode of the listeners in a process's namespace; none if it is gone.
fn of_namespace(process: &ProcessDir) -> Option<Vec<(u16, u64)>> {
    // Listeners come first in these tables (tcp_seq_start in net/ipv4/tcp_ipv4.c), so the hundred thousand
    // connections of a busy server behind them are not read.
    let table = |file| process.read_until(file, SOCKET_TABLE_BYTES_MAX, past_listeners);
    let mut found = listening(&table("net/tcp").ok()?);
    // Absent where IPv6 is switched off.
    found.extend(listening(&table("net/tcp6").unwrap_or_default()));
    Some(found)
}

/// `TCP_LISTEN` as the table prints it.
const LISTEN: &str = "0A";

pub(super) fn past_listeners(table: &[u8]) -> bool {
    let mut lines = table.rsplit(|&byte| byte == b'\n');
    let _cut = lines.next();
    let last = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    last.and_then(row).is_some_and(|row| row.state != LISTEN)
}

pub(super) fn listening(table: &[u8]) -> Vec<(u16, u64)> {
    table
        .split(|&byte| byte == b'\n')
        .filter_map(|line| row(std::str::from_utf8(line).ok()?))
        .filter(|row| row.state == LISTEN)
        .map(|row| (row.port, row.inode))
        .collect()
}

struct Row<'a> {
    port: u16,
    state: &'a str,
    inode: u64,
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`; the head of the table is no row.
fn row(line: &str) -> Option<Row<'_>> {
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Row { port: u16::from_str_radix(port, 16).ok()?, state, inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 46111 1 0000000000000000 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 46222 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 46333 1 0000000000000000 20 4 30 10 -1
";

    #[test]
    fn only_listening_rows_count() {
        assert_eq!(listening(TABLE.as_bytes()), [(8080, 46111), (80, 46222)]);
    }

    #[test]
    fn reading_ends_behind_the_last_listener() {
        assert!(past_listeners(TABLE.as_bytes()));
        let lines: Vec<&str> = TABLE.lines().collect();
        assert!(!past_listeners(format!("{}\n", lines[..3].join("\n")).as_bytes()));
        assert!(!past_listeners(lines[0].as_bytes()));
        assert!(!past_listeners(b""));
    }

    #[test]
    fn garbage_is_no_listener() {
        for line in ["", "0: 1 2 0A", "0: 0:99999 x 0A 1 1 1 1 1 5", "0: 0:50 x 0A 1 1 1 1 1 -5"] {
            assert!(listening(line.as_bytes()).is_empty(), "{line}");
        }
        assert!(listening(&[0xff; 300]).is_empty());
    }

    #[test]
    fn a_listener_of_this_process_is_found_with_its_inode() {
        use std::os::fd::AsRawFd as _;

        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let port = socket.local_addr().expect("bound").port();
        let proc = Proc::open(std::path::Path::new("/proc")).expect("opens");
        let own = proc.process(std::process::id()).expect("pinned");
        let netns = own.namespace("net").expect("readable");
        let link = own.link(&format!("fd/{}", socket.as_raw_fd())).expect("a descriptor");
        let inodes = all(&proc).remove(&Listener { netns, port }).expect("listens");
        assert!(inodes.iter().any(|inode| link == format!("socket:[{inode}]")));
    }
}
