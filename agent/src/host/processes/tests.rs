use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

/// A folder that looks like `/proc`.
struct Fixture {
    folder: tempfile::TempDir,
}

struct Fake<'a> {
    pid: u32,
    parent: u32,
    start_ticks: u64,
    stack: u64,
    executable: &'a str,
    cmdline: &'a [u8],
    environ: &'a [u8],
    cgroup: &'a str,
}

const FAKE: Fake<'static> = Fake {
    pid: 100,
    parent: 1,
    start_ticks: 5000,
    stack: 7000,
    executable: "python3.11",
    cmdline: b"python3\0/srv/app/main.py\0",
    environ: b"PATH=/bin\0",
    cgroup: "0::/system.slice/shop.service\n",
};

impl Fixture {
    fn new(processes: &[Fake<'_>]) -> Self {
        let fixture = Self { folder: tempfile::tempdir().expect("folder") };
        for process in processes {
            fixture.put(process);
        }
        fixture
    }

    fn put(&self, process: &Fake<'_>) {
        let dir = self.folder.path().join(process.pid.to_string());
        let bin = self.folder.path().join("bin");
        std::fs::create_dir_all(&dir).expect("folder");
        std::fs::create_dir_all(&bin).expect("folder");
        let Fake { pid, parent, start_ticks, stack, .. } = process;
        let stat =
            format!("{pid} (x) S {parent} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {start_ticks} 0 0 0 0 0 {stack} 0 0\n");
        std::fs::write(dir.join("stat"), stat).expect("stat");
        std::fs::write(dir.join("cmdline"), process.cmdline).expect("cmdline");
        std::fs::write(dir.join("environ"), process.environ).expect("environ");
        std::fs::write(dir.join("cgroup"), process.cgroup).expect("cgroup");
        let executable: PathBuf = bin.join(process.executable);
        std::fs::write(&executable, "").expect("executable");
        let link = dir.join("exe");
        if link.is_symlink() {
            std::fs::remove_file(&link).expect("removed");
        }
        symlink(executable, link).expect("link");
    }

    fn host(&self) -> Host {
        Host::with_proc(self.folder.path()).expect("opens")
    }
}

fn id(pid: u32, start: u64) -> ProcessId {
    ProcessId { tgid: Tgid(pid), start: BootNanos(start) }
}

fn attribute<'a>(process: &'a Process, name: &str) -> &'a str {
    process.resource.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.as_str())
}

fn service(fixture: &Fixture, pid: u32) -> String {
    let process = fixture.host().find(Tgid(pid)).expect("there");
    attribute(&process, "service.name").to_owned()
}

#[test]
fn nanoseconds_are_cut_off_to_ticks() {
    assert!(same_start(BootNanos(50_000_000_000), 5000));
    assert!(same_start(BootNanos(50_009_999_999), 5000));
    assert!(!same_start(BootNanos(50_010_000_000), 5000));
    assert!(!same_start(BootNanos(49_999_999_999), 5000));
}

#[test]
fn a_process_keeps_the_records_id_and_another_of_its_number_is_refused() {
    let fixture = Fixture::new(&[FAKE]);
    let mut host = fixture.host();
    let exact = id(100, 50_004_321_000);
    let process = host.process(exact).expect("there");
    assert_eq!(process.id, exact);
    assert_eq!(process.executable, "python3.11");
    assert_eq!(attribute(&process, "service.name"), "main");
    assert_eq!(attribute(&process, "process.pid"), "100");
    assert_eq!(host.process(id(100, 60_000_000_000)), None);
    assert_eq!(host.process(id(101, 50_004_321_000)), None);
}

#[test]
fn facts_are_kept_until_exec_or_exit() {
    let fixture = Fixture::new(&[FAKE]);
    let mut host = fixture.host();
    let exact = id(100, 50_000_000_001);
    let first = host.process(exact).expect("there");
    fixture.put(&Fake { cmdline: b"python3\0cart.py\0", ..FAKE });
    assert!(Arc::ptr_eq(&first, &host.process(exact).expect("kept")));
    let second = host.executed(exact).expect("there");
    assert_eq!(attribute(&second, "service.name"), "cart");
    host.exited(exact);
    assert_eq!(host.known.len(), 0);
}

