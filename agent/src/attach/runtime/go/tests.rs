//! Programs of every Go that can be had, linked in every way: what is found in each.
//!
//! A Go that is missing is fetched from the module proxy by the one at hand. What cannot be had is skipped, and said so.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use agent_ebpf::wire::names::program;

/// Versions besides the one at hand.
const VERSIONS: [&str; 4] = ["1.18.10", "1.20.14", "1.22.12", "1.24.9"];

/// A server that calls.
const SOURCE: &str = "package main\n\nimport \"net/http\"\n\nfunc main() {\n\tgo http.Get(\"http://127.0.0.1:1/\")\n\t\
    http.ListenAndServe(\"127.0.0.1:0\", nil)\n}\n";
/// One that does not know HTTP.
const SILENT: &str = "package main\n\nfunc main() {\n\tgo func() {}()\n}\n";

/// How a program is linked: its name, `CGO_ENABLED` and further arguments.
const LINKED: [(&str, &str, &[&str]); 4] = [
    ("static", "0", &[]),
    ("pie", "0", &["-buildmode=pie"]),
    ("external", "1", &["-ldflags=-linkmode=external"]),
    ("external pie", "1", &["-buildmode=pie", "-ldflags=-linkmode=external"]),
];

/// Builds programs.
struct Go {
    program: PathBuf,
    toolchain: String,
    room: tempfile::TempDir,
}

impl Go {
    fn at_hand(version: Option<&str>) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).map(|place| place.join("go"));
        let program = places.find(|file| file.is_file()).unwrap_or_else(|| "/usr/local/go/bin/go".into());
        let toolchain = version.map_or_else(|| "local".to_owned(), |version| format!("go{version}"));
        let mut asked = Command::new(&program);
        asked.arg("version").env("GOTOOLCHAIN", &toolchain).stdout(Stdio::null()).stderr(Stdio::null());
        if !asked.status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: Go {} cannot be had", version.unwrap_or("at hand"));
            return None;
        }
        Some(Self { program, toolchain, room: tempfile::tempdir().expect("room") })
    }

    fn build(&self, source: &str, cgo: &str, arguments: &[&str]) -> File {
        let room = self.room.path();
        std::fs::write(room.join("main.go"), source).expect("written");
        std::fs::write(room.join("go.mod"), "module m\n\ngo 1.18\n").expect("written");
        let mut build = Command::new(&self.program);
        build.arg("build").args(arguments).args(["-o", "program"]).current_dir(room);
        build.env("GOTOOLCHAIN", &self.toolchain).env("CGO_ENABLED", cgo).env("GOFLAGS", "-buildvcs=false");
        assert!(build.status().expect("run").success(), "{build:?}");
        File::open(room.join("program")).expect("built")
    }
}

/// Version and what is known of a build.
fn known(file: File) -> Result<(Option<String>, Build), Refusal> {
    let cache = Capped::new(file);
    let elf = Elf::parse(&cache)?;
    let build = Build::of(&elf, &Table::parse(&elf)?)?;
    assert!(build.sites.iter().all(|(_, address)| elf.file_offset(*address).is_some()), "{build:?}");
    Ok((table::version(&elf), build))
}

/// What the compilers' own debugging information says of a version.
fn expected(version: &str) -> agent_ebpf::wire::config::Go {
    let minor: u32 = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).expect("a version");
    let g_goid = if (23..25).contains(&minor) { 160 } else { 152 };
    let m_curg = if minor < 25 { 192 } else { 184 };
    agent_ebpf::wire::config::Go { g_m: 48, m_curg, g_goid, connection: 88 }
}

