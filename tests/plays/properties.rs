//! The bytes of every play in other pieces, twice, out of order, or not at all: the same exchanges, or a declared gap.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tracemend_core::decode::{Count, Data, Direction, Event, Open};
use tracemend_core::ids::{SockCookie, ThreadId};
use tracemend_tests::play::events::{Recorded, record};
use tracemend_tests::play::judge::{Seen, judge, judge_under_loss};
use tracemend_tests::play::{Cause, Play, Side, catalogue};

/// Name, description and recording of every play, and what is told of it.
static PLAYS: LazyLock<Vec<(&'static str, Play, Recorded, Seen)>> = LazyLock::new(|| {
    let recorded = |(name, play)| {
        let recorded = record(&play);
        let seen = recorded.tell(&recorded.events);
        (name, play, recorded, seen)
    };
    catalogue::all().into_iter().map(recorded).collect()
});

/// What a loss makes another truth of, and when: docs/http1.md says why under "What can still be wrong".
struct Unknowable {
    play: &'static str,
    /// What may be told then: how the differences begin.
    faults: [&'static str; 2],
    /// Of these words of the client or of the server not all arrived at the end that tells it.
    lost: (Side, &'static str),
}

/// Nothing tells a tunnel that carries plain HTTP/1 from a connection that speaks it, if its request was lost; the rest of
/// a body that was answered before it came from a request, if the head was; a request from what was none, if the answer
/// that showed it was. Everything else of these plays holds.
const UNKNOWABLE: [Unknowable; 5] = [
    Unknowable {
        play: "switching::h2c_is_no_http_1_any_more",
        faults: ["invented: @ GET /frame ", ""],
        lost: (Side::Client, "GET /h2c HTTP/1.1\r\n"),
    },
    Unknowable {
        play: "switching::a_tunnel_is_no_http_any_more",
        faults: ["invented: @ GET /inside", ""],
        lost: (Side::Client, "CONNECT db.example:5432 HTTP/1.1\r\n"),
    },
    Unknowable {
        play: "messages::a_refused_expectation_leaves_the_body",
        faults: ["invented: @ GET /body ", "@ half of GET /after: error.type"],
        lost: (
            Side::Client,
            "POST /refused HTTP/1.1\r\nHost: play\r\nExpect: 100-continue\r\nContent-Length: 34\r\n\r\n",
        ),
    },
    Unknowable {
        play: "messages::an_early_answer_does_not_end_the_body",
        faults: ["invented: @ GET /rest ", "@ half of GET /after: error.type"],
        lost: (Side::Client, "POST /early HTTP/1.1\r\nHost: play\r\nContent-Length: 44\r\n\r\n"),
    },
    Unknowable {
        play: "detection::a_request_whose_answer_is_no_http_is_none",
        faults: ["invented: @ GET /a - ", "invented: @ GET /no "],
        lost: (Side::Server, "220 smtp"),
    },
];

impl Unknowable {
    /// True if this difference is one that cannot be known, since what would have told at that end did not arrive.
    fn excuses(&self, fault: &str, told: &[Event], arrived: &[Event]) -> bool {
        Side::BOTH.into_iter().any(|end| {
            let says = |form: &&str| !form.is_empty() && fault.starts_with(&form.replace('@', &format!("{end:?}")));
            self.faults.iter().any(says) && !self.came(end, told, arrived)
        })
    }

    /// True if all of the words came to this end's reader, in order.
    fn came(&self, end: Side, told: &[Event], arrived: &[Event]) -> bool {
        let direction = if end == self.lost.0 { Direction::Send } else { Direction::Recv };
        let cookie = SockCookie(1 + end as u64);
        let words = self.lost.1.as_bytes();
        let spoken = heard(told, cookie, direction);
        let texts: Vec<u8> = spoken.iter().map(|(_, byte)| *byte).collect();
        let place = texts.windows(words.len()).position(|some| some == words).expect("the play says it");
        let came = heard(arrived, cookie, direction);
        spoken[place..place + words.len()].iter().all(|byte| came.contains(byte))
    }
}

/// Offsets and bytes of one direction that a reader takes: what comes behind later ones, or again, it does not.
fn heard(events: &[Event], cookie: SockCookie, direction: Direction) -> Vec<(u64, u8)> {
    let (mut next, mut bytes) = (0, Vec::new());
    for event in events {
        match event {
            Event::Data(data) if (data.cookie, data.direction) == (cookie, direction) => {
                let numbered = (data.offset..).zip(data.bytes.iter().copied());
                bytes.extend(numbered.filter(|(offset, _)| *offset >= next));
                next = next.max(data.offset + u64::from(data.len));
            }
            Event::Count(count) if (count.cookie, count.direction) == (cookie, direction) => next = next.max(count.end),
            _ => {}
        }
    }
    bytes
}

/// A play, by its place in the catalogue.
fn plays() -> impl Strategy<Value = usize> {
    0..PLAYS.len()
}

/// Some ten for each play, in each property.
const CASES: u32 = 1500;

/// What becomes of a record.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Kept,
    Twice,
    Lost,
    /// It comes behind the next one.
    Late,
}

fn fates(kept: u32) -> impl Strategy<Value = Vec<Fate>> {
    let fate =
        prop_oneof![kept => Just(Fate::Kept), 1 => Just(Fate::Twice), 2 => Just(Fate::Lost), 1 => Just(Fate::Late)];
    prop::collection::vec(fate, 1..40)
}

/// Each data record in as many as there are places in it to cut at.
fn split(events: &[Event], cuts: &[usize]) -> Vec<Event> {
    let mut pieces = Vec::new();
    let mut cuts = cuts.iter().cycle();
    for event in events {
        match event {
            Event::Data(data) if data.bytes.len() > 1 => {
                let place = 1 + cuts.next().copied().unwrap_or_default() % (data.bytes.len() - 1);
                let (front, back) = halve(data, place);
                pieces.push(Event::Data(front));
                let place = cuts.next().copied().unwrap_or_default();
                if back.bytes.len() > 1 {
                    let (front, back) = halve(&back, 1 + place % (back.bytes.len() - 1));
                    pieces.extend([Event::Data(front), Event::Data(back)]);
                } else {
                    pieces.push(Event::Data(back));
                }
            }
            other => pieces.push(other.clone()),
        }
    }
    renumber(&mut pieces);
    pieces
}

/// The record of one call as if there had been two.
fn halve(data: &Data, place: usize) -> (Data, Data) {
    let (mut front, mut back) = (data.clone(), data.clone());
    front.bytes.truncate(place);
    front.len = place as u32;
    front.unseen = None;
    back.bytes = back.bytes.slice(place..);
    back.len -= place as u32;
    back.offset += place as u64;
    back.turn_start = false;
    (front, back)
}

/// Numbers each thread's records anew, as the kernel half would have.
fn renumber(events: &mut [Event]) {
    let mut numbers: HashMap<ThreadId, u32> = HashMap::new();
    for event in events {
        let actor = match event {
            Event::Open(open) => &mut open.actor,
            Event::Data(data) => &mut data.actor,
            Event::Fork(fork) => &mut fork.actor,
            _ => continue,
        };
        let number = numbers.entry(actor.thread).or_default();
        *number += 1;
        actor.seq = *number;
    }
}

/// What arrives of the records, and how many do not. Of bytes whose record finds no room the kernel half goes on to count
/// how far they came; a connection whose first sight finds none is announced with its next bytes, and has a past by then.
fn suffer(events: &[Event], fates: &[Fate]) -> (Vec<Event>, u64) {
    let mut told: Vec<Event> = Vec::new();
    let mut late: Option<Event> = None;
    let mut unannounced: HashMap<SockCookie, Open> = HashMap::new();
    let mut lost = 0;
    for (place, event) in events.iter().enumerate() {
        let mut fate = match event {
            // What user space itself knows, or the kernel half notes until it is told, is not lost on the way.
            Event::Process(_) | Event::Count(_) => Fate::Kept,
            _ => fates[place % fates.len()],
        };
        if !matches!(event, Event::Data(_)) {
            // Bytes may overtake bytes, not the end of their connection.
            told.extend(late.take());
        }
        let mut first = None;
        match event {
            Event::Open(open) if matches!(fate, Fate::Lost) => {
                unannounced.insert(open.cookie, Open::clone(open));
            }
            Event::Data(data) => match unannounced.remove(&data.cookie) {
                // Told together with its announcement, or not at all.
                Some(open) if !open.old => {
                    fate = Fate::Lost;
                    unannounced.insert(data.cookie, Open { old: true, ..open });
                }
                open => {
                    first = open.map(|open| Event::Open(Box::new(Open { actor: data.actor, time: data.time, ..open })))
                }
            },
            Event::Closing { cookie, .. } | Event::Count(Count { cookie, .. }) if unannounced.contains_key(cookie) => {
                continue;
            }
            _ => {}
        }
        told.extend(first);
        match fate {
            Fate::Lost => {
                lost += 1;
                if let Event::Data(data) = event
                    && !unannounced.contains_key(&data.cookie)
                {
                    let Data { cookie, direction, offset, len, time, .. } = *data;
                    told.push(Event::Count(Count { cookie, direction, end: offset + u64::from(len), time }));
                }
            }
            Fate::Late if late.is_none() && matches!(event, Event::Data(_)) => {
                late = Some(event.clone());
                continue;
            }
            Fate::Twice => told.extend([event.clone(), event.clone()]),
            Fate::Kept | Fate::Late => told.push(event.clone()),
        }
        told.extend(late.take());
    }
    told.extend(late);
    (told, lost)
}

/// No fault, or all of them in words.
fn expect_none(name: &str, faults: &[String]) -> Result<(), TestCaseError> {
    prop_assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    Ok(())
}

/// What was told of these events, losses of the records among what was lost.
fn told(recorded: &Recorded, events: &[Event], lost: u64) -> Seen {
    let mut seen = recorded.tell(events);
    if let Some(losses) = seen.losses.as_mut().filter(|_| lost > 0) {
        losses.insert("ring_full".to_owned(), lost);
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn any_split_tells_the_same(play in plays(), cuts in prop::collection::vec(any::<usize>(), 1..20)) {
        let (name, play, recorded, _) = &PLAYS[play];
        let seen = recorded.tell(&split(&recorded.events, &cuts));
        expect_none(name, &judge(play, &seen))?;
    }

    #[test]
    fn what_is_told_twice_counts_once(play in plays(), twice in prop::collection::vec(any::<bool>(), 1..20)) {
        let (name, play, recorded, whole) = &PLAYS[play];
        let fates: Vec<_> = twice.iter().map(|twice| if *twice { Fate::Twice } else { Fate::Kept }).collect();
        let (events, _) = suffer(&recorded.events, &fates);
        let mut seen = recorded.tell(&events);
        let lengths = |events: &[Event]| -> u64 { events.iter().map(length).sum() };
        let repeated = lengths(&events) - lengths(&recorded.events);
        // Of protocols that are not read nobody notices.
        let overlapped = seen.losses.as_mut().and_then(|losses| losses.remove("overlapped_bytes")).unwrap_or_default();
        prop_assert!(overlapped <= repeated);
        if play.told.iter().all(|told| told.cause == Cause::Nothing) {
            expect_none(name, &judge(play, &Seen { losses: None, ..seen.clone() }))?;
        } else {
            // A thread's record whose number comes twice may as well be one of which another was lost.
            expect_none(name, &judge_under_loss(play, &seen, whole))?;
        }
        let own: BTreeMap<_, _> = play.losses.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let more = seen.losses.unwrap_or_default();
        prop_assert!(own.iter().all(|(name, count)| more.get(name) >= Some(count)), "{name}: {more:?}");
    }

    #[test]
    fn what_is_lost_repeated_or_late_is_declared_and_nothing_is_wrong(
        play in plays(),
        cuts in prop::collection::vec(any::<usize>(), 1..20),
        fates in prop_oneof![fates(4), fates(30), fates(100)],
    ) {
        let (name, play, recorded, whole) = &PLAYS[play];
        for events in [recorded.events.clone(), split(&recorded.events, &cuts)] {
            let (arrived, lost) = suffer(&events, &fates);
            let seen = told(recorded, &arrived, lost);
            let unknowable = UNKNOWABLE.iter().find(|known| known.play == *name);
            let mut faults = judge_under_loss(play, &seen, whole);
            faults.retain(|fault| !unknowable.is_some_and(|known| known.excuses(fault, &events, &arrived)));
            expect_none(name, &faults)?;
        }
    }
}

#[test]
fn what_cannot_be_known_is_of_plays_there_are() {
    for known in &UNKNOWABLE {
        let (_, _, recorded, _) = PLAYS.iter().find(|(name, ..)| *name == known.play).expect("a play");
        for end in Side::BOTH {
            assert!(known.came(end, &recorded.events, &recorded.events), "{}", known.play);
            assert!(!known.came(end, &recorded.events, &[]), "{}", known.play);
        }
    }
}

fn length(event: &Event) -> u64 {
    match event {
        Event::Data(data) => data.len.into(),
        _ => 0,
    }
}

#[test]
fn the_seeds_are_all_streams_of_all_plays() {
    let seeds = catalogue::streams();
    assert!(seeds.len() > catalogue::all().len(), "{}", seeds.len());
    assert!(seeds.iter().all(|seed| !seed.is_empty()));
    assert!(seeds.windows(2).all(|pair| pair[0] < pair[1]), "each once");
}
