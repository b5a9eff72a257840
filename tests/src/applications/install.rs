//! Which applications there are, and how they come into `target/applications`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Application, Source};
use crate::patterns::{find_go, step};
use crate::workload::PYTHON;

/// A reverse proxy on asyncio: each connection of a client is a task, and so is each connection to a server.
pub const MITMPROXY: Application = Application {
    name: "mitmproxy",
    version: "11.0.2",
    program: "bin/mitmdump",
    source: Source::PyPi("mitmproxy.txt"),
};

/// A mirror of Python packages in Flask, and gunicorn with gevent to run it.
pub const PROXPI: Application =
    Application { name: "proxpi", version: "1.3.1", program: "bin/gunicorn", source: Source::PyPi("proxpi.txt") };

/// A reverse proxy in Go.
pub const CADDY: Application = Application {
    name: "caddy",
    version: "2.11.9",
    program: "caddy",
    source: Source::Go("github.com/caddyserver/caddy/v2/cmd/caddy"),
};

/// A stream processor in Go: what it is asked is put into a channel, out of which a pool's workers take it.
pub const BENTHOS: Application = Application {
    name: "benthos",
    version: "4.60.0",
    program: "benthos",
    source: Source::GoModule { list: "benthos", package: "github.com/redpanda-data/benthos/v4/cmd/benthos" },
};

/// An index of Python packages in front of another one: FastAPI under uvicorn, on uvloop, calling through httpx.
pub const SIMPLE_REPOSITORY_SERVER: Application = Application {
    name: "simple-repository-server",
    version: "0.10.0",
    program: "bin/simple-repository-server",
    source: Source::PyPi("simple-repository-server.txt"),
};

const ALL: &[Application] = &[SIMPLE_REPOSITORY_SERVER, MITMPROXY, PROXPI, CADDY, BENTHOS];

/// Installs those that are not there yet; what needs Go is left out where there is none.
///
/// # Errors
/// One cannot be installed.
pub fn prepare() -> Result<()> {
    for application in ALL {
        match application.source {
            Source::PyPi(list) => python(application, list)?,
            Source::Go(package) => install(application, package)?,
            Source::GoModule { list, package } => build(application, list, package)?,
        }
    }
    Ok(())
}

/// Where they are installed.
pub(super) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/applications")
}

/// What is installed of each, with versions and hashes.
fn lists() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("applications")
}

/// Into a virtual environment of Debian's interpreter, from wheels alone.
fn python(application: &Application, list: &str) -> Result<()> {
    let list = lists().join(list);
    let environment = application.directory();
    let done = environment.join("requirements.txt");
    if fs::read(&done).ok() == fs::read(&list).ok() {
        return Ok(());
    }
    step(Command::new(PYTHON).args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    step(pip.args(["--only-binary=:all:", "--require-hashes", "-r"]).arg(&list))?;
    fs::copy(&list, done).with_context(|| list.display().to_string())?;
    Ok(())
}

fn install(application: &Application, package: &str) -> Result<()> {
    go(application, |go, into| {
        go.arg("install").arg("-trimpath").arg(format!("{package}@v{}", application.version)).env("GOBIN", into);
    })
}

/// What the list names, where the module proxy has the version but no list of versions, which `go install` asks for.
fn build(application: &Application, list: &str, package: &str) -> Result<()> {
    go(application, |go, into| {
        go.arg("build").arg("-C").arg(lists().join(list));
        go.args(["-mod=readonly", "-trimpath", "-o"]).arg(into).arg(package);
    })
}

fn go(application: &Application, told: impl Fn(&mut Command, &Path)) -> Result<()> {
    let Some(go) = find_go() else { return Ok(()) };
    let into = application.directory();
    if into.join(application.program).is_file() {
        return Ok(());
    }
    fs::create_dir_all(&into)?;
    let mut go = Command::new(go);
    told(&mut go, &into.canonicalize()?);
    step(go.env("CGO_ENABLED", "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_modules_name_the_versions() -> Result<()> {
        for application in ALL {
            let Source::GoModule { list, package } = application.source else { continue };
            let text = fs::read_to_string(lists().join(list).join("go.mod"))?;
            let mut modules = text.lines().filter_map(|line| line.trim().split_once(' '));
            let version = modules.find(|(module, _)| package.starts_with(&format!("{module}/"))).map(|(_, rest)| rest);
            let version = version.with_context(|| format!("{package} is of none of its modules"))?;
            assert_eq!(version.split(' ').next(), Some(format!("v{}", application.version).as_str()), "{package}");
        }
        Ok(())
    }
}
