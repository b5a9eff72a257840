//! What must be told of a conversation.

use super::act::{Act, Side};

/// An exchange that must be told.
#[derive(Clone, Debug)]
pub struct Told {
    /// On which connection.
    pub wire: usize,
    /// Method as on the wire.
    pub method: String,
    /// Path at the client and at the server.
    pub paths: [String; 2],
    /// Context on the request.
    pub context: Option<Context>,
    /// What caused the call.
    pub cause: Cause,
    /// Attributes that both halves have, as their text is printed.
    pub attributes: Vec<(&'static str, String)>,
    /// Attributes that neither half has.
    pub absent: Vec<&'static str>,
    /// The client's half and the server's; none if it must not be told.
    pub halves: [Option<Half>; 2],
}

/// One end's truth of an exchange.
#[derive(Clone, Debug)]
pub struct Half {
    /// The act that moved its first byte.
    pub from: usize,
    /// The act that moved its last byte, or ended it.
    pub to: usize,
    /// The act that moved the answer's first byte, where that is to be told exactly.
    pub first_byte: Option<usize>,
    /// Status, if one was seen.
    pub status: Option<u16>,
    /// `error.type` of an exchange that its connection ended.
    pub error: Option<&'static str>,
    /// Bytes of the request's and of the answer's body, where the framing tells them.
    pub bodies: [Option<u64>; 2],
    /// Bytes that were counted and not read.
    pub unseen: u64,
    asked: usize,
    end: End,
    first_answer: Option<usize>,
}

/// Which act ended a half.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The one that moved the answer, so many from the latest.
    Answer(usize),
    /// The latest of all, or one so many later.
    Now(usize),
    /// This one.
    Act(usize),
}

/// A trace context on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Trace id.
    pub trace: String,
    /// Span id of the sender.
    pub span: String,
    /// The sampled flag.
    pub sampled: bool,
    /// `tracestate`, combined.
    pub state: String,
}

impl Context {
    /// Ids that are a number and nothing else; sampled.
    #[must_use]
    pub fn number(number: u32) -> Self {
        let (trace, span) = (format!("{number:0>32x}"), format!("{number:0>16x}"));
        Self { trace, span, sampled: true, state: String::new() }
    }

    /// The value of a `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }

    /// The same, of a trace that is not sampled: no span of it may be told.
    #[must_use]
    pub fn unsampled(self) -> Self {
        Self { sampled: false, ..self }
    }

    /// The same with a `tracestate`.
    #[must_use]
    pub fn with_state(self, state: &str) -> Self {
        Self { state: state.to_owned(), ..self }
    }
}

/// What caused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing observed: it begins its trace, or continues the one its context names.
    Nothing,
    /// The exchange of this number, counted in the order of [`super::Play::told`], by this evidence and confidence.
    Served(usize, &'static str, &'static str),
    /// It has no parent, for this reason.
    Orphan(&'static str),
    /// It has no parent, the trace of its context, and a link to the exchange of this number.
    Conflict(usize),
}

/// An exchange that both ends tell as complete, without bodies.
#[must_use]
pub fn exchange(method: &str, path: &str, status: u16) -> Told {
    let half = Half {
        from: 0,
        to: 0,
        first_byte: None,
        status: Some(status),
        error: None,
        bodies: [Some(0), Some(0)],
        unseen: 0,
        asked: 1,
        end: End::Answer(1),
        first_answer: None,
    };
    Told {
        wire: 0,
        method: method.to_owned(),
        paths: [path.to_owned(), path.to_owned()],
        context: None,
        cause: Cause::Nothing,
        attributes: Vec::new(),
        absent: Vec::new(),
        halves: [Some(half.clone()), Some(half)],
    }
}

/// An exchange of which no answer's head was seen, and that ended with the latest act, by this error.
#[must_use]
pub fn unanswered(method: &str, path: &str, error: &'static str) -> Told {
    exchange(method, path, 0).framed(Some(0), None).both(|half| half.status = None).failed(error)
}

impl Told {
    /// Bytes of the bodies of request and answer.
    #[must_use]
    pub fn bodies(self, request: u64, answer: u64) -> Self {
        self.framed(Some(request), Some(answer))
    }

