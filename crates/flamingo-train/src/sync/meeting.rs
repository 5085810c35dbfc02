//! A place where threads meet: each brings a value, and all leave with everybody's.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::TrainError;

/// Of a fixed number of threads, any number of times.
#[derive(Debug)]
pub(crate) struct Meeting<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// What was brought so far.
    brought: Vec<Option<T>>,
    /// What everybody has brought, while some have still to take it.
    complete: Option<Arc<Vec<T>>>,
    /// How many have taken it.
    taken: usize,
    /// The first who comes no more.
    lost: Option<usize>,
}

impl<T> Meeting<T> {
    pub(crate) fn new(world: usize) -> Self {
        let brought = (0..world).map(|_| None).collect();
        Self {
            state: Mutex::new(State { brought, complete: None, taken: 0, lost: None }),
            changed: Condvar::new(),
        }
    }

    /// Waits until all are here, and returns what they brought, in the order of their ranks.
    ///
    /// # Errors
    ///
    /// [`TrainError::ReplicaLost`] if one of them comes no more.
    pub(crate) fn exchange(&self, rank: usize, value: T) -> Result<Arc<Vec<T>>, TrainError> {
        // Some may not yet have taken what the meeting before made.
        let mut state = self.wait_until(self.lock(), |state| state.complete.is_none())?;
        state.brought[rank] = Some(value);
        if state.brought.iter().all(Option::is_some) {
            let all = state.brought.iter_mut().filter_map(Option::take).collect();
            (state.complete, state.taken) = (Some(Arc::new(all)), 0);
            self.changed.notify_all();
        }
        let mut state = self.wait_until(state, |state| state.complete.is_some())?;
        state.taken += 1;
        let last = state.taken == state.brought.len();
        let all = if last { state.complete.take() } else { state.complete.clone() };
        self.changed.notify_all();
        all.ok_or(TrainError::ReplicaLost { rank })
    }

    pub(crate) fn leave(&self, rank: usize) {
        self.lock().lost.get_or_insert(rank);
        self.changed.notify_all();
    }

    fn wait_until<'a>(
        &self,
        mut state: MutexGuard<'a, State<T>>,
        ready: impl Fn(&State<T>) -> bool,
    ) -> Result<MutexGuard<'a, State<T>>, TrainError> {
        while !ready(&state) {
            // What is complete may still be taken after somebody has left.
            if let Some(rank) = state.lost {
                return Err(TrainError::ReplicaLost { rank });
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(state)
    }

    /// A thread that panicked while it held the lock left the state whole: nothing in between can fail.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn everybody_gets_everything_in_order_many_times() {
        let meeting = Meeting::new(3);
        thread::scope(|scope| {
            for rank in 0..3 {
                let meeting = &meeting;
                scope.spawn(move || {
                    for round in 0..500 {
                        let all = meeting.exchange(rank, (rank, round)).unwrap();
                        assert_eq!(*all, [(0, round), (1, round), (2, round)]);
                    }
                });
            }
        });
    }

    #[test]
    fn whoever_waits_for_one_that_has_left_is_told() {
        let meeting = Meeting::new(2);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| meeting.exchange(0, ()));
            meeting.leave(1);
            assert!(matches!(waiting.join().unwrap(), Err(TrainError::ReplicaLost { rank: 1 })));
        });
        assert!(meeting.exchange(0, ()).is_err(), "and later ones too");
    }
}
