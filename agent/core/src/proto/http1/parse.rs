//! Bytes of a head into what an exchange needs of it (RFC 9112, sections 2 to 6).

use std::borrow::Cow;
use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};
use memchr::{memchr, memchr_iter};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::limits::HTTP1_METHOD_BYTES_MAX;
use crate::proto::trace_context::{AnswerIds, WireContext};

/// How the head says the body is framed (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// No field says.
    Absent,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding` ending in `chunked`; it overrides a length.
    Chunked,
    /// `Transfer-Encoding` not ending in `chunked`.
    Coded,
    /// `Content-Length` that is no number, or several different ones.
    Invalid,
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) method: SmolStr,
    pub(super) target: SmolStr,
    pub(super) version: &'static str,
    pub(super) host: Option<SmolStr>,
    pub(super) user_agent: Option<SmolStr>,
    pub(super) context: WireContext,
    pub(super) framing: Framing,
    /// It offers to go on in another protocol (RFC 9110, section 7.8).
    pub(super) upgrade: bool,
}

/// A response's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) framing: Framing,
    pub(super) ids: AnswerIds,
}

/// True if `line` is a whole request line, line end included, of HTTP/1.0 or 1.1 (RFC 9112, section 3).
pub(super) fn is_request_line(line: &[u8]) -> bool {
    let mut request = httparse::Request::new(&mut []);
    // The line is whole and valid if the parser went on to the fields and missed them.
    if reader().parse_request(&mut request, line) != Ok(Status::Partial) || request.version.is_none() {
        return false;
    }
    has_line(&request)
}

/// True if a request has a method and a target that may stand in a request line.
fn has_line(request: &httparse::Request<'_, '_>) -> bool {
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return false;
    };
    method.len() <= HTTP1_METHOD_BYTES_MAX && is_target(method, target)
}

/// True if more bytes could make `line` a request line: a cheap test, so that other protocols are known early.
pub(super) fn may_be_request_line(line: &[u8]) -> bool {
    let method = line.iter().position(|byte| !is_token(*byte));
    match method {
        Some(end) => (1..=HTTP1_METHOD_BYTES_MAX).contains(&end) && line[end] == b' ',
        None => line.len() <= HTTP1_METHOD_BYTES_MAX,
    }
}

/// True if `line` is a whole status line of HTTP/1.0 or 1.1, line end included (RFC 9112, section 4).
pub(super) fn is_status_line(line: &[u8]) -> bool {
    let mut response = httparse::Response::new(&mut []);
    response.parse(line) == Ok(Status::Partial)
        && response.reason.is_some()
        && response.code.is_some_and(|code| code >= 100)
}

/// True if more bytes could make `line` a status line.
pub(super) fn may_be_status_line(line: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let common = line.len().min(START.len());
    line[..common] == START[..common]
}

/// Parses the request's head that `bytes` begin with, and tells its length. None if it does not end in them, or if any line
/// of it is not plainly a field: [`request`] judges those.
pub(super) fn plain_request(bytes: &[u8]) -> Option<(RequestHead, usize)> {
    let mut slots = [const { MaybeUninit::uninit() }; SLOTS];
    let mut request = httparse::Request::new(&mut []);
    let length = whole(reader().parse_request_with_uninit_headers(&mut request, bytes, &mut slots))?;
    let plain = has_line(&request) && is_plain(&bytes[..length], request.headers);
    Some((request_head(&request).filter(|_| plain)?, length))
}

/// Parses the response's head that `bytes` begin with, as [`plain_request`] does.
pub(super) fn plain_response(bytes: &[u8]) -> Option<(ResponseHead, usize)> {
    let mut slots = [const { MaybeUninit::uninit() }; SLOTS];
    let mut response = httparse::Response::new(&mut []);
    let length = whole(reader().parse_response_with_uninit_headers(&mut response, bytes, &mut slots))?;
    let status = response.code.filter(|code| *code >= 100)?;
    let fields: &[Header<'_>] = response.headers;
    let head = ResponseHead { status, framing: framing(fields), ids: AnswerIds::read(named(fields)) };
    is_plain(&bytes[..length], fields).then_some((head, length))
}

/// The length of a head that is whole.
fn whole(parsed: httparse::Result<usize>) -> Option<usize> {
    match parsed {
        Ok(Status::Complete(length)) => Some(length),
        Ok(Status::Partial) | Err(_) => None,
    }
}

/// True if every line of a whole head but the first and the last is one of these fields: none was left out, and none goes on
/// with the line before.
fn is_plain(head: &[u8], fields: &[Header<'_>]) -> bool {
    memchr_iter(b'\n', head).count() == fields.len() + 2
}

/// Parses a request's head that ends with its empty line. Fields that are malformed are left out, as servers do, but a
/// line that is none at all makes the whole a text of another kind.
pub(super) fn request(head: &[u8]) -> Option<RequestHead> {
    let lines = Lines::of(head, true);
    if !lines.are_fields {
        return None;
    }
    let head = &unfolded(head, lines);
    let mut slots = slots(lines);
    let mut request = httparse::Request::new(&mut slots);
    reader().parse_request(&mut request, head).ok()?.is_complete().then_some(())?;
    request_head(&request)
}

/// What an exchange needs of a request; none if its line is not whole.
fn request_head(request: &httparse::Request<'_, '_>) -> Option<RequestHead> {
    let fields: &[Header<'_>] = request.headers;
    Some(RequestHead {
        method: request.method?.into(),
        target: request.path?.into(),
        version: if request.version? == 0 { "1.0" } else { "1.1" },
        host: text(fields, "host"),
        user_agent: text(fields, "user-agent"),
        context: WireContext::read(named(fields)),
        framing: framing(fields),
        upgrade: values(fields, "upgrade").next().is_some(),
    })
}

/// Parses a response's head that ends with its empty line.
pub(super) fn response(head: &[u8]) -> Option<ResponseHead> {
    let lines = Lines::of(head, false);
    let head = &unfolded(head, lines);
    let mut slots = slots(lines);
    let mut response = httparse::Response::new(&mut slots);
    let parsed = reader().parse_response(&mut response, head);
    let whole = parsed.is_ok_and(|status| status.is_complete());
    let status = response.code.filter(|code| *code >= 100)?;
    let fields: &[Header<'_>] = if whole { response.headers } else { &[] };
    Some(ResponseHead {
        status,
        framing: if whole { framing(fields) } else { Framing::Invalid },
        ids: AnswerIds::read(named(fields)),
    })
}

/// Reads what is read in the field. Words of a request line may have several spaces between them (RFC 9112, section 3).
/// Space before a request field's colon makes it no field (section 5.1), but it is taken off a response's.
fn reader() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .ignore_invalid_headers_in_requests(true)
        .ignore_invalid_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    config
}

/// A head whose folded fields are one line each, with spaces in place of the fold (RFC 9112, section 5.2): a value is
/// never taken for whole by its first line. Lines that begin with space right behind the start line belong to no field.
fn unfolded(head: &[u8], lines: Lines) -> Cow<'_, [u8]> {
    if !lines.fold {
        return Cow::Borrowed(head);
    }
    let mut head = head.to_vec();
    let fields = head.iter().position(|byte| *byte == b'\n').map_or(head.len(), |end| end + 1);
    let mut in_field = false;
    let mut line = fields;
    while let Some(length) = head[line..].iter().position(|byte| *byte == b'\n') {
        let fold = matches!(head[line], b' ' | b'\t');
        if fold && in_field {
            head[line - 1] = b' ';
            if head[line - 2] == b'\r' {
                head[line - 2] = b' ';
            }
        }
        in_field |= !fold;
        line += length + 1;
    }
    Cow::Owned(head)
}

/// RFC 9110, section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// The four forms of a request target (RFC 9112, section 3.2).
fn is_target(method: &str, target: &str) -> bool {
    let authority = || {
        let port = target.rsplit_once(':').map(|(_, port)| port);
        port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let absolute = || {
        target.split_once("://").is_some_and(|(scheme, rest)| {
            let scheme_char = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(scheme_char)
                && !rest.is_empty()
        })
    };
    match method {
        "CONNECT" => authority(),
        "OPTIONS" if target == "*" => true,
        _ => target.starts_with('/') || absolute(),
    }
}

/// What is known of a head's lines before it is parsed.
#[derive(Clone, Copy, Debug)]
struct Lines {
    /// How many there are.
    count: usize,
    /// Those behind the start line have a colon, or are empty, or go on with the line before.
    are_fields: bool,
    /// One begins with space: it goes on with the line before.
    fold: bool,
}

impl Lines {
    /// With `colons`, [`Self::are_fields`] is looked for.
    fn of(head: &[u8], colons: bool) -> Self {
        let mut lines = Self { count: 0, are_fields: true, fold: false };
        let mut begin = None;
        for end in memchr_iter(b'\n', head) {
            lines.count += 1;
            if let Some(begin) = begin.replace(end + 1) {
                lines.note(&head[begin..end], colons);
            }
        }
        // Bytes without a line end behind them.
        if let Some(rest) = begin.map(|begin| &head[begin..]).filter(|rest| !rest.is_empty()) {
            lines.note(rest, colons);
        }
        lines
    }

    fn note(&mut self, line: &[u8], colons: bool) {
        match line {
            [] | b"\r" => {}
            [b' ' | b'\t', ..] => self.fold = true,
            _ => self.are_fields &= !colons || memchr(b':', line).is_some(),
        }
    }
}

/// Most heads have no more fields: their slots need no memory of their own.
const SLOTS: usize = 16;

/// As many slots as the head can have fields.
fn slots<'a>(lines: Lines) -> SmallVec<[Header<'a>; SLOTS]> {
    SmallVec::from_elem(httparse::EMPTY_HEADER, lines.count)
}

/// Names and values.
fn named<'a>(fields: &'a [Header<'a>]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    fields.iter().map(|field| (field.name, field.value))
}

fn values<'a>(fields: &'a [Header<'a>], name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

fn text(fields: &[Header<'_>], name: &'static str) -> Option<SmolStr> {
    values(fields, name).next().map(|value| match std::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(value).into(),
    })
}

/// Elements of a comma-separated list over all fields of a name (RFC 9110, section 5.6.1).
fn list<'a>(fields: &'a [Header<'a>], name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    values(fields, name).flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn framing(fields: &[Header<'_>]) -> Framing {
    let mut lengths = values(fields, "content-length");
    match (values(fields, "transfer-encoding").next(), lengths.next(), lengths.next()) {
        (None, None, _) => Framing::Absent,
        (None, Some(length), None) if let Some(length) = number(length) => Framing::Length(length),
        _ => listed_framing(fields),
    }
}

/// The same where fields come more than once, or hold lists.
fn listed_framing(fields: &[Header<'_>]) -> Framing {
    // `identity` stood for no coding at all in RFC 2616, and some servers still say it.
    let coding = list(fields, "transfer-encoding")
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
        .last();
    if let Some(coding) = coding {
        return if coding.eq_ignore_ascii_case(b"chunked") { Framing::Chunked } else { Framing::Coded };
    }
    let mut lengths = list(fields, "content-length").map(number);
    match lengths.next() {
        None => Framing::Absent,
        Some(Some(length)) if lengths.all(|other| other == Some(length)) => Framing::Length(length),
        Some(_) => Framing::Invalid,
    }
}

/// 1*DIGIT (RFC 9110, section 8.6), none if it is anything else or has more than 64 bits.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