    /// The same, where the framing may not tell them.
    #[must_use]
    pub fn framed(self, request: Option<u64>, answer: Option<u64>) -> Self {
        self.both(|half| half.bodies = [request, answer])
    }

    /// Its request took the client's latest `count` acts of saying.
    #[must_use]
    pub fn asked(self, count: usize) -> Self {
        self.both(|half| half.begun(count))
    }

    /// Its answer ended `count - 1` acts of saying before the server's latest.
    #[must_use]
    pub fn answered(self, count: usize) -> Self {
        self.both(|half| half.ended(count))
    }

    /// Its answer began `count - 1` acts of saying before the server's latest, and that is told.
    #[must_use]
    pub fn first_byte(self, count: usize) -> Self {
        self.both(|half| half.first_answer = Some(count))
    }

    /// Bytes that each end counted and did not read.
    #[must_use]
    pub fn unseen(self, client: u64, server: u64) -> Self {
        self.at_client(|half| half.unseen = client).at_server(|half| half.unseen = server)
    }

    /// It ended with the latest act, by this error.
    #[must_use]
    pub fn failed(self, error: &'static str) -> Self {
        self.both(|half| half.fail(error))
    }

    /// The request carried this context.
    #[must_use]
    pub fn context(mut self, context: &Context) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// This caused the call.
    #[must_use]
    pub const fn caused(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// Both halves have this attribute.
    #[must_use]
    pub fn has(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Neither half has this attribute.
    #[must_use]
    pub fn has_no(mut self, name: &'static str) -> Self {
        self.absent.push(name);
        self
    }

    /// The client's path where it is not the server's.
    #[must_use]
    pub fn client_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.paths[0]);
        self
    }

    /// The server must not tell it.
    #[must_use]
    pub fn by_client_alone(mut self) -> Self {
        self.halves[1] = None;
        self
    }

    /// The client must not tell it.
    #[must_use]
    pub fn by_server_alone(mut self) -> Self {
        self.halves[0] = None;
        self
    }

    /// Changes what the client must tell.
    #[must_use]
    pub fn at_client(mut self, change: impl FnOnce(&mut Half)) -> Self {
        self.halves[0].as_mut().map(change);
        self
    }

    /// Changes what the server must tell.
    #[must_use]
    pub fn at_server(mut self, change: impl FnOnce(&mut Half)) -> Self {
        self.halves[1].as_mut().map(change);
        self
    }

    fn both(mut self, change: impl Fn(&mut Half)) -> Self {
        self.halves.iter_mut().flatten().for_each(change);
        self
    }

    /// True if its spans are exported.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.context.as_ref().is_none_or(|context| context.sampled)
    }

    /// Says which acts it took, from those so far.
    pub(super) fn placed(mut self, wire: usize, acts: &[Act]) -> Self {
        self.wire = wire;
        for side in Side::BOTH {
            let Some(half) = &mut self.halves[side as usize] else { continue };
            let asks = side == Side::Client;
            // The acts by which this end moved bytes in one direction, the latest first.
            let nth = |out: bool, count: usize| {
                let places = (0..acts.len()).rev().filter(|place| acts[*place].moves(wire, side, out));
                places.take(count).last().unwrap_or_default()
            };
            half.from = nth(asks, half.asked);
            half.to = match half.end {
                End::Answer(count) => nth(!asks, count),
                End::Now(later) => acts.len() - 1 + later,
                End::Act(number) => number,
            };
            half.first_byte = half.first_answer.map(|count| nth(!asks, count));
        }
        self
    }
}

impl Half {
    /// It ended with the latest act, by this error.
    pub const fn fail(&mut self, error: &'static str) {
        self.error = Some(error);
        self.end = End::Now(0);
    }

    /// It ended with the latest act, whatever that was.
    pub const fn until_now(&mut self) {
        self.end = End::Now(0);
    }

    /// It ends with the next act: this end learns of it then.
    pub const fn until_next(&mut self) {
        self.end = End::Now(1);
    }

    /// It ended with the act of this number.
    pub const fn until(&mut self, act: usize) {
        self.end = End::Act(act);
    }

    /// As [`Told::asked`].
    pub const fn begun(&mut self, count: usize) {
        self.asked = count;
    }

    /// As [`Told::answered`].
    pub const fn ended(&mut self, count: usize) {
        self.end = End::Answer(count);
    }
}
