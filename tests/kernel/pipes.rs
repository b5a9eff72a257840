//! Pipes of pools of processes: what one process writes there, and another one reads. The actor is a Python program.

use anyhow::Result;
use tracemend::attach::runtime::{self, Found};
use tracemend_core::decode::{Event, Tag, Taken, Writer};
use tracemend_core::ids::{SockCookie, Tgid};
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, Told};

/// An adapted actor that has pipes of `multiprocessing`, and has read a request on `b` in the context `reader`.
fn adapted(test: &str) -> Result<Option<(Stage, Actor, Found, Tag)>> {
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(None);
    };
    actor.does("import contextvars, multiprocessing.connection as mp, _multiprocessing")?;
    actor.does("a, b = tcp(); c, d = tcp(); r, w = mp.Pipe(False)")?;
    let found = runtime::find(actor.pid(), &mut runtime::Images::default())?;
    assert!(found.watches_pipes(), "{found:?}");
    stage.session.adapt(&found, true)?;
    let asked = Tag { cookie: SockCookie(actor.cookie("b")?), offset: 0 };
    actor.does("reader, worker = contextvars.copy_context(), contextvars.copy_context()")?;
    actor.does("a.send(b'ask'); reader.run(take, b, 3)")?;
    stage.told()?;
    Ok(Some((stage, actor, found, asked)))
}

/// What was taken, and who wrote it, before the only call.
fn read(told: &Told) -> (Taken, Writer) {
    let taken = told.0.iter().filter_map(|event| match event {
        Event::Took { takes, .. } => takes[0],
        _ => None,
    });
    let writers = told.0.iter().filter_map(|event| match event {
        Event::Piped { writer, .. } => Some(*writer),
        _ => None,
    });
    match (&taken.collect::<Vec<_>>()[..], &writers.collect::<Vec<_>>()[..]) {
        ([taken], [writer]) => (*taken, *writer),
        _ => panic!("one message read, not {told:#?}"),
    }
}

#[test]
fn what_is_read_from_a_pipe_is_whose_it_was() -> Result<()> {
    let Some((mut stage, mut actor, _, asked)) = adapted("what_is_read_from_a_pipe_is_whose_it_was")? else {
        return Ok(());
    };
    // Small ones have length and text in one call, large ones in two and more.
    for (number, text) in ["b'job'", "b'12' * 40", "b'large' * 6000"].into_iter().enumerate() {
        actor.does(&format!("reader.run(w.send_bytes, {text})"))?;
        actor.does("worker.run(r.recv_bytes); worker.run(c.send, b'call')")?;
        let (taken, writer) = read(&stage.told()?);
        assert_eq!(taken.claim.inherited, Some(asked), "{text}");
        assert_eq!((taken.queue, taken.others), (writer.pipe, 0), "{text}: {taken:?}");
        assert_eq!((taken.takes as usize, taken.put.is_some()), (number + 1, true), "{text}: {taken:?}");
        assert_eq!((writer.process.tgid, writer.written, writer.read), (Tgid(actor.pid()), 0, 0), "{text}");
        actor.does("take(d, 4); d.send(b'answer'); take(c, 6)")?;
        stage.told()?;
    }
    Ok(())
}

#[test]
fn a_child_reads_what_its_parent_wrote() -> Result<()> {
    let Some((mut stage, mut actor, found, asked)) = adapted("a_child_reads_what_its_parent_wrote")? else {
        return Ok(());
    };
    // The parent lives on: it is the one that asks and answers.
    actor.does("go, gone = os.pipe()")?;
    actor.does(
        "child = os.fork()\nif child == 0:\n    os.read(go, 1); r.recv_bytes(); c.send(b'call'); os._exit(0)\nchild",
    )?;
    let child = actor.does("child")?.as_u64().map(|pid| pid as u32).expect("a process id");
    let forked = found.forked(child).expect("its pipes are watched");
    stage.session.adapt(&forked, false)?;
    actor.does("reader.run(w.send_bytes, b'job'); os.write(gone, b'!'); os.waitpid(child, 0)")?;
    let (taken, writer) = read(&stage.told()?);
    assert_eq!((taken.claim.inherited, writer.process.tgid), (Some(asked), Tgid(actor.pid())));
    Ok(())
}

