//! `tracestate` (W3C Trace Context level 2, section 3.3).

use smol_str::SmolStr;

use crate::limits::{TRACESTATE_CHARS_MAX, TRACESTATE_MEMBER_CHARS_MAX, TRACESTATE_MEMBERS_MAX};

/// Bytes of a key, and of a value (sections 3.3.1.3.1 and 3.3.1.3.2).
const PART_BYTES_MAX: usize = 256;

/// Combines the fields of one head in their order. One malformed member, a key that occurs twice or too many members
/// make the whole list invalid; one that is only too long loses whole members (section 3.3.1.5).
pub(super) fn combine(fields: &[&[u8]]) -> Option<SmolStr> {
    let mut members: Vec<&str> = Vec::new();
    for field in fields {
        for member in field.split(|byte| *byte == b',') {
            let member = trim(member);
            if member.is_empty() {
                continue;
            }
            let member = std::str::from_utf8(member).ok()?;
            let key = key_of(member)?;
            let repeated = members.iter().any(|other| key_of(other) == Some(key));
            if repeated || members.len() == TRACESTATE_MEMBERS_MAX {
                return None;
            }
            members.push(member);
        }
    }
    shorten(&mut members);
    (!members.is_empty()).then(|| members.join(",").into())
}

/// Optional white space around a member is not part of it (RFC 9110, section 5.6.3).
fn trim(member: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = member.iter().position(|byte| !space(byte));
    let end = member.iter().rposition(|byte| !space(byte));
    match (start, end) {
        (Some(start), Some(end)) => &member[start..=end],
        _ => &[],
    }
}

/// The key of a well-formed member.
fn key_of(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let sound_key = key.bytes().enumerate().all(|(place, byte)| match byte {
        b'a'..=b'z' | b'0'..=b'9' => true,
        b'_' | b'-' | b'*' | b'/' | b'@' => place > 0,
        _ => false,
    });
    let sound_value = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=');
    let lengths = 1..=PART_BYTES_MAX;
    let sound = sound_key && sound_value && lengths.contains(&key.len()) && lengths.contains(&value.len());
    sound.then_some(key)
}

fn shorten(members: &mut Vec<&str>) {
    let chars = |members: &[&str]| {
        let separators = members.len().saturating_sub(1);
        members.iter().map(|member| member.len()).sum::<usize>() + separators
    };
    while chars(members) > TRACESTATE_CHARS_MAX {
        let long = members.iter().rposition(|member| member.len() > TRACESTATE_MEMBER_CHARS_MAX);
        members.remove(long.unwrap_or(members.len() - 1));
    }
}
