//! An event as protocol buffer: the few fields of TensorBoard's `event.proto` and `summary.proto` that scalars need.

/// Something that happened at a time and a step.
#[derive(Debug)]
pub(super) struct Event<'a> {
    /// Seconds since 1970.
    pub time: f64,
    /// Updates done.
    pub step: u64,
    /// What happened.
    pub what: What<'a>,
}

/// What an event tells.
#[derive(Debug)]
pub(super) enum What<'a> {
    /// The first event of every file.
    FileVersion,
    /// Training goes on: what was written before of this step and later ones is void.
    SessionStart,
    /// Values by tag.
    Scalars(&'a [(String, f32)]),
}

impl Event<'_> {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Message::default();
        message.fixed64(1, self.time.to_bits());
        message.varint(2, self.step);
        match self.what {
            What::FileVersion => message.bytes(3, b"brain.Event:2"),
            What::SessionStart => {
                let mut session = Message::default();
                session.varint(1, 1);
                message.bytes(7, &session.0);
            }
            What::Scalars(scalars) => {
                let mut summary = Message::default();
                for (tag, value) in scalars {
                    let mut scalar = Message::default();
                    scalar.bytes(1, tag.as_bytes());
                    scalar.fixed32(2, value.to_bits());
                    summary.bytes(1, &scalar.0);
                }
                message.bytes(5, &summary.0);
            }
        }
        message.0
    }
}

/// A protocol buffer in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// A number; 0 is the default and is left out.
    fn varint(&mut self, field: u64, value: u64) {
        if value > 0 {
            self.raw_varint(field << 3);
            self.raw_varint(value);
        }
    }

    fn fixed64(&mut self, field: u64, bits: u64) {
        self.raw_varint(field << 3 | 1);
        self.0.extend(bits.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw_varint(field << 3 | 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn fixed32(&mut self, field: u64, bits: u32) {
        self.raw_varint(field << 3 | 5);
        self.0.extend(bits.to_le_bytes());
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that TensorBoard 2.21's own `Event(…).SerializeToString()` gives.
    #[test]
    fn messages_are_those_of_tensorboard() {
        let scalars = [("loss/pages".to_owned(), 2.5), ("train/learning_rate".to_owned(), 1e-3)];
        let cases = [
            (0, What::FileVersion, "0900002040fc54d9411a0d627261696e2e4576656e743a32"),
            (300, What::SessionStart, "0900002040fc54d94110ac023a020801"),
            (
                300,
                What::Scalars(&scalars),
                "0900002040fc54d94110ac022a2f0a110a0a6c6f73732f706167657315000020400a1a0a13747261696e2f6c65\
                 61726e696e675f72617465156f12833a",
            ),
        ];
        for (step, what, expected) in cases {
            let bytes = Event { time: 1_700_000_000.5, step, what }.encode();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected);
        }
    }
}
