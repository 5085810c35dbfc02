//! Rearranging and casting tensors on the host, by element size: no value is looked at.

use burn::tensor::{DType, TensorData, bf16, f16};

/// The transpose of a matrix: PyTorch's `[out, in]` to `[in, out]` of Burn's `Linear`.
///
/// # Errors
///
/// If the tensor has not two dimensions.
pub fn transpose(data: TensorData) -> Result<TensorData, String> {
    let &[rows, columns] = data.shape().as_slice() else {
        return Err(format!(
            "must be a matrix to be transposed, and has shape {:?}",
            data.shape().as_slice()
        ));
    };
    let bytes = match data.dtype().size() {
        1 => transposed::<1>(data.as_bytes(), rows, columns),
        2 => transposed::<2>(data.as_bytes(), rows, columns),
        4 => transposed::<4>(data.as_bytes(), rows, columns),
        _ => transposed::<8>(data.as_bytes(), rows, columns),
    };
    rebuilt(bytes, [columns, rows], data.dtype())
}

/// One part of a fused tensor's first dimension, whose rows are ordered (group, part, row): `groups` is 1 for
/// contiguous parts (`q | k | v`), and the number of heads for parts interleaved per head.
///
/// # Errors
///
/// If the first dimension is not a multiple of `groups * of`, or `part` is not below `of`.
pub fn rows(data: TensorData, groups: usize, part: usize, of: usize) -> Result<TensorData, String> {
    let shape = data.shape().as_slice().to_vec();
    let total = shape.first().copied().unwrap_or_default();
    let pieces = groups.checked_mul(of).filter(|pieces| *pieces > 0 && total % *pieces == 0 && part < of);
    let Some(pieces) = pieces else {
        return Err(format!(
            "the first dimension of {shape:?} cannot be cut into {groups} groups of {of} parts"
        ));
    };
    let rows = total / pieces;
    let row_bytes = data.as_bytes().len().checked_div(total).unwrap_or_default();
    let piece_bytes = rows * row_bytes;
    let mut bytes = Vec::with_capacity(groups * piece_bytes);
    for group in 0..groups {
        let start = (group * of + part) * piece_bytes;
        bytes.extend_from_slice(&data.as_bytes()[start..start + piece_bytes]);
    }
    rebuilt(bytes, [&[groups * rows], &shape[1..]].concat(), data.dtype())
}

/// Reorders the first dimension: row `i` of the result is row `source(i)` of `data`.
///
/// # Errors
///
/// If the tensor has no dimension, or `source` names a row that is not there.
pub fn gather_rows(data: TensorData, source: impl Fn(usize) -> usize) -> Result<TensorData, String> {
    let shape = data.shape().as_slice().to_vec();
    let Some(&rows) = shape.first() else {
        return Err("must have rows, and is a scalar".to_owned());
    };
    let row_bytes = data.as_bytes().len().checked_div(rows).unwrap_or_default();
    let mut bytes = Vec::with_capacity(data.as_bytes().len());
    for row in 0..rows {
        let from = source(row);
        if from >= rows {
            return Err(format!("has {rows} rows, and row {from} is needed"));
        }
        bytes.extend_from_slice(&data.as_bytes()[from * row_bytes..][..row_bytes]);
    }
    rebuilt(bytes, shape, data.dtype())
}

/// Puts tensors behind each other along their first dimension.
///
/// # Errors
///
/// If there is none, or their types or other dimensions differ.
pub fn concat_rows(parts: Vec<TensorData>) -> Result<TensorData, String> {
    let mut parts = parts.into_iter();
    let first = parts.next().ok_or("no tensors to join")?;
    let mut shape = first.shape().as_slice().to_vec();
    let dtype = first.dtype();
    if shape.is_empty() {
        return Err("scalars cannot be joined".to_owned());
    }
    let mut bytes = first.as_bytes().to_vec();
    for part in parts {
        let other = part.shape().as_slice();
        if part.dtype() != dtype || other.get(1..) != Some(&shape[1..]) {
            return Err(format!("{shape:?} {dtype:?} and {other:?} {:?} cannot be joined", part.dtype()));
        }
        shape[0] += other[0];
        bytes.extend_from_slice(part.as_bytes());
    }
    rebuilt(bytes, shape, dtype)
}

/// The same elements in the same order, in another shape.
///
/// # Errors
///
/// If the number of elements differs.
pub fn reshape(data: TensorData, shape: &[usize]) -> Result<TensorData, String> {
    let (bytes, before, dtype) = data.into_parts();
    TensorData::try_from_bytes(bytes, shape.to_vec(), dtype)
        .map_err(|_| format!("has shape {:?}, and {shape:?} is needed", before.as_slice()))
}