/// What nobody wrote as a message ends what was read before.
#[test]
fn what_is_no_message_is_nobodys() -> Result<()> {
    let Some((mut stage, mut actor, _, asked)) = adapted("what_is_no_message_is_nobodys")? else {
        return Ok(());
    };
    actor.does("reader.run(w.send_bytes, b'job'); worker.run(r.recv_bytes); worker.run(c.send, b'call')")?;
    assert_eq!(read(&stage.told()?).0.claim.inherited, Some(asked));
    for unknown in [
        "reader.run(os.write, w.fileno(), b'plain text'); worker.run(os.read, r.fileno(), 10)",
        "worker.run(os.write, w.fileno(), b'\\0\\0\\0\\3abc'); worker.run(r.recv_bytes)",
    ] {
        actor.does("take(d, 4); d.send(b'answer'); take(c, 6)")?;
        stage.told()?;
        actor.does(&format!("{unknown}; worker.run(c.send, b'next')"))?;
        let (taken, _) = read(&stage.told()?);
        assert_eq!((taken.claim.inherited, taken.others), (None, 0), "{unknown}: {taken:?}");
    }
    Ok(())
}

/// A result that goes back is no job: whoever reads it works for nobody by that.
#[test]
fn what_was_read_from_a_pipe_is_not_passed_on() -> Result<()> {
    let Some((mut stage, mut actor, _, _)) = adapted("what_was_read_from_a_pipe_is_not_passed_on")? else {
        return Ok(());
    };
    actor.does("back, answers = mp.Pipe(False); loop = contextvars.copy_context()")?;
    actor.does(
        "reader.run(w.send_bytes, b'job'); worker.run(r.recv_bytes); worker.run(answers.send_bytes, b'result')",
    )?;
    actor.does("loop.run(back.recv_bytes); loop.run(c.send, b'call')")?;
    let (taken, _) = read(&stage.told()?);
    assert_eq!(taken.claim.inherited, None, "{taken:?}");
    Ok(())
}

/// The same bytes twice, by two: neither reader can tell.
#[test]
fn the_same_message_written_by_two_is_nobodys() -> Result<()> {
    let Some((mut stage, mut actor, _, _)) = adapted("the_same_message_written_by_two_is_nobodys")? else {
        return Ok(());
    };
    actor.does(
        "other = contextvars.copy_context(); reader.run(w.send_bytes, b'job'); other.run(w.send_bytes, b'job')",
    )?;
    actor.does("worker.run(r.recv_bytes); worker.run(c.send, b'call')")?;
    let (taken, _) = read(&stage.told()?);
    assert_eq!((taken.claim.inherited, taken.putter), (None, None), "{taken:?}");
    Ok(())
}

/// The first bytes of what was read come with it, as often as the reader acts, but for what is too short to be a job with a name.
#[test]
fn jobs_are_told_as_they_begin() -> Result<()> {
    let Some((mut stage, mut actor, _, _)) = adapted("jobs_are_told_as_they_begin")? else {
        return Ok(());
    };
    let heads = |told: &Told| -> Vec<Vec<u8>> {
        let head = |event: &Event| match event {
            Event::Job { head, .. } => Some(head.to_vec()),
            _ => None,
        };
        told.0.iter().filter_map(head).collect()
    };
    let job: Vec<u8> = (0..=255).collect();
    actor
        .does("w.send_bytes(bytes(range(256)) + b'and more'); worker.run(r.recv_bytes); worker.run(c.send, b'call')")?;
    assert_eq!(heads(&stage.told()?), std::slice::from_ref(&job));
    actor.does("take(d, 4); d.send(b'answer'); take(c, 6)")?;
    actor.does("worker.run(c.send, b'again'); take(d, 5); d.send(b'answer'); take(c, 6)")?;
    assert_eq!(heads(&stage.told()?), [job]);
    actor.does("w.send_bytes(bytes(255)); worker.run(r.recv_bytes); worker.run(c.send, b'call')")?;
    assert_eq!(heads(&stage.told()?), Vec::<Vec<u8>>::new());
    Ok(())
}

/// Sockets and files are none, and whoever reads none takes nothing.
#[test]
fn other_descriptors_are_no_pipes() -> Result<()> {
    let Some((mut stage, mut actor, _, _)) = adapted("other_descriptors_are_no_pipes")? else {
        return Ok(());
    };
    actor.does("p, q = mp.Pipe(True); reader.run(q.send_bytes, b'job'); worker.run(p.recv_bytes)")?;
    actor.does("worker.run(os.read, os.open('/dev/zero', os.O_RDONLY), 100); worker.run(c.send, b'call')")?;
    let told = stage.told()?;
    assert!(!told.0.iter().any(|event| matches!(event, Event::Took { .. } | Event::Piped { .. })), "{told:#?}");
    Ok(())
}
