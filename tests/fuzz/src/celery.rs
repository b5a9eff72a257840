//! What a client sends to Redis in a turn; and the same bytes as a job of a pool's.

use tracemend_core::proto::celery::{Pushes, mask_job, task_of_job};

pub(crate) fn run(bytes: &[u8]) {
    let mut masked = bytes.to_vec();
    Pushes::default().mask(&mut masked);
    assert_eq!(tasks(&masked), tasks(bytes), "masked bytes say something else");
    let mut again = masked.clone();
    Pushes::default().mask(&mut again);
    assert_eq!(again, masked, "masked bytes say less");

    let mut masked = bytes.to_vec();
    mask_job(&mut masked);
    assert_eq!(task_of_job(&masked), task_of_job(bytes), "a masked job says something else");
}

/// Each task that is put, and behind how many bytes its name was known.
fn tasks(bytes: &[u8]) -> Vec<(usize, [u8; 16])> {
    let mut pushes = Pushes::default();
    let told = bytes.iter().enumerate().filter_map(|(at, byte)| Some((at, pushes.take(*byte).task?.0)));
    told.collect()
}
