//! Every version of CPython that there is an adapter for, each with the tasks that asyncio makes of a request.

use std::path::Path;

use agent_ebpf::wire::names::program;
use anyhow::{Context as _, Result};
use tracemend::attach::runtime::{self, Unused};
use tracemend_core::decode::{Direction, Event};
use tracemend_core::ids::SockCookie;
use tracemend_tests::actor::Actor;
use tracemend_tests::pythons;
use tracemend_tests::scene::skip;

use crate::stage::{Stage, Told, options, scene};

/// Minor versions of Python 3.
const SUPPORTED: [u8; 6] = [9, 10, 11, 12, 13, 14];

/// Requests that are served at the same time, each read by a task whose child makes the call, on threads of the loop's pool
/// too. Contexts of earlier tasks are freed meanwhile, and their addresses used again.
const SERVE: &str = "\
import asyncio, contextvars, threading

COUNT = 16
ins, outs = [tcp() for _ in range(COUNT)], [tcp() for _ in range(COUNT)]
idle = threading.Thread(target=time.sleep, args=(60,), daemon=True)
idle.start()

async def call(number):
    await asyncio.sleep(0.01)
    outs[number][0].send(b'call')

async def serve(number):
    take(ins[number][1], 3)
    await asyncio.sleep(0.001 * (COUNT - number))
    if number % 4:
        await asyncio.create_task(call(number))
    else:
        run = contextvars.copy_context().run
        await asyncio.get_running_loop().run_in_executor(None, run, outs[number][0].send, b'call')

async def main():
    await asyncio.gather(*[asyncio.create_task(asyncio.sleep(0)) for _ in range(COUNT)])
    await asyncio.gather(*[serve(number) for number in range(COUNT)])
";

/// A worker that waits for its work before anybody watches.
const WAIT: &str = "\
import queue, threading
(asks, asked), (calls, called), items = tcp(), tcp(), queue.SimpleQueue()
waits = threading.Thread(target=lambda: (items.get(), calls.send(b'call')), daemon=True)
waits.start()
time.sleep(0.1)
";

#[test]
fn every_supported_python_links_what_its_tasks_call() -> Result<()> {
    const TEST: &str = "every_supported_python_links_what_its_tasks_call";
    let Some(scene) = scene(TEST)? else {
        return Ok(());
    };
    let mut stage = Stage::start(scene, &options())?;
    for minor in SUPPORTED {
        let interpreters = pythons::installed(minor);
        if interpreters.is_empty() {
            skip(TEST, format_args!("no interpreter of CPython 3.{minor} is on the search path, or built by pyenv"));
        }
        for interpreter in interpreters {
            links(&mut stage, &interpreter, minor).with_context(|| interpreter.display().to_string())?;
        }
    }
    assert_eq!(stage.losses(), [].into());
    Ok(())
}

fn links(stage: &mut Stage, interpreter: &Path, minor: u8) -> Result<()> {
    let mut actor = Actor::start_under(&stage.scene, interpreter)?;
    stage.session.targets().add(actor.pid())?;
    let found = runtime::find(actor.pid(), &mut runtime::Images::default())?;
    assert!(found.version.starts_with(&format!("3.{minor}.")), "{}", found.version);
    let has = |wanted| found.sites.iter().any(|site| site.program == wanted);
    assert!(
        has(program::PYTHON_MADE) && has(program::PYTHON_REUSED) && !has(program::PYTHON_COPY),
        "{:?}",
        found.sites
    );
    // 3.12 counts references in another way between what is looked for; from 3.13 on who waits is handed its item.
    let seen_taken = minor < 12;
    assert_eq!((has(program::PYTHON_TAKEN), has(program::PYTHON_GET)), (seen_taken, !seen_taken), "{:?}", found.sites);
    actor.does(WAIT)?;
    stage.session.adapt(&found, true)?;
    actor.does(SERVE)?;
    // With more threads than one.
    assert_eq!(runtime::find(actor.pid(), &mut runtime::Images::default())?.layout, found.layout);
    actor.does("for a, _ in ins: a.send(b'ask')")?;
    stage.told()?;
    actor.does("asyncio.run(main())")?;
    let told = stage.told()?;
    let cookies = |actor: &mut Actor, ends: &str| -> Result<Vec<u64>> {
        let value = actor.does(&format!("[cookie(sock) for sock in {ends}]"))?;
        Ok(serde_json::from_value(value)?)
    };
    let readers = cookies(&mut actor, "[b for _, b in ins]")?;
    let callers = cookies(&mut actor, "[c for c, _ in outs]")?;
    let linked: Vec<_> = callers.iter().map(|caller| asked_by(&told, *caller)).collect();
    let expected: Vec<_> = readers.into_iter().map(|reader| Some(SockCookie(reader))).collect();
    assert_eq!(linked, expected, "{}", found.version);
    if seen_taken {
        actor.does("reader = contextvars.copy_context(); asks.send(b'ask'); reader.run(take, asked, 3)")?;
        actor.does("reader.run(items.put, object()); waits.join()")?;
        let asked = SockCookie(actor.cookie("asked")?);
        assert_eq!(put_by(&stage.told()?), [Some(asked)], "{}", found.version);
    }
    shows_use_of_queues(&mut actor, &found.unused.context("it shows whether queues are used")?)?;
    Ok(())
}

/// It shows whether it ever took something from a queue.
fn shows_use_of_queues(actor: &mut Actor, unused: &Unused) -> Result<()> {
    actor.does("import asyncio, queue; sys.modules.pop('queue')")?;
    let [none, asyncio] = unused.look().context("nothing was taken")?;
    actor.does("import queue, smtplib")?;
    assert_eq!((unused.stand([none, asyncio]), unused.stand([asyncio; 2])), (false, true), "a module came");
    let [threads, asyncio] = unused.look().context("nothing was taken yet")?;
    assert!(threads.place != none.place);
    actor.does("q = queue.Queue(); q.put(1); l = queue.LifoQueue(); l.put(1); l.get()")?;
    assert!(unused.stand([threads, asyncio]), "it was only put");
    actor.does("q.get()")?;
    assert_eq!((unused.stand([threads; 2]), unused.stand([asyncio; 2])), (false, true));
    assert_eq!(unused.look(), None);
    actor.does(
        "asyncio.set_event_loop(asyncio.new_event_loop()); q = asyncio.Queue(); q.put_nowait(1); q.get_nowait()",
    )?;
    assert!(!unused.stand([asyncio; 2]));
    // However often it does.
    actor.does("for _ in range(5000): q.put_nowait(1); q.get_nowait()")?;
    assert_eq!(unused.look(), None);
    Ok(())
}

/// The connections whose requests those had read that put what was taken.
fn put_by(told: &Told) -> Vec<Option<SockCookie>> {
    let put_by = |event: &Event| match event {
        Event::Took { takes, .. } => Some(takes[0]?.claim.inherited.map(|tag| tag.cookie)),
        _ => None,
    };
    told.0.iter().filter_map(put_by).collect()
}

/// The connection whose request the unit inherited that sent on this one.
fn asked_by(told: &Told, caller: u64) -> Option<SockCookie> {
    let sent = told.data(caller, Direction::Send);
    let [sent] = sent[..] else { return None };
    told.0.iter().find_map(|event| match event {
        Event::Running(running) if running.thread == sent.actor.thread && running.seq == sent.actor.seq => {
            running.unit.inherited.map(|tag| tag.cookie)
        }
        _ => None,
    })
}
