//! The identity both ends of an exchange share, and the ids that are hashes of it.

use sha2::{Digest, Sha256};

use crate::decode::{Bases, Link, Opened};
use crate::ids::{SockCookie, SpanId, TraceId};
use crate::proto::exchange::{HalfKey, Role};

/// Names an exchange: the same at both of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExchangeId {
    /// TCP: the sequence numbers where the two byte streams start, and the offset of the request's first byte. The same
    /// on any two hosts, through address translation.
    Tcp {
        /// Sequence number of the client's first byte.
        client: u32,
        /// Sequence number of the server's first byte.
        server: u32,
        /// Offset of the request's first byte.
        offset: u64,
    },
    /// Unix sockets: both cookies and the offset. Means something on one host only.
    Unix {
        /// Cookie of the client's socket.
        client: SockCookie,
        /// Cookie of the server's socket.
        server: SockCookie,
        /// Offset of the request's first byte.
        offset: u64,
    },
}

impl ExchangeId {
    /// The identity of the exchange that `key` is a half of; none while its socket's other end is unknown.
    #[must_use]
    pub fn new(key: HalfKey, role: Role, link: Link, opened: Opened) -> Option<Self> {
        match link {
            Link::None => None,
            Link::Tcp(bases) => Some(Self::tcp(key, role, bases, opened)),
            Link::Unix(peer) => {
                let (client, server) = if role == Role::Client { (key.cookie, peer) } else { (peer, key.cookie) };
                Some(Self::Unix { client, server, offset: key.offset })
            }
        }
    }

    fn tcp(key: HalfKey, role: Role, bases: Bases, opened: Opened) -> Self {
        // The end that opened the connection counts its SYN among the bytes sent: its raw send base is one less than
        // its peer's receive base, and its raw send offsets one more than its peer's receive offsets.
        let syn = match opened {
            Opened::Active => 1,
            Opened::Passive | Opened::ListeningPort => 0,
            Opened::Unknown => u32::from(role == Role::Client),
        };
        let sent = bases.send.wrapping_add(syn);
        match role {
            Role::Client => {
                Self::Tcp { client: sent, server: bases.recv, offset: key.offset.wrapping_sub(u64::from(syn)) }
            }
            Role::Server => Self::Tcp { client: bases.recv, server: sent, offset: key.offset },
        }
    }
}

/// Makes ids: hashes of identities. Unix identities and sockets without one are hashed with the agent's nonce, since
/// their numbers mean nothing elsewhere and kernel numbers must not leave the host.
#[derive(Clone, Copy, Debug)]
pub struct Minter {
    nonce: [u8; 16],
}

impl Minter {
    /// Ids that differ from those of an agent with another nonce, except where an identity is the same on any host.
    #[must_use]
    pub const fn new(nonce: [u8; 16]) -> Self {
        Self { nonce }
    }

    /// Span id of one half.
    #[must_use]
    pub fn span_id(&self, role: Role, key: HalfKey, identity: Option<ExchangeId>) -> SpanId {
        let domain: &[u8] = if role == Role::Client { b"client span" } else { b"server span" };
        SpanId(self.hash(domain, key, identity))
    }

    /// Trace id of a trace that begins with this exchange. Both of its halves mint the same one if both have its
    /// identity.
    #[must_use]
    pub fn trace_id(&self, key: HalfKey, identity: Option<ExchangeId>) -> TraceId {
        TraceId(self.hash(b"trace", key, identity))
    }

    fn hash<const N: usize>(&self, domain: &[u8], key: HalfKey, identity: Option<ExchangeId>) -> [u8; N] {
        let mut hash = Sha256::new();
        hash.update(domain);
        match identity {
            Some(ExchangeId::Tcp { client, server, offset }) => {
                hash.update(b"tcp");
                hash.update(client.to_be_bytes());
                hash.update(server.to_be_bytes());
                hash.update(offset.to_be_bytes());
            }
            Some(ExchangeId::Unix { client, server, offset }) => {
                hash.update(b"unix");
                hash.update(self.nonce);
                hash.update(client.0.to_be_bytes());
                hash.update(server.0.to_be_bytes());
                hash.update(offset.to_be_bytes());
            }
            None => {
                hash.update(b"half");
                hash.update(self.nonce);
                hash.update(key.cookie.0.to_be_bytes());
                hash.update(key.offset.to_be_bytes());
            }
        }
        let digest = hash.finalize();
        let mut id = [0; N];
        id.copy_from_slice(&digest[..N]);
        // All zero is no id (W3C Trace Context).
        if id.iter().all(|byte| *byte == 0) {
            id[N - 1] = 1;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: HalfKey = HalfKey { cookie: SockCookie(1), offset: 101 };
    const SERVER: HalfKey = HalfKey { cookie: SockCookie(2), offset: 100 };

    #[test]
    fn both_ends_of_a_tcp_exchange_name_it_alike() {
        let client_bases = Link::Tcp(Bases { send: 3_066_374_259, recv: 3_925_094_477 });
        let server_bases = Link::Tcp(Bases { send: 3_925_094_477, recv: 3_066_374_260 });
        let client = ExchangeId::new(CLIENT, Role::Client, client_bases, Opened::Active);
        assert!(client.is_some());
        assert_eq!(client, ExchangeId::new(SERVER, Role::Server, server_bases, Opened::Passive));
        assert_eq!(
            client,
            ExchangeId::new(CLIENT, Role::Client, client_bases, Opened::Unknown),
            "older than the agent"
        );
        assert_eq!(client, ExchangeId::new(SERVER, Role::Server, server_bases, Opened::ListeningPort));
    }

    #[test]
    fn a_server_that_dialled_out_meets_its_client() {
        let server = ExchangeId::new(SERVER, Role::Server, Link::Tcp(Bases { send: 9, recv: 20 }), Opened::Active);
        let key = HalfKey { offset: 100, ..CLIENT };
        let client = ExchangeId::new(key, Role::Client, Link::Tcp(Bases { send: 20, recv: 10 }), Opened::Passive);
        assert_eq!(client, server);
    }

    #[test]
    fn both_ends_of_a_unix_exchange_name_it_alike() {
        let key = HalfKey { offset: 100, ..CLIENT };
        let client = ExchangeId::new(key, Role::Client, Link::Unix(SockCookie(2)), Opened::Active);
        assert_eq!(client, ExchangeId::new(SERVER, Role::Server, Link::Unix(SockCookie(1)), Opened::Passive));
    }

    #[test]
    fn halves_share_the_trace_and_not_the_span() {
        let identity = ExchangeId::new(SERVER, Role::Server, Link::Unix(SockCookie(1)), Opened::Passive);
        let minter = Minter::new([7; 16]);
        assert_eq!(minter.trace_id(CLIENT, identity), minter.trace_id(SERVER, identity));
        assert_ne!(minter.span_id(Role::Client, CLIENT, identity), minter.span_id(Role::Server, SERVER, identity));
        assert_ne!(minter.trace_id(CLIENT, identity), Minter::new([8; 16]).trace_id(CLIENT, identity));
    }
}
