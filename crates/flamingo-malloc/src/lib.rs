//! Keeps memory that was freed, for programs that compute on the CPU: [`keep_freed`]; and counts what is made anew: [`page_faults`].
//!
//! Burn's Flex backend takes a fresh buffer for nearly every result. glibc asks the system for each large one and gives it
//! back when it is freed, so the kernel makes the same pages again and again, all zeros. What that costs, on two cores
//! of an AMD EPYC (`cargo xtask bench`, medians of six repetitions, milliseconds; page faults of one):
//!
//! | case | as glibc does it | kept |
//! |---|---:|---:|
//! | `micro/adamw` | 364 (81,926 faults) | 139 (1) |
//! | `prefill/smol-512` | 2475 (104,797) | 2084 (1) |
//! | `vision/clip-b32-8` | 841 (676) | 820 (333) |
//! | `vision/nfnet-f0-4` | 2036 (18,268) | 2052 (171) |
//!
//! The peak of each is the same within 2 %. mimalloc, jemalloc and tcmalloc gained less on one of them or lost on another
//! (`docs/performance.md`).
//!
//! An update in two parts at once (`train/smol-4x256`), whose threads have heaps of their own, spent 7 % of its time in page
//! faults until they shared one. The `data` suite, whose threads allocate most, is not slower for that.
//!
//! This is the only crate of ours with `unsafe` code in it: calls of `mallopt(3)`. A library does not decide such a thing
//! for a program, so only programs (`flamingo-cli`, `flamingo-bench`) use it.

/// From now on, freed memory is kept for what is allocated next, until the program ends. To be called at the beginning of
/// `main`, before there are other threads. Says whether the allocator took that on: it does where it is glibc's, and
/// elsewhere nothing happens.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "glibc is told by `mallopt` alone; what that gains is measured above")]
pub fn keep_freed() -> bool {
    // SAFETY: `mallopt` takes two integers and no pointer. It is MT-Unsafe (mallopt(3)) because it writes settings that other
    // threads read without a lock: whole words, of which a thread sees the old or the new one, and either is right for it.
    let set = |parameter, value| unsafe { libc::mallopt(parameter, value) } == 1;
    // No buffer is a mapping of its own, the heap's end is never given back, and all threads have one heap: those that they
    // would have for themselves are unmapped when empty, whatever the other settings say.
    set(libc::M_MMAP_MAX, 0) && set(libc::M_TRIM_THRESHOLD, -1) && set(libc::M_ARENA_MAX, 1)
}

/// Nothing here: this allocator is not glibc's.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed() -> bool {
    false
}

/// What [`keep_freed`] decides, as glibc reads it from the environment: for programs of others that are started.
pub const KEEP_FREED: [(&str, &str); 3] =
    [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "1000000000000"), ("MALLOC_ARENA_MAX", "1")];

/// Pages that this process has been given so far, on Linux: how much memory was made anew.
pub fn page_faults() -> Option<u64> {
    minor_faults(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// `minflt` of proc(5)'s `/proc/pid/stat`: the tenth field; the second, the program's name, may have spaces in it.
fn minor_faults(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_faults_are_read_behind_any_name() {
        let stat = "1234 (a (strange) name) S 1 2 3 4 5 6 777 8 9 10";
        assert_eq!(minor_faults(stat), Some(777));
        assert_eq!(minor_faults("nonsense"), None);
    }
}
