//! Small Parquet files for tests, written column by column.

use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// The values of one column of byte arrays in one row group, with their definition and repetition levels.
pub struct Column {
    values: Vec<ByteArray>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Column {
    /// Values that may be null, below `depth - 1` groups that are there.
    pub fn flat(depth: i16, rows: &[Option<&[u8]>]) -> Self {
        let definition = rows.iter().map(|row| if row.is_some() { depth } else { depth - 1 }).collect();
        let values = rows.iter().flatten().map(|bytes| bytes.to_vec().into()).collect();
        Self { values, definition, repetition: vec![0; rows.len()] }
    }

    /// Lists that may be null of values that may be null.
    pub fn lists(rows: &[Option<&[Option<&[u8]>]>]) -> Self {
        let mut column = Self { values: Vec::new(), definition: Vec::new(), repetition: Vec::new() };
        for row in rows {
            let (items, defined) = match row {
                None => (&[][..], 0),
                Some(items) => (*items, 1),
            };
            if items.is_empty() {
                column.definition.push(defined);
                column.repetition.push(0);
            }
            for (place, item) in items.iter().enumerate() {
                column.definition.push(if item.is_some() { 3 } else { 2 });
                column.repetition.push(i16::from(place > 0));
                column.values.extend(item.map(|bytes| ByteArray::from(bytes.to_vec())));
            }
        }
        column
    }
}

/// Writes a file of that schema, one list of columns a row group.
pub fn write(path: &Path, schema: &str, groups: &[Vec<Column>]) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::builder().build())).unwrap();
    for columns in groups {
        let mut group = writer.next_row_group().unwrap();
        for column in columns {
            let mut into = group.next_column().unwrap().unwrap();
            into.typed::<ByteArrayType>()
                .write_batch(&column.values, Some(&column.definition), Some(&column.repetition))
                .unwrap();
            into.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}
