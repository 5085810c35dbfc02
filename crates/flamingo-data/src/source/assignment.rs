//! The assignment problem: pairs of rows and columns, one to one, with the largest sum.
//!
//! The Hungarian method as the shortest augmenting path with potentials (Jonker and Volgenant 1987): rows enter one by
//! one, and each time a path of least reduced cost is found in the manner of Dijkstra. For `n` rows and `m` columns it
//! takes `min(n, m)² · max(n, m)` steps.

/// For each row of `values` (`[rows, columns]`), the column that it is paired with.
///
/// As many pairs are made as there are rows or columns, whichever are fewer, and no other choice has a larger sum.
///
/// # Panics
///
/// If the rows differ in length.
pub(super) fn largest_sum(values: &[Vec<f64>]) -> Vec<Option<usize>> {
    let (rows, columns) = (values.len(), values.first().map_or(0, Vec::len));
    assert!(values.iter().all(|row| row.len() == columns), "a matrix has rows of one length");
    if rows <= columns {
        return least_cost(rows, columns, |row, column| -values[row][column]).into_iter().map(Some).collect();
    }
    let mut paired = vec![None; rows];
    let turned = least_cost(columns, rows, |column, row| -values[row][column]);
    for (column, row) in turned.into_iter().enumerate() {
        paired[row] = Some(column);
    }
    paired
}

/// For each row, its column; there are at least as many columns as rows.
fn least_cost(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    // Potentials: `cost - of_row - of_column` is never negative, and 0 for pairs.
    let (mut of_row, mut of_column) = (vec![0.0; rows], vec![0.0; columns]);
    // The row of each column.
    let mut row_of: Vec<Option<usize>> = vec![None; columns];
    for new in 0..rows {
        // The shortest way to each column that the search knows, and the column before it on that way.
        let mut distance = vec![f64::INFINITY; columns];
        let mut before: Vec<Option<usize>> = vec![None; columns];
        let mut visited = vec![false; columns];
        let (mut row, mut last, mut length) = (new, None, 0.0);
        let end = loop {
            let mut nearest: Option<usize> = None;
            for column in (0..columns).filter(|column| !visited[*column]) {
                let through = length + cost(row, column) - of_row[row] - of_column[column];
                if through < distance[column] {
                    distance[column] = through;
                    before[column] = last;
                }
                if nearest.is_none_or(|nearest| distance[column] < distance[nearest]) {
                    nearest = Some(column);
                }
            }
            // There are more columns than rows that entered, so one is left.
            let Some(column) = nearest else { return Vec::new() };
            visited[column] = true;
            length = distance[column];
            match row_of[column] {
                Some(next) => (row, last) = (next, Some(column)),
                None => break column,
            }
        };
        // What was visited moves by how much nearer than the end it lies.
        of_row[new] += length;
        for column in (0..columns).filter(|column| visited[*column]) {
            let slack = length - distance[column];
            of_column[column] -= slack;
            if let Some(row) = row_of[column] {
                of_row[row] += slack;
            }
        }
        // Along the path, each column takes the row of the one before.
        let mut column = end;
        while let Some(previous) = before[column] {
            row_of[column] = row_of[previous];
            column = previous;
        }
        row_of[column] = Some(new);
    }
    let mut paired = vec![0; rows];
    for (column, row) in row_of.into_iter().enumerate() {
        if let Some(row) = row {
            paired[row] = column;
        }
    }
    paired
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[Vec<f64>], paired: &[Option<usize>]) -> f64 {
        paired.iter().zip(values).filter_map(|(column, row)| column.map(|column| row[column])).sum()
    }

    /// The largest sum, by trying everything: every row takes a free column, or none if there are too few.
    fn slow(values: &[Vec<f64>], free: &mut Vec<usize>, spare: usize) -> f64 {
        let Some((row, rest)) = values.split_first() else { return 0.0 };
        let mut best = if spare > 0 { slow(rest, free, spare - 1) } else { f64::NEG_INFINITY };
        for place in 0..free.len() {
            let column = free.remove(place);
            best = best.max(row[column] + slow(rest, free, spare));
            free.insert(place, column);
        }
        best
    }

    #[test]
    fn greed_is_not_enough() {
        let values = [vec![0.9, 0.8], vec![0.85, 0.1]];
        assert_eq!(largest_sum(&values), [Some(1), Some(0)]);
        assert_eq!(largest_sum(&[vec![0.1], vec![0.5], vec![0.3]]), [None, Some(0), None]);
        assert_eq!(largest_sum(&[vec![0.1, 0.7, 0.3]]), [Some(1)]);
        assert_eq!(largest_sum(&[]), []);
        assert_eq!(largest_sum(&[vec![], vec![]]), [None, None]);
    }

    #[test]
    fn a_large_matrix_takes_no_time() {
        let value = |row: usize, column: usize| f64::from(((row * 7919 + column * 104_729) % 1009) as u32);
        let values: Vec<Vec<f64>> =
            (0..200).map(|row| (0..150).map(|column| value(row, column)).collect()).collect();
        let paired = largest_sum(&values);
        let mut columns: Vec<usize> = paired.iter().flatten().copied().collect();
        columns.sort_unstable();
        assert!(columns.into_iter().eq(0..150));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_other_choice_is_better(
            (rows, columns) in (1usize..7, 1usize..7),
            numbers in prop::collection::vec(-20i32..20, 49),
            unit in prop_oneof![Just(1.0), Just(0.01)],
        ) {
            let values: Vec<Vec<f64>> = (0..rows)
                .map(|row| (0..columns).map(|column| f64::from(numbers[row * 7 + column]) * unit).collect())
                .collect();
            let paired = largest_sum(&values);
            let mut used: Vec<usize> = paired.iter().flatten().copied().collect();
            prop_assert_eq!(used.len(), rows.min(columns));
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), rows.min(columns), "one to one");
            let best = slow(&values, &mut (0..columns).collect(), rows.saturating_sub(columns));
            prop_assert!((sum(&values, &paired) - best).abs() < 1e-9, "{:?}", paired);
        }
    }
}
