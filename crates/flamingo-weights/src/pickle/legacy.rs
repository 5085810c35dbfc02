//! PyTorch's format before 1.6: a magic number, a version, the writer's byte order, the state dict and a list of keys,
//! each a pickle, and then the storages in that order.

use std::collections::HashMap;
use std::io::{BufRead, Seek};

use super::machine::{Machine, Stop};
use super::value::{Id, Value};

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const VERSION: i128 = 1001;

/// The state dict, and where each storage lies.
pub(crate) struct Legacy {
    pub root: Id,
    /// First byte and number of bytes, by key.
    pub storages: HashMap<String, (u64, u64)>,
}

pub(crate) fn parse<R: BufRead + Seek>(machine: &mut Machine<R>) -> Result<Legacy, Stop> {
    for (expected, what) in [(MAGIC, "torch.save's magic number"), (VERSION, "a known version")] {
        let id = machine.run()?;
        if *machine.values().get(id) != Value::Int(expected) {
            return Err(Stop::Damaged(format!("a pickle without {what}")));
        }
    }
    let system = machine.run()?;
    if !is_little_endian(machine, system) {
        return Err(Stop::Damaged("written on a big-endian machine: convert it there".to_owned()));
    }
    let root = machine.run()?;
    let keys = machine.run()?;
    let keys = machine.values().items(keys).unwrap_or_default().to_vec();

    let widths: HashMap<String, u64> =
        machine.values().storages().map(|it| (it.key.clone(), it.element_size())).collect();
    let mut storages = HashMap::new();
    for key in keys {
        let Some(key) = machine.values().text(key).map(str::to_owned) else {
            return Err(Stop::Damaged("a storage whose key is not text".to_owned()));
        };
        let n_bytes = machine.input.u64()?.saturating_mul(widths.get(&key).copied().unwrap_or(1));
        storages.insert(key, (machine.input.position(), n_bytes));
        machine.input.skip(n_bytes)?;
    }
    Ok(Legacy { root, storages })
}

fn is_little_endian<R: BufRead + Seek>(machine: &Machine<R>, system: Id) -> bool {
    let values = machine.values();
    let Value::Dict(items) = values.get(system) else {
        return false;
    };
    items.iter().any(|(key, value)| {
        values.text(*key) == Some("little_endian") && *values.get(*value) == Value::Bool(true)
    })
}
