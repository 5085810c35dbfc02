//! Tensors whose elements are not in row-major order.

use crate::tensor::n_elements;

/// Elements from the first one to behind the last one; `None` if memory cannot have so many.
pub(crate) fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if n_elements(shape)? == 0 {
        return Some(0);
    }
    let last = shape.iter().zip(strides).try_fold(0usize, |sum, (side, stride)| {
        (side - 1).checked_mul(*stride).and_then(|steps| sum.checked_add(steps))
    });
    last?.checked_add(1)
}

/// Whether elements lie in row-major order without gaps.
pub(crate) fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1usize;
    shape.iter().zip(strides).rev().all(|(side, stride)| {
        let fits = *side == 1 || *stride == expected;
        expected = usize::saturating_mul(expected, *side);
        fits
    })
}

/// The elements in row-major order. `bytes` are those of [`span`].
pub(crate) fn gather(bytes: &[u8], shape: &[usize], strides: &[usize], element: usize) -> Vec<u8> {
    let n_elements = n_elements(shape).unwrap_or_default();
    let mut result = Vec::with_capacity(n_elements * element);
    let mut index = vec![0; shape.len()];
    for _ in 0..n_elements {
        let offset: usize = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
        result.extend_from_slice(&bytes[offset * element..][..element]);
        for (i, side) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *side {
                break;
            }
            *i = 0;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_view_is_put_in_order() {
        let bytes = [0u8, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5];
        let (shape, strides) = ([3, 2], [1, 3]);
        assert!(!is_contiguous(&shape, &strides));
        assert_eq!(span(&shape, &strides), Some(6));
        assert_eq!(gather(&bytes, &shape, &strides, 2), [0, 0, 3, 3, 1, 1, 4, 4, 2, 2, 5, 5]);
    }

    #[test]
    fn contiguous_ones_are_known_whatever_the_stride_of_a_side_of_one() {
        assert!(is_contiguous(&[2, 3], &[3, 1]));
        assert!(is_contiguous(&[2, 1, 3], &[3, 99, 1]));
        assert!(is_contiguous(&[], &[]));
        assert!(!is_contiguous(&[2, 3], &[6, 2]));
    }

    #[test]
    fn lies_do_not_overflow() {
        assert_eq!(span(&[2], &[usize::MAX]), None);
        assert_eq!(span(&[3], &[usize::MAX]), None);
        assert_eq!(span(&[usize::MAX, usize::MAX], &[1, 1]), None);
        assert_eq!(span(&[0, 5], &[usize::MAX, 1]), Some(0));
    }
}
