//! Type information of a kernel.

pub(crate) fn run(bytes: &[u8]) {
    // Either all offsets are found, or it says which is missing.
    if let Ok(offsets) = tracemend::attach::offsets_in(bytes) {
        assert_eq!(offsets.len(), agent_ebpf::wire::config::MEMBERS.len() * 4);
    }
}
