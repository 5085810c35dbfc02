//! flamingo-data
