//! Answers: workers that take their jobs out of a list behind a lock, which nobody sees, and wake who waits for them.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// Workers, and units of connections.
const WORKER: u64 = 1024;
const REQUESTS: u64 = 256;

/// Calls and answers that take turns, until they are believed.
fn practise(world: &mut World) {
    for turn in 0..16 {
        serve(world, 8192 + 256 * turn, &format!("/practice{turn}"), &format!("/call{turn}"));
    }
}

fn serve(world: &mut World, unit: u64, request: &str, call: &str) {
    world.run(A, unit);
    let wire = open_nonblocking(world, A, request, "");
    world.run(A, WORKER).call(A, &get(call, "")).wake(A, unit);
    world.run(A, unit).answer(wire, A).hear(wire, CALLER);
}

fn link<'a>(spans: &'a [Span], call: &str) -> (&'a str, &'a str) {
    known(span(spans, Kind::Client, call))
}

#[test]
fn a_call_is_for_whom_its_worker_answers_next() {
    let mut world = World::new();
    practise(&mut world);
    world.run(A, REQUESTS);
    let one = open_nonblocking(&mut world, A, "/one", "");
    world.run(A, 2 * REQUESTS);
    let other = open_nonblocking(&mut world, A, "/other", "");
    world.run(A, WORKER).call(A, &get("/second", "")).wake(A, 2 * REQUESTS);
    world.call(A, &get("/first", "")).wake(A, REQUESTS);
    world.run(A, REQUESTS).answer(one, A).hear(one, CALLER);
    world.run(A, 2 * REQUESTS).answer(other, A).hear(other, CALLER);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one") && caused(&spans, "/second", "/other"));
    assert_eq!(link(&spans, "/first"), ("answer", "strong"));
}

/// Calls are judged with hindsight: the first ones too.
#[test]
fn few_turns_are_no_custom() {
    let mut world = World::new();
    serve(&mut world, REQUESTS, "/one", "/call");
    assert_eq!(link(&world.end(), "/call"), ("none", "no lineage"));
    let mut world = World::new();
    practise(&mut world);
    let spans = world.end();
    assert!(caused(&spans, "/call0", "/practice0"), "{:?}", link(&spans, "/call0"));
}

/// Whether the call was for both, or only for the first one, and the second was answered without a call, is not known.
#[test]
fn several_answers_after_one_call_say_nothing_and_break_the_custom() {
    let mut world = World::new();
    practise(&mut world);
    world.wait(2_000);
    world.run(A, REQUESTS);
    let one = open_nonblocking(&mut world, A, "/one", "");
    world.run(A, 2 * REQUESTS);
    let other = open_nonblocking(&mut world, A, "/other", "");
    world.run(A, WORKER).call(A, &get("/both", "")).wake(A, 2 * REQUESTS).wake(A, REQUESTS);
    world.call(A, &get("/next", "")).wake(A, REQUESTS);
    world.run(A, REQUESTS).answer(one, A).hear(one, CALLER);
    world.run(A, 2 * REQUESTS).answer(other, A).hear(other, CALLER);
    let spans = world.end();
    assert_eq!(link(&spans, "/both"), ("none", "ambiguous batch"));
    assert_eq!(link(&spans, "/next"), ("none", "no lineage"));
}

/// Two signs to the same one are one answer: what is done so far, and that it is done.
#[test]
fn one_that_is_told_twice_is_answered_once() {
    let mut world = World::new();
    practise(&mut world);
    world.run(A, REQUESTS);
    let one = open_nonblocking(&mut world, A, "/one", "");
    world.run(A, WORKER).call(A, &get("/call", "")).wake(A, REQUESTS).wake(A, REQUESTS);
    world.run(A, REQUESTS).answer(one, A).hear(one, CALLER);
    assert!(caused(&world.end(), "/call", "/one"));
}

