//! RICES: the examples whose media are most alike the query's (appendix B.1.5 of the paper; Yang et al. 2021).
//!
//! Every feature is compared with every other, as vectors of length 1: nothing is approximate. Blocks of queries go over
//! the whole support set in parallel, so that a row of it is read once for a block.

use rayon::prelude::*;

/// Queries that are compared together.
const TOGETHER: usize = 4;
/// Sums that are kept apart, so that they need not wait for each other.
const LANES: usize = 8;

/// Features of a support set `[N, E]`, made unit vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Rices {
    width: usize,
    rows: Vec<f32>,
}

impl Rices {
    /// Of `features` `[N, width]`.
    ///
    /// # Panics
    ///
    /// If they are not whole rows.
    pub fn new(mut features: Vec<f32>, width: usize) -> Self {
        normalise(&mut features, width);
        Self { width, rows: features }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.rows.len() / self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// For each of `queries` `[Q, E]` the places of the `count` most similar items (all, if they are fewer), the most
    /// similar last. Of equally similar ones, the earlier counts as the more similar.
    ///
    /// # Panics
    ///
    /// If the queries are not whole rows.
    pub fn nearest(&self, mut queries: Vec<f32>, count: usize) -> Vec<Vec<usize>> {
        normalise(&mut queries, self.width);
        let blocks = queries.par_chunks(TOGETHER * self.width);
        blocks.flat_map_iter(|block| self.nearest_of(block, count)).collect()
    }

    fn nearest_of(&self, block: &[f32], count: usize) -> Vec<Vec<usize>> {
        let queries: Vec<&[f32]> = block.chunks_exact(self.width).collect();
        let mut best = vec![Best { count, found: Vec::with_capacity(count + 1) }; queries.len()];
        for (place, row) in self.rows.chunks_exact(self.width).enumerate() {
            for (query, best) in queries.iter().zip(&mut best) {
                best.offer(dot(query, row), place);
            }
        }
        best.into_iter().map(|best| best.found.into_iter().rev().map(|(_, place)| place).collect()).collect()
    }
}

/// The most similar so far, the most similar first.
#[derive(Clone)]
struct Best {
    count: usize,
    found: Vec<(f32, usize)>,
}

impl Best {
    fn offer(&mut self, similarity: f32, place: usize) {
        let full = self.found.len() == self.count;
        if full && self.found.last().is_none_or(|(worst, _)| similarity <= *worst) {
            return;
        }
        let at = self.found.partition_point(|(other, _)| *other >= similarity);
        self.found.insert(at, (similarity, place));
        self.found.truncate(self.count);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Rows of length 1; a row of zeros stays as it is, and is equally unlike all others.
fn normalise(features: &mut [f32], width: usize) {
    assert!(
        width > 0 && features.len().is_multiple_of(width),
        "{} features are no rows of {width}",
        features.len()
    );
    for row in features.chunks_exact_mut(width) {
        let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_comes_last() {
        // Directions at 0, 90, 180 and 45 degrees, of different lengths.
        let rices = Rices::new(vec![2.0, 0.0, 0.0, 0.1, -5.0, 0.0, 3.0, 3.0], 2);
        assert_eq!(rices.len(), 4);
        assert_eq!(rices.nearest(vec![1.0, 0.1], 3), [[1, 3, 0]]);
        assert_eq!(rices.nearest(vec![1.0, 0.1], 9), [[2, 1, 3, 0]]);
        assert_eq!(rices.nearest(vec![1.0, 0.1], 0), [Vec::<usize>::new()]);
        assert_eq!(rices.nearest(vec![-1.0, 0.0, 0.0, 1.0], 1), [[2], [1]]);
    }

    #[test]
    fn of_equally_similar_ones_the_earlier_counts_as_nearer() {
        let rices = Rices::new([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]].concat(), 2);
        assert_eq!(rices.nearest(vec![1.0, 0.0], 2), [[2, 1]]);
        assert_eq!(rices.nearest(vec![0.0, 0.0], 4), [[3, 2, 1, 0]], "zeros are equally unlike all");
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let value = |place: usize| ((place * place + 7) % 101) as f32 - 50.0;
        let rices = Rices::new((0..300 * 19).map(value).collect(), 19);
        let queries: Vec<f32> = (0..23 * 19).map(|place| value(place + 3)).collect();
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| rices.nearest(queries.clone(), 8))
        };
        assert_eq!(of(1), of(4));
        assert_eq!(of(1)[22], rices.nearest(queries[22 * 19..].to_vec(), 8)[0]);
    }
}
