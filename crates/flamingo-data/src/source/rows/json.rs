//! Rows as JSON: one object a line, or one list of objects.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use super::{Cell, MAX_ROW, RawRow, Row, broken};
use crate::reject::{Reason, Reject};
use crate::store::{ByteStream, Location};
use crate::text;

/// The largest table that is one list, in bytes: it is read as a whole.
const MAX_LIST: u64 = 1 << 30;

/// The rows of a table with one object a line. Empty lines are no rows.
pub fn lines(table: Location, stream: ByteStream) -> impl Iterator<Item = Result<RawRow, Reject>> + Send {
    let (mut reader, mut number, mut done) = (BufReader::new(stream), 0, false);
    std::iter::from_fn(move || {
        while !done {
            let mut line = Vec::new();
            let read = (&mut reader).take(MAX_ROW).read_until(b'\n', &mut line);
            let what = match read {
                Ok(0) => return None,
                Ok(_) if line.trim_ascii().is_empty() && (line.len() as u64) < MAX_ROW => continue,
                Ok(_) => {
                    number += 1;
                    if (line.len() as u64) < MAX_ROW || line.ends_with(b"\n") {
                        return Some(Ok(RawRow::Json(line)));
                    }
                    line = Vec::new();
                    match reader.skip_until(b'\n') {
                        Ok(_) => {
                            let what = format!("the line has more than {MAX_ROW} bytes");
                            let row = (number - 1).to_string();
                            return Some(Err(Reject::new(&table, row, Reason::TooLarge, what)));
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            // What follows cannot be found.
            done = true;
            return Some(Err(broken(&table, number, &what)));
        }
        None
    })
}

/// The rows of a table that is one list of objects, by itself or under the key `images`, `annotations` or `data`.
pub fn list(
    table: &Location,
    stream: ByteStream,
) -> Result<impl Iterator<Item = Result<RawRow, Reject>> + Send + use<>, Reject> {
    let mut bytes = Vec::new();
    stream.take(MAX_LIST + 1).read_to_end(&mut bytes).map_err(|error| broken(table, "the table", &error))?;
    let bad = |reason, what: String| Err(Reject::new(table, "the table", reason, what));
    if bytes.len() as u64 > MAX_LIST {
        return bad(
            Reason::TooLarge,
            format!("a list of more than {MAX_LIST} bytes; write one object a line (.jsonl)"),
        );
    }
    let mut rows: Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(error) => return bad(Reason::CorruptShard, format!("is not JSON: {error}")),
    };
    let size = bytes.len();
    if let Value::Object(map) = &mut rows {
        let key = ["images", "annotations", "data"]
            .into_iter()
            .find(|key| map.get(*key).is_some_and(Value::is_array));
        rows = key.and_then(|key| map.remove(key)).unwrap_or_default();
    }
    let Value::Array(rows) = rows else {
        return bad(
            Reason::CorruptShard,
            "is no list of objects, also not under `images`, `annotations` or `data`".to_owned(),
        );
    };
    let each = size / rows.len().max(1);
    let table = table.clone();
    Ok(rows.into_iter().enumerate().map(move |(number, row)| match Cell::from(row) {
        Cell::Group(row) => Ok(RawRow::Parsed(row, each)),
        _ => Err(Reject::new(&table, number.to_string(), Reason::BadDescription, "the row is no object")),
    }))
}

/// An object as a row.
pub fn parse(bytes: &[u8], encoding: Option<&str>) -> Result<Row, (Reason, String)> {
    let text = text::decode(bytes, encoding).map_err(|what| (Reason::BadText, what))?;
    let bad = |what: String| Err((Reason::BadDescription, what));
    match serde_json::from_str::<Value>(&text).map(Cell::from) {
        Ok(Cell::Group(row)) => Ok(row),
        Ok(_) => bad("the row is JSON, but no object".to_owned()),
        Err(error) => bad(format!("the row is not JSON: {error}")),
    }
}
