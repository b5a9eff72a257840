//! Free ports on the loopback interface, for programs that want to be told theirs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// `N` different ports that nothing listens on. Somebody could take one before its program does; that program then
/// says so and ends.
pub(crate) fn free<const N: usize>() -> Result<[u16; N]> {
    // All are held until all are known, so that no two are the same.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on the loopback interface")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Whether something accepts connections on `port`.
pub(crate) fn is_open(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_free() {
        let [a, b, c] = free().expect("ports");
        assert!(a != b && b != c && a != c);
        assert!(!is_open(a));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        assert!(is_open(listener.local_addr().expect("bound").port()));
    }
}
