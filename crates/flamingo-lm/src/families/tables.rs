//! Rules for the vocabulary's tables, which may have more rows in the file than the decoder has tokens.
//!
//! Published tables are padded: MPT's tokenizer has 50,277 tokens and its table 50,432 rows. The decoder's `vocab` is
//! the number of tokens, and the rows behind them are left out.

use burn::tensor::TensorData;
use flamingo_weights::KeyMap;

use crate::config::{DecoderConfig, Head};

/// Where the rows of new tokens are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NewRows {
    /// Not in the file, which is the language model alone: they stay as they are.
    #[default]
    Absent,
    /// Behind the others in the same table, as OpenFlamingo's files have them.
    Appended,
}

/// Names of the two tables in a file.
pub(super) struct Tables {
    pub embedding: &'static str,
    /// Also in some files where the head is tied.
    pub head: &'static str,
}

impl Tables {
    /// Rules for the embedding and the head, in both parts.
    pub fn key_map(self, config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
        let map = two_parts("embedding", "new_embedding", self.embedding, config, new_rows);
        match config.head {
            Head::Own => map.and(two_parts("head", "new_head", self.head, config, new_rows)),
            Head::Tied => map.ignore(self.head),
        }
    }
}

fn two_parts(known: &str, new: &str, source: &str, config: &DecoderConfig, new_rows: NewRows) -> KeyMap {
    let (vocab, new_tokens) = (config.vocab, config.new_tokens);
    let map = KeyMap::new().with(known, source, move |table| slice_rows(table, 0, vocab));
    match new_rows {
        NewRows::Absent => map.optional(new),
        NewRows::Appended => map.with(new, source, move |table| slice_rows(table, vocab, new_tokens)),
    }
}

/// `count` rows from `start` on.
fn slice_rows(table: TensorData, start: usize, count: usize) -> Result<TensorData, String> {
    let &[rows, width] = table.shape().as_slice() else {
        return Err(format!("of shape {:?}, and not a table", table.shape().as_slice()));
    };
    if rows < start + count {
        return Err(format!("a table of {rows} rows, where {} tokens need one", start + count));
    }
    let row_bytes = width * table.dtype().size();
    let bytes = table.as_bytes()[start * row_bytes..(start + count) * row_bytes].to_vec();
    TensorData::try_from_bytes_vec(bytes, vec![count, width], table.dtype())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_out_and_too_few_are_an_error() {
        let table = || TensorData::from([[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
        assert_eq!(slice_rows(table(), 0, 2).unwrap(), TensorData::from([[1.0f32, 2.0], [3.0, 4.0]]));
        assert_eq!(slice_rows(table(), 2, 1).unwrap(), TensorData::from([[5.0f32, 6.0]]));
        assert!(slice_rows(table(), 2, 2).unwrap_err().contains("3 rows"));
    }
}