#[test]
fn a_request_that_was_read_after_the_call_did_not_cause_it() {
    let mut world = World::new();
    practise(&mut world);
    world.run(A, WORKER).call(A, &get("/call", "")).run(A, REQUESTS);
    let one = open_nonblocking(&mut world, A, "/one", "");
    world.run(A, WORKER).wake(A, REQUESTS);
    world.run(A, REQUESTS).answer(one, A).hear(one, CALLER);
    assert_eq!(link(&world.end(), "/call").0, "root", "nothing was served when it was made");
}

/// A worker whose calls nobody waits for calls for others than it wakes.
#[test]
fn a_worker_that_mostly_answers_nobody_is_not_believed() {
    let mut world = World::new();
    practise(&mut world);
    world.run(A, REQUESTS);
    let one = open_nonblocking(&mut world, A, "/one", "");
    world.run(A, WORKER);
    for call in 0..4 {
        world.call(A, &get(&format!("/silent{call}"), ""));
    }
    world.call(A, &get("/call", "")).wake(A, REQUESTS);
    world.run(A, REQUESTS).answer(one, A).hear(one, CALLER);
    assert_eq!(link(&world.end(), "/call"), ("none", "no lineage"));
}

/// Where records of the process were lost since the call, the answer may be another call's.
#[test]
fn what_may_have_been_lost_says_nothing() {
    let mut world = World::new();
    practise(&mut world);
    world.run(A, REQUESTS);
    let one = open_nonblocking(&mut world, A, "/one", "");
    world.run(A, WORKER).call(A, &get("/call", "")).wake(A, REQUESTS).lose(A);
    world.run(A, REQUESTS).answer(one, A).hear(one, CALLER);
    assert_eq!(link(&world.end(), "/call"), ("none", "lossy"));
}

/// What a worker does with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// Calls for it, and says so.
    Call,
    /// Calls twice, and says so.
    CallTwice,
    /// Says so at once: it knows the answer.
    Known,
    /// Calls for it, and nobody waits any more.
    Left,
    /// Calls for nobody, between jobs.
    Own,
}

/// Requests of a closed loop whose jobs some workers take in any order, each a step at a time.
struct Pool {
    world: World,
    rng: fastrand::Rng,
    kinds: Vec<(Job, u32)>,
    queue: VecDeque<usize>,
    /// Of each worker: the job's place, what is left to call, and whether it is waited for.
    at_work: Vec<Option<(Option<usize>, u32, bool)>>,
    waiting: Vec<Option<Wire>>,
    truth: BTreeMap<String, Option<String>>,
    /// The path of each connection's request.
    paths: Vec<String>,
    count: u32,
}

impl Pool {
    fn new(seed: u64, kinds: &[(Job, u32)], workers: usize, clients: usize) -> Self {
        Self {
            world: World::silent(),
            rng: fastrand::Rng::with_seed(seed),
            kinds: kinds.to_vec(),
            queue: VecDeque::new(),
            at_work: vec![None; workers],
            waiting: vec![None; clients],
            truth: BTreeMap::new(),
            paths: vec![String::new(); clients],
            count: 0,
        }
    }

    fn kind(&mut self) -> Job {
        let all: u32 = self.kinds.iter().map(|(_, weight)| weight).sum();
        let mut at = self.rng.u32(..all);
        for (kind, weight) in &self.kinds {
            if at < *weight {
                return *kind;
            }
            at -= weight;
        }
        unreachable!("the weights are all")
    }

    fn unit(client: usize) -> u64 {
        65_536 + 256 * client as u64
    }

    fn name(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("/{kind}{}", self.count)
    }

    fn step(&mut self) {
        if self.rng.u32(..3) == 0 {
            let client = self.rng.usize(..self.waiting.len());
            if self.waiting[client].is_none() {
                let path = self.name("request");
                self.world.run(A, Self::unit(client));
                self.waiting[client] = Some(open_nonblocking(&mut self.world, A, &path, ""));
                self.paths[client] = path;
                self.queue.push_back(client);
            }
            return;
        }
        let worker = self.rng.usize(..self.at_work.len());
        match self.at_work[worker] {
            None => self.begin(worker),
            Some((job, 0, waited)) => self.finish(worker, job, waited),
            Some((job, calls, waited)) => {
                let path = self.name("call");
                self.truth.insert(path.clone(), job.map(|job| self.paths[job].clone()));
                self.world.run(B, WORKER + 256 * worker as u64).call(B, &get(&path, ""));
                self.at_work[worker] = Some((job, calls - 1, waited));
            }
        }
    }

