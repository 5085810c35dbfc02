//! Replicas that are threads of one process and meet in host memory, on any device.
//!
//! For a CPU, where one replica that uses all cores is as fast, they are the mathematics of data parallelism where it can
//! be tested; for GPUs without collective operations they are the slow way, over the host.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use serde_json::Value;

use super::GradientSync;
use super::meeting::Meeting;
use crate::error::TrainError;

/// Connections of `world` replicas, one for each thread; see [`side_by_side`](super::side_by_side).
///
/// Replicas that share a device share its random numbers: models that draw from them (dropout) are then not
/// reproducible.
pub fn replicas(world: usize) -> Vec<Arc<dyn GradientSync>> {
    let host = Arc::new(Host { world, values: Meeting::new(world), tensors: Meeting::new(world) });
    (0..world)
        .map(|rank| Arc::new(Replica { rank, host: Arc::clone(&host) }) as Arc<dyn GradientSync>)
        .collect()
}

/// Where the replicas of one process meet.
#[derive(Debug)]
struct Host {
    world: usize,
    values: Meeting<Value>,
    tensors: Meeting<Vec<Vec<f32>>>,
}

#[derive(Debug)]
struct Replica {
    rank: usize,
    host: Arc<Host>,
}

impl GradientSync for Replica {
    fn world(&self) -> usize {
        self.host.world
    }

    fn rank(&self) -> usize {
        self.rank
    }

    fn mean(&self, tensors: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>, TrainError> {
        let devices: Vec<_> = tensors.iter().map(|tensor| tensor.device()).collect();
        let mine = tensors.into_iter().map(|tensor| tensor.into_data().iter::<f32>().collect()).collect();
        let all = self.host.tensors.exchange(self.rank, mine)?;
        // Each adds in the order of ranks: the same bits everywhere.
        let mean = |index: usize| -> Vec<f32> {
            let mut sum = all[0][index].clone();
            for other in &all[1..] {
                sum.iter_mut().zip(&other[index]).for_each(|(sum, value)| *sum += value);
            }
            sum.iter_mut().for_each(|sum| *sum /= self.host.world as f32);
            sum
        };
        let on_device = |(index, device)| {
            let values = mean(index);
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), device)
        };
        Ok(devices.iter().enumerate().map(on_device).collect())
    }

    fn gather(&self, value: Value) -> Result<Vec<Value>, TrainError> {
        self.host.values.exchange(self.rank, value).map(|all| all.to_vec())
    }

    fn leave(&self) {
        self.host.values.leave(self.rank);
        self.host.tensors.leave(self.rank);
    }
}
