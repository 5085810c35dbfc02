//! Replicas on several GPUs of one host, whose gradients never leave them: Burn's collective operations (NCCL's).
//!
//! Burn can also reduce during the backward pass (`Tensor::set_distributed`, which its own `DdpTrainingStrategy` uses); an
//! update here is the sum of several passes, so gradients are reduced once, when all of them are done.

use std::sync::Arc;

use burn::tensor::distributed::{ReduceOperation, all_reduce};
use burn::tensor::{Device, Tensor};
use flamingo_core::device::check_collectives;
use serde_json::Value;

use super::GradientSync;
use super::meeting::Meeting;
use crate::error::TrainError;

/// Connections of one replica for each of `devices`, in their order; see [`side_by_side`](super::side_by_side).
///
/// # Errors
///
/// [`TrainError::Device`] if a device has no collective operations (as a CPU: the message says what to do), and
/// [`TrainError::Config`] if one is named twice.
pub fn collectives(devices: &[Device]) -> Result<Vec<Arc<dyn GradientSync>>, TrainError> {
    check_collectives(devices)?;
    let devices: Vec<Device> = devices.iter().map(|device| device.clone().inner()).collect();
    if let Some(twice) = devices.iter().enumerate().find(|(index, device)| devices[..*index].contains(device))
    {
        let message = format!("{:?} is named twice: each replica needs a device of its own", twice.1);
        return Err(TrainError::config("devices", message));
    }
    let world = devices.len();
    let group = Arc::new(Group { devices, values: Meeting::new(world) });
    let connect = |rank| Arc::new(Member { rank, group: Arc::clone(&group) }) as Arc<dyn GradientSync>;
    Ok((0..world).map(connect).collect())
}

#[derive(Debug)]
struct Group {
    devices: Vec<Device>,
    values: Meeting<Value>,
}

#[derive(Debug)]
struct Member {
    rank: usize,
    group: Arc<Group>,
}

impl GradientSync for Member {
    fn world(&self) -> usize {
        self.group.devices.len()
    }

    fn rank(&self) -> usize {
        self.rank
    }

    fn mean(&self, tensors: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>, TrainError> {
        // A device that waits for one whose replica is gone would wait for ever: first see that all are here.
        self.gather(Value::Null)?;
        let launch = |tensor| all_reduce(tensor, ReduceOperation::Mean, self.group.devices.clone());
        // All are launched before one is waited for.
        let reduced: Vec<_> = tensors.into_iter().map(launch).collect();
        Ok(reduced.into_iter().map(|tensor| tensor.resolve()).collect())
    }

    fn gather(&self, value: Value) -> Result<Vec<Value>, TrainError> {
        self.group.values.exchange(self.rank, value).map(|all| all.to_vec())
    }

    fn leave(&self) {
        self.group.values.leave(self.rank);
    }
}
