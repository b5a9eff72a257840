//! The two ends of a connection as spans show them.

use std::net::{IpAddr, Ipv4Addr};

use smol_str::SmolStr;

use crate::decode::{Address, Endpoint};

/// Both ends of a connection, written once for all of its spans.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// This end.
    pub local: End,
    /// The other end.
    pub peer: End,
}

/// One of them.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// Its address: numbers, or a path as it is; none if nothing is known.
    pub text: Option<SmolStr>,
    /// Its port, if it has one.
    pub port: Option<u16>,
}

impl From<Endpoint> for Ends {
    fn from(endpoint: Endpoint) -> Self {
        Self { local: endpoint.local.into(), peer: endpoint.peer.into() }
    }
}

impl From<Address> for End {
    fn from(address: Address) -> Self {
        match address {
            Address::Unknown => Self { text: None, port: None },
            Address::Inet(ip, port) => {
                let text = match ip.to_canonical() {
                    IpAddr::V4(ip) => dotted(ip),
                    IpAddr::V6(ip) => ip.to_string().into(),
                };
                Self { text: Some(text), port: Some(port) }
            }
            Address::Unix(path) => Self { text: Some(path.into()), port: None },
        }
    }
}

/// What `to_string` gives, in a tenth of its time: short connections come by the thousands.
fn dotted(ip: Ipv4Addr) -> SmolStr {
    let mut text = [b'.'; "255.255.255.255".len()];
    let mut end = 0;
    for number in ip.octets() {
        let digits = [number / 100, number / 10 % 10, number % 10];
        let first = digits[..2].iter().position(|digit| *digit > 0).unwrap_or(2);
        for digit in &digits[first..] {
            text[end] = b'0' + digit;
            end += 1;
        }
        // Behind it is a dot already.
        end += 1;
    }
    std::str::from_utf8(&text[..end - 1]).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_addresses_are_those_of_the_standard_library() {
        for octets in [[0, 0, 0, 0], [127, 0, 0, 1], [10, 100, 99, 9], [255, 255, 255, 255], [1, 20, 101, 110]] {
            let ip = Ipv4Addr::from(octets);
            assert_eq!(dotted(ip).as_str(), ip.to_string());
        }
    }
}
