//! The score for people, and for whoever counts tests.

use crate::interval::Share;
use crate::row::Row;

/// What became of a pattern, in the words of a test runner.
pub(crate) fn outcome(row: &Row) {
    let name = format!("{} by {}", row.id, row.variant);
    if let Some(missing) = &row.missing {
        println!("test {name} ... ignored, {missing}");
        eprintln!("\nskipped: {name}: {missing}");
        return;
    }
    println!("test {name} ... {}", if row.is_good() { "ok" } else { "FAILED" });
    for broken in row.broken() {
        println!("    {broken}");
    }
    for note in &row.more.notes {
        println!("    ({note})");
    }
    for (evidence, [right, orphan, wrong, unseen]) in &row.more.evidence {
        println!("    {evidence}: {right} right, {orphan} orphan, {wrong} wrong, {unseen} unseen");
    }
}

/// The table, in the form of docs and README.
pub(crate) fn table(rows: &[Row]) {
    println!("\n| pattern | by | edges | in flight | right | orphan | wrong | unseen | exact wrong | complete |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows {
        let Row { id, variant, edges, orphan, wrong, unseen, exact_wrong, .. } = row;
        if let Some(missing) = &row.missing {
            println!("| {id} | {variant} | | | missing: {missing} | | | | | |");
            continue;
        }
        let (right, untrue) = (row.share(row.right), row.share(*wrong));
        let complete = Share::of(row.complete, row.requests).share;
        println!(
            "| {id} | {variant} | {edges} | {:.0} | {} | {orphan} | {wrong}{} (<= {:.2} %) | {unseen} | {exact_wrong} | {:.1} % |",
            row.more.in_flight,
            percent(right),
            if row.more.wrong_in_trace > 0 {
                format!(", {} in its trace", row.more.wrong_in_trace)
            } else {
                String::new()
            },
            untrue.high * 100.0,
            complete * 100.0,
        );
    }
}

fn percent(Share { low, share, high }: Share) -> String {
    format!("{:.2} % ({:.2}-{:.2})", share * 100.0, low * 100.0, high * 100.0)
}

/// The last word, in the words of a test runner. What a comparison finds worse fails too.
pub(crate) fn close(rows: &[Row], lost: &[String]) {
    println!();
    for worse in lost {
        println!("worse: {worse}");
    }
    let missing = rows.iter().filter(|row| row.missing.is_some()).count();
    let bad = rows.iter().filter(|row| !row.is_good()).count();
    // A row may be bad and worse: the comparison is one test more.
    let failed = bad + usize::from(!lost.is_empty());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {} passed; {failed} failed; {missing} ignored", rows.len() - missing - bad);
}
