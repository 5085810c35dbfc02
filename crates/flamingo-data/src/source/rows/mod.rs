//! Tables as rows of named cells: CSV, TSV, JSON, JSON lines, Parquet.
//!
//! Reading is in two steps, as with all records: a [`RawRow`] is the bytes of a row, and [`RawRow::parse`] takes them
//! apart on any thread. A row of Parquet is taken apart already, because its columns lie apart in the file.

mod csv;
#[cfg(all(test, feature = "parquet"))]
pub(crate) mod fixture;
mod json;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(not(feature = "parquet"))]
mod parquet {
    //! Builds without the feature `parquet` say so.

    use super::{Columns, RawRow};
    use crate::reject::{Reason, Reject};
    use crate::store::{Location, Store};

    pub fn open(
        _store: &Store,
        table: &Location,
        _columns: &Columns,
        _skip: usize,
    ) -> Result<impl Iterator<Item = Result<RawRow, Reject>> + Send + use<>, Reject> {
        let what = "this program was built without the feature `parquet`, which reads such tables";
        Err::<std::iter::Empty<_>, _>(Reject::new(table, "the table", Reason::UnreadableShard, what))
    }
}

use std::fmt::Display;
use std::io;

use serde_json::Value;

use crate::reject::{Reason, Reject};
use crate::store::{ByteStream, Location, Store};

/// How the names of tables end, apart from `.gz` and `.zst` behind them.
pub(super) const ENDINGS: &[&str] = &[
    ".csv",
    ".csv.gz",
    ".csv.zst",
    ".tsv",
    ".tsv.gz",
    ".tsv.zst",
    ".jsonl",
    ".jsonl.gz",
    ".jsonl.zst",
    ".ndjson",
    ".json",
    ".json.gz",
    ".json.zst",
    ".parquet",
];

/// The largest row, in bytes. Anything larger is taken for a broken or hostile table.
pub(super) const MAX_ROW: u64 = 256 << 20;

/// A value of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Nothing.
    Null,
    /// Text.
    Text(String),
    /// A number, or 0 and 1 for truth.
    Number(f64),
    /// Bytes, such as an image.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only Parquet has bytes in its rows"))]
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Cell>),
    /// Values by name.
    Group(Row),
}

/// Cells by the names of their columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Row(pub Vec<(String, Cell)>);

impl Row {
    /// The cell of a column, unless the column is not there or the cell is null.
    pub fn take(&mut self, column: &str) -> Option<Cell> {
        let (_, cell) = self.0.iter_mut().find(|(name, _)| name == column)?;
        Some(std::mem::replace(cell, Cell::Null)).filter(|cell| *cell != Cell::Null)
    }

    /// The names of the columns, for messages.
    pub fn names(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Number(f64::from(u8::from(truth))),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Self::Text(text),
            Value::Array(values) => Self::List(values.into_iter().map(Self::from).collect()),
            Value::Object(map) => {
                Self::Group(Row(map.into_iter().map(|(key, value)| (key, value.into())).collect()))
            }
        }
    }
}

/// A row whose bytes are there.
#[derive(Debug)]
pub(super) enum RawRow {
    /// An object.
    Json(Vec<u8>),
    /// Fields, and the names of their columns.
    Csv(csv::Fields),
    /// A row that is taken apart already, and the bytes it takes.
    Parsed(Row, usize),
}

impl RawRow {
    /// Memory that it takes, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(bytes) => bytes.len(),
            Self::Csv(fields) => fields.len(),
            Self::Parsed(_, bytes) => *bytes,
        }
    }

    /// Takes the row apart. Text that is not UTF-8 is taken to be in `encoding`, or in the likeliest one.
    ///
    /// # Errors
    ///
    /// What is wrong with the row.
    pub fn parse(self, encoding: Option<&str>) -> Result<Row, (Reason, String)> {
        match self {
            Self::Json(bytes) => json::parse(&bytes, encoding),
            Self::Csv(fields) => fields.parse(encoding),
            Self::Parsed(row, _) => Ok(row),
        }
    }
}

/// The columns that are wanted; the others are not read where that saves time.
pub(super) type Columns = Vec<String>;

/// The rows of a table.
pub(super) type Rows = Box<dyn Iterator<Item = Result<RawRow, Reject>> + Send>;

/// The rows of a table from number `skip` on. The layout is told by the name.
///
/// # Errors
///
/// [`Reason::UnreadableShard`] if the table cannot be opened, [`Reason::CorruptShard`] if it does not begin like one.
pub(super) fn open(store: &Store, table: &Location, columns: &Columns, skip: usize) -> Result<Rows, Reject> {
    let name = table.without_query().to_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    if name.ends_with(".parquet") {
        return Ok(Box::new(parquet::open(store, table, columns, skip)?));
    }
    let stream = store
        .open(table, 0)
        .and_then(ByteStream::unpacked)
        .map_err(|error| broken(table, "the table", &error))?;
    Ok(match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("jsonl" | "ndjson") => Box::new(json::lines(table.clone(), stream).skip(skip)),
        Some("json") => Box::new(json::list(table, stream)?.skip(skip)),
        Some("tsv") => Box::new(csv::open(table, stream, b'\t')?.skip(skip)),
        Some("csv") => Box::new(csv::open(table, stream, b',')?.skip(skip)),
        _ => {
            let what = format!("its name tells no layout; expected {}", ENDINGS.join(", "));
            return Err(Reject::new(table, "the table", Reason::UnreadableShard, what));
        }
    })
}

/// A reject for what the system says.
fn broken(table: &Location, row: impl Display, error: &io::Error) -> Reject {
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => Reason::TruncatedShard,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Reason::CorruptShard,
        io::ErrorKind::FileTooLarge => Reason::TooLarge,
        _ => Reason::UnreadableShard,
    };
    Reject::new(table, row.to_string(), reason, error.to_string())
}
