//! Records into events: the only place that knows the wire layouts.

mod event;

pub use event::{
    Actor, Address, Bases, CaptureGap, Closing, Count, Data, Direction, Endpoint, Event, Exit,
    Fork, Link, Open, Opened, Process, Tag,
};
