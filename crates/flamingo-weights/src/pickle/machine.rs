//! The stack machine of pickles.

use std::collections::HashMap;
use std::io::{BufRead, Seek};

use super::opcode as op;
use super::value::{Function, Id, Storage, TensorView, Value, Values};
use crate::input::Input;

/// Why a pickle was not read to its end.
#[derive(Debug, PartialEq)]
pub(crate) enum Stop {
    /// It names a function that a state dict does not need.
    Forbidden(String),
    /// It makes no sense.
    Damaged(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Stop::Damaged(message)
    }
}

/// Most values of a pickle: a training checkpoint has about twenty for each tensor.
const MAX_VALUES: usize = 1 << 22;

type Result<T> = std::result::Result<T, Stop>;

fn damaged<T>(message: impl Into<String>) -> Result<T> {
    Err(Stop::Damaged(message.into()))
}

/// Interprets pickles from an input, one after the other.
pub(crate) struct Machine<R> {
    pub input: Input<R>,
    values: Values,
    stack: Vec<Id>,
    /// Heights of the stack at the marks that are open.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<R: BufRead + Seek> Machine<R> {
    pub(crate) fn new(input: Input<R>) -> Self {
        Self { input, values: Values::default(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() }
    }

    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    pub(crate) fn into_values(self) -> Values {
        self.values
    }

    /// Runs one pickle and gives its value.
    pub(crate) fn run(&mut self) -> Result<Id> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            match self.input.u8()? {
                op::STOP => return self.pop(),
                opcode => self.step(opcode)?,
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::PROTO => self.input.skip(1)?,
            op::FRAME => self.input.skip(8)?,
            op::MARK => self.marks.push(self.stack.len()),
            op::POP => drop(self.pop()?),
            op::POP_MARK => drop(self.pop_mark()?),
            op::DUP => self.stack.push(self.top()?),
            op::BINPUT => self.unsigned(1).and_then(|key| self.put(key))?,
            op::LONG_BINPUT => self.unsigned(4).and_then(|key| self.put(key))?,
            op::MEMOIZE => self.put(self.memo.len() as u64)?,
            op::BINGET => self.unsigned(1).and_then(|key| self.get(key))?,
            op::LONG_BINGET => self.unsigned(4).and_then(|key| self.get(key))?,
            op::APPEND | op::APPENDS | op::ADDITEMS => self.append(opcode)?,
            op::SETITEM | op::SETITEMS => self.set_items(opcode)?,
            op::GLOBAL => self.global()?,
            op::STACK_GLOBAL => self.stack_global()?,
            op::REDUCE | op::NEWOBJ => self.call()?,
            op::BUILD => self.build()?,
            op::BINPERSID => self.storage()?,
            _ => {
                let value = self.value(opcode)?;
                self.push(value)?;
            }
        }
        Ok(())
    }

    /// The operations that make a value of what stands in the pickle or on the stack.
    fn value(&mut self, opcode: u8) -> Result<Value> {
        Ok(match opcode {
            op::NONE => Value::None,
            op::NEWTRUE => Value::Bool(true),
            op::NEWFALSE => Value::Bool(false),
            op::BININT => Value::Int(i32::from_le_bytes(self.input.array()?).into()),
            op::BININT1 => Value::Int(self.unsigned(1)?.into()),
            op::BININT2 => Value::Int(self.unsigned(2)?.into()),
            op::LONG1 => Value::Int(self.long()?),
            op::BINFLOAT => Value::Float(f64::from_be_bytes(self.input.array()?)),
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING => self.text(1)?,
            op::BINUNICODE | op::BINSTRING => self.text(4)?,
            op::BINUNICODE8 => self.text(8)?,
            op::SHORT_BINBYTES => self.bytes(1)?,
            op::BINBYTES => self.bytes(4)?,
            op::BINBYTES8 => self.bytes(8)?,
            op::EMPTY_LIST | op::EMPTY_SET => Value::List(Vec::new()),
            op::EMPTY_TUPLE => Value::Tuple(Vec::new()),
            op::EMPTY_DICT => Value::Dict(Vec::new()),
            op::LIST => Value::List(self.pop_mark()?),
            op::TUPLE => Value::Tuple(self.pop_mark()?),
            op::TUPLE1 => Value::Tuple(self.pop_many(1)?),
            op::TUPLE2 => Value::Tuple(self.pop_many(2)?),
            op::TUPLE3 => Value::Tuple(self.pop_many(3)?),
            op::DICT => Value::Dict(pairs(&self.pop_mark()?)?),
            _ => {
                let at = self.input.position() - 1;
                return damaged(format!("byte {at}: operation {opcode:#04x} has no place in a state dict"));
            }
        })
    }

