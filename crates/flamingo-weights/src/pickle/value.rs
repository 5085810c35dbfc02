//! What a pickle makes: values that refer to each other by number.
//!
//! They lie in one list, so that no nesting or sharing that a pickle contrives can make dropping or copying them
//! expensive.

use burn::tensor::{BoolStore, DType};

/// A value's place in the list of all values.
pub(crate) type Id = usize;

/// A value of Python, as far as state dicts have them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    /// 16 bytes hold the largest whole number of PyTorch's formats, a magic one.
    Int(i128),
    Float(f64),
    Text(String),
    /// Bytes, of no use to us.
    Bytes,
    /// A list or a set.
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Function(Function),
    Storage(Storage),
    Tensor(TensorView),
}

/// A function or type that may be named in a pickle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Function {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    StorageType(String),
}

impl Function {
    /// The meaning of a Python name; `None` for all that a state dict does not need.
    pub(crate) fn named(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Function::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Some(Function::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Function::RebuildParameter),
            ("torch", "Size") => Some(Function::Size),
            ("torch", name) if name.ends_with("Storage") => Some(Function::StorageType(name.to_owned())),
            _ => None,
        }
    }
}

/// A stretch of elements in the file, which tensors look at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Storage {
    /// The name of its type, such as `FloatStorage`.
    pub kind: String,
    pub key: String,
    pub n_elements: u64,
}

impl Storage {
    /// The number format, if it is one that can be read.
    pub(crate) fn dtype(&self) -> Option<DType> {
        Some(match self.kind.as_str() {
            "DoubleStorage" => DType::F64,
            "FloatStorage" => DType::F32,
            "HalfStorage" => DType::F16,
            "BFloat16Storage" => DType::BF16,
            "LongStorage" => DType::I64,
            "IntStorage" => DType::I32,
            "ShortStorage" => DType::I16,
            "CharStorage" => DType::I8,
            "ByteStorage" => DType::U8,
            "BoolStorage" => DType::Bool(BoolStore::Native),
            _ => return None,
        })
    }

    /// Bytes of an element; 1 where they are not known.
    pub(crate) fn element_size(&self) -> u64 {
        match (self.dtype(), self.kind.as_str()) {
            (Some(dtype), _) => dtype.size() as u64,
            (None, "ComplexFloatStorage") => 8,
            (None, "ComplexDoubleStorage") => 16,
            (None, "QInt32Storage") => 4,
            (None, _) => 1,
        }
    }
}

/// A tensor: some elements of a storage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TensorView {
    pub storage: Storage,
    /// The first element.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements.
    pub strides: Vec<usize>,
}

/// All values of a pickle.
#[derive(Debug, Default)]
pub(crate) struct Values(Vec<Value>);

impl Values {
    pub(crate) fn push(&mut self, value: Value) -> Id {
        self.0.push(value);
        self.0.len() - 1
    }

    /// The value of an id that [`Values::push`] gave.
    pub(crate) fn get(&self, id: Id) -> &Value {
        &self.0[id]
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> &mut Value {
        &mut self.0[id]
    }

    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn unsigned<T: TryFrom<i128>>(&self, id: Id) -> Option<T> {
        match self.get(id) {
            Value::Int(value) if *value >= 0 => T::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The elements of a list or tuple.
    pub(crate) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// All storages.
    pub(crate) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.0.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// A tuple of lengths.
    pub(crate) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        self.items(id)?.iter().map(|id| self.unsigned(*id)).collect()
    }
}
