//! `struct sock`, `struct tcp_sock` and `struct unix_sock` (Linux 6.18, include/net/sock.h, linux/tcp.h, net/af_unix.h).

use core::ffi::c_void;

use agent_ebpf::wire::record::{Open, opened};
use aya_ebpf::bindings::BPF_SK_STORAGE_GET_F_CREATE;
use aya_ebpf::helpers::generated::{
    bpf_get_socket_cookie, bpf_probe_read_kernel, bpf_sk_storage_get, bpf_skc_to_tcp_sock, bpf_skc_to_unix_sock,
};

use crate::kernel::{copy, load};
use crate::maps::{CONNECTIONS, Connection, Value, offset};

/// Unix address family.
pub const AF_UNIX: u16 = 1;
/// IPv4 address family.
pub const AF_INET: u16 = 2;
/// IPv6 address family.
pub const AF_INET6: u16 = 10;
/// Stream socket type.
pub const SOCK_STREAM: u16 = 1;
/// `RCV_SHUTDOWN`: the other end will send no more.
const RCV_SHUTDOWN: u8 = 1;
/// `SHUTDOWN_MASK`: `RCV_SHUTDOWN` and `SEND_SHUTDOWN`.
const SHUTDOWN_MASK: u8 = 3;
/// The bit of `SOCK_DONE` (`enum sock_flags`) in `sock_common.skc_flags`.
const SOCK_DONE: u64 = 1 << 1;
/// Bytes of `sockaddr_un` before its path.
const UNIX_PATH_OFFSET: u64 = 2;

/// A socket, as a BTF pointer.
#[derive(Clone, Copy)]
pub struct Sock(*const c_void);

impl Sock {
    /// A socket a tracepoint hands out.
    #[inline(always)]
    pub const fn from_argument(pointer: *const c_void) -> Self {
        Self(pointer)
    }

    /// Address family.
    #[inline(always)]
    pub fn family(self) -> u16 {
        load(self.0, offset!(sock_family))
    }

    /// Socket type (`SOCK_STREAM`, ...).
    #[inline(always)]
    pub fn kind(self) -> u16 {
        load(self.0, offset!(sock_type))
    }

    /// The file that descriptors of it lead to: its address, written to `address` to compare with, and its `f_flags`.
    /// Both 0 if it has none.
    #[inline(always)]
    pub fn file(self, address: &mut u64) -> u32 {
        let socket: *const c_void = load(self.0, offset!(sock_socket));
        let file: *const c_void = load(socket, offset!(socket_file));
        // What comes out of a map's memory again is a number to the verifier, which takes it for a pointer before.
        // SAFETY: it is a reference.
        unsafe { core::ptr::write_volatile(address, file as u64) };
        load(file, offset!(file_flags))
    }

    /// Inode of its `struct socket`, which `struct socket_alloc` begins with; 0 if it has none.
    #[inline(always)]
    pub fn inode(self) -> u64 {
        let socket: u64 = load(self.0, offset!(sock_socket));
        if socket == 0 {
            return 0;
        }
        copy((socket + u64::from(offset!(socket_inode))) as *const c_void).unwrap_or(0)
    }

    /// True if nothing is sent or received any more: `close()` says so before anything else happens, in the call itself.
    /// `TCP_CLOSE` may come a minute later, and in a softirq, whose program is missed if it interrupted the same one.
    #[inline(always)]
    pub fn is_shut(self) -> bool {
        let shutdown: u8 = load(self.0, offset!(sock_shutdown));
        shutdown & SHUTDOWN_MASK == SHUTDOWN_MASK
    }

    /// True if the other end will send no more.
    #[inline(always)]
    pub fn receive_is_shut(self) -> bool {
        let shutdown: u8 = load(self.0, offset!(sock_shutdown));
        shutdown & RCV_SHUTDOWN != 0
    }

    /// The errno that its next call fails with; 0 if there is none.
    #[inline(always)]
    pub fn error(self) -> u32 {
        let error: i32 = load(self.0, offset!(sock_error));
        error.unsigned_abs()
    }

