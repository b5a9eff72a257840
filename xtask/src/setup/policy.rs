//! Keeping Debian's packages from starting their services, and seeing whether one did.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What `invoke-rc.d` asks before it starts anything; the exit code 101 means "not allowed".
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// While this lives, package installations start no service.
pub(super) struct NoServices {
    /// The policy to remove again; none if there was one already.
    ours: Option<PathBuf>,
}

impl NoServices {
    /// Leaves a policy that is there already alone: it is the administrator's.
    pub(super) fn enforce() -> Result<Self> {
        Self::enforce_in(Path::new(POLICY))
    }

    fn enforce_in(path: &Path) -> Result<Self> {
        let mut file = match fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Self { ours: None }),
            file => file.with_context(|| format!("cannot create {}", path.display()))?,
        };
        // From here on it is removed, even if it cannot be written.
        let ours = Self { ours: Some(path.to_path_buf()) };
        file.write_all(b"#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {}", path.display()))?;
        println!("services stay off during the installation ({}, removed afterwards)", path.display());
        Ok(ours)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(path) = &self.ours {
            // Nothing to do about a failure here; the next installation would show it by what does not start.
            let _ = fs::remove_file(path);
        }
    }
}

/// Local addresses and ports of the listening TCP sockets of this network namespace, as the kernel prints them: both in
/// hexadecimal, the address in the machine's byte order.
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
    fn a_policy_of_ours_goes_again_and_another_stays() {
        let path = std::env::temp_dir().join(format!("tracemend-policy-{}", std::process::id()));
        let guard = NoServices::enforce_in(&path).expect("created");
        let answer = std::process::Command::new("sh").arg(&path).status().expect("sh runs");
        assert_eq!(answer.code(), Some(101));
        drop(NoServices::enforce_in(&path).expect("there already"));
        assert!(path.exists());
        drop(guard);
        assert!(!path.exists());
    }

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
