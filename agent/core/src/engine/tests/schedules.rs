//! Any schedule of servers of every discipline, with and without losses: no link may be wrong.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// How a process works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Threads that block, one request each at a time.
    Blocking,
    /// The same with a timeout on each socket, which is non-blocking to the kernel.
    Timeouts,
    /// One thread, all requests at once.
    Loop,
    /// A few threads on which any request goes on.
    Scheduler,
    /// One thread, and calls made in the turn of their request, or over a connection opened in it.
    Nginx,
    /// Threads that block and leave calls to threads that they create, or to workers of a pool that grows.
    Spawning,
}

const KINDS: [Kind; 6] = [Kind::Blocking, Kind::Timeouts, Kind::Loop, Kind::Scheduler, Kind::Nginx, Kind::Spawning];

impl Kind {
    fn pid(self) -> u32 {
        10 * (2 + KINDS.iter().position(|kind| *kind == self).expect("it is one of them") as u32)
    }

    fn threads(self) -> u32 {
        match self {
            Self::Loop | Self::Nginx => 1,
            Self::Scheduler => 2,
            Self::Blocking | Self::Timeouts | Self::Spawning => 3,
        }
    }

    /// Its threads serve one request each.
    fn one_at_a_time(self) -> bool {
        matches!(self, Self::Blocking | Self::Timeouts | Self::Spawning)
    }
}

/// A request that is being served.
#[derive(Clone)]
struct Job {
    kind: Kind,
    path: String,
    fields: String,
    wire: Wire,
    thread: Actors,
    calls: u16,
    /// nginx: connected, and not written to yet.
    connecting: Option<Wire>,
}

/// A call that waits for its answer.
struct Call {
    path: String,
    wire: Wire,
    thread: Actors,
    /// The path of the request it was made for.
    job: String,
}

/// A host whose next step is chosen.
struct Host {
    world: World,
    choices: std::vec::IntoIter<u16>,
    lossy: bool,
    jobs: Vec<Job>,
    calls: Vec<Call>,
    /// Calls by path, with the path of the request that caused each; none for what a process does by itself.
    truth: BTreeMap<String, Option<String>>,
    /// Connections of a kind that wait for their next request.
    idle: Vec<(Kind, Wire)>,
    upstreams: Vec<Wire>,
    /// Workers of the growing pool.
    workers: Vec<Actors>,
    count: u32,
}

impl Host {
    fn new(choices: Vec<u16>, lossy: bool) -> Self {
        let mut world = World::new();
        world.program(Kind::Nginx.pid(), "nginx");
        Self {
            world,
            choices: choices.into_iter(),
            lossy,
            jobs: Vec::new(),
            calls: Vec::new(),
            truth: BTreeMap::new(),
            idle: Vec::new(),
            upstreams: Vec::new(),
            workers: Vec::new(),
            count: 0,
        }
    }

    fn choose(&mut self, below: usize) -> usize {
        usize::from(self.choices.next().unwrap_or_default()) % below.max(1)
    }

    fn name(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("/{kind}{}", self.count)
    }

    /// Acts, and sometimes loses what that tells.
    fn act(&mut self, acts: impl FnOnce(&mut World) -> &mut World) {
        if self.lossy && self.choose(12) == 0 {
            self.world.losing(|world| {
                acts(world);
            });
        } else {
            acts(&mut self.world);
        }
    }

    fn run(mut self) -> (Vec<Span>, BTreeMap<String, Option<String>>) {
        while self.choices.len() > 0 {
            match self.choose(10) {
                0..=2 => self.arrive(),
                3..=7 => self.go_on(),
                8 => {
                    let pause = [1, 30, 400, 1_500][self.choose(4)];
                    self.world.wait(pause);
                }
                _ => self.act_alone(),
            }
        }
        while !self.jobs.is_empty() {
            self.go_on();
        }
        (self.world.end(), self.truth)
    }

