//! Bytes as a sequence of acts that mutations keep whole: the byte 0xFF, the act's number, and its bytes up to the next one.
//! HTTP has no 0xFF of its own, so text stays text.

/// One act.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act<'a> {
    /// Which act.
    pub(crate) code: u8,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
}

/// The acts of a script; what stands before the first is act 0.
pub(crate) fn acts(script: &[u8]) -> impl Iterator<Item = Act<'_>> {
    script.split(|byte| *byte == 0xff).enumerate().filter_map(|(place, part)| match (place, part) {
        (0, []) => None,
        (0, bytes) => Some(Act { code: 0, bytes }),
        (_, [code, bytes @ ..]) => Some(Act { code: *code, bytes }),
        (_, []) => None,
    })
}
