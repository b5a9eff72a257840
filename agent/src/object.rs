//! The kernel half, embedded when the agent was built (`build.rs`).

/// The object, aligned for a parser that reads 64-bit fields in place.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracemend.bpf.o"));

/// The kernel half as an ELF object.
///
/// # Errors
/// If the agent was built before `cargo xtask build-ebpf` had run, and so has none.
pub fn object() -> anyhow::Result<&'static [u8]> {
    anyhow::ensure!(
        !OBJECT.is_empty(),
        "this build has no kernel half: run `cargo xtask build-ebpf`, then build again"
    );
    Ok(OBJECT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_elf_and_aligned_or_its_absence_says_what_to_run() {
        match object() {
            Ok(bytes) => {
                assert_eq!(bytes.get(..4), Some(b"\x7fELF".as_slice()));
                assert_eq!(bytes.as_ptr().align_offset(8), 0);
            }
            Err(error) => assert!(error.to_string().contains("cargo xtask build-ebpf")),
        }
    }
}