/// Converts to another number format, rounding to nearest.
///
/// # Errors
///
/// If there is no such conversion.
pub fn cast(data: TensorData, dtype: DType) -> Result<TensorData, String> {
    if data.dtype() == dtype {
        return Ok(data);
    }
    let shape = data.shape().clone();
    // The usual ones in tight loops: Burn's general conversion goes through a boxed iterator.
    let converted = match (data.dtype(), dtype) {
        (DType::BF16, DType::F32) => {
            data.as_slice().map(|v: &[bf16]| TensorData::new(v.iter().map(|v| v.to_f32()).collect(), shape))
        }
        (DType::F16, DType::F32) => {
            data.as_slice().map(|v: &[f16]| TensorData::new(v.iter().map(|v| v.to_f32()).collect(), shape))
        }
        (DType::F32, DType::BF16) => data
            .as_slice()
            .map(|v: &[f32]| TensorData::new(v.iter().map(|v| bf16::from_f32(*v)).collect(), shape)),
        (DType::F32, DType::F16) => data
            .as_slice()
            .map(|v: &[f32]| TensorData::new(v.iter().map(|v| f16::from_f32(*v)).collect(), shape)),
        _ => data.try_cast(dtype),
    };
    converted.map_err(|error| error.to_string())
}

/// Elements of a shape; `None` if that is more than memory can have.
pub(crate) fn n_elements(shape: &[usize]) -> Option<usize> {
    // A zero anywhere is no elements, whatever the other sides claim.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side))
}

/// In square tiles, because columns are far apart.
fn transposed<const N: usize>(bytes: &[u8], rows: usize, columns: usize) -> Vec<u8> {
    const TILE: usize = 32;
    let (from, _) = bytes.as_chunks::<N>();
    let mut result = vec![0; bytes.len()];
    let (to, _) = result.as_chunks_mut::<N>();
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for column in left..columns.min(left + TILE) {
                for row in top..rows.min(top + TILE) {
                    to[column * rows + row] = from[row * columns + column];
                }
            }
        }
    }
    result
}

fn rebuilt(bytes: Vec<u8>, shape: impl Into<Vec<usize>>, dtype: DType) -> Result<TensorData, String> {
    TensorData::try_from_bytes_vec(bytes, shape.into(), dtype).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> TensorData {
        TensorData::from([[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    }

    #[test]
    fn transposes_of_any_width_and_size() {
        assert_eq!(
            transpose(matrix()).unwrap(),
            TensorData::from([[1.0f32, 3.0, 5.0, 7.0], [2.0, 4.0, 6.0, 8.0]])
        );
        for (rows, columns) in [(70, 33), (1, 5), (0, 3)] {
            let values: Vec<i64> = (0..rows * columns).map(|i| i as i64).collect();
            let data = TensorData::new(values, [rows, columns]);
            let turned = transpose(data.clone()).unwrap();
            assert_eq!(turned.shape().as_slice(), [columns, rows]);
            assert_eq!(transpose(turned).unwrap(), data);
        }
        assert!(transpose(TensorData::from([1.0f32])).unwrap_err().contains("[1]"));
    }

    #[test]
    fn parts_are_contiguous_or_interleaved() {
        assert_eq!(rows(matrix(), 1, 1, 2).unwrap(), TensorData::from([[5.0f32, 6.0], [7.0, 8.0]]));
        assert_eq!(rows(matrix(), 2, 1, 2).unwrap(), TensorData::from([[3.0f32, 4.0], [7.0, 8.0]]));
        assert_eq!(rows(TensorData::from([1i64, 2, 3]), 1, 2, 3).unwrap(), TensorData::from([3i64]));
        assert!(rows(matrix(), 1, 0, 3).is_err());
        assert!(rows(matrix(), 1, 2, 2).is_err());
        assert!(rows(matrix(), 0, 0, 0).is_err());
    }

    #[test]
    fn rows_are_gathered_and_joined() {
        let turned = gather_rows(matrix(), |row| 3 - row).unwrap();
        assert_eq!(turned, TensorData::from([[7.0f32, 8.0], [5.0, 6.0], [3.0, 4.0], [1.0, 2.0]]));
        assert!(gather_rows(matrix(), |_| 4).is_err());
        let halves = vec![rows(matrix(), 1, 0, 2).unwrap(), rows(matrix(), 1, 1, 2).unwrap()];
        assert_eq!(concat_rows(halves).unwrap(), matrix());
        assert!(concat_rows(vec![matrix(), TensorData::from([[1.0f32]])]).is_err());
    }

    #[test]
    fn casts_round_to_nearest_and_come_back() {
        let data = TensorData::from([1.0f32, -0.333, 65504.0, 1e-8]);
        for dtype in [DType::BF16, DType::F16, DType::F64] {
            let there = cast(data.clone(), dtype).unwrap();
            assert_eq!(there.dtype(), dtype);
            let general = data.clone().try_cast(dtype).unwrap();
            assert_eq!(there, general, "as Burn's own conversion");
            assert_eq!(cast(there.clone(), DType::F32).unwrap(), there.try_cast(DType::F32).unwrap());
        }
    }

    #[test]
    fn sizes_do_not_overflow() {
        assert_eq!(n_elements(&[2, 3]), Some(6));
        assert_eq!(n_elements(&[]), Some(1));
        assert_eq!(n_elements(&[usize::MAX, 2]), None);
        assert_eq!(n_elements(&[usize::MAX, usize::MAX, 0]), Some(0));
    }
}
