//! The score for people, and for whoever counts tests.

use tracemend_tests::baseline::BASELINES;

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

/// The tables, in the form of docs and README: a line for each pattern, all of its variants together.
pub(crate) fn tables(rows: &[Row]) {
    println!(
        "\n| pattern | variants | calls | in flight | right | wrong | unseen | exact wrong | requests complete | orphans, mostly |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|");
    let patterns = merged(rows);
    for (row, variants) in &patterns {
        let Row { id, edges, wrong, unseen, exact_wrong, .. } = row;
        if let (0, Some(missing)) = (variants, &row.missing) {
            println!("| {id} | 0 | | | | | | | | missing: {missing} |");
            continue;
        }
        let complete = Share::of(row.complete, row.requests).share * 100.0;
        println!(
            "| {id} | {variants} | {edges} | {:.0} | {} | {wrong}{} (<= {:.2} %) | {unseen} | {exact_wrong} | {complete:.1} % | {} |",
            row.more.in_flight,
            percent(row.share(row.right)),
            if row.more.wrong_in_trace > 0 {
                format!(", {} in its trace", row.more.wrong_in_trace)
            } else {
                String::new()
            },
            row.share(*wrong).high * 100.0,
            reason(row),
        );
    }
    let names: Vec<_> = BASELINES.iter().map(|baseline| baseline.name).collect();
    println!("\n| pattern | Tracemend | {} |", names.join(" | "));
    println!("|---|{}", "---:|".repeat(1 + names.len()));
    for (row, _) in patterns.iter().filter(|(row, _)| row.edges > 0) {
        let share = |[right, wrong]: [usize; 2]| {
            format!("{:.1} / {:.1}", row.share(right).share * 100.0, row.share(wrong).share * 100.0)
        };
        let guesses: Vec<_> = row.more.baselines.iter().map(|sum| share(*sum)).collect();
        println!("| {} | {} | {} |", row.id, share([row.right, row.wrong]), guesses.join(" | "));
    }
}

/// One row for each pattern, and how many variants it is of.
fn merged(rows: &[Row]) -> Vec<(Row, usize)> {
    let mut patterns: Vec<(Row, usize)> = Vec::new();
    for row in rows {
        let ran = usize::from(row.missing.is_none());
        match patterns.last_mut() {
            Some((sum, variants)) if sum.id == row.id => {
                sum.add(row);
                *variants += ran;
            }
            _ => patterns.push((row.clone(), ran)),
        }
    }
    patterns
}

/// The commonest reason for orphans.
fn reason(row: &Row) -> &str {
    let orphans = row.more.evidence.iter().filter(|(_, counts)| counts[1] > 0);
    let name = orphans.max_by_key(|(_, counts)| counts[1]).map_or("", |(name, _)| name);
    name.strip_prefix("orphan: ").unwrap_or(name)
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
