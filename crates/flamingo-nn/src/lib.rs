//! flamingo-nn
