//! The kernel half: a table of contents.
//!
//! - `probes/`: one file per hook family, each with the prototype it relies on
//! - `kernel/`: typed reads of kernel structures, at offsets the user half resolved from BTF
//! - `units`: what runtimes run on threads, and the tags that it carries; `items`: what these put into queues and take;
//!   `messages`: what they write to pipes and read; `channels` and `timers`: what Go's put and take; `answers`: whom they answer,
//!   `batches`: what they take together, `contexts`: what Go's calls are given; `watches`: whether all that is noted
//! - `emit`: records into the rings
//! - `maps`: every map, with who writes, reads and deletes
//!
//! The kernel half carries identity and never chooses: precedence among tags is judged in user space.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        unsafe_code,
        reason = "helpers and kernel memory: the verifier proves every access, or refuses the program"
    )
)]

#[cfg(target_arch = "bpf")]
mod answers;
#[cfg(target_arch = "bpf")]
mod batches;
#[cfg(target_arch = "bpf")]
mod channels;
#[cfg(target_arch = "bpf")]
mod contexts;
#[cfg(target_arch = "bpf")]
mod emit;
#[cfg(target_arch = "bpf")]
mod items;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod messages;
#[cfg(target_arch = "bpf")]
mod probes;
#[cfg(target_arch = "bpf")]
mod timers;
#[cfg(target_arch = "bpf")]
mod units;
#[cfg(target_arch = "bpf")]
mod watches;

/// The kernel refuses tracing helpers to programs under another licence.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {
    eprintln!("this is the kernel half: build it with `cargo xtask build-ebpf`");
    std::process::exit(2);
}
