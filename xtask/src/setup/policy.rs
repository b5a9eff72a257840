//! Keeping Debian's packages from starting their services, and seeing whether one did.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// What `invoke-rc.d` asks before it starts anything; the exit code 101 means "not allowed".
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// While this lives, package installations start no service.
pub(super) struct NoServices {
    ours: bool,
}

impl NoServices {
    /// Leaves a policy that is there already alone: it is the administrator's.
    pub(super) fn enforce() -> Result<Self> {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY);
        match file {
            Ok(mut file) => {
                use std::io::Write;
                let ours = Self { ours: true };
                file.write_all(b"#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
                println!("services stay off during the installation ({POLICY}, removed afterwards)");
                Ok(ours)
            }
            Err(_) if Path::new(POLICY).exists() => Ok(Self { ours: false }),
            Err(error) => Err(error).with_context(|| format!("cannot create {POLICY}")),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            // Nothing to do about a failure here; the next installation would show it by what does not start.
            let _ = fs::remove_file(POLICY);
        }
    }
}

/// Local addresses of the listening TCP sockets of this network namespace, as the kernel prints them (hexadecimal).
pub(super) fn listening() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A kernel without IPv6 has no second table.
        if let Ok(text) = fs::read_to_string(table) {
            found.extend(parse_listening(&text));
        }
    }
    Ok(found)
}

fn parse_listening(table: &str) -> impl Iterator<Item = String> {
    // sl local_address rem_address st ...; state 0A is LISTEN (include/net/tcp_states.h).
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next()?;
        (fields.nth(1)? == "0A").then(|| local.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_count() {
        let table = "  sl  local_address rem_address   st tx_queue\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n   \
                     1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000\n";
        assert_eq!(parse_listening(table).collect::<Vec<_>>(), ["0100007F:1F90"]);
    }

    #[test]
    fn a_new_listener_is_seen() {
        let before = listening().expect("readable");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let after = listening().expect("readable");
        assert!(after.difference(&before).any(|address| address.ends_with(&format!(":{port:04X}"))));
    }
}
