//! `cargo xtask bless`: what replays of the recordings in tests/golden tell becomes what tests expect. The diff is for
//! people to review.

use std::process::ExitCode;

use anyhow::Result;

use crate::{demo, release, score, setup, shell, tree::Tree};

/// Arguments of `cargo xtask bless`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Make the recordings anew before, as root: where their layout changed, or the runs
    #[arg(long)]
    record: bool,

    /// Make the recording of one pattern anew before, as root
    #[arg(long, value_name = "ID", conflicts_with = "record")]
    pattern: Option<String>,
}

/// Takes the machine out of recordings that name it.
fn neutralise(tree: &Tree) -> Result<()> {
    let mut neutral = tree.cargo();
    neutral.args(["test", "--package", "tracemend-tests", "--test", "golden", "make_every_recording_neutral"]);
    shell::run(neutral.args(["--", "--ignored"]))
}

/// The command.
pub(crate) fn command(tree: &Tree, args: &Args) -> Result<ExitCode> {
    if args.record {
        setup::ensure()?;
        release::build(tree)?;
        score::prepare(tree)?;
        let mut record = tree.cargo();
        record.args(["test", "--package", "tracemend-tests", "--test", "golden", "record_every"]);
        shell::run(record.args(["--", "--ignored", "--nocapture"]).env("TRACEMEND_BIN", tree.agent()))?;
        demo::record(tree)?;
        neutralise(tree)?;
    }
    if let Some(pattern) = &args.pattern {
        release::build(tree)?;
        let mut record = tree.cargo();
        record.args(["test", "--package", "tracemend-tests", "--test", "golden", "record_every_pattern"]);
        record.env("TRACEMEND_BIN", tree.agent()).env("TRACEMEND_PATTERN", pattern);
        shell::run(record.args(["--", "--ignored", "--nocapture"]))?;
        neutralise(tree)?;
    }
    let mut bless = tree.cargo();
    bless.args(["test", "--package", "tracemend-tests", "--test", "golden", "replays_tell"]);
    shell::run(bless.env("TRACEMEND_BLESS", "1"))?;
    shell::run(std::process::Command::new("git").current_dir(&tree.root).args([
        "diff",
        "--stat",
        "--",
        "tests/golden",
    ]))?;
    Ok(ExitCode::SUCCESS)
}
