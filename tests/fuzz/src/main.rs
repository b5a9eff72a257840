//! libFuzzer's way in: `TRACEMEND_FUZZ_TARGET` names the target, the arguments are libFuzzer's.
#![no_main]

use std::sync::LazyLock;

use tracemend_fuzz::{Target, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TRACEMEND_FUZZ_TARGET").expect("TRACEMEND_FUZZ_TARGET names a target");
    target(&name).unwrap_or_else(|| panic!("no target {name}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
