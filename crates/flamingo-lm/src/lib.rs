//! flamingo-lm
