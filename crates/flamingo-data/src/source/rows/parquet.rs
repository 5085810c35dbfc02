//! Rows of Parquet files, one row group after another.
//!
//! A table behind a URL is copied to a temporary file first, as a whole: its table of contents is at the end, and its
//! columns lie apart, so that reading it in place would take several requests for each page of each column.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as ParquetRow};
use parquet::schema::types::Type;

use super::{Cell, Columns, RawRow, Row, broken};
use crate::reject::{Reason, Reject};
use crate::store::{Location, Store};

/// The largest table that is copied from elsewhere, in bytes.
const MAX_COPY: u64 = 16 << 30;

/// Rows that are decoded at once: images lie in the rows, so this bounds memory.
const BATCH: usize = 32;

/// The rows from number `skip` on, with those of `columns` that the table has. Row groups before are not read.
pub fn open(
    store: &Store,
    table: &Location,
    columns: &Columns,
    skip: usize,
) -> Result<impl Iterator<Item = Result<RawRow, Reject>> + Send + use<>, Reject> {
    let reject = |reason, what: String| Reject::new(table, "the table", reason, what);
    let corrupt = |what: String| reject(Reason::CorruptShard, what);
    let unreadable = |error: io::Error| reject(Reason::UnreadableShard, format!("cannot open it: {error}"));
    let file = match table.path() {
        Some(path) => File::open(path).map_err(unreadable)?,
        None => copy(store, table, MAX_COPY).map_err(|error| broken(table, "the table", &error))?,
    };
    let whole = file.try_clone().map_err(unreadable)?;
    let metadata = guarded(|| Ok(SerializedFileReader::new(whole)?.metadata().clone())).map_err(corrupt)?;

    let (mut first, mut before) = (0, 0);
    for group in metadata.row_groups() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        if before + rows > skip {
            break;
        }
        (first, before) = (first + 1, before + rows);
    }
    let schema = metadata.file_metadata().schema();
    let wanted =
        schema.get_fields().iter().filter(|field| columns.iter().any(|column| column == field.name()));
    let projection = Type::group_type_builder(schema.name()).with_fields(wanted.cloned().collect());
    let rows = guarded(|| {
        let options = ReadOptionsBuilder::new().with_predicate(Box::new(move |_, index| index >= first));
        let reader = SerializedFileReader::new_with_options(file, options.build())?;
        Ok(RowIter::from_file_into(Box::new(reader))
            .project(Some(projection.build()?))?
            .with_batch_size(BATCH))
    });
    let rows = Rows { rows: Some(rows.map_err(corrupt)?), table: table.clone(), number: before };
    // Bad rows count as rows.
    Ok(rows.skip(skip - before.min(skip)))
}

/// A copy of a file that is elsewhere, which is gone when it is closed.
fn copy(store: &Store, table: &Location, limit: u64) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let copied = io::copy(&mut store.open(table, 0)?.take(limit.saturating_add(1)), &mut file)?;
    match copied > limit {
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "it has more than {limit} bytes, the most that is copied to a temporary file; copy it here"
            ),
        )),
        false => Ok(file),
    }
}

struct Rows {
    /// `None` after an error: the decoder's state is unknown then.
    rows: Option<RowIter<'static>>,
    table: Location,
    number: usize,
}

impl Iterator for Rows {
    type Item = Result<RawRow, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.rows.as_mut()?;
        let row = guarded(|| rows.next().transpose());
        let number = self.number;
        self.number += 1;
        match row {
            Ok(row) => {
                let row = convert(row?);
                let bytes = row.0.iter().map(|(_, cell)| size(cell)).sum();
                Some(Ok(RawRow::Parsed(row, bytes)))
            }
            Err(what) => {
                self.rows = None;
                let what = format!("{what}; the rows behind it cannot be read");
                Some(Err(Reject::new(&self.table, number.to_string(), Reason::CorruptShard, what)))
            }
        }
    }
}

/// Runs a part of the decoder, which panics on some broken files and on some rare types.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    // Whatever is broken inside is not used again.
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| format!("is no Parquet that can be read: {error}")),
        Err(_) => Err("is no Parquet that can be read: the decoder gave up".to_owned()),
    }
}

fn convert(row: ParquetRow) -> Row {
    Row(row.into_columns().into_iter().map(|(name, field)| (name, cell(field))).collect())
}

fn cell(field: Field) -> Cell {
    match field {
        Field::Null => Cell::Null,
        Field::Str(text) => Cell::Text(text),
        Field::Bytes(bytes) => Cell::Bytes(bytes.data().to_vec()),
        Field::ListInternal(list) => Cell::List(list.elements().iter().cloned().map(cell).collect()),
        Field::Group(row) => Cell::Group(convert(row)),
        Field::Bool(truth) => Cell::Number(f64::from(u8::from(truth))),
        Field::Byte(number) => Cell::Number(f64::from(number)),
        Field::Short(number) => Cell::Number(f64::from(number)),
        Field::Int(number) => Cell::Number(f64::from(number)),
        Field::Long(number) => Cell::Number(number as f64),
        Field::UByte(number) => Cell::Number(f64::from(number)),
        Field::UShort(number) => Cell::Number(f64::from(number)),
        Field::UInt(number) => Cell::Number(f64::from(number)),
        Field::ULong(number) => Cell::Number(number as f64),
        Field::Float(number) => Cell::Number(f64::from(number)),
        Field::Double(number) => Cell::Number(number),
        // Dates, decimals and maps: no column of ours.
        other => Cell::Text(other.to_string()),
    }
}

fn size(cell: &Cell) -> usize {
    match cell {
        Cell::Null | Cell::Number(_) => 8,
        Cell::Text(text) => text.len(),
        Cell::Bytes(bytes) => bytes.len(),
        Cell::List(cells) => cells.iter().map(size).sum(),
        Cell::Group(row) => row.0.iter().map(|(_, cell)| size(cell)).sum(),
    }
}
