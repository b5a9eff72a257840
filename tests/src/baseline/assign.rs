//! The cheapest assignment of rows to columns.

/// Costs more than anything that is possible.
pub(super) const IMPOSSIBLE: f64 = 1e9;

/// A column for each row, each at most once, so that the sum of costs is least (the Hungarian method with potentials, Kuhn
/// 1955 and Munkres 1957, in O(rows² columns)). Rows whose column is impossible get none. There are at least as many
/// columns as rows.
pub(super) fn assign(costs: &[Vec<f64>]) -> Vec<Option<usize>> {
    let (rows, columns) = (costs.len(), costs.first().map_or(0, Vec::len));
    assert!(rows <= columns, "{rows} rows, {columns} columns");
    // Row and column 0 stand for none.
    let (mut of_row, mut of_column) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let mut row_of = vec![0_usize; columns + 1];
    for row in 1..=rows {
        let mut least = vec![f64::INFINITY; columns + 1];
        let mut before = vec![0_usize; columns + 1];
        let mut done = vec![false; columns + 1];
        row_of[0] = row;
        let mut column = 0;
        while row_of[column] != 0 {
            done[column] = true;
            let current = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for other in 1..=columns {
                if done[other] {
                    continue;
                }
                let reduced = costs[current - 1][other - 1] - of_row[current] - of_column[other];
                if reduced < least[other] {
                    (least[other], before[other]) = (reduced, column);
                }
                if least[other] < step {
                    (step, next) = (least[other], other);
                }
            }
            for other in 0..=columns {
                if done[other] {
                    of_row[row_of[other]] += step;
                    of_column[other] -= step;
                } else {
                    least[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
    }
    let mut assigned = vec![None; rows];
    for (column, row) in row_of.into_iter().enumerate().skip(1).filter(|(_, row)| *row != 0) {
        assigned[row - 1] = Some(column - 1).filter(|column| costs[row - 1][*column] < IMPOSSIBLE);
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_least_and_not_each_row() {
        let costs = vec![vec![1.0, 2.0, 9.0], vec![1.0, 9.0, 9.0]];
        assert_eq!(assign(&costs), [Some(1), Some(0)]);
        assert_eq!(assign(&[vec![IMPOSSIBLE, 3.0], vec![IMPOSSIBLE, 4.0]]), [Some(1), None]);
        assert_eq!(assign(&[]), []);
    }

    /// Against every permutation.
    #[test]
    fn small_ones_are_optimal() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..200 {
            let costs: Vec<Vec<f64>> = (0..4).map(|_| (0..5).map(|_| random.f64()).collect()).collect();
            let sum =
                |columns: &[usize]| columns.iter().enumerate().map(|(row, column)| costs[row][*column]).sum::<f64>();
            let found: Vec<usize> = assign(&costs).into_iter().map(|column| column.expect("all possible")).collect();
            let mut least = f64::INFINITY;
            for code in 0..5_usize.pow(4) {
                let columns: Vec<_> = (0..4).map(|row| code / 5_usize.pow(row) % 5).collect();
                if (0..4).all(|one| (0..one).all(|other| columns[one] != columns[other])) {
                    least = least.min(sum(&columns));
                }
            }
            assert!((sum(&found) - least).abs() < 1e-9);
        }
    }
}
