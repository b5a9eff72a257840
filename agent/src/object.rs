//! stub
pub fn object() -> anyhow::Result<&'static [u8]> {
    Ok(aya::include_bytes_aligned!("../../target/ebpf/tracemend.bpf.o"))
}
