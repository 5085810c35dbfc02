//! Data parallelism: several replicas of a model, each on a part of the data, that make the same update.
//!
//! After each backward pass the replicas take the mean of their gradients, as if one of them had seen the batches of all
//! (of a loss that is a mean over tokens: if all batches count as many). [`GradientSync`] is the seam: [`Alone`] is one
//! replica; [`replicas`] are threads of one process that meet in host memory, on any device; [`collectives`] are threads
//! with a GPU each, whose gradients go through Burn's collective operations. An engine for many machines implements the
//! same trait. What is drawn by a replica's streams is the caller's: give them [`rank`](GradientSync::rank) and
//! [`world`](GradientSync::world).

mod collectives;
mod meeting;
mod replicas;
mod share;

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use burn::tensor::Tensor;
use serde_json::Value;

pub use collectives::collectives;
pub use replicas::replicas;
pub(crate) use share::{agree, share};

use crate::error::TrainError;

/// One replica's connection to the others.
///
/// Every method is called by all replicas, in the same order and with the same shapes, and returns the same on all of
/// them, bit for bit: their weights never drift apart.
pub trait GradientSync: Send + Sync + fmt::Debug {
    /// How many replicas there are.
    fn world(&self) -> usize;

    /// Which one this is, from 0. The first writes checkpoints and metrics.
    fn rank(&self) -> usize;

    /// The mean over all replicas of each tensor. They are f32, the gradients of the parameters in the model's order.
    ///
    /// # Errors
    ///
    /// [`TrainError::ReplicaLost`] if another replica has ended.
    fn mean(&self, tensors: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>, TrainError>;

    /// What each replica gives, in the order of their ranks: a few numbers, once or twice an update.
    ///
    /// # Errors
    ///
    /// As [`GradientSync::mean`].
    fn gather(&self, value: Value) -> Result<Vec<Value>, TrainError>;

    /// This replica takes part no longer: whoever waits for it gets an error.
    fn leave(&self);
}

/// A single replica.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl GradientSync for Alone {
    fn world(&self) -> usize {
        1
    }

    fn rank(&self) -> usize {
        0
    }

    fn mean(&self, tensors: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>, TrainError> {
        Ok(tensors)
    }

    fn gather(&self, value: Value) -> Result<Vec<Value>, TrainError> {
        Ok(vec![value])
    }

    fn leave(&self) {}
}

/// Runs `replica` for each of `syncs` and the one of `parts` that goes with it, on a thread of its own (a single one on this
/// thread), and returns what they return, in order.
///
/// # Errors
///
/// The error of the replica that failed first, not those of the others, who only lost it.
///
/// # Panics
///
/// If a replica does; the others end with an error. If there are not as many parts as connections.
pub fn side_by_side<P: Send, T: Send>(
    syncs: Vec<Arc<dyn GradientSync>>,
    parts: Vec<P>,
    replica: impl Fn(Arc<dyn GradientSync>, P) -> Result<T, TrainError> + Sync,
) -> Result<Vec<T>, TrainError> {
    assert_eq!(syncs.len(), parts.len(), "a part for each replica");
    if syncs.len() == 1 {
        return syncs.into_iter().zip(parts).map(|(sync, part)| replica(sync, part)).collect();
    }
    let results: Vec<Result<T, TrainError>> = thread::scope(|scope| {
        let replica = &replica;
        let start = |(sync, part): (Arc<dyn GradientSync>, P)| {
            scope.spawn(move || {
                let mut place = Place { sync: Arc::clone(&sync), kept: false };
                let result = replica(sync, part);
                place.kept = result.is_ok();
                result
            })
        };
        let running: Vec<_> = syncs.into_iter().zip(parts).map(start).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut done = Vec::with_capacity(results.len());
    let mut lost = None;
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(error @ TrainError::ReplicaLost { .. }) => lost = lost.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    lost.map_or(Ok(done), Err)
}

/// Left when it goes out of scope, by an error or a panic, unless it is kept: whoever is done meets the others again in the
/// next stage.
struct Place {
    sync: Arc<dyn GradientSync>,
    kept: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            self.sync.leave();
        }
    }
}