    /// A little-endian number of 1, 2, 4 or 8 bytes.
    fn unsigned(&mut self, n_bytes: u8) -> Result<u64> {
        Ok(match n_bytes {
            1 => self.input.u8()?.into(),
            2 => self.input.u16()?.into(),
            4 => self.input.u32()?.into(),
            _ => self.input.u64()?,
        })
    }

    /// Two's complement of any number of bytes.
    fn long(&mut self) -> Result<i128> {
        let len = self.input.u8()?;
        let bytes = self.input.bytes(len.into())?;
        if bytes.len() > 16 {
            return damaged(format!("a number of {len} bytes"));
        }
        let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let mut whole = [sign; 16];
        whole[..bytes.len()].copy_from_slice(&bytes);
        Ok(i128::from_le_bytes(whole))
    }

    fn text(&mut self, n_bytes: u8) -> Result<Value> {
        let len = self.unsigned(n_bytes)?;
        Ok(Value::Text(self.input.text(len)?))
    }

    fn bytes(&mut self, n_bytes: u8) -> Result<Value> {
        let len = self.unsigned(n_bytes)?;
        self.input.skip(len)?;
        Ok(Value::Bytes)
    }

    fn append(&mut self, opcode: u8) -> Result<()> {
        let items = if opcode == op::APPEND { self.pop_many(1)? } else { self.pop_mark()? };
        match self.top_mut()? {
            Value::List(list) => list.extend(items),
            _ => return damaged("items for something that is not a list"),
        }
        Ok(())
    }

    fn set_items(&mut self, opcode: u8) -> Result<()> {
        let items = if opcode == op::SETITEM { self.pop_many(2)? } else { self.pop_mark()? };
        match self.top_mut()? {
            Value::Dict(dict) => dict.extend(pairs(&items)?),
            _ => return damaged("keys for something that is not a dictionary"),
        }
        Ok(())
    }

