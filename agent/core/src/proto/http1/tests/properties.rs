//! What must hold for any traffic, however it is cut, lost or repeated.

use proptest::prelude::*;

use super::*;

/// One request with its response.
#[derive(Clone, Debug)]
struct Spoken {
    method: &'static str,
    request_body: Framed,
    interim: bool,
    /// What is answered before the request's body is sent.
    before_body: BeforeBody,
    response_body: Framed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BeforeBody {
    Nothing,
    /// `100 Continue`.
    Interim,
    /// The final response.
    Final,
}

#[derive(Clone)]
enum Framed {
    None,
    Length(Vec<u8>),
    Chunked(Vec<Vec<u8>>),
}

/// Bodies full of what looks like HTTP.
fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 1..40),
        Just([GET, OK, b"0\r\n\r\n"].concat()),
        Just(OK.to_vec()),
        Just(b"\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n".to_vec()),
    ]
}

fn framed() -> impl Strategy<Value = Framed> {
    prop_oneof![
        Just(Framed::None),
        body().prop_map(Framed::Length),
        prop::collection::vec(body(), 0..3).prop_map(Framed::Chunked),
    ]
}

fn spoken() -> impl Strategy<Value = Spoken> {
    let methods = prop::sample::select(vec!["GET", "POST", "HEAD", "DELETE"]);
    let before_body = prop::sample::select(vec![BeforeBody::Nothing, BeforeBody::Interim, BeforeBody::Final]);
    let parts = (methods, framed(), any::<bool>(), before_body, framed());
    parts.prop_map(|(method, request_body, interim, before_body, response_body)| Spoken {
        method,
        request_body,
        interim,
        before_body,
        response_body,
    })
}

/// Batches of requests that are sent before their answers are read.
fn batches() -> impl Strategy<Value = Vec<Vec<Spoken>>> {
    prop::collection::vec(prop::collection::vec(spoken(), 1..4), 1..5)
}

impl std::fmt::Debug for Framed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.fields(), self.bytes().escape_ascii())
    }
}

impl Framed {
    fn fields(&self) -> String {
        match self {
            Self::None => "Content-Length: 0\r\n".to_owned(),
            Self::Length(body) => format!("Content-Length: {}\r\n", body.len()),
            Self::Chunked(_) => "Transfer-Encoding: chunked\r\n".to_owned(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Length(body) => body.clone(),
            Self::Chunked(chunks) => {
                let mut bytes = Vec::new();
                for chunk in chunks {
                    bytes.extend_from_slice(format!("{:x};e\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
                bytes
            }
        }
    }
}

/// What both sides say, turn by turn. The n-th request asks for `/n` and is answered with the status `200 + n`.
fn script(batches: &[Vec<Spoken>]) -> Vec<(Side, Vec<u8>)> {
    let mut turns = Vec::new();
    let mut number = 0;
    let mut asked = Vec::new();
    for batch in batches {
        let mut answered = Vec::new();
        for spoken in batch {
            // 204 and 304 have no body, which other tests are about.
            number += if matches!(number, 3 | 103) { 2 } else { 1 };
            let line = format!("{} /{number}", spoken.method);
            asked.extend(ask(&line, &spoken.request_body.fields()));
            // What is asked before it has to be answered by then.
            let first = answered.is_empty() && !spoken.request_body.bytes().is_empty();
            if first && spoken.before_body == BeforeBody::Interim {
                turns.push((Side::Client, std::mem::take(&mut asked)));
                turns.push((Side::Server, answer(100, "")));
            }
            // The rest of a body whose request and beginning were lost is not told from a request behind the answer.
            let body = spoken.request_body.bytes();
            let is_word = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b'\r' | b'\n');
            let tells_itself = !body.starts_with(GET) && !body.iter().all(is_word);
            let early = first && tells_itself && spoken.before_body == BeforeBody::Final;
            if !early {
                asked.extend(spoken.request_body.bytes());
            }
            if spoken.interim {
                answered.extend(answer(103, "Link: x\r\n"));
            }
            answered.extend(answer(200 + number, &spoken.response_body.fields()));
            if spoken.method != "HEAD" {
                answered.extend(spoken.response_body.bytes());
            }
            if early {
                turns.push((Side::Client, std::mem::take(&mut asked)));
                turns.push((Side::Server, std::mem::take(&mut answered)));
                asked.extend(spoken.request_body.bytes());
            }
        }
        if !answered.is_empty() {
            turns.push((Side::Client, std::mem::take(&mut asked)));
            turns.push((Side::Server, answered));
        }
    }
    turns
}

/// The turns' records, cut at these places (taken round the turn's length).
fn records(talk: &mut Talk, turns: &[(Side, Vec<u8>)], cuts: &[usize]) -> Vec<Data> {
    let mut records = Vec::new();
    for (side, bytes) in turns {
        let mut places: Vec<_> = cuts.iter().map(|cut| cut % bytes.len()).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        places.dedup();
        for place in places.windows(2) {
            let record = talk.record(*side, &bytes[place[0]..place[1]]);
            talk.moved(*side, u64::from(record.len));
            records.push(record);
        }
    }
    records
}

/// What is told, times and threads aside.
fn timeless(updates: &[Update]) -> Vec<Update> {
    let mut updates = updates.to_vec();
    for update in &mut updates {
        match update {
            Update::Request(request) => {
                request.start = BootNanos(0);
                request.actor = Actor::default();
            }
            Update::Response { response, .. } => response.start = BootNanos(0),
            Update::End(end) => end.time = BootNanos(0),
        }
    }
    updates
}

/// What became of a record on its way here.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Kept,
    Lost,
    Repeated,
    Shed,
    /// Only so many bytes were captured.
    Cut(usize),
    Counted,
    /// It comes after the next one of its turn.
    Late,
}

/// Fates of records, of which `lost` in `lost` and thirteen are lost.
fn fates(lost: u32) -> impl Strategy<Value = Vec<Fate>> {
    prop::collection::vec(fate(lost), 1..40)
}

fn fate(lost: u32) -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Kept),
        lost => Just(Fate::Lost),
        1 => Just(Fate::Repeated),
        1 => Just(Fate::Shed),
        1 => (0_usize..60).prop_map(Fate::Cut),
        1 => Just(Fate::Counted),
        1 => Just(Fate::Late),
    ]
}

