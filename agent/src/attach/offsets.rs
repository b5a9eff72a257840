//! The running kernel's member offsets, as the kernel half wants them.

use std::path::Path;

use agent_ebpf::wire::config::MEMBERS;
use anyhow::{Context, Result};

use crate::attach::btf::Btf;

/// Where the kernel shows its own BTF.
pub(super) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The bytes of the kernel half's `Offsets`, resolved from the running kernel.
///
/// # Errors
/// If the kernel shows no BTF, or lacks a structure or member that is needed.
pub(super) fn resolve() -> Result<Vec<u8>> {
    let path = Path::new(VMLINUX);
    let blob = std::fs::read(path)
        .with_context(|| format!("cannot read {VMLINUX}: the kernel must be built with CONFIG_DEBUG_INFO_BTF=y"))?;
    offsets_in(&blob).with_context(|| format!("cannot use {VMLINUX}"))
}

/// The same, resolved from a BTF blob.
///
/// # Errors
/// If the blob is none, or lacks a structure or member that is needed.
pub fn offsets_in(blob: &[u8]) -> Result<Vec<u8>> {
    let btf = Btf::parse(blob)?;
    let mut bytes = Vec::with_capacity(MEMBERS.len() * 4);
    for (structure, member) in MEMBERS {
        bytes.extend(btf.offset(structure, member)?.to_ne_bytes());
    }
    Ok(bytes)
}
