//! Threads that compute parts of an update side by side.

use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Threads of one Rayon pool, each with a job of its own.
///
/// Burn's CPU backend splits a matrix product among the threads of the pool that it is called in. So while all threads have jobs each
/// computes its own products, and one that has none, or is done, takes pieces of the others'. Threads outside a pool hand every
/// product to the threads inside and sleep meanwhile, and the cores are then shared by both kinds: updates took a fifth to a quarter longer
/// (`docs/performance.md`).
#[derive(Debug)]
pub(crate) struct Workers {
    at_once: usize,
    /// From the first use on.
    pool: OnceLock<ThreadPool>,
}

impl Workers {
    /// For so many jobs at once. If that is one, the thread that asks does it.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(1), pool: OnceLock::new() }
    }

    /// How many jobs [`each`](Self::each) takes.
    pub(crate) fn at_once(&self) -> usize {
        self.at_once
    }

    /// What `work` makes of each of the jobs, in their order.
    ///
    /// # Panics
    ///
    /// If there are more jobs than can be done at once, if the system has no more threads, or if `work` does.
    pub(crate) fn each<J: Send, R: Send>(&self, jobs: Vec<J>, work: impl Fn(J) -> R + Sync) -> Vec<R> {
        assert!(jobs.len() <= self.at_once, "{} jobs for {} threads", jobs.len(), self.at_once);
        if self.at_once == 1 {
            return jobs.into_iter().map(work).collect();
        }
        let jobs: Vec<_> = jobs.into_iter().map(|job| Mutex::new(Some(job))).collect();
        // A broadcast reaches every thread once; other jobs of a pool could be stolen by a thread that waits in the midst of one.
        let results = self.pool().broadcast(|thread| {
            let job = jobs.get(thread.index())?.lock().unwrap_or_else(PoisonError::into_inner).take();
            job.map(&work)
        });
        results.into_iter().flatten().collect()
    }

    fn pool(&self) -> &ThreadPool {
        self.pool.get_or_init(|| {
            let threads = self.at_once.max(rayon::current_num_threads());
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap_or_else(|error| panic!("cannot start {threads} threads: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn every_job_has_a_thread_of_the_pool() {
        let workers = Workers::new(3);
        for jobs in [vec![7], vec![1, 2], vec![1, 2, 3]] {
            // All must be there at the same time.
            let together = Barrier::new(jobs.len());
            let of = |job: usize| {
                together.wait();
                (job, rayon::current_thread_index())
            };
            let results = workers.each(jobs.clone(), of);
            assert_eq!(results.iter().map(|(job, _)| *job).collect::<Vec<_>>(), jobs);
            let threads: BTreeSet<_> = results.iter().filter_map(|(_, thread)| *thread).collect();
            assert_eq!(threads.len(), jobs.len(), "{results:?}");
        }
    }

    #[test]
    fn idle_threads_help_even_where_fewer_jobs_are_done_at_once() {
        let pool = ThreadPoolBuilder::new().num_threads(5).build().unwrap();
        let counts = pool.install(|| Workers::new(2).each(vec![(), ()], |()| rayon::current_num_threads()));
        assert_eq!(counts, [5, 5]);
        // And one alone has the threads that it would have had.
        assert_eq!(pool.install(|| Workers::new(1).each(vec![()], |()| rayon::current_num_threads())), [5]);
    }

    #[test]
    fn a_panic_reaches_who_asked_and_the_threads_live_on() {
        let workers = Workers::new(2);
        let fails = || workers.each(vec![1, 2], |job| assert_ne!(job, 2, "two"));
        let failed = catch_unwind(AssertUnwindSafe(fails));
        assert!(failed.unwrap_err().downcast_ref::<String>().unwrap().contains("two"));
        assert_eq!(workers.each(vec![1, 2], |job| job + 1), [2, 3]);
    }
}