fn every_link_of(go: &Go) {
    for (linked, cgo, arguments) in LINKED {
        let (version, build) = known(go.build(SOURCE, cgo, arguments)).expect(linked);
        let version = version.expect(linked);
        let version = version.strip_prefix("go").expect("a version");
        assert_eq!(build.layout, expected(version), "{version} {linked}");
        let programs: Vec<_> = build.sites.iter().map(|(program, _)| *program).collect();
        let begins = if build.sites.iter().any(|(name, _)| *name == program::GO_MADE) {
            program::GO_MADE
        } else {
            program::GO_QUEUED
        };
        assert_eq!(programs, [program::GO_ENDED, begins, program::GO_WRITER, program::GO_ROUND], "{version} {linked}");
        let flags = arguments.iter().find_map(|one| one.strip_prefix("-ldflags=")).unwrap_or_default();
        let strips = format!("-ldflags={flags} -s -w");
        let mut stripped: Vec<_> = arguments.iter().copied().filter(|one| !one.starts_with("-ldflags")).collect();
        stripped.push(&strips);
        let (_, again) = known(go.build(SOURCE, cgo, &stripped)).expect(linked);
        assert_eq!(again.layout, build.layout, "{version} {linked}, stripped");
        assert_eq!(again.sites.len(), build.sites.len(), "{version} {linked}, stripped");
        eprintln!("{version} {linked}: {build:?}");
    }
}

#[test]
fn all_is_found_in_what_the_go_at_hand_builds() {
    if let Some(go) = Go::at_hand(None) {
        every_link_of(&go);
    }
}

#[test]
fn all_is_found_in_what_older_ones_build() {
    for go in VERSIONS.iter().filter_map(|version| Go::at_hand(Some(version))) {
        every_link_of(&go);
    }
}

#[test]
fn a_program_without_http_has_goroutines() {
    let Some(go) = Go::at_hand(None) else { return };
    let (_, build) = known(go.build(SILENT, "0", &[])).expect("found");
    assert_eq!(build.layout.connection, 0);
    assert_eq!(build.sites.len(), 2, "{build:?}");
}

#[test]
fn the_table_of_symbols_agrees() {
    let Some(go) = Go::at_hand(None) else { return };
    let file = go.build(SOURCE, "0", &[]);
    let (_, build) = known(file).expect("found");
    let bytes = std::fs::read(go.room.path().join("program")).expect("readable");
    for (program, address) in build.sites {
        let function = function_at(&bytes, address);
        let right = match program {
            program::GO_ENDED => ["runtime.gdestroy", "runtime.goexit0"].contains(&function.as_str()),
            program::GO_MADE => function == "runtime.newproc1",
            program::GO_QUEUED => function == "runtime.newproc.func1",
            program::GO_WRITER => function == "net/http.(*persistConn).writeLoop",
            _ => function == "net/http.(*persistConn).roundTrip",
        };
        assert!(right, "{program} in {function}");
    }
}

#[test]
fn what_is_not_go_is_told_at_once() {
    let own = File::open(Path::new("/proc/self/exe")).expect("readable");
    assert_eq!(known(own).expect_err("no Go"), Refusal::NoRuntime);
}

#[test]
fn a_forged_table_leads_nowhere() {
    let Some(go) = Go::at_hand(None) else { return };
    drop(go.build(SILENT, "0", &[]));
    let path = go.room.path().join("program");
    let bytes = std::fs::read(&path).expect("readable");
    let at = bytes.windows(8).position(|eight| eight == b"\xf1\xff\xff\xff\0\0\x01\x08").expect("a table");
    // Each of its words in turn is as great as can be, and the places of all functions.
    for (place, length) in (8..72).step_by(8).map(|word| (word, 8)).chain([(4096, 65536)]) {
        let mut forged = bytes.clone();
        forged[at + place..][..length].fill(0xff);
        std::fs::write(&path, forged).expect("written");
        let outcome = known(File::open(&path).expect("readable"));
        let told = outcome.as_ref().is_ok_and(|(version, _)| version.is_some());
        assert!(told || outcome.is_err(), "{place}");
    }
}

fn function_at(program: &[u8], address: u64) -> String {
    use object::{Object as _, ObjectSymbol as _};
    let file = object::File::parse(program).expect("an ELF file");
    let holds =
        |symbol: &object::Symbol<'_, '_>| symbol.address() <= address && address < symbol.address() + symbol.size();
    let symbol = file.symbols().find(holds).expect("a symbol");
    symbol.name().expect("its name").to_owned()
}
