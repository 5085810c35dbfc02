//! flamingo-testkit
