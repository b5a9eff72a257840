//! Embeds the kernel half: copies the object that `cargo xtask build-ebpf` leaves into this build's own folder.
//!
//! Without it the agent still compiles, so that everything but the kernel half can be checked and tested on a machine
//! without a BPF toolchain; it then says what to run when it is started.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Names another object than the one in the target folder.
const OVERRIDE: &str = "TRACEMEND_EBPF_OBJECT";
const IN_TARGET: &str = "ebpf/tracemend.bpf.o";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let object = match env::var_os(OVERRIDE) {
        Some(path) => PathBuf::from(path),
        None => target(&out).join(IN_TARGET),
    };
    // A missing file counts as changed: once it is there, the next build takes it.
    println!("cargo::rerun-if-changed={}", object.display());
    let embedded = out.join("tracemend.bpf.o");
    match fs::copy(&object, &embedded) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!(
                "cargo::warning=no kernel half at {}: run `cargo xtask build-ebpf`, then build again",
                object.display()
            );
            fs::write(embedded, [])
        }
        Err(error) => Err(error),
    }
}

/// The target folder this build runs in. How deep `OUT_DIR` lies in it depends on profile, target and cargo's version,
/// so it is the nearest folder above that has the object, or else the outermost one that cargo marked as its own.
fn target(out: &Path) -> PathBuf {
    let above = || out.ancestors().skip(1);
    let marked = |dir: &&Path| dir.join("CACHEDIR.TAG").is_file() || dir.join(".rustc_info.json").is_file();
    above()
        .find(|dir| dir.join(IN_TARGET).is_file())
        .or_else(|| above().find(marked))
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), Path::to_path_buf)
}
