//! Interpreters and virtual machines: programs that run another program.

use super::{application, stem};

/// How a runtime reads its command line.
#[derive(Debug)]
pub(super) struct Runtime {
    /// Executable's name without a version.
    family: &'static str,
    /// Options whose value is the next argument.
    valued: &'static [&'static str],
    /// Options followed by program text: the process has no name of its own.
    code: &'static [&'static str],
    /// Options followed by the name of a module or archive to run.
    module: &'static [&'static str],
    /// Words before the script that are not it.
    commands: &'static [&'static str],
    /// What is not an option is the name of a class.
    classes: bool,
}

const BASE: Runtime = Runtime { family: "", valued: &[], code: &[], module: &[], commands: &[], classes: false };

const PYTHON: Runtime =
    Runtime { valued: &["-W", "-X", "--check-hash-based-pycs"], code: &["-c"], module: &["-m"], ..BASE };

const NODE: Runtime = Runtime {
    valued: &["-C", "-r", "--conditions", "--experimental-loader", "--import", "--loader", "--require"],
    code: &["-e", "-p", "--eval", "--print"],
    ..BASE
};

const SHELL: Runtime = Runtime { valued: &["-o", "+o"], code: &["-c"], ..BASE };

const RUNTIMES: &[Runtime] = &[
    Runtime { family: "python", ..PYTHON },
    Runtime { family: "pypy", ..PYTHON },
    Runtime { family: "node", ..NODE },
    Runtime { family: "nodejs", ..NODE },
    Runtime { family: "bun", commands: &["run", "x"], ..NODE },
    Runtime { family: "deno", code: &["eval", "repl"], commands: &["run", "serve", "task"], ..BASE },
    Runtime {
        family: "java",
        valued: &[
            "-cp",
            "-classpath",
            "-p",
            "--add-exports",
            "--add-modules",
            "--add-opens",
            "--add-reads",
            "--class-path",
            "--limit-modules",
            "--module-path",
            "--patch-module",
            "--upgrade-module-path",
        ],
        module: &["-jar", "-m", "--module"],
        classes: true,
        ..BASE
    },
    Runtime {
        family: "dotnet",
        valued: &["--depsfile", "--fx-version", "--runtimeconfig"],
        commands: &["exec", "run"],
        ..BASE
    },
    Runtime { family: "ruby", valued: &["-C", "-I", "-r"], code: &["-e"], ..BASE },
    Runtime { family: "perl", valued: &["-I"], code: &["-e", "-E"], ..BASE },
    Runtime { family: "php", valued: &["-c", "-d", "-S", "-t"], code: &["-r"], module: &["-f"], ..BASE },
    Runtime { family: "bash", ..SHELL },
    Runtime { family: "dash", ..SHELL },
    Runtime { family: "sh", ..SHELL },
    Runtime { family: "zsh", ..SHELL },
];

/// The runtime an executable is (`python3.11`, `node`).
pub(super) fn find(executable: &str) -> Option<&'static Runtime> {
    let family = executable.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    RUNTIMES.iter().find(|runtime| runtime.family == family)
}

/// What a command line has a runtime run.
enum Target<'a> {
    /// A file.
    File(&'a str),
    /// A module, in the runtime's own notation.
    Module(&'a str),
}

impl Runtime {
    /// The name of the program that `arguments` (without the runtime's own name) have this runtime run.
    pub(super) fn program(&self, arguments: &[String]) -> Option<String> {
        let (target, rest) = self.target(arguments)?;
        let name = match target {
            // Text that came through a descriptor, as a shell's `<(...)` does.
            Target::File(path) if path.starts_with("/dev/fd/") || path.starts_with("/proc/") => return None,
            Target::File(path) if path.ends_with(".jar") => unversioned(stem(path)),
            Target::File(path) => folder_if_generic(path),
            // Java: `module/package.Class`, `package.Class`.
            Target::Module(class) if self.classes => class.rsplit(['/', '.']).next()?,
            Target::Module(module) => module.trim_end_matches(".__main__"),
        };
        let name = application::of(name, rest).unwrap_or_else(|| name.to_owned());
        (!name.is_empty()).then_some(name)
    }

    /// What is run, and the arguments it gets.
    fn target<'a>(&self, arguments: &'a [String]) -> Option<(Target<'a>, &'a [String])> {
        let mut index = 0;
        while let Some(argument) = arguments.get(index).map(String::as_str) {
            let rest = arguments.get(index + 1..).unwrap_or_default();
            if self.code.contains(&argument) || argument == "-" {
                return None;
            }
            if self.module.contains(&argument) || self.cluster_ends_in(argument, self.module) {
                return Some((self.module_target(rest.first()?), &rest[1..]));
            }
            if self.cluster_ends_in(argument, self.code) {
                return None;
            }
            if self.valued.contains(&argument) {
                index += 2;
                continue;
            }
            let word = !argument.starts_with(['-', '+', '@']) && !argument.is_empty();
            if word && !self.commands.contains(&argument) {
                let target = if self.classes { Target::Module(argument) } else { Target::File(argument) };
                return Some((target, rest));
            }
            index += 1;
        }
        None
    }

    fn module_target<'a>(&self, value: &'a str) -> Target<'a> {
        if value.ends_with(".jar") || value.ends_with(".php") { Target::File(value) } else { Target::Module(value) }
    }

    /// Whether `argument` is several one-letter options in one (`-Esm`), the last of them one of `options`. One that
    /// begins with an option that takes a value is that value.
    fn cluster_ends_in(&self, argument: &str, options: &[&str]) -> bool {
        let cluster = argument.len() > 2
            && argument.starts_with('-')
            && argument[1..].bytes().all(|byte| byte.is_ascii_alphabetic());
        let has_value = self.valued.iter().any(|option| option.len() == 2 && argument.starts_with(option));
        !self.classes
            && cluster
            && !has_value
            && options.iter().any(|option| option.len() == 2 && argument.ends_with(&option[1..]))
    }
}

/// `shop` of `shop-1.4.2-SNAPSHOT`: the version would make a new service of every release.
fn unversioned(stem: &str) -> &str {
    let version = stem.match_indices('-').find(|(at, _)| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    match version {
        Some((at, _)) if at > 0 => &stem[..at],
        _ => stem,
    }
}

/// The file's stem; where that is the name every package's entry has, the folder's.
fn folder_if_generic(path: &str) -> &str {
    const ENTRIES: &[&str] = &["__main__", "index"];
    const FOLDERS: &[&str] = &["bin", "build", "dist", "lib", "out", "src"];
    let own = stem(path);
    if !ENTRIES.contains(&own) {
        return own;
    }
    path.split('/')
        .rev()
        .skip(1)
        .find(|folder| !folder.is_empty() && *folder != "." && *folder != ".." && !FOLDERS.contains(folder))
        .unwrap_or(own)
}
