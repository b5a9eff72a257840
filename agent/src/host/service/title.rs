//! Titles that processes write over their command line (`setproctitle`).

use super::application;

/// The title, if the command line is one: a single string of several words. A path with blanks in it is none.
pub(super) fn of(arguments: &[String]) -> Option<&str> {
    match arguments {
        [only] if only.contains(' ') && !only.starts_with('/') => Some(only),
        _ => None,
    }
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
