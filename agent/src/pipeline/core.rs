//! The core as a run uses it: what it is given is recorded, if that is asked for.

use std::io;

use tracemend_core::decode::Event;
use tracemend_core::engine::{Engine, Output};
use tracemend_core::ids::BootNanos;
use tracemend_core::recording::Entry;

use crate::recording::Recorder;

pub(super) struct Core {
    engine: Engine,
    recorder: Option<Recorder>,
}

impl Core {
    pub(super) const fn new(engine: Engine, recorder: Option<Recorder>) -> Self {
        Self { engine, recorder }
    }

    /// [`Engine::push`].
    pub(super) fn push(&mut self, event: Event, out: &mut Output) {
        if let Some(recorder) = &mut self.recorder {
            recorder.event(&event);
        }
        self.engine.push(event, out);
    }

    /// [`Engine::bad_record`].
    pub(super) fn bad_record(&mut self) {
        self.record(&Entry::BadRecord);
        self.engine.bad_record();
    }

    /// [`Engine::tick`].
    pub(super) fn tick(&mut self, now: BootNanos, out: &mut Output) {
        self.record(&Entry::Tick(now));
        self.engine.tick(now, out);
    }

    /// [`Engine::finish`].
    pub(super) fn finish(&mut self, now: BootNanos, out: &mut Output) {
        self.record(&Entry::Finish(now));
        self.engine.finish(now, out);
    }

    /// Boot time and Unix time differ by so many nanoseconds from here on.
    pub(super) fn clock(&mut self, offset_ns: i64) {
        self.record(&Entry::Clock(offset_ns));
    }

    /// What was counted.
    pub(super) const fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Ends the recording, if there is one; `lost` is what was lost before the core.
    pub(super) fn end_recording(&mut self, lost: Vec<(&'static str, u64)>) -> io::Result<()> {
        let Some(recorder) = self.recorder.take() else { return Ok(()) };
        let lost = lost.into_iter().filter(|(_, count)| *count > 0);
        let bytes = recorder.finish(lost.map(|(name, count)| (name.to_owned(), count)).collect())?;
        tracing::info!(bytes, "recorded");
        Ok(())
    }

    fn record(&mut self, entry: &Entry) {
        if let Some(recorder) = &mut self.recorder {
            recorder.entry(entry);
        }
    }
}
