//! `tracemend-patterns MODE LISTEN BACKEND`: a server whose requests change hands before they call. `$SERVICE_MS` is the
//! longest service time before a call, `$SEED` begins their sequence.

mod asynchronous;
mod blocking;

use std::env;
use std::sync::Mutex;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [mode, listen, backend] = arguments.as_slice() else {
        panic!("usage: tracemend-patterns MODE LISTEN BACKEND");
    };
    let url = format!("http://{backend}/work");
    match mode.as_str() {
        "thread-per-request" | "rayon" => blocking::serve(mode, listen, &url),
        _ => asynchronous::serve(mode, listen, url),
    }
}

/// One service time.
fn service_time() -> Duration {
    static RANDOM: Mutex<Option<fastrand::Rng>> = Mutex::new(None);
    let number = |name| env::var(name).ok().and_then(|value| value.parse().ok());
    let mut random = RANDOM.lock().expect("nobody panics");
    let random = random.get_or_insert_with(|| fastrand::Rng::with_seed(number("SEED").unwrap_or(1)));
    Duration::from_millis(number("SERVICE_MS").unwrap_or(0)).mul_f64(random.f64())
}
