//! Records into events: the only place that knows the wire layouts.

mod event;
mod gap;
mod record;

pub use event::{
    Actor, Address, Answered, Bases, CaptureGap, Claim, Closing, Connect, Count, Data, Direction, Endpoint, Event,
    Exit, Fork, Gathered, Link, Listen, Open, Opened, Passed, Process, Running, Tag, Taken, Takes, Unit, UnitBorn,
    Writer,
};
pub use record::{Error, Room, decode};
