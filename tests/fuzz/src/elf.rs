//! The file of any program, as the readers of all adapters see it: as an interpreter, an extension, a library, a program of Go.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};
use tracemend::attach::runtime;

pub(crate) fn run(bytes: &[u8]) {
    let descriptor = memfd_create("program", MemfdFlags::CLOEXEC).expect("memory");
    let mut file = File::from(descriptor);
    file.write_all(bytes).expect("memory");
    for sites in runtime::read(&Arc::new(file)).into_iter().flatten() {
        for site in sites {
            assert!(site.offset < bytes.len() as u64, "a probe behind the end: {site:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise what is behind a reader's first question is never reached.
    #[test]
    fn every_reader_finds_its_places_in_the_corpus() {
        let readers = ["runtime", "greenlet", "extension", "go", "pipes"];
        let found = |name: &str| -> Vec<_> {
            let path = format!("{}/corpus/elf/{name}", env!("CARGO_MANIFEST_DIR"));
            let outcomes = runtime::read(&Arc::new(File::open(path).expect("readable")));
            let sites = outcomes.into_iter().map(|sites| sites.map_or(0, |sites| sites.len()));
            readers.into_iter().zip(sites).collect()
        };
        // Of the runtime: where contexts are freed, made and made again; two gets and two puts; append and popleft.
        let sites = [("runtime", 9), ("greenlet", 2), ("extension", 4), ("go", 0), ("pipes", 3)];
        assert_eq!(found("python"), sites);
        assert_eq!(found("go"), [("runtime", 0), ("greenlet", 0), ("extension", 0), ("go", 3), ("pipes", 0)]);
    }
}
