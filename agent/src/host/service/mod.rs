//! A service's name, from what its processes are started with.
//!
//! Interpreters are named by what they run, application servers by the application, everything else by its
//! executable. Names say the program, never the instance: ports, numbers and paths stay out.

mod application;
mod runtime;
mod title;

use super::limits::{ARGUMENTS_MAX, NAME_CHARS_MAX};
use super::text::{base_name, clean};

/// What a command line says about its process's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The name; never empty.
    pub(super) text: String,
    /// Where it is from.
    pub(super) source: Source,
}

/// Where a name is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The command the process was started with.
    Command,
    /// A title the process wrote over its command line, and most likely over its environment.
    Title,
    /// An interpreter that does not say what it runs.
    Interpreter,
}

/// Names a process. `executable` is the path of its executable, `cmdline` the content of `/proc/PID/cmdline`.
pub(super) fn name(executable: &str, cmdline: &[u8]) -> Name {
    let arguments = arguments(cmdline);
    let own = base_name(executable.trim_end_matches(" (deleted)"));
    let own = if own.is_empty() { arguments.first().map_or("", |first| base_name(first)) } else { own };
    let runtime = runtime::find(own);
    let rest = arguments.get(1..).unwrap_or_default();

    let (text, source) = match (title::of(&arguments, runtime), runtime) {
        (Some(title), Some(_)) => (title::program(title).to_owned(), Source::Title),
        (Some(_), None) => (own.to_owned(), Source::Title),
        (None, Some(runtime)) => match runtime.program(rest) {
            Some(program) => (program, Source::Command),
            None => (own.to_owned(), Source::Interpreter),
        },
        (None, None) => {
            let served = application::of(own, rest);
            (served.unwrap_or_else(|| own.to_owned()), Source::Command)
        }
    };
    Name { text: text_or_unknown(&text), source }
}

fn text_or_unknown(text: &str) -> String {
    // The name OpenTelemetry prescribes where nothing is known (resource conventions, service).
    clean(text.as_bytes(), NAME_CHARS_MAX).unwrap_or_else(|| "unknown_service".to_owned())
}

/// The arguments, the program's own name first. Padding at the end (left by titles) is no argument.
fn arguments(cmdline: &[u8]) -> Vec<String> {
    let used = cmdline.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    if used == 0 {
        return Vec::new();
    }
    cmdline[..used]
        .split(|&byte| byte == 0)
        .take(ARGUMENTS_MAX)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

/// The file's name without folders and without the extension of a program text or archive.
fn stem(path: &str) -> &str {
    const EXTENSIONS: &[&str] =
        &["cjs", "dll", "jar", "js", "mjs", "php", "pl", "py", "pyc", "pyz", "rb", "sh", "ts", "war"];
    let base = base_name(path);
    match base.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && EXTENSIONS.contains(&extension) => stem,
        _ => base,
    }
}

#[cfg(test)]
mod tests;
