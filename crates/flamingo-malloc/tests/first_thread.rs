//! That memory is kept, in a program's first thread, where tests with a harness do not run.

/// Page faults of the second of two buffers of 64 MiB, the first of which was freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn of_the_second() -> u64 {
    let buffer = || std::hint::black_box(vec![1u8; 64 << 20]);
    drop(buffer());
    let before = flamingo_malloc::page_faults().unwrap();
    drop(buffer());
    flamingo_malloc::page_faults().unwrap() - before
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() {
    let given_back = of_the_second();
    assert!(flamingo_malloc::keep_freed());
    let kept = of_the_second();
    assert!(kept * 20 < given_back, "{given_back} page faults, then {kept}");
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    assert!(!flamingo_malloc::keep_freed());
}
