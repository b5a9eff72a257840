//! One record of the kernel half, as its ring holds it.

use tracemend_core::decode::{Event, Room, decode};

/// What decodes keeps within its record: no more bytes than it holds, no more than moved.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(Event::Data(data)) = decode(bytes, &mut Room::default()) {
        assert!(data.bytes.len() <= bytes.len());
        assert!(data.bytes.len() <= data.len as usize);
    }
}
