//! A UUID as text: 8-4-4-4-12 hexadecimal digits (RFC 9562, section 4).

use crate::ids::TaskId;

/// Characters of one.
pub(super) const CHARACTERS: usize = 36;

/// Reads one, character by character.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Uuid {
    bytes: [u8; 16],
    characters: usize,
    digits: usize,
}

impl Uuid {
    /// Takes the next character. False if it is not one's; then it must be given no more.
    pub(super) fn take(&mut self, character: u8) -> bool {
        let dash = matches!(self.characters, 8 | 13 | 18 | 23);
        self.characters += 1;
        let digit = match char::from(character).to_digit(16) {
            _ if dash => return character == b'-',
            Some(digit) => digit as u8,
            None => return false,
        };
        let Some(byte) = self.bytes.get_mut(self.digits / 2) else { return false };
        *byte = *byte << 4 | digit;
        self.digits += 1;
        true
    }

    /// The name, if that is all of it.
    pub(super) fn whole(self) -> Option<TaskId> {
        (self.characters == CHARACTERS).then_some(TaskId(self.bytes))
    }

    /// From all characters of one.
    pub(super) fn read(text: &[u8]) -> Option<TaskId> {
        let mut uuid = Self::default();
        text.iter().all(|character| uuid.take(*character)).then(|| uuid.whole())?
    }
}
