//! TensorFlow's "SAME" padding, which the networks that were born there keep.

/// Zeros before and after a side, so that a convolution has `ceil(side / stride)` positions; an odd zero goes to the
/// end.
pub(crate) fn same_padding(side: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let needed = ((side.div_ceil(stride) - 1) * stride + kernel).saturating_sub(side);
    (needed / 2, needed - needed / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_pixel_at_the_end() {
        assert_eq!(same_padding(48, 3, 2), (0, 1));
        assert_eq!(same_padding(49, 3, 2), (1, 1));
        assert_eq!(same_padding(48, 3, 1), (1, 1));
        assert_eq!(same_padding(7, 1, 1), (0, 0));
    }
}
