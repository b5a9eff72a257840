//! `spin MILLISECONDS ROUNDS`: makes a system call that touches no socket (getppid(2), which does next to nothing) over
//! and over. Prints a line with the nanoseconds of processor time that one took, for each round.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::getppid;
use rustix::time::{ClockId, clock_gettime};

/// Calls between two looks at the clock.
const BATCH: u32 = 2_000;
/// A measurement longer than this is a mistake.
const MILLISECONDS_MAX: u64 = 60_000;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name| arguments.next().context(name)?.parse::<u64>().context(name);
    let (milliseconds, rounds) = (number("MILLISECONDS")?, number("ROUNDS")?);
    ensure!(milliseconds * rounds <= MILLISECONDS_MAX, "at most {MILLISECONDS_MAX} ms in all");
    for _ in 0..rounds {
        println!("{:.2}", round(Duration::from_millis(milliseconds)));
    }
    Ok(())
}

/// Nanoseconds of a call.
fn round(length: Duration) -> f64 {
    let (start, begun) = (Instant::now(), consumed());
    let mut calls = 0_u64;
    while start.elapsed() < length {
        for _ in 0..BATCH {
            std::hint::black_box(getppid());
        }
        calls += u64::from(BATCH);
    }
    (consumed() - begun).as_nanos() as f64 / calls as f64
}

/// Processor time of this thread: what others take of the processor meanwhile does not count.
fn consumed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
