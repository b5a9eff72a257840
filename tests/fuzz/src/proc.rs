//! What other processes let the agent read below `/proc`: the first byte says as which file.

use tracemend::host::readers::{self, TEXT_CHARS_MAX};

pub(crate) fn run(bytes: &[u8]) {
    let Some((which, content)) = bytes.split_first() else { return };
    let file = readers::FILES[usize::from(*which) % readers::FILES.len()];
    for text in readers::read(file, content) {
        assert!(text.chars().count() <= TEXT_CHARS_MAX, "{file:?}: {text:?}");
        assert!(!text.chars().any(char::is_control), "{file:?}: {text:?}");
    }
}
