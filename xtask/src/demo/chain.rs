//! The traced programs: real ones, from Debian's packages, unchanged and started as anybody would.
//!
//! ```text
//! demo -> nginx -> shop (gunicorn) -- unix socket --> cart (gunicorn) -- a thread it starts --> stock (gunicorn)
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::{self, Child};
use crate::{ports, tree::Tree};

/// gunicorn imports its application in a few tenths of a second.
const READY_MAX: Duration = Duration::from_secs(20);

/// A program of the chain.
pub(super) struct Hop {
    /// Its service name.
    pub(super) name: &'static str,
    child: Child,
}

/// All of them, in the order of the request.
pub(super) struct Chain {
    hops: Vec<Hop>,
    port: u16,
}

impl Chain {
    /// Starts the programs, the last of the chain first, and waits until each accepts connections.
    pub(super) fn start(tree: &Tree, dir: &Path) -> Result<Self> {
        let programs = tree.root.join("xtask/demo");
        let [nginx_port, shop_port, stock_port] = ports::free()?;
        let cart_socket = dir.join("cart.sock");
        let tcp = |port: u16| move || ports::is_open(port).then_some(());

        let mut stock = gunicorn("stock", &format!("127.0.0.1:{stock_port}"), &programs, dir)?;
        let stock = start("stock", &mut stock, tcp(stock_port))?;

        let mut cart = gunicorn("cart", &format!("unix:{}", cart_socket.display()), &programs, dir)?;
        cart.env("STOCK_URL", format!("http://127.0.0.1:{stock_port}/stock/42"));
        let cart = start("cart", &mut cart, || UnixStream::connect(&cart_socket).ok())?;

        let mut shop = gunicorn("shop", &format!("127.0.0.1:{shop_port}"), &programs, dir)?;
        shop.env("CART_SOCKET", &cart_socket);
        let shop = start("shop", &mut shop, tcp(shop_port))?;

        let nginx = start("nginx", &mut nginx(nginx_port, shop_port, &programs, dir)?, tcp(nginx_port))?;
        Ok(Self { hops: vec![nginx, shop, cart, stock], port: nginx_port })
    }

    /// Where the chain takes requests.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/order/42", self.port)
    }

    /// The service names, in the order of the request, each with the processes that are its own.
    pub(super) fn processes(&self) -> Result<Vec<(&'static str, BTreeSet<u32>)>> {
        self.hops.iter().map(|hop| Ok((hop.name, family(hop.child.pid())?))).collect()
    }

    /// An error if one of the programs has ended.
    pub(super) fn check_running(&mut self) -> Result<()> {
        self.hops.iter_mut().try_for_each(|hop| hop.child.check_running())
    }
}

fn start<T>(name: &'static str, command: &mut Command, ready: impl FnMut() -> Option<T>) -> Result<Hop> {
    let mut child = Child::start(name, command)?;
    child::wait_until(&mut child, &format!("the start of {name}"), READY_MAX, ready)?;
    Ok(Hop { name, child })
}

/// A gunicorn with one worker that serves one request at a time (`sync`), Debian's default.
fn gunicorn(name: &str, bind: &str, programs: &Path, dir: &Path) -> Result<Command> {
    let mut command = child::command("/usr/bin/gunicorn");
    command.args([
        "--workers",
        "1",
        "--worker-class",
        "sync",
        "--log-level",
        "warning",
        "--bind",
        bind,
        "--worker-tmp-dir",
    ]);
    command.arg(dir).arg("--chdir").arg(programs).arg(format!("{name}:application"));
    // What a deployment sets to name its service; the three are one binary otherwise.
    command
        .env("OTEL_SERVICE_NAME", name)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME");
    logged(command, name, dir)
}

fn nginx(port: u16, shop_port: u16, programs: &Path, dir: &Path) -> Result<Command> {
    let template = programs.join("nginx.conf");
    let text = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    let text = text
        .replace("DIR", &dir.display().to_string())
        .replace("SHOP_PORT", &shop_port.to_string())
        .replace("NGINX_PORT", &port.to_string());
    let config = dir.join("nginx.conf");
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    let mut command = child::command("/usr/sbin/nginx");
    // `-e`: before it has read its configuration it would open the system's log.
    command.args(["-e", "stderr", "-p"]).arg(dir).arg("-c").arg(config).env_remove("OTEL_SERVICE_NAME");
    logged(command, "nginx", dir)
}

fn logged(mut command: Command, name: &str, dir: &Path) -> Result<Command> {
    let log = fs::File::create(dir.join(format!("{name}.log")))
        .with_context(|| format!("cannot create the log of {name}"))?;
    command.stdout(Stdio::from(log.try_clone()?)).stderr(log);
    Ok(command)
}

/// A process and its children: masters and their workers.
fn family(pid: u32) -> Result<BTreeSet<u32>> {
    let mut family = BTreeSet::from([pid]);
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let Some(other) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Gone since the listing: then it is not a worker that serves.
        let Ok(stat) = fs::read_to_string(format!("/proc/{other}/stat")) else {
            continue;
        };
        if parent(&stat) == Some(pid) {
            family.insert(other);
        }
    }
    Ok(family)
}

/// The fourth field of `/proc/PID/stat`; the second, in parentheses, may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent("12 (a) 3 (b) S 7 12 12"), Some(7));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn a_family_holds_the_process_and_its_children() {
        let child = Child::start("sleep", child::command("sleep").arg("600")).expect("starts");
        let family = family(std::process::id()).expect("readable");
        assert!(family.contains(&std::process::id()) && family.contains(&child.pid()));
    }
}
