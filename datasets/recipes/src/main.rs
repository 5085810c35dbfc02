//! recipes
fn main(){}
