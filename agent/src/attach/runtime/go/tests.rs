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
/// The same, with a coroutine.
const RESUMES: &str = "package main\n\nimport (\n\t\"iter\"\n\t\"net/http\"\n)\n\nfunc main() {\n\t\
    next, _ := iter.Pull(func(yield func(int) bool) { yield(1) })\n\tnext()\n\tgo http.Get(\"http://127.0.0.1:1/\")\n\t\
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

/// What watches how goroutines hand over work, in the order it is attached in.
const HANDING: [&str; 11] = [
    program::GO_TAKE,
    program::GO_TAKE_SELECT,
    program::GO_FETCH,
    program::GO_HAND,
    program::GO_REFILL,
    program::GO_PUT_SELECT,
    program::GO_PUT,
    program::GO_CLOSE,
    program::GO_TIMER_STOP,
    program::GO_TIMER_RESET,
    program::GO_TIMER,
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
    let mut all = build.sites.iter().chain(&build.serving).chain(&build.handing);
    assert!(all.all(|(_, address)| elf.file_offset(*address).is_some()), "{build:?}");
    Ok((table::version(&elf), build))
}

fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).expect("a version")
}

/// What the compilers' own debugging information says of a version.
fn expected(version: &str, found: &agent_ebpf::wire::config::Go) -> agent_ebpf::wire::config::Go {
    let minor = minor(version);
    let g_goid = if (23..25).contains(&minor) { 160 } else { 152 };
    let m_curg = if minor < 25 { 192 } else { 184 };
    let timer_function = match minor {
        ..23 => 40,
        23..26 => 64,
        26.. => 72,
    };
    agent_ebpf::wire::config::Go {
        g_m: 48,
        m_curg,
        g_goid,
        connection: 88,
        g_function: 80,
        timer_function,
        g_frame: if minor < 25 { 104 } else { 96 },
        channel_type: if minor < 23 { 32 } else { 40 },
        request_context: if minor < 23 { 232 } else { 248 },
        // Where code is has to be asked of the symbols.
        runtime: found.runtime,
        http: found.http,
        cancels: found.cancels,
        deadlines: found.deadlines,
        ..agent_ebpf::wire::config::Go::default()
    }
}

/// From 1.23 on there are coroutines.
fn resumes(go: &Go, version: &str, linked: &str, cgo: &str, arguments: &[&str]) {
    if minor(version) < 23 {
        return;
    }
    let (_, build) = known(go.build(RESUMES, cgo, arguments)).expect(linked);
    let coroutine = build.layout.coroutine;
    let plain = expected(version, &build.layout);
    let expected = agent_ebpf::wire::config::Go { g_start: 304, coroutine_below: 64, coroutine, ..plain };
    assert_eq!(build.layout, expected, "{version} {linked}");
    let bytes = std::fs::read(go.room.path().join("program")).expect("readable");
    assert_eq!(function_at(&bytes, coroutine), "runtime.corostart", "{version} {linked}");
}

