//! flamingo
fn main(){}
