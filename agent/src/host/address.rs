//! The host's own address, out of the kernel's tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address inside a network of the default route's interface, else the lowest IPv4 address that is not loopback,
/// else the first global IPv6 address. Takes the contents of `/proc/PID/net/{fib_trie,route,if_inet6}`.
pub(super) fn first(fib_trie: &[u8], route: &[u8], if_inet6: &[u8]) -> Option<IpAddr> {
    let mut own = local_v4(&String::from_utf8_lossy(fib_trie));
    own.sort_unstable();
    let networks = default_networks(&String::from_utf8_lossy(route));
    let on_default =
        own.iter().find(|&&address| networks.iter().any(|(network, mask)| address.to_bits() & mask == *network));
    on_default
        .or_else(|| own.first())
        .map(|&address| IpAddr::V4(address))
        .or_else(|| global_v6(&String::from_utf8_lossy(if_inet6)).map(IpAddr::V6))
}

/// Addresses followed by `/32 host LOCAL`, loopback and link-local ones left out.
fn local_v4(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut own = Vec::new();
    let mut last = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !address.is_loopback()
            && !address.is_link_local()
        {
            own.push(address);
        }
    }
    own
}

/// Network and mask of what is directly connected to the interface of the default route. The table holds both as the
/// bytes stand in memory, printed as one number of the machine's own byte order.
fn default_networks(route: &str) -> Vec<(u32, u32)> {
    let rows: Vec<Vec<&str>> = route
        .lines()
        .skip(1)
        .map(|line| line.split_ascii_whitespace().collect())
        .filter(|row: &Vec<&str>| row.len() >= 8)
        .collect();
    let bits = |text: &str| {
        let number = u32::from_str_radix(text, 16).ok()?;
        Some(u32::from_be_bytes(number.to_ne_bytes()))
    };
    let interface = rows.iter().find(|row| bits(row[1]) == Some(0) && bits(row[7]) == Some(0)).map(|row| row[0]);
    rows.iter()
        .filter(|row| Some(row[0]) == interface && bits(row[2]) == Some(0))
        .filter_map(|row| Some((bits(row[1])?, bits(row[7])?)))
        .filter(|(_, mask)| *mask != 0)
        .collect()
}

/// The first address of global scope (`00`): 32 digits, index, prefix length, scope, flags, interface.
fn global_v6(if_inet6: &str) -> Option<Ipv6Addr> {
    if_inet6.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [digits, _, _, "00", ..] = fields[..] else {
            return None;
        };
        Some(Ipv6Addr::from_bits(u128::from_str_radix(digits, 16).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIB_TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
Local:
           |-- 10.88.0.0
              /16 link UNICAST
           |-- 10.88.0.1
              /32 host LOCAL
           |-- 169.254.7.7
              /32 host LOCAL
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
";

    #[cfg(target_endian = "little")]
    const ROUTE: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
cni0\t0000580A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

    fn v4(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_default_routes_address_goes_before_bridges() {
        assert_eq!(first(FIB_TRIE.as_bytes(), ROUTE.as_bytes(), b""), v4("192.0.2.2"));
    }

    #[test]
    fn without_a_default_route_the_lowest_counts() {
        assert_eq!(first(FIB_TRIE.as_bytes(), b"Iface\n", b""), v4("10.88.0.1"));
    }

    #[test]
    fn ipv6_where_there_is_no_ipv4() {
        let table = b"00000000000000000000000000000001 01 80 10 80       lo\n\
            fe800000000000000000000000000001 02 40 20 80     eth0\n\
            20010db8000000000000000000000007 02 40 00 80     eth0\n";
        assert_eq!(first(b"", b"", table), v4("2001:db8::7"));
        assert_eq!(first(b"", b"", b""), None);
    }

    #[test]
    fn garbage_is_no_address() {
        let garbage = b"|-- 999.1.1.1\n/32 host LOCAL\n|-- \xff\n/32 host LOCAL\neth0 zz zz zz z z z zz\n";
        assert_eq!(first(garbage, garbage, garbage), None);
    }
}
