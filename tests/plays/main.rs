//! Every play of the catalogue without a kernel: what the core tells of it, and of the same bytes in other pieces, twice,
//! out of order, or not at all.

mod properties;

use tracemend_tests::for_each_play;
use tracemend_tests::play::{Play, events};

macro_rules! tests {
    ($($chapter:ident { $($play:ident)* })*) => {
        $(mod $chapter {
            $(#[test]
            fn $play() {
                super::is_told_as_it_must_be(&tracemend_tests::play::catalogue::$chapter::$play());
            })*
        })*
    };
}
for_each_play!(tests);

fn is_told_as_it_must_be(play: &Play) {
    let faults = events::play(play);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