    /// Its cookie: never 0, never reused.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        // SAFETY: tracing programs may pass any BTF `struct sock` (>= 5.12).
        unsafe { bpf_get_socket_cookie(self.0.cast_mut()) }
    }

    /// Local port, host byte order.
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        load(self.0, offset!(sock_num))
    }

    /// Network namespace.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        let net: *const c_void = load(self.0, offset!(sock_net));
        load(net, offset!(net_inum))
    }

    /// What is known of the connection, made if it is not there yet.
    #[inline(always)]
    pub fn connection(self) -> Option<Value<Connection>> {
        self.storage(u64::from(BPF_SK_STORAGE_GET_F_CREATE))
    }

    /// What is known of the connection, if anything.
    #[inline(always)]
    pub fn known_connection(self) -> Option<Value<Connection>> {
        self.storage(0)
    }

    #[inline(always)]
    fn storage(self, flags: u64) -> Option<Value<Connection>> {
        let map = (&raw const CONNECTIONS).cast_mut().cast();
        // SAFETY: the map is socket storage and the socket a BTF pointer; a null value means zeroed.
        Value::new(unsafe { bpf_sk_storage_get(map, self.0.cast_mut(), core::ptr::null_mut(), flags) }.cast())
    }

    /// As a TCP socket: none for any other protocol, MPTCP included.
    #[inline(always)]
    pub fn tcp(self) -> Option<Tcp> {
        // SAFETY: the helper checks family, type and protocol itself.
        let tcp = unsafe { bpf_skc_to_tcp_sock(self.0.cast_mut()) };
        if tcp.is_null() { None } else { Some(Tcp(tcp.cast_const().cast())) }
    }

    /// As a unix socket.
    #[inline(always)]
    pub fn unix(self) -> Option<Unix> {
        // SAFETY: the helper checks the family itself.
        let unix = unsafe { bpf_skc_to_unix_sock(self.0.cast_mut()) };
        if unix.is_null() { None } else { Some(Unix(unix.cast_const().cast())) }
    }

    /// Writes both addresses of an internet socket.
    #[inline(always)]
    pub fn addresses(self, open: &mut Open) {
        open.local_port = self.local_port();
        let remote: u16 = load(self.0, offset!(sock_dport));
        open.remote_port = u16::from_be(remote);
        if self.family() == AF_INET {
            let local: u32 = load(self.0, offset!(sock_rcv_saddr));
            let remote: u32 = load(self.0, offset!(sock_daddr));
            open.local = [0; 16];
            open.remote = [0; 16];
            open.local[..4].copy_from_slice(&local.to_ne_bytes());
            open.remote[..4].copy_from_slice(&remote.to_ne_bytes());
        } else {
            open.local = self.address(offset!(sock_v6_rcv_saddr));
            open.remote = self.address(offset!(sock_v6_daddr));
        }
    }

    #[inline(always)]
    fn address(self, offset: u32) -> [u8; 16] {
        copy(self.0.wrapping_byte_add(offset as usize)).unwrap_or_default()
    }
}

/// A TCP socket.
#[derive(Clone, Copy)]
pub struct Tcp(*const c_void);

impl Tcp {
    /// Raw offset behind the last byte received by the process, given the base of what is received.
    ///
    /// The payload hooks run without the socket lock, so no two numbers the network changes may be combined: the
    /// sequence number of the last byte read changes by the process alone, and what arrived only lends its high half.
    #[inline(always)]
    pub fn received(self, base: u32) -> u64 {
        let mut copied: u32 = load(self.0, offset!(tcp_copied_seq));
        let arrived: u64 = load(self.0, offset!(tcp_bytes_received));
        if self.fin_is_read(copied) {
            copied = copied.wrapping_sub(1);
        }
        let unread = (arrived as u32).wrapping_sub(copied.wrapping_sub(base));
        arrived.wrapping_sub(u64::from(unread))
    }

