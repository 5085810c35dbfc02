//! WebDataset shards: tar archives (plain, gzip, Zstandard) whose neighbouring files form records.
//!
//! Files whose paths agree up to the first dot of the base name belong to one record: `a/1F600.png` and
//! `a/1F600.json` are the fields `png` and `json` of the record `a/1F600`. Reading is streaming: one record is in
//! memory at a time, whatever the size of the shard.
//!
//! [`ShardRecords`] is for the world's shards: a bad record is an item, and reading goes on. [`ShardReader`] is for
//! shards that are known to be good: it ends with an error.
//!
//! # Compared with the Python package `webdataset` (1.0)
//!
//! The same: the split at the first dot of the base name, fields in lower case, neighbours only, entries without a dot
//! and those below `__meta__/` passed over. Different:
//!
//! | what | there | here | why |
//! |---|---|---|---|
//! | `./a.png` | key `./a` | key `a` | `tar c .` and `tar c *` pack the same records |
//! | `d/.hidden`, `d/._a.png` | field `hidden` of `d/` | passed over | they are nobody's records, but macOS packs them |
//! | links, sparse files | passed over, or filled with zeros | record rejected | their contents are not there |
//! | `../a.png`, `/a.png` | kept | record rejected | keys become file names |
//! | a field twice | exception, the shard ends | record rejected | the rest of the shard is good |
//! | a broken header | the shard ends silently | a reject | nothing is lost without a word |
//! | cut between headers, no end mark | the shard ends silently | a reject | records may be missing |
//! | a second archive behind the first | ignored | a reject | so may these |
//! | cut in the middle of a record | its first fields may be a record | reject | half a record is none |

mod archive;
mod name;
mod pax;
mod reader;
mod records;

pub use crate::store::list_shards;
pub use reader::ShardReader;
pub use records::{Limits, Record, ShardRecords};

#[cfg(test)]
mod tests;