    fn global(&mut self) -> Result<()> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        self.function(&module, &name)
    }

    fn stack_global(&mut self) -> Result<()> {
        let names = self.pop_many(2)?;
        match (self.values.text(names[0]), self.values.text(names[1])) {
            (Some(module), Some(name)) => {
                let (module, name) = (module.to_owned(), name.to_owned());
                self.function(&module, &name)
            }
            _ => damaged("a function whose name is not text"),
        }
    }

    fn function(&mut self, module: &str, name: &str) -> Result<()> {
        let function =
            Function::named(module, name).ok_or_else(|| Stop::Forbidden(format!("{module}.{name}")))?;
        self.push(Value::Function(function))
    }

    /// What a call of a known function would give; nothing is called.
    fn call(&mut self) -> Result<()> {
        let both = self.pop_many(2)?;
        let arguments = self.values.items(both[1]).map(<[Id]>::to_vec).unwrap_or_default();
        let Value::Function(function) = self.values.get(both[0]) else {
            return damaged("a call of something that is not a function");
        };
        match (function, arguments.as_slice()) {
            (Function::OrderedDict, []) => self.push(Value::Dict(Vec::new())),
            (Function::OrderedDict, [items]) => {
                let items = self.values.items(*items).unwrap_or_default();
                let items = items.iter().filter_map(|pair| self.values.items(*pair)).flatten().copied();
                self.push(Value::Dict(pairs(&items.collect::<Vec<_>>())?))
            }
            (Function::RebuildParameter, [tensor, ..]) | (Function::Size, [tensor]) => {
                self.stack.push(*tensor);
                Ok(())
            }
            (Function::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                let view = self.tensor([*storage, *offset, *shape, *strides])?;
                self.push(Value::Tensor(view))
            }
            (function, arguments) => damaged(format!("{function:?} with {} arguments", arguments.len())),
        }
    }

    fn tensor(&self, [storage, offset, shape, strides]: [Id; 4]) -> Result<TensorView> {
        let sizes = (self.values.unsigned(offset), self.values.sizes(shape), self.values.sizes(strides));
        match (self.values.get(storage), sizes) {
            (Value::Storage(storage), (Some(offset), Some(shape), Some(strides)))
                if shape.len() == strides.len() =>
            {
                Ok(TensorView { storage: storage.clone(), offset, shape, strides })
            }
            _ => damaged("a tensor without storage, offset, shape or strides"),
        }
    }

    /// Attributes of an object. Those of a dictionary are `_metadata` of PyTorch's modules, and of no use.
    fn build(&mut self) -> Result<()> {
        self.pop()?;
        match self.top_mut()? {
            Value::Dict(_) => Ok(()),
            _ => damaged("attributes for something that is not a dictionary"),
        }
    }

    /// `("storage", type, key, device, number of elements)`, and in old files a view that nobody makes any more.
    fn storage(&mut self) -> Result<()> {
        let id = self.pop()?;
        let items = self.values.items(id).unwrap_or_default();
        let &[tag, kind, key, _device, n_elements, ref view @ ..] = items else {
            return damaged("a reference to something that is not a storage");
        };
        let plain = view.iter().all(|view| *self.values.get(*view) == Value::None);
        let parts = (
            self.values.text(tag),
            self.values.get(kind),
            self.values.text(key),
            self.values.unsigned(n_elements),
        );
        let (
            Some("storage"),
            Value::Function(Function::StorageType(kind)),
            Some(key),
            Some(n_elements),
            true,
        ) = (parts.0, parts.1, parts.2, parts.3, plain)
        else {
            return damaged("a reference to a storage without type, key or size");
        };
        let storage = Storage { kind: kind.clone(), key: key.to_owned(), n_elements };
        self.push(Value::Storage(storage))
    }

    fn push(&mut self, value: Value) -> Result<()> {
        let id = self.values.push(value);
        if id >= MAX_VALUES {
            return damaged("more values than any checkpoint has");
        }
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id> {
        self.pop_many(1).map(|ids| ids[0])
    }

    /// The uppermost `n` values, the lowest first.
    fn pop_many(&mut self, n: usize) -> Result<Vec<Id>> {
        let floor = self.marks.last().copied().unwrap_or_default();
        match self.stack.len().checked_sub(n) {
            Some(height) if height >= floor => Ok(self.stack.split_off(height)),
            _ => damaged("takes more values than there are"),
        }
    }

    /// All values above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => damaged("closes a list that was not begun"),
        }
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().ok_or_else(|| Stop::Damaged("uses a value where there is none".to_owned()))
    }

    fn top_mut(&mut self) -> Result<&mut Value> {
        let id = self.top()?;
        Ok(self.values.get_mut(id))
    }

    fn put(&mut self, key: u64) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn get(&mut self, key: u64) -> Result<()> {
        match self.memo.get(&key) {
            Some(id) => self.stack.push(*id),
            None => return damaged(format!("recalls value {key}, which was not kept")),
        }
        Ok(())
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => damaged("a key without a value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pickle: &[u8]) -> Result<(Values, Id)> {
        let mut machine = Machine::new(Input::of(pickle));
        let id = machine.run()?;
        Ok((machine.into_values(), id))
    }

    #[track_caller]
    fn fails(pickle: &[u8], message: &str) {
        match run(pickle).map(|(values, id)| values.get(id).clone()) {
            Err(Stop::Damaged(error)) => assert!(error.contains(message), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_have_any_length_and_sign() {
        for (pickle, expected) in [
            (&b"\x80\x02K\xff."[..], 255),
            (b"M\x01\x02.", 513),
            (b"J\xfe\xff\xff\xff.", -2),
            (b"\x8a\x00.", 0),
            (b"\x8a\x02\x00\x80.", -32768),
            (b"\x8a\x03\x00\x80\x00.", 32768),
        ] {
            let (values, id) = run(pickle).unwrap();
            assert_eq!(*values.get(id), Value::Int(expected));
        }
        fails(&[&b"\x8a\x11"[..], &[1; 17], b"."].concat(), "a number of 17 bytes");
    }

    #[test]
    fn other_functions_are_refused_by_name_however_they_are_written() {
        let forbidden = |name: &str| Some(Stop::Forbidden(name.to_owned()));
        assert_eq!(run(b"cos\nsystem\n(X\x04\0\0\0exit\x85R.").err(), forbidden("os.system"));
        assert_eq!(run(b"\x8c\x08builtins\x8c\x04eval\x93.").err(), forbidden("builtins.eval"));
        assert_eq!(run(b"ctorch\nload\n.").err(), forbidden("torch.load"));
        fails(b"(ios\nsystem\n.", "operation 0x69 has no place");
    }

    #[test]
    fn nonsense_is_an_error() {
        fails(b".", "more values than there are");
        fails(b"(0.", "more values than there are");
        fails(b"t.", "not begun");
        fails(b"h\x05.", "recalls value 5");
        fails(b"q\x00.", "where there is none");
        fails(b"NNa.", "not a list");
        fails(b"N(NNu.", "not a dictionary");
        fails(b"}(Nu.", "a key without a value");
        fails(b"N)R.", "not a function");
        fails(b"ctorch\nFloatStorage\n)R.", "StorageType(\"FloatStorage\") with 0 arguments");
        fails(b"NQ.", "not a storage");
        fails(b"X\xff\xff\xff\xffabc.", "only 4 follow");
        fails(b"N", "only 0 follow");
    }

    #[test]
    fn a_flood_of_values_ends() {
        fails(&vec![b'N'; MAX_VALUES + 2], "more values");
    }
}
