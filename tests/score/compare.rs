//! A table beside an older one.

use crate::row::{Row, Rows};

/// The share of right links may fall by so much: runs differ.
const POINTS: f64 = 2.0;

/// What got worse.
pub(crate) fn worse(old: &Rows, rows: &[Row]) -> Vec<String> {
    rows.iter().filter(|row| row.missing.is_none()).filter_map(|row| compare(old, row)).collect()
}

/// Whether the share of right links fell.
pub(crate) fn is_worse(old: &Rows, row: &Row) -> bool {
    row.missing.is_none() && before(old, row).is_some_and(|before| points(row) < before - POINTS)
}

fn compare(old: &Rows, row: &Row) -> Option<String> {
    let name = format!("{} by {}", row.id, row.variant);
    let Some(before) = before(old, row) else {
        println!("{name}: new");
        return None;
    };
    let now = points(row);
    println!("{name}: {now:.2} % right, {before:.2} % before");
    is_worse(old, row).then(|| format!("{name}: {now:.2} % right, {before:.2} % before"))
}

/// What the old table says of this variant. Of one it does not know, what it says of the pattern's worst: a machine may
/// have another version.
fn before(old: &Rows, row: &Row) -> Option<f64> {
    let same: Vec<_> = old.patterns.iter().filter(|other| other.id == row.id && other.missing.is_none()).collect();
    let exactly = same.iter().find(|other| other.variant == row.variant);
    exactly.map(|other| points(other)).or_else(|| same.into_iter().map(points).reduce(f64::min))
}

fn points(row: &Row) -> f64 {
    row.share(row.right).share * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(variant: &str, right: usize) -> Row {
        Row { id: "c/pool".to_owned(), variant: variant.to_owned(), edges: 100, right, ..Row::default() }
    }

    #[test]
    fn what_falls_by_more_than_two_points_is_worse() {
        let old = Rows { patterns: vec![row("one", 90), row("two", 50)] };
        assert!(worse(&old, &[row("one", 88), row("two", 100)]).is_empty());
        assert_eq!(worse(&old, &[row("one", 87)]).len(), 1);
        // Unknown: the worst counts.
        assert!(worse(&old, &[row("three", 48)]).is_empty());
        assert_eq!(worse(&old, &[row("three", 47)]).len(), 1);
        assert!(worse(&old, &[Row { id: "c/other".to_owned(), ..row("one", 0) }]).is_empty());
    }
}