    /// True if the other end's FIN was read with the bytes before it, given `copied_seq`: one call may take both, and both
    /// counters count the FIN as a byte. Only `tcp_fin()` sets `SOCK_DONE`, and no byte follows.
    #[inline(always)]
    fn fin_is_read(self, copied: u32) -> bool {
        let flags: u64 = load(self.0, offset!(sock_flags));
        let next: u32 = load(self.0, offset!(tcp_rcv_nxt));
        flags & SOCK_DONE != 0 && copied == next
    }

    /// Raw offset behind the last byte sent by the process, given the base of what is sent; one more than the payload
    /// where this end opened the connection, since its acknowledged bytes count the SYN.
    #[inline(always)]
    pub fn sent(self, base: u32) -> u64 {
        let acked: u64 = load(self.0, offset!(tcp_bytes_acked));
        let written: u32 = load(self.0, offset!(tcp_write_seq));
        let unacked = written.wrapping_sub(base).wrapping_sub(acked as u32);
        acked.wrapping_add(u64::from(unacked))
    }

    /// Where the counts of sent and received bytes start, in sequence numbers: right under the socket lock only.
    #[inline(always)]
    pub fn bases(self) -> [u32; 2] {
        [self.send_base(), self.receive_base()]
    }

    #[inline(always)]
    fn send_base(self) -> u32 {
        let unacked: u32 = load(self.0, offset!(tcp_snd_una));
        let acked: u64 = load(self.0, offset!(tcp_bytes_acked));
        unacked.wrapping_sub(acked as u32)
    }

    #[inline(always)]
    fn receive_base(self) -> u32 {
        let next: u32 = load(self.0, offset!(tcp_rcv_nxt));
        let arrived: u64 = load(self.0, offset!(tcp_bytes_received));
        next.wrapping_sub(arrived as u32)
    }
}

/// A unix socket.
#[derive(Clone, Copy)]
pub struct Unix(*const c_void);

impl Unix {
    /// Cookie of the other end; 0 while that end never acted, or is gone.
    #[inline(always)]
    pub fn peer_cookie(self) -> u64 {
        let peer: u64 = load(self.0, offset!(unix_peer));
        if peer == 0 {
            return 0;
        }
        copy((peer + u64::from(offset!(sock_cookie))) as *const c_void).unwrap_or(0)
    }

    /// True if this end is bound to a name: an accepted socket shares its listener's.
    #[inline(always)]
    pub fn is_bound(self) -> bool {
        let address: u64 = load(self.0, offset!(unix_addr));
        address != 0
    }

    /// True if the other end is bound to a name.
    #[inline(always)]
    pub fn peer_is_bound(self) -> bool {
        self.peer_address() != 0
    }

    /// Writes the name of the bound end.
    #[inline(always)]
    pub fn path(self, open: &mut Open) {
        let own: u64 = load(self.0, offset!(unix_addr));
        // A client may be bound to a name too: the server's is the connection's.
        let peer = self.peer_address();
        let address = if peer != 0 && (own == 0 || open.opened == opened::ACTIVE) { peer } else { own };
        open.path_len = 0;
        if address == 0 {
            return;
        }
        let Some(length) = copy::<u32>((address + u64::from(offset!(unix_address_len))) as *const c_void) else {
            return;
        };
        let name = address + u64::from(offset!(unix_address_name)) + UNIX_PATH_OFFSET;
        // SAFETY: the destination holds the whole path of a `sockaddr_un`; the helper checks the source itself.
        let result = unsafe {
            bpf_probe_read_kernel(open.path.as_mut_ptr().cast(), open.path.len() as u32, name as *const c_void)
        };
        if result == 0 {
            open.path_len = length.saturating_sub(UNIX_PATH_OFFSET as u32) as u16;
        }
    }

    #[inline(always)]
    fn peer_address(self) -> u64 {
        let peer: u64 = load(self.0, offset!(unix_peer));
        if peer == 0 {
            return 0;
        }
        copy((peer + u64::from(offset!(unix_addr))) as *const c_void).unwrap_or(0)
    }
}