/// Plays the records.
fn suffer(talk: &mut Talk, mut records: Vec<Data>, fates: &[Fate]) {
    let fate = |place: usize| fates[place % fates.len()];
    for place in 1..records.len() {
        let one_turn = !records[place].turn_start;
        if one_turn && matches!(fate(place - 1), Fate::Late) {
            records.swap(place - 1, place);
        }
    }
    let mut counting = false;
    let mut last = None;
    for (place, mut data) in records.into_iter().enumerate() {
        if last.replace(data.direction) != Some(data.direction) {
            counting = false;
        }
        let fate = match fate(place) {
            Fate::Lost => Fate::Lost,
            // What lies beyond the capture is counted up to the turn's end.
            _ if counting => Fate::Counted,
            fate => fate,
        };
        counting |= matches!(fate, Fate::Counted) && !data.turn_start;
        match fate {
            Fate::Lost => continue,
            Fate::Repeated => talk.http.data(&data, &mut talk.updates),
            Fate::Shed => data.shed = true,
            Fate::Cut(captured) => data.bytes.truncate(captured),
            Fate::Counted if !data.turn_start => {
                let count = Count {
                    cookie: COOKIE,
                    direction: data.direction,
                    end: data.offset + u64::from(data.len),
                    time: data.time,
                };
                talk.http.count(&count, &mut talk.updates);
                continue;
            }
            Fate::Kept | Fate::Counted | Fate::Late => {}
        }
        talk.http.data(&data, &mut talk.updates);
    }
}

/// Checks what must hold for all updates of a connection that is over.
fn check_order(updates: &[Update]) -> Result<(), TestCaseError> {
    let (mut asked, mut ended) = (Vec::new(), Vec::new());
    for update in updates {
        match update {
            Update::Request(request) => {
                prop_assert!(asked.last().is_none_or(|last| *last < request.key));
                asked.push(request.key);
            }
            Update::Response { key, .. } => {
                prop_assert_eq!(Some(key), asked.get(ended.len()));
            }
            Update::End(end) => {
                prop_assert_eq!(Some(&end.key), asked.get(ended.len()));
                ended.push(end.key);
            }
        }
    }
    prop_assert_eq!(asked, ended);
    Ok(())
}

