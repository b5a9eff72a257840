//! Any bytes into every reader of bytes that others made. Each target is a function that takes bytes and panics if
//! something is wrong: `cargo xtask fuzz TARGET` looks for such bytes, and the test here gives every target all that is kept
//! of its corpus.
#![forbid(unsafe_code)]

mod btf;
mod celery;
mod decode;
mod elf;
mod engine;
mod http1;
mod proc;
mod recording;
mod script;
mod stream;
mod trace_context;

/// Something that reads bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Reads any bytes; panics if they do harm, or what comes of them breaks a promise.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "decode", run: decode::run },
    Target { name: "engine", run: engine::run },
    Target { name: "stream", run: stream::run },
    Target { name: "http1", run: http1::run },
    Target { name: "trace_context", run: trace_context::run },
    Target { name: "celery", run: celery::run },
    Target { name: "recording", run: recording::run },
    Target { name: "proc", run: proc::run },
    Target { name: "btf", run: btf::run },
    Target { name: "elf", run: elf::run },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::TARGETS;

    /// Inputs kept of each target: real bytes, and those that once did harm.
    #[test]
    fn every_target_takes_its_corpus() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        for target in TARGETS {
            let inputs: Vec<_> = fs::read_dir(corpora.join(target.name)).expect(target.name).flatten().collect();
            assert!(!inputs.is_empty(), "{} has no corpus", target.name);
            for input in inputs {
                println!("{} {}", target.name, input.path().display());
                let bytes = fs::read(input.path()).expect("readable");
                (target.run)(&bytes);
                // And every beginning of it: what is cut short is what is met most.
                for length in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
                    (target.run)(&bytes[..length]);
                }
            }
        }
    }
}
