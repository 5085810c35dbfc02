//! flamingo-resampler
