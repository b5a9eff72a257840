//! Titles that processes write over their command line (`setproctitle`).

use super::application;
use super::runtime::{self, Runtime};

/// The title, if the command line is one: a single string of several words, or of one that is not the interpreter's
/// name where there is an interpreter. A path is none.
pub(super) fn of<'a>(arguments: &'a [String], runtime: Option<&Runtime>) -> Option<&'a str> {
    let [only] = arguments else {
        return None;
    };
    // Login shells call themselves `-bash`.
    let is_path = only.starts_with(['/', '.', '-']);
    let several = only.contains(' ');
    let renamed = runtime.is_some() && runtime::find(only).is_none();
    (!is_path && !only.is_empty() && (several || renamed)).then_some(only)
}

/// The program a title names: of `gunicorn: worker [shop.wsgi:app]` and `puma 6.4.0 (tcp://0.0.0.0:80) [shop]` what
/// stands in brackets, else what stands before the colon, else the first word.
pub(super) fn program(title: &str) -> &str {
    let head = title.split_once(": ").map_or(title, |(head, _)| head).split(' ').next().unwrap_or(title);
    let bracketed =
        title.rsplit_once('[').and_then(|(_, rest)| rest.strip_suffix(']')).filter(|inner| !inner.is_empty());
    match (head, bracketed) {
        ("gunicorn" | "puma", Some(application)) => application::package(application),
        _ => head,
    }
}