    fn begin(&mut self, worker: usize) {
        let kind = self.kind();
        let (calls, waited) = match kind {
            Job::Call | Job::Own => (1, true),
            Job::CallTwice => (2, true),
            Job::Known => (0, true),
            Job::Left => (1, false),
        };
        if kind == Job::Own {
            self.at_work[worker] = Some((None, calls, waited));
        } else if let Some(job) = self.queue.pop_front() {
            self.at_work[worker] = Some((Some(job), calls, waited));
        }
    }

    fn finish(&mut self, worker: usize, job: Option<usize>, waited: bool) {
        self.at_work[worker] = None;
        let Some(client) = job else { return };
        let Some(wire) = self.waiting[client].take() else { return };
        if waited {
            self.world.run(B, WORKER + 256 * worker as u64).wake(B, Self::unit(client));
        }
        self.world.run(A, Self::unit(client)).answer(wire, A).hear(wire, CALLER);
    }

    /// Links by what they are: right, none, wrong.
    fn judge(mut self, steps: usize) -> [usize; 3] {
        for step in 0..steps {
            self.step();
            if step % 16 == 0 {
                self.world.wait(5);
            }
        }
        let spans = self.world.end();
        let requests: BTreeMap<_, _> =
            spans.iter().filter(|span| span.kind == Kind::Server).map(|span| (span.span_id, path(span))).collect();
        let mut fates = [0; 3];
        for call in spans.iter().filter(|span| span.kind == Kind::Client && path(span).starts_with("/call")) {
            let claimed = call.parent.and_then(|parent| requests.get(&parent));
            let fate = match (claimed, &self.truth[&path(call)]) {
                (None, _) => 1,
                (Some(claimed), Some(truth)) if claimed == truth => 0,
                (Some(_), _) => 2,
            };
            fates[fate] += 1;
        }
        fates
    }
}

fn path(span: &Span) -> String {
    let text = span.attributes.iter().find_map(|(name, value)| match value {
        crate::span::Value::String(text) if matches!(*name, "url.path" | "url.full") => Some(text.to_string()),
        _ => None,
    });
    let text = text.expect("a path");
    text.rsplit_once('/').map_or(text.clone(), |(_, last)| format!("/{last}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 16 }))]

    /// However the steps of workers and requests fall between one another, a worker that takes turns is right.
    #[test]
    fn calls_of_a_pool_are_right(seed: u64, workers in 1_usize..9, clients in 1_usize..33) {
        let [right, none, wrong] = Pool::new(seed, &[(Job::Call, 1)], workers, clients).judge(1200);
        prop_assert_eq!(wrong, 0);
        // The last ones are not answered.
        prop_assert!(right > 50 && none <= workers + 2, "{} right, {} without", right, none);
    }

    /// Of two calls for one job the answer tells of the last; no client that leaves makes a link wrong.
    #[test]
    fn no_call_is_blamed_on_another_job(seed: u64, workers in 1_usize..9, clients in 2_usize..33) {
        let kinds = [(Job::Call, 20), (Job::CallTwice, 1), (Job::Left, 1)];
        let [right, none, wrong] = Pool::new(seed, &kinds, workers, clients).judge(1200);
        prop_assert_eq!(wrong, 0);
        prop_assert!(right + none > 50);
    }
}

/// Workers that do all there is: what they do besides shows before it can mislead.
#[test]
fn what_breaks_the_custom_is_not_believed() {
    let mut wrong = 0;
    for seed in 0..8 {
        for others in [Job::Known, Job::Own, Job::Left] {
            for share in [1, 4, 16] {
                let kinds = [(Job::Call, 16), (Job::Known, share), (others, share)];
                wrong += Pool::new(seed, &kinds, 1 + seed as usize % 8, 16).judge(800)[2];
            }
        }
    }
    assert_eq!(wrong, 0);
}