#[test]
fn a_forked_process_shares_all_but_its_life() {
    let fixture = Fixture::new(&[FAKE]);
    let mut host = fixture.host();
    let child = id(200, 70_000_000_000);
    let forked = host.forked(id(100, 50_000_000_000), child).expect("the parent is there");
    assert_eq!(forked.id, child);
    assert_eq!(attribute(&forked, "service.name"), "main");
    assert_eq!(attribute(&forked, "process.pid"), "200");
    assert_eq!(attribute(&forked, "process.parent_pid"), "100");
    assert_eq!(host.forked(id(300, 1), id(301, 2)), None);
}

#[test]
fn workers_with_titles_belong_to_their_master() {
    let master = Fake { environ: b"OTEL_SERVICE_NAME=shop\0", ..FAKE };
    let worker = Fake { pid: 101, parent: 100, cmdline: b"shopd: worker 1\0\0\0", environ: b"", ..FAKE };
    let fixture = Fixture::new(&[master, worker]);
    assert_eq!(service(&fixture, 101), "shop");
}

#[test]
fn a_supervisor_does_not_speak_for_what_it_executes() {
    let supervisor = Fake { cmdline: b"python3\0/usr/bin/supervisord\0", ..FAKE };
    let titled = Fake { pid: 101, parent: 100, stack: 8000, cmdline: b"gunicorn: master [cart]\0", ..FAKE };
    let fixture = Fixture::new(&[supervisor, titled]);
    assert_eq!(service(&fixture, 101), "cart");
}

#[test]
fn program_text_belongs_to_the_parent_of_the_same_interpreter() {
    let spawned = Fake { pid: 101, parent: 100, stack: 8000, cmdline: b"python3\0-c\0from multiprocessing\0", ..FAKE };
    let other = Fake { pid: 102, parent: 100, executable: "node", cmdline: b"node\0-e\0x\0", ..FAKE };
    let fixture = Fixture::new(&[FAKE, spawned, other]);
    assert_eq!(service(&fixture, 101), "main");
    assert_eq!(service(&fixture, 102), "node");
}

#[test]
fn chains_of_parents_end() {
    let looped = Fake { parent: 100, cmdline: b"python3\0-c\0x\0", ..FAKE };
    assert_eq!(service(&Fixture::new(&[looped]), 100), "python3.11");
}

#[test]
fn what_is_known_is_bounded_and_the_recent_half_stays() {
    let fixture = Fixture::new(&[FAKE]);
    let mut host = fixture.host();
    let parent = id(100, 50_000_000_000);
    for number in 0..KNOWN_PROCESSES_MAX as u64 {
        let child = id(1000 + u32::try_from(number).expect("small"), number + 1);
        host.forked(parent, child).expect("parent is there");
    }
    assert!(host.known.len() <= KNOWN_PROCESSES_MAX);
    assert!(host.counters().processes_evicted > 0);
    assert!(host.recall(parent).is_some(), "asked for all the time");
}

#[test]
fn this_process_is_found_in_the_real_proc() {
    let mut host = Host::new().expect("/proc");
    let process = host.find(Tgid(std::process::id())).expect("there");
    assert!(!process.executable.is_empty());
    assert_eq!(attribute(&process, "os.type"), "linux");
    assert_eq!(attribute(&process, "host.id"), host.identity().id);
}

#[test]
fn a_process_that_is_gone_is_known_by_what_the_kernel_called_it() {
    let fixture = Fixture::new(&[]);
    let host = Host::with_proc(fixture.folder.path()).expect("a host");
    let id = ProcessId { tgid: Tgid(7), start: BootNanos(990_000_000) };
    let gone = |comm| {
        let process = host.gone(id, comm);
        let find = |name: &str| process.resource.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        assert!(find("host.id").is_some() && find("ip").is_some());
        assert_eq!((find("process.pid").as_deref(), process.executable.as_str()), (Some("7"), ""));
        (find("service.name"), find("process.executable.name"))
    };
    assert_eq!(gone("curl"), (Some("curl".into()), Some("curl".into())));
    assert_eq!(gone(""), (Some("unknown_service".into()), None));
}
