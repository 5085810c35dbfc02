//! Replicas of a run: data parallelism over the devices of a machine.

use std::error::Error;
use std::sync::Arc;

use burn::tensor::Device;
use flamingo_train::sync::{Alone, GradientSync, collectives, replicas, side_by_side};
use flamingo_train::{BoxStream, Indexed, TrainError};

use crate::error::FlamingoError;

/// Batches of a stream that are made ahead of time.
const AHEAD: usize = 2;

/// A copy of the model that learns on a device, and its connection to the others.
///
/// Every replica takes batches of the configured sizes, other ones than the others, and all make the same update by the
/// mean of their gradients: with N of them an update sees N times as much, and a pass over the data takes an N-th of the
/// updates.
///
/// A run is given all of its replicas. An engine that joins several processes gives each a [`GradientSync`] of its own.
#[derive(Debug, Clone)]
pub struct Replica {
    /// Where it computes, without a gradient graph.
    pub device: Device,
    /// The others.
    pub sync: Arc<dyn GradientSync>,
}

impl Replica {
    /// The only one of a run.
    pub fn alone(device: &Device) -> Self {
        Self { device: device.clone(), sync: Arc::new(Alone) }
    }

    /// One on each of `devices`, joined by their collective operations; alone if there is one.
    ///
    /// # Errors
    ///
    /// [`TrainError::Device`] if there are several and one has no such operations (as a CPU), [`TrainError::Config`] if
    /// there is none, or one twice.
    pub fn on_each(devices: &[Device]) -> Result<Vec<Self>, FlamingoError> {
        match devices {
            [] => Err(no_device()),
            [device] => Ok(vec![Self::alone(device)]),
            _ => Ok(Self::joined(devices, collectives(devices)?)),
        }
    }

    /// `count` on one device, joined in host memory. On a CPU this is no faster than a single one: it is there to see what
    /// data parallelism computes.
    pub fn sharing(device: &Device, count: usize) -> Vec<Self> {
        Self::joined(&vec![device.clone(); count], replicas(count))
    }

    fn joined(devices: &[Device], syncs: Vec<Arc<dyn GradientSync>>) -> Vec<Self> {
        let replica = |(device, sync): (&Device, _)| Self { device: device.clone(), sync };
        devices.iter().zip(syncs).map(replica).collect()
    }

    /// A stream whose k-th batch is `make` of a number that no other replica's stream has: together they have all.
    pub(crate) fn stream<B, E>(
        &self,
        make: impl Fn(u64) -> Result<B, E> + Send + Sync + 'static,
    ) -> BoxStream<B>
    where
        B: Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let (rank, world) = (self.sync.rank() as u64, self.sync.world() as u64);
        Box::new(Indexed::new(AHEAD, move |k| make(k * world + rank)))
    }
}

/// The first of a run's replicas: the one that measures, reports and writes.
pub(crate) fn first(replicas: &[Replica]) -> Result<&Replica, FlamingoError> {
    replicas.first().ok_or_else(no_device)
}

fn no_device() -> FlamingoError {
    TrainError::Config { key: "devices".to_owned(), message: "a run needs one".to_owned() }.into()
}

/// What the first replica makes of its part, while every other works on its own.
pub(crate) fn together<P: Send, T: Send>(
    replicas: &[Replica],
    parts: Vec<P>,
    work: impl Fn(P) -> Result<T, TrainError> + Sync,
) -> Result<T, TrainError> {
    let syncs = replicas.iter().map(|replica| replica.sync.clone()).collect();
    let mut all = side_by_side(syncs, parts, |_, part| work(part))?;
    Ok(all.swap_remove(0))
}
