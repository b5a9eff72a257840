//! Recordings without the machine they were made on: what is kept in the repository names no host and no checkout.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tracemend::recording::{Options, Recorder, Recording};
use tracemend_core::decode::{Event, Process};
use tracemend_core::recording::Entry;

use crate::recordings;

/// The documentation's own host: RFC 5737, section 3.
const HOST: [(&str, &str); 3] =
    [("host.id", "00000000000000000000000000000000"), ("host.name", "host"), ("ip", "192.0.2.1")];

/// Programs of the system are at the same place everywhere; what was built here is not.
const EXECUTABLE_PATH: &str = "process.executable.path";
const INSTANCE_ID: &str = "service.instance.id";

#[test]
#[ignore = "rewrites the recordings: `cargo xtask bless --record` runs it behind the runs"]
fn make_every_recording_neutral() -> Result<()> {
    for path in recordings()? {
        // Others stay as they are, to the byte.
        if !is_neutral(&path)? {
            neutralise(&path)?;
        }
    }
    Ok(())
}

#[test]
fn recordings_name_no_machine() -> Result<()> {
    for path in recordings()? {
        assert!(is_neutral(&path)?, "{}: cargo xtask bless --record", path.display());
    }
    Ok(())
}

fn is_neutral(path: &Path) -> Result<bool> {
    for entry in Recording::open(path)? {
        if let Entry::Event(Event::Process(process)) = entry?
            && *process != neutral(&process)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn neutralise(path: &Path) -> Result<()> {
    let copied = path.with_extension("neutral");
    let recording = Recording::open(path).with_context(|| path.display().to_string())?;
    // Secrets are masked in it already.
    let options = Options { with_secrets: true, bytes_max: u64::MAX };
    let mut copy = Recorder::start(&copied, options, recording.header())?;
    let mut lost = Vec::new();
    for entry in recording {
        match entry? {
            Entry::End(told) => lost = told,
            Entry::Event(Event::Process(process)) => {
                copy.entry(&Entry::Event(Event::Process(Arc::new(neutral(&process)))));
            }
            entry => copy.entry(&entry),
        }
    }
    copy.finish(lost)?;
    Ok(std::fs::rename(&copied, path)?)
}

fn neutral(process: &Process) -> Process {
    let mut process = process.clone();
    let own_host = process.resource.iter().find(|(name, _)| name == "host.name").map(|(_, value)| value.clone());
    for (name, value) in &mut process.resource {
        if let Some((_, neutral)) = HOST.iter().find(|(host, _)| host == name) {
            (*neutral).clone_into(value);
        } else if name == EXECUTABLE_PATH && !value.starts_with("/usr/") {
            *value = format!("/opt/{}", process.executable);
        } else if name == INSTANCE_ID
            && let Some(own) = &own_host
        {
            // PID@HOST:START
            *value = value.replacen(&format!("@{own}:"), "@host:", 1);
        }
    }
    process
}
