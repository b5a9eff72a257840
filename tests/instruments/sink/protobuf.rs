//! How many spans an export request holds, without decoding them.

/// `resource_spans` of `ExportTraceServiceRequest`, `scope_spans` of `ResourceSpans`, `spans` of `ScopeSpans`
/// (opentelemetry/proto/trace/v1/trace.proto).
const PATH: [u64; 3] = [1, 2, 2];

/// Counts the spans of an `ExportTraceServiceRequest`; none if it is not one.
pub(crate) fn spans(request: &[u8]) -> Option<u64> {
    count(request, &PATH)
}

/// Messages at the end of `path`, each step of which is a length-delimited field.
fn count(mut message: &[u8], path: &[u64]) -> Option<u64> {
    let Some((wanted, rest)) = path.split_first() else {
        return Some(1);
    };
    let mut found = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => drop(varint(&mut message)?),
            1 => message = message.get(8..)?,
            5 => message = message.get(4..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (field, behind) = message.split_at_checked(length)?;
                if tag >> 3 == *wanted {
                    found += count(field, rest)?;
                }
                message = behind;
            }
            _ => return None,
        }
    }
    Some(found)
}

/// Takes a base-128 number off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8], content].concat()
    }

    #[test]
    fn spans_of_every_resource_and_scope_count_and_nothing_else_does() {
        let span = field(2, &field(5, b"GET"));
        let scope = field(2, &[field(1, b"name"), span.clone(), span].concat());
        let resource = field(1, &[field(1, b"attributes"), scope.clone(), scope].concat());
        assert_eq!(spans(&[resource.clone(), resource].concat()), Some(8));
        assert_eq!(spans(&[]), Some(0));
    }

    #[test]
    fn a_request_that_is_cut_is_none() {
        let request = field(1, &field(2, &field(2, b"")));
        for length in 1..request.len() {
            assert_eq!(spans(&request[..length]), None, "{length} bytes");
        }
        assert_eq!(spans(b"{\"resourceSpans\":[]}"), None);
    }
}
