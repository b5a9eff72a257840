//! Connected unix stream sockets of every network namespace.

use super::limits::{SOCKET_TABLE_BYTES_MAX, UNIX_SOCKETS_MAX};
use super::listeners::each_namespace;
use super::proc::Proc;

/// Inodes of all connected stream sockets: connections whose earlier bytes nobody saw. What cannot be read is left out.
pub(super) fn connected(proc: &Proc) -> Vec<u64> {
    let mut inodes = Vec::new();
    each_namespace(proc, |_, process| {
        let table = process.read_until("net/unix", SOCKET_TABLE_BYTES_MAX, |_| false).ok()?;
        inodes.extend(rows(&table));
        Some(())
    });
    inodes.truncate(UNIX_SOCKETS_MAX);
    inodes
}

/// `Num RefCount Protocol Flags Type St Inode Path` (`unix_seq_show` in net/unix/af_unix.c).
pub(super) fn rows(table: &[u8]) -> Vec<u64> {
    const STREAM: &str = "0001";
    const CONNECTED: &str = "03";
    let inode = |line: &[u8]| {
        let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        (fields.nth(4)? == STREAM && fields.next()? == CONNECTED).then(|| fields.next()?.parse().ok()).flatten()
    };
    table.split(|&byte| byte == b'\n').filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connected_streams_count() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000003 00000000 00000000 0001 03 23456 /run/app.sock
0000000000000000: 00000002 00000000 00010000 0001 01 23457 /run/app.sock
0000000000000000: 00000002 00000000 00000000 0002 01 23458 /dev/log
0000000000000000: 00000003 00000000 00000000 0001 03 23459
0000000000000000: 00000003 00000000 00000000 0001 03
";
        assert_eq!(rows(table), [23456, 23459]);
    }
}