    /// A request comes in.
    fn arrive(&mut self) {
        let kind = KINDS[self.choose(KINDS.len())];
        let thread = (kind.pid(), 1 + self.choose(kind.threads() as usize) as u32);
        if kind.one_at_a_time() && self.jobs.iter().any(|job| job.thread == thread) {
            return;
        }
        let kept = self.idle.iter().position(|(of, _)| *of == kind).filter(|_| self.choose(2) == 0);
        let wire = match kept {
            Some(at) => self.idle.swap_remove(at).1,
            None => self.world.connect(CALLER),
        };
        let path = self.name(&format!("r{}-", kind.pid()));
        // An id that several requests carry is no evidence once one of them may be lost.
        let id = if self.lossy { self.count } else { 7 };
        let fields = match self.choose(4) {
            0 => format!("traceparent: 00-0af7651916cd43dd8448eb211c80319c-{id:016x}-01\r\n"),
            1 => format!("x-request-id: {id}\r\n"),
            _ => String::new(),
        };
        let text = get(&path, &fields);
        self.act(|world| world.ask(wire, CALLER, &text));
        self.act(|world| match kind {
            Kind::Blocking | Kind::Spawning => world.read(wire, thread, &text),
            _ => world.read_nonblocking(wire, thread, &text),
        });
        let calls = self.choose(3) as u16;
        let job = Job { kind, path, fields, wire, thread, calls, connecting: None };
        self.jobs.push(job);
        if kind == Kind::Nginx {
            // Its one call is made in this turn.
            let last = self.jobs.len() - 1;
            self.jobs[last].calls = 0;
            match self.upstreams.pop().filter(|_| self.choose(2) == 0) {
                Some(kept) => self.call(last, kept),
                None => self.jobs[last].connecting = Some(self.world.connect(thread)),
            }
        }
    }

    /// A request that is being served comes one step further.
    fn go_on(&mut self) {
        if self.jobs.is_empty() {
            return;
        }
        let at = self.choose(self.jobs.len());
        let job = self.jobs[at].clone();
        if let Some(wire) = job.connecting {
            self.jobs[at].connecting = None;
            self.call(at, wire);
        } else if let Some(call) = self.calls.iter().position(|call| call.job == job.path) {
            self.hear(call);
        } else if job.calls > 0 {
            self.jobs[at].calls -= 1;
            if job.kind == Kind::Spawning {
                self.call_elsewhere(&job);
            } else {
                let thread = self.thread_of(&job);
                self.jobs[at].thread = thread;
                let wire = self.world.connect(thread);
                self.call(at, wire);
            }
        } else {
            self.answer(at);
        }
    }

    fn thread_of(&mut self, job: &Job) -> Actors {
        match job.kind {
            Kind::Scheduler => (job.kind.pid(), 1 + self.choose(2) as u32),
            _ => job.thread,
        }
    }

    fn call(&mut self, at: usize, wire: Wire) {
        let job = self.jobs[at].clone();
        let path = self.name(&format!("c{}-", job.kind.pid()));
        let fields = if self.choose(2) == 0 { job.fields.as_str() } else { "" };
        let text = get(&path, fields);
        self.truth.insert(path.clone(), Some(job.path.clone()));
        self.act(|world| world.ask(wire, job.thread, &text));
        self.calls.push(Call { path, wire, thread: job.thread, job: job.path });
    }

    fn hear(&mut self, at: usize) {
        let Call { path, wire, thread, .. } = self.calls.swap_remove(at);
        assert!(self.truth.contains_key(&path));
        self.act(|world| world.hear(wire, thread));
        if thread.0 == Kind::Nginx.pid() {
            self.upstreams.push(wire);
        }
    }

    /// Another thread makes the call: one created for it, or a worker.
    fn call_elsewhere(&mut self, job: &Job) {
        let path = self.name(&format!("c{}-", job.kind.pid()));
        self.truth.insert(path.clone(), Some(job.path.clone()));
        let text = get(&path, "");
        let (pid, creator) = (job.kind.pid(), job.thread);
        let pooled = self.choose(2) == 0;
        let created = (pid, 100 + self.count);
        let worker = match self.workers.last().copied().filter(|_| pooled && self.choose(2) == 0) {
            Some(worker) => worker,
            None => {
                self.act(|world| world.spawn(creator, created));
                if pooled {
                    self.workers.push(created);
                }
                created
            }
        };
        self.act(|world| world.call(worker, &text));
        if !pooled {
            self.act(|world| world.exit(worker, false, false));
        }
    }

