//! Processes with a runtime that come and go.

use std::time::{Duration, Instant};

use agent_ebpf::wire::config::{Item, Python, TakesState, UnitKey, UnitState};
use agent_ebpf::wire::names;
use anyhow::{Result, bail, ensure};
use aya::maps::{HashMap, Map, MapData, MapInfo};
use tracemend_tests::agent::Builder;
use tracemend_tests::bpf::Loaded;
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::workload;

type Bytes<const N: usize> = [u8; N];

/// Three hundred Pythons at the rate of a thousand a minute: some end, some are killed, some fork, some run another program.
#[test]
fn a_thousand_short_lived_pythons_a_minute_leave_nothing() -> Result<()> {
    const COUNT: &str = "300";
    const PER_SECOND: &str = "16.7";
    const LIMIT: Duration = Duration::from_secs(300);
    /// Ends are noticed by a tick; that of a process that was adapted too late, five seconds later, and by a busy machine later still.
    /// What leaks never goes.
    const FORGOTTEN: Duration = Duration::from_secs(60);
    /// What is known of processes that have ended is kept for a while: some 12 KiB each, for about a thousand.
    const CREEP_MIB_MAX: u64 = 12;
    let test = "a_thousand_short_lived_pythons_a_minute_leave_nothing";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let mut start = workload::python(&scene, "short_lived.py", &[COUNT, PER_SECOND]);
    let mut pythons = Process::start("short_lived", &mut start)?;
    let agent = Builder::new(&scene).tree(&pythons).start()?;
    let kept = Kept::of(agent.process.pid())?;

    pythons.tell("go")?;
    let begun = Instant::now();
    let (mut most, mut memory) = (0, Vec::new());
    loop {
        let over = pythons.says("done", Duration::from_millis(500));
        most = most.max(kept.units());
        memory.push(agent.process.memory_mib()?);
        if let Ok(said) = over {
            println!("{said} s; {most} units, items and takes at most; MiB: {memory:?}");
            break;
        }
        pythons.check()?;
        ensure!(begun.elapsed() < LIMIT, "not done after {LIMIT:?}");
    }
    // At one look at least, that of one of them was there to be forgotten.
    ensure!(most >= 20, "only {most} units, items and takes were ever kept");
    pythons.tell("end")?;
    pythons.ended(LIMIT)?;
    let until = Instant::now() + FORGOTTEN;
    while kept.units() + kept.processes() > 0 {
        ensure!(Instant::now() < until, "{} units, {} processes are left", kept.units(), kept.processes());
        std::thread::sleep(Duration::from_millis(100));
    }
    let (middle, last) = (memory[memory.len() / 2], agent.process.memory_mib()?);
    ensure!(last <= middle + CREEP_MIB_MAX, "{middle} MiB in the middle, then {last}");
    let stopped = agent.stop()?;
    ensure!(stopped.lost_by("units_full") + stopped.lost_by("items_full") == 0, "{:?}", stopped.losses);
    Ok(())
}

/// What the kernel half of an agent keeps of runtimes.
struct Kept {
    units: HashMap<MapData, Bytes<{ size_of::<UnitKey>() }>, Bytes<{ size_of::<UnitState>() }>>,
    items: HashMap<MapData, Bytes<{ size_of::<UnitKey>() }>, Bytes<{ size_of::<Item>() }>>,
    takes: HashMap<MapData, Bytes<{ size_of::<UnitKey>() }>, Bytes<{ size_of::<TakesState>() }>>,
    pythons: HashMap<MapData, u32, Bytes<{ size_of::<Python>() }>>,
}

impl Kept {
    fn of(agent: u32) -> Result<Self> {
        let held = Loaded::by(agent)?;
        let open = |name: &str| -> Result<Map> {
            for id in &held.maps {
                let map = MapInfo::from_id(*id)?;
                if map.name_as_str() == Some(name) {
                    return Ok(Map::HashMap(MapData::from_id(*id)?));
                }
            }
            bail!("the agent has no map {name}")
        };
        Ok(Self {
            units: HashMap::try_from(open(names::UNITS)?)?,
            items: HashMap::try_from(open(names::ITEMS)?)?,
            takes: HashMap::try_from(open(names::TAKES)?)?,
            pythons: HashMap::try_from(open(names::PYTHONS)?)?,
        })
    }

    fn units(&self) -> usize {
        self.units.keys().flatten().count() + self.items.keys().flatten().count() + self.takes.keys().flatten().count()
    }

    fn processes(&self) -> usize {
        self.pythons.keys().flatten().count()
    }
}