proptest! {
    #[test]
    fn any_split_of_the_same_bytes_tells_the_same(
        batches in batches(),
        cuts in prop::collection::vec(0_usize..4000, 0..12),
    ) {
        let turns = script(&batches);
        let mut whole = Talk::server_end();
        let mut split = Talk::server_end();
        for (talk, cuts) in [(&mut whole, &[][..]), (&mut split, &cuts)] {
            for record in records(talk, &turns, cuts) {
                talk.http.data(&record, &mut talk.updates);
            }
        }
        prop_assert_eq!(timeless(&whole.updates), timeless(&split.updates));
        prop_assert_eq!(whole.http.take_losses(), Losses::default());
        check_order(&whole.updates)?;
        let exchanges: usize = batches.iter().map(Vec::len).sum();
        let ends = whole.ends();
        prop_assert_eq!(ends.len(), exchanges);
        prop_assert!(ends.iter().all(|end| end.outcome == Outcome::Complete && end.unseen_bytes == 0));
    }

    #[test]
    fn losses_invent_no_request_and_no_answer(
        batches in batches(),
        cuts in prop::collection::vec(0_usize..4000, 0..8),
        fates in prop_oneof![fates(1), fates(16)],
        old in any::<bool>(),
    ) {
        let turns = script(&batches);
        let mut talk = Talk::new(Role::Server, old);
        let records = records(&mut talk, &turns, &cuts);
        suffer(&mut talk, records, &fates);
        talk.closing(Closing::Closed);
        check_order(&talk.updates)?;
        prop_assert_eq!(talk.http.open_exchanges(), 0);

        let asked: Vec<u8> = turns.iter().step_by(2).flat_map(|turn| turn.1.clone()).collect();
        let mut targets = Vec::new();
        for update in &talk.updates {
            match update {
                Update::Request(request) => {
                    let line = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
                    let place = (request.key.offset - BASES[0]) as usize;
                    prop_assert!(asked[place..].starts_with(line.as_bytes()));
                    // Bodies ask for other targets.
                    prop_assert!(request.target[1..].parse::<u16>().is_ok());
                    targets.push((request.key, request.target.clone()));
                }
                Update::Response { key, response } => {
                    let target = targets.iter().find(|it| it.0 == *key);
                    let expected = format!("/{}", response.status - 200);
                    prop_assert_eq!(&target.expect("its request was told").1, &expected);
                }
                Update::End(_) => {}
            }
        }
    }

    #[test]
    fn nothing_is_told_unless_a_request_line_begins_a_turn(
        chunks in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 1..30), 0_u32..50, any::<bool>()),
            1..40,
        ),
        old in any::<bool>(),
    ) {
        let mut talk = Talk::new(Role::Client, old);
        for (client, mut bytes, gap, holds_request) in chunks {
            let side = if client { Side::Client } else { Side::Server };
            // Empty lines may come before a request.
            bytes.insert(0, b'x');
            if holds_request {
                // Inside a turn, never at its beginning.
                bytes.extend_from_slice(b"\r\n\r\n");
                bytes.extend_from_slice(GET);
            }
            talk.data(side, &bytes, gap, false);
        }
        talk.closing(Closing::Closed);
        prop_assert_eq!(talk.told(), Vec::<String>::new());
    }

    #[test]
    fn no_record_makes_it_panic_or_hold_more_than_its_limit(
        calls in prop::collection::vec(
            (
                any::<[bool; 4]>(),
                prop_oneof![0_u64..3000, Just(u64::MAX - 9), any::<u64>()],
                prop::sample::select(vec![
                    GET, OK, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"f\r\n", b"\r\n",
                    b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"GET /x", b" HTTP/1.1\r\n",
                    b"CONNECT h:1 HTTP/1.1\r\n\r\n", b"", b"ffffffffffffffff\r\n", b"\x00\xff",
                    b"POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n",
                ]),
                prop_oneof![0_u32..100, any::<u32>()],
            ),
            0..60,
        ),
    ) {
        let mut talk = Talk::server_end();
        for ([client, sequel, count, shed], offset, bytes, len) in calls {
            let side = if client { Side::Client } else { Side::Server };
            let mut data = talk.record(side, bytes);
            data.shed = shed && count;
            data.offset = if sequel { talk.next[side as usize] } else { offset };
            data.len = if sequel { data.len } else { len };
            let end = data.offset.saturating_add(u64::from(data.len));
            if count && !shed {
                let (direction, time) = (data.direction, data.time);
                talk.http.count(&Count { cookie: COOKIE, direction, end, time }, &mut talk.updates);
            } else {
                talk.http.data(&data, &mut talk.updates);
            }
            talk.moved(side, 0);
            talk.next[side as usize] = end;
            prop_assert!(talk.http.open_exchanges() <= crate::limits::HTTP1_OPEN_EXCHANGES_MAX);
        }
        talk.closing(Closing::Error(104));
        check_order(&talk.updates)?;
    }
}