    fn answer(&mut self, at: usize) {
        let job = self.jobs.swap_remove(at);
        let (wire, thread) = (job.wire, self.thread_of(&job));
        match self.choose(4) {
            // Its head is longer than what is captured.
            0 => self.act(|world| {
                let head = format!("HTTP/1.1 200 OK\r\nX-Long: {}", "a".repeat(50));
                world.says(wire, thread, &head).counts(wire.server, Direction::Send, 500);
                world.hears(wire, CALLER, &head).counts(wire.client, Direction::Recv, 500)
            }),
            1 => {
                self.act(|world| world.says(wire, thread, "HTTP/1.1 200 OK\r\n\r\nuntil the end"));
                self.act(|world| {
                    world.hears(wire, CALLER, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
                    world.ends(wire.server, Closing::SendFin).ends(wire.client, Closing::RecvEof);
                    world.ends(wire.client, Closing::Closed).ends(wire.server, Closing::Closed)
                });
                return;
            }
            _ => {
                self.act(|world| world.answer(wire, thread));
                self.act(|world| world.hear(wire, CALLER));
            }
        }
        self.idle.push((job.kind, wire));
    }

    /// A process does something that no request caused, or a worker is let go.
    fn act_alone(&mut self) {
        let kind = KINDS[self.choose(KINDS.len())];
        let thread = (kind.pid(), 1 + self.choose(kind.threads() as usize) as u32);
        let busy =
            self.jobs.iter().any(|job| if kind.one_at_a_time() { job.thread == thread } else { job.kind == kind });
        if kind == Kind::Spawning && self.choose(2) == 0 {
            if let Some(worker) = self.workers.pop() {
                // Its pool waits before it lets it go.
                self.world.pass(2_000);
                self.act(|world| world.exit(worker, false, false));
            }
        } else if !busy || matches!(kind, Kind::Loop | Kind::Scheduler) {
            let path = self.name("alone");
            self.truth.insert(path.clone(), None);
            self.act(|world| world.call(thread, &get(&path, "")));
        }
    }
}

fn path_of(span: &Span) -> String {
    let text = |name: &str| {
        span.attributes.iter().find_map(|(key, value)| match value {
            crate::span::Value::String(text) if *key == name => Some(text.to_string()),
            _ => None,
        })
    };
    let full = || text("url.full").and_then(|url| url.rfind('/').map(|at| url[at..].to_owned()));
    text("url.path").or_else(full).unwrap_or_default()
}

/// Checks all spans against the truth.
fn check(spans: &[Span], truth: &BTreeMap<String, Option<String>>) {
    let ids: BTreeSet<_> = spans.iter().map(|span| span.span_id).collect();
    assert_eq!(ids.len(), spans.len(), "a span id twice");
    for span in spans {
        let path = path_of(span);
        let Some(parent) = spans.iter().find(|other| Some(other.span_id) == span.parent) else { continue };
        assert_eq!((parent.trace_id, parent.sampled), (span.trace_id, span.sampled), "{path}");
        let cause = path_of(parent);
        if span.kind == crate::span::Kind::Server {
            assert_eq!((cause, parent.kind), (path, crate::span::Kind::Client), "another exchange's end");
        } else {
            assert_eq!(Some(&Some(cause)), truth.get(&path), "{path} is said to be caused by it, {:?}", known(span));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_gives_a_wrong_link(choices in prop::collection::vec(any::<u16>(), 0..700), lossy in any::<bool>()) {
        let (spans, truth) = Host::new(choices, lossy).run();
        check(&spans, &truth);
    }
}

#[test]
fn schedules_give_links() {
    let mut state = 88_172_645_463_325_252_u64;
    let choices = (0..6_000).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u16
    });
    let (spans, truth) = Host::new(choices.collect(), false).run();
    check(&spans, &truth);
    for kind in [Kind::Blocking, Kind::Nginx] {
        let calls = || {
            let prefix = format!("/c{}-", kind.pid());
            spans
                .iter()
                .filter(move |span| span.kind == crate::span::Kind::Client && path_of(span).starts_with(&prefix))
        };
        let linked = calls().filter(|span| span.parent.is_some()).count();
        assert!(linked > 20 && linked * 10 > calls().count() * 9, "{linked} of {} by {kind:?}", calls().count());
    }
}