fn every_link_of(go: &Go) {
    for (linked, cgo, arguments) in LINKED {
        let (version, build) = known(go.build(SOURCE, cgo, arguments)).expect(linked);
        let version = version.expect(linked);
        let version = version.strip_prefix("go").expect("a version");
        assert_eq!(build.layout, expected(version, &build.layout), "{version} {linked}");
        let programs: Vec<_> = build.sites.iter().map(|(program, _)| *program).collect();
        let begins = if build.sites.iter().any(|(name, _)| *name == program::GO_MADE) {
            program::GO_MADE
        } else {
            program::GO_QUEUED
        };
        assert_eq!(programs, [program::GO_ENDED, begins, program::GO_WRITER, program::GO_ROUND], "{version} {linked}");
        let handing: Vec<_> = build.handing.iter().map(|(program, _)| *program).collect();
        let mut expected = HANDING;
        if minor(version) < 21 {
            expected[7] = program::GO_CLOSE_CALL;
        }
        assert_eq!(handing, expected, "{version} {linked}");
        let serving: Vec<_> = build.serving.iter().map(|(program, _)| *program).collect();
        assert_eq!(serving, [program::GO_SERVE], "{version} {linked}");
        resumes(go, version, linked, cgo, arguments);
        let flags = arguments.iter().find_map(|one| one.strip_prefix("-ldflags=")).unwrap_or_default();
        let strips = format!("-ldflags={flags} -s -w");
        let mut stripped: Vec<_> = arguments.iter().copied().filter(|one| !one.starts_with("-ldflags")).collect();
        stripped.push(&strips);
        let (_, again) = known(go.build(SOURCE, cgo, &stripped)).expect(linked);
        assert_eq!(again.layout, build.layout, "{version} {linked}, stripped");
        assert_eq!(again.sites.len(), build.sites.len(), "{version} {linked}, stripped");
        assert_eq!(again.handing.len(), build.handing.len(), "{version} {linked}, stripped");
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
    assert_eq!(build.layout.http, [0; 2]);
}

#[test]
fn the_table_of_symbols_agrees() {
    let Some(go) = Go::at_hand(None) else { return };
    let file = go.build(SOURCE, "0", &[]);
    let (_, build) = known(file).expect("found");
    let bytes = std::fs::read(go.room.path().join("program")).expect("readable");
    for (program, address) in build.sites.into_iter().chain(build.serving).chain(build.handing) {
        let function = function_at(&bytes, address);
        let right = match program {
            program::GO_ENDED => ["runtime.gdestroy", "runtime.goexit0"].contains(&function.as_str()),
            program::GO_MADE => function == "runtime.newproc1",
            program::GO_QUEUED => function == "runtime.newproc.func1",
            program::GO_TAKE => function == "runtime.chanrecv",
            program::GO_TAKE_SELECT => function == "runtime.selectgo",
            program::GO_PUT => function == "runtime.chansend",
            program::GO_PUT_SELECT => function == "runtime.selectgo",
            program::GO_HAND => function == "runtime.send",
            program::GO_CLOSE | program::GO_CLOSE_CALL => function == "runtime.closechan",
            program::GO_FETCH | program::GO_REFILL => function == "runtime.recv",
            program::GO_TIMER => function == "time.AfterFunc",
            program::GO_TIMER_STOP => function == "time.stopTimer",
            program::GO_TIMER_RESET => function == "time.resetTimer",
            program::GO_SERVE => function == "net/http.serverHandler.ServeHTTP",
            program::GO_WRITER => function == "net/http.(*persistConn).writeLoop",
            _ => function == "net/http.(*persistConn).roundTrip",
        };
        assert!(right, "{program} in {function}");
    }
}

/// All that is between two functions of a package is that package's, but for what the compiler makes for several.
#[test]
fn code_of_a_package_is_together() {
    use object::{Object as _, ObjectSymbol as _};
    let Some(go) = Go::at_hand(None) else { return };
    let (_, build) = known(go.build(SOURCE, "0", &[])).expect("found");
    let bytes = std::fs::read(go.room.path().join("program")).expect("readable");
    let file = object::File::parse(bytes.as_slice()).expect("an ELF file");
    let names = |[begin, end]: [u64; 2]| {
        let within = file.symbols().filter(move |symbol| (begin..end).contains(&symbol.address()));
        within.map(|symbol| symbol.name().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let http = names(build.layout.http);
    assert!(http.len() > 100, "{http:?}");
    for name in http {
        let foreign =
            ["main.", "runtime.", "net/http/", "context.", "golang.org/"].iter().any(|one| name.starts_with(one));
        assert!(!foreign, "{name}");
    }
    let contexts = names(build.layout.cancels);
    assert!(contexts.iter().any(|name| name == "context.(*cancelCtx).cancel"), "{contexts:?}");
    assert!(contexts.iter().all(|name| !name.starts_with("main.")), "{contexts:?}");
    let deadlines = names(build.layout.deadlines);
    assert!(deadlines.iter().all(|name| name.starts_with("context.")), "{deadlines:?}");
    for name in names(build.layout.runtime) {
        assert!(!["main.", "net/"].iter().any(|one| name.starts_with(one)), "{name}");
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
