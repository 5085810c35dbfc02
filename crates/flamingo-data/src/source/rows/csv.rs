//! Rows of text fields between commas or tabs, under a row of names.

use std::io::{Cursor, Read};
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder};

use super::{Cell, MAX_ROW, RawRow, Row, broken};
use crate::reject::{Reason, Reject};
use crate::store::{ByteStream, Location};
use crate::text;

/// A row, and the names of its columns.
#[derive(Debug)]
pub struct Fields {
    names: Arc<[String]>,
    record: ByteRecord,
}

impl Fields {
    /// The bytes of all fields.
    pub fn len(&self) -> usize {
        self.record.as_slice().len()
    }

    /// The fields as cells; an empty one is null.
    ///
    /// The encoding is told from the row as a whole: a single field is too short.
    pub fn parse(self, encoding: Option<&str>) -> Result<Row, (Reason, String)> {
        if self.record.len() != self.names.len() {
            let (has, wanted) = (self.record.len(), self.names.len());
            return Err((
                Reason::BadDescription,
                format!("the row has {has} fields, the first row {wanted}"),
            ));
        }
        let encoding = text::likeliest(self.record.as_slice(), encoding);
        let mut row = Row::default();
        for (name, field) in self.names.iter().zip(&self.record) {
            let bad = |what| (Reason::BadText, format!("column {name:?}: {what}"));
            let cell = match field {
                [] => Cell::Null,
                field => Cell::Text(text::decode_as(encoding, field).map_err(bad)?),
            };
            row.0.push((name.clone(), cell));
        }
        Ok(row)
    }
}

/// The rows of a table whose first row names the columns.
pub fn open(
    table: &Location,
    stream: ByteStream,
    delimiter: u8,
) -> Result<impl Iterator<Item = Result<RawRow, Reject>> + Send + use<>, Reject> {
    let bytes = without_utf16(stream).map_err(|error| broken(table, "the table", &error))?;
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let corrupt = |what: String| Reject::new(table, "the first row", Reason::CorruptShard, what);
    let header = reader.byte_headers().map_err(|error| corrupt(error.to_string()))?;
    let mut names = Vec::with_capacity(header.len());
    for name in header {
        names.push(text::decode(name, None).map_err(&corrupt)?.trim().to_owned());
    }
    let (names, table, mut number, mut done): (Arc<[String]>, _, _, _) =
        (names.into(), table.clone(), 0, false);
    Ok(std::iter::from_fn(move || {
        let mut record = ByteRecord::new();
        let read = if done { Ok(false) } else { reader.read_byte_record(&mut record) };
        let row = number;
        number += 1;
        match read {
            Ok(false) => None,
            Ok(true) if record.as_slice().len() as u64 > MAX_ROW => {
                let what = format!("more than {MAX_ROW} bytes; is a quotation mark not closed?");
                Some(Err(Reject::new(&table, row.to_string(), Reason::TooLarge, what)))
            }
            Ok(true) => Some(Ok(RawRow::Csv(Fields { names: names.clone(), record }))),
            Err(error) => {
                done = true;
                let what = error.to_string();
                Some(Err(match error.into_kind() {
                    csv::ErrorKind::Io(error) => broken(&table, row, &error),
                    _ => Reject::new(&table, row.to_string(), Reason::CorruptShard, what),
                }))
            }
        }
    }))
}

/// The bytes, with UTF-16 (which spreadsheets write, with a byte order mark) turned into UTF-8 as a whole.
fn without_utf16(mut stream: ByteStream) -> std::io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    stream.by_ref().take(2).read_to_end(&mut head)?;
    let utf16 = head == b"\xff\xfe" || head == b"\xfe\xff";
    let whole = Cursor::new(head).chain(stream);
    if !utf16 {
        return Ok(Box::new(whole));
    }
    let mut bytes = Vec::new();
    whole.take(MAX_ROW).read_to_end(&mut bytes)?;
    let text = text::decode(&bytes, None)
        .map_err(|what| std::io::Error::new(std::io::ErrorKind::InvalidData, what))?;
    Ok(Box::new(Cursor::new(text.into_bytes())))
}
