//! The graph on disk: [`DiskGraph`].
//!
//! A table of values, its key `soul 0xff key` (no text has the byte 0xff), so that a node is one range; beside it a table
//! of souls by the time of their last write, which says what goes first when the disk is full. A batch of writes is one
//! transaction, synced before it is confirmed.

use std::path::Path;

use redb::{
    Database, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _, TableDefinition,
    WriteTransaction,
};

use crate::json::{Json, Text};

use super::{NodeDelta, State, Value, Write};

/// `soul 0xff key` to the 8 bytes of the state and the JSON text of the value.
const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");
/// The 8 bytes of the state, then `soul 0xff key`, to the JSON text of the value.
const DEFERRED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("deferred");
/// Soul to the number of its last write, and how many bytes its values take.
const SOULS: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("souls");
/// The number of a write to its soul.
const WRITES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("writes");
/// Sums: bytes of all values.
const SUMS: TableDefinition<'_, &str, u64> = TableDefinition::new("sums");

/// What redb may keep in memory; the graph in memory is in front of it.
const CACHE_BYTES: usize = 32 << 20;
const BYTES: &str = "bytes";
const SEPARATOR: u8 = 0xff;

/// A graph on disk, in one file. One process at a time has it open.
///
/// ```
/// use alive_db::gun::{DiskGraph, State, Value, Write};
/// let folder = tempfile::tempdir()?;
/// let disk = DiskGraph::open(&folder.path().join("graph.redb"))?;
/// let state = State::new(5.0).ok_or("finite")?;
/// disk.write(&[Write::Put { soul: "room".into(), key: "n".into(), value: "x".into(), state }])?;
/// assert_eq!(disk.load(&"room".into())?.entries, [("n".into(), Value::from("x"), state)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DiskGraph {
    database: Database,
    limit_bytes: u64,
}

/// Why the disk does not do what it should.
#[derive(Debug, thiserror::Error)]
#[error("the graph on disk: {what}")]
#[non_exhaustive]
pub struct DiskError {
    /// What was tried.
    what: &'static str,
    source: Box<redb::Error>,
}

fn failed(what: &'static str) -> impl Fn(redb::Error) -> DiskError {
    move |source| DiskError { what, source: Box::new(source) }
}

impl DiskGraph {
    /// How many bytes of values it takes unless it is said otherwise: 4 GiB.
    pub const LIMIT_BYTES: u64 = 4 << 30;

    /// Opens the file or makes it.
    ///
    /// # Errors
    /// It is in use, is no such file, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let open = || -> Result<Self, redb::Error> {
            let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
            let transaction = database.begin_write()?;
            Tables::open(&transaction)?;
            transaction.commit()?;
            Ok(Self { database, limit_bytes: Self::LIMIT_BYTES })
        };
        open().map_err(failed("opening it"))
    }

    /// Takes at most so many bytes of values; beyond it the nodes go that were not written for longest.
    #[must_use]
    pub fn with_limit(self, limit_bytes: u64) -> Self {
        Self { limit_bytes, ..self }
    }

    /// Reads a node; it has no entries if it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(&self, soul: &Text) -> Result<NodeDelta, DiskError> {
        let entries = self.read_node(soul).map_err(failed("reading a node"))?;
        Ok(NodeDelta { soul: soul.clone(), entries })
    }

    /// Values that wait for their state: soul, key, value, state.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn deferred(&self) -> Result<Vec<(Text, Text, Value, State)>, DiskError> {
        self.read_deferred().map_err(failed("reading values from the future"))
    }

    /// How many nodes it has, and the bytes of their values.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn size(&self) -> Result<(u64, u64), DiskError> {
        self.read_size().map_err(failed("reading its size"))
    }

    /// Writes all of this or nothing; it is safe when this returns.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn write(&self, writes: &[Write]) -> Result<(), DiskError> {
        self.commit(writes).map_err(failed("writing"))
    }

    fn commit(&self, writes: &[Write]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        let mut tables = Tables::open(&transaction)?;
        for write in writes {
            tables.apply(write)?;
        }
        tables.evict(self.limit_bytes)?;
        drop(tables);
        Ok(transaction.commit()?)
    }

    fn read_node(&self, soul: &Text) -> Result<Vec<(Text, Value, State)>, redb::Error> {
        let values = self.database.begin_read()?.open_table(VALUES)?;
        let (start, end) = range_of(soul);
        let mut entries = Vec::new();
        for row in values.range(&*start..&*end)? {
            let (name, data) = row?;
            let key = name.value().get(start.len()..).and_then(Text::from_bytes);
            // A row that does not read is as good as not there: peers may still have it.
            if let (Some(key), Some((state, value))) = (key, read_value(data.value())) {
                entries.push((key, value, state));
            }
        }
        Ok(entries)
    }

    fn read_deferred(&self) -> Result<Vec<(Text, Text, Value, State)>, redb::Error> {
        let table = self.database.begin_read()?.open_table(DEFERRED)?;
        let mut values = Vec::new();
        for row in table.iter()? {
            let (name, data) = row?;
            if let Some((state, rest)) = name.value().split_first_chunk()
                && let Some((soul, key)) = split_name(rest)
                && let Some(state) = State::new(f64::from_be_bytes(*state))
                && let Some(value) = parse_value(data.value())
            {
                values.push((soul, key, value, state));
            }
        }
        Ok(values)
    }

    fn read_size(&self) -> Result<(u64, u64), redb::Error> {
        let read = self.database.begin_read()?;
        let nodes = read.open_table(SOULS)?.len()?;
        let bytes = read.open_table(SUMS)?.get(BYTES)?.map_or(0, |bytes| bytes.value());
        Ok((nodes, bytes))
    }
}

/// All tables of one transaction.
struct Tables<'t> {
    values: redb::Table<'t, &'static [u8], &'static [u8]>,
    deferred: redb::Table<'t, &'static [u8], &'static [u8]>,
    souls: redb::Table<'t, &'static [u8], (u64, u64)>,
    writes: redb::Table<'t, u64, &'static [u8]>,
    sums: redb::Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::TableError> {
        Ok(Self {
            values: transaction.open_table(VALUES)?,
            deferred: transaction.open_table(DEFERRED)?,
            souls: transaction.open_table(SOULS)?,
            writes: transaction.open_table(WRITES)?,
            sums: transaction.open_table(SUMS)?,
        })
    }

    fn apply(&mut self, write: &Write) -> Result<(), redb::StorageError> {
        match write {
            Write::Defer { soul, key, value, state } => {
                let name = deferred_name(soul, key, *state);
                self.deferred.insert(&*name, print(value).as_bytes())?;
            }
            Write::Put { soul, key, value, state } => {
                let name = name_of(soul, key);
                let mut data = state.millis().to_be_bytes().to_vec();
                data.extend_from_slice(print(value).as_bytes());
                let size = (name.len() + data.len()) as u64;
                let old = self.values.insert(&*name, &*data)?;
                let old = old.map_or(0, |old| (name.len() + old.value().len()) as u64);
                self.resize(soul.as_bytes(), size, old, true)?;
            }
            Write::Remove { soul, key } => {
                let name = name_of(soul, key);
                let old = self.values.remove(&*name)?;
                let old = old.map_or(0, |old| (name.len() + old.value().len()) as u64);
                self.resize(soul.as_bytes(), 0, old, false)?;
            }
            Write::RemoveNode { soul } => self.remove_node(soul.as_bytes())?,
            Write::Undefer { soul, key, state } => {
                self.deferred.remove(&*deferred_name(soul, key, *state))?;
            }
        }
        Ok(())
    }

    /// Keeps the sums of a soul, and its place among the others.
    fn resize(
        &mut self,
        soul: &[u8],
        more: u64,
        less: u64,
        is_used: bool,
    ) -> Result<(), redb::StorageError> {
        let held = self.souls.get(soul)?.map(|held| held.value());
        let (mut number, bytes) = held.unwrap_or((0, 0));
        let bytes = (bytes + more).saturating_sub(less);
        if is_used || bytes == 0 {
            if held.is_some() {
                self.writes.remove(number)?;
            }
            number = self.writes.last()?.map_or(0, |(last, _)| last.value() + 1);
        }
        if bytes == 0 {
            self.souls.remove(soul)?;
        } else {
            if is_used {
                self.writes.insert(number, soul)?;
            }
            self.souls.insert(soul, (number, bytes))?;
        }
        let all = self.sums.get(BYTES)?.map_or(0, |all| all.value());
        self.sums.insert(BYTES, (all + more).saturating_sub(less))?;
        Ok(())
    }

    fn remove_node(&mut self, soul: &[u8]) -> Result<(), redb::StorageError> {
        let start = [soul, &[SEPARATOR]].concat();
        let end = [soul, &[SEPARATOR, SEPARATOR]].concat();
        self.values.retain_in(&*start..&*end, |_, _| false)?;
        let held = self.souls.get(soul)?.map(|held| held.value());
        if let Some((_, bytes)) = held {
            self.resize(soul, 0, bytes, false)?;
        }
        Ok(())
    }

    fn evict(&mut self, limit_bytes: u64) -> Result<(), redb::StorageError> {
        while self.sums.get(BYTES)?.map_or(0, |all| all.value()) > limit_bytes {
            let oldest = self.writes.first()?.map(|(_, soul)| soul.value().to_vec());
            let Some(oldest) = oldest else { return Ok(()) };
            self.remove_node(&oldest)?;
        }
        Ok(())
    }
}

fn name_of(soul: &Text, key: &Text) -> Vec<u8> {
    [soul.as_bytes(), &[SEPARATOR], key.as_bytes()].concat()
}

/// From the first to behind the last name of a soul's keys.
fn range_of(soul: &Text) -> (Vec<u8>, Vec<u8>) {
    let start = [soul.as_bytes(), &[SEPARATOR]].concat();
    let end = [&*start, &[SEPARATOR]].concat();
    (start, end)
}

fn split_name(name: &[u8]) -> Option<(Text, Text)> {
    let at = name.iter().position(|byte| *byte == SEPARATOR)?;
    Some((Text::from_bytes(name.get(..at)?)?, Text::from_bytes(name.get(at + 1..)?)?))
}

fn deferred_name(soul: &Text, key: &Text, state: State) -> Vec<u8> {
    [&state.millis().to_be_bytes(), &*name_of(soul, key)].concat()
}

fn read_value(data: &[u8]) -> Option<(State, Value)> {
    let (state, json) = data.split_first_chunk()?;
    Some((State::new(f64::from_be_bytes(*state))?, parse_value(json)?))
}

fn parse_value(json: &[u8]) -> Option<Value> {
    Value::from_json(&Json::parse(std::str::from_utf8(json).ok()?).ok()?).ok()
}

fn print(value: &Value) -> String {
    let mut out = String::new();
    value.print_to(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(soul: &str, key: &str, value: &str, state: f64) -> Write {
        let state = State::new(state).unwrap();
        Write::Put { soul: soul.into(), key: key.into(), value: value.into(), state }
    }

    fn open() -> (tempfile::TempDir, DiskGraph) {
        let folder = tempfile::tempdir().unwrap();
        let disk = DiskGraph::open(&folder.path().join("graph")).unwrap();
        (folder, disk)
    }

    fn keys(disk: &DiskGraph, soul: &str) -> Vec<String> {
        let node = disk.load(&soul.into()).unwrap();
        node.entries.iter().map(|(key, _, _)| key.to_string()).collect()
    }

    #[test]
    fn nodes_whose_souls_begin_alike_are_told_apart() {
        let (_folder, disk) = open();
        disk.write(&[put("a", "x", "1", 1.0), put("ab", "y", "2", 1.0), put("a/", "z", "3", 1.0)])
            .unwrap();
        assert_eq!(keys(&disk, "a"), ["x"]);
        assert_eq!(keys(&disk, "ab"), ["y"]);
        assert_eq!(keys(&disk, ""), Vec::<String>::new());
        disk.write(&[Write::RemoveNode { soul: "a".into() }]).unwrap();
        assert_eq!(keys(&disk, "a"), Vec::<String>::new());
        assert_eq!(keys(&disk, "a/"), ["z"]);
    }

    #[test]
    fn every_value_comes_back() {
        let (_folder, disk) = open();
        let values = ["null", "true", "-1.5e-9", r##"{"#":"x"}"##, r#""\ud800é😀""#];
        let soul: Text = "s<?600".into();
        let mut writes = Vec::new();
        for (n, value) in values.iter().enumerate() {
            let value = Value::from_json(&Json::parse(value).unwrap()).unwrap();
            let state = State::new(1_795_219_439_353.001).unwrap();
            writes.push(Write::Put { soul: soul.clone(), key: n.to_string().into(), value, state });
        }
        disk.write(&writes).unwrap();
        let loaded = disk.load(&soul).unwrap().entries;
        let back = loaded.into_iter().map(|(key, value, state)| Write::Put {
            soul: soul.clone(),
            key,
            value,
            state,
        });
        assert_eq!(back.collect::<Vec<_>>(), writes);
    }

    #[test]
    fn the_longest_unwritten_goes_when_it_is_full() {
        let (_folder, disk) = open();
        let disk = disk.with_limit(400);
        let text = "x".repeat(100);
        for soul in ["a", "b", "c"] {
            disk.write(&[put(soul, "k", &text, 1.0)]).unwrap();
        }
        disk.write(&[put("a", "k", &text, 2.0)]).unwrap();
        disk.write(&[put("d", "k", &text, 1.0)]).unwrap();
        assert_eq!((keys(&disk, "b"), keys(&disk, "a")), (vec![], vec!["k".to_owned()]));
        let (nodes, bytes) = disk.size().unwrap();
        assert_eq!((nodes, bytes), (3, 3 * (3 + 8 + 102)));
        let gone = ["a", "c", "d"].map(|soul| Write::Remove { soul: soul.into(), key: "k".into() });
        disk.write(&gone).unwrap();
        assert_eq!(disk.size().unwrap(), (0, 0));
    }

    #[test]
    fn values_from_the_future_are_kept_apart() {
        let (_folder, disk) = open();
        let state = State::new(9e12).unwrap();
        let (soul, key, value) = (Text::from("s"), Text::from("k"), Value::from("later"));
        let defer =
            Write::Defer { soul: soul.clone(), key: key.clone(), value: value.clone(), state };
        disk.write(&[put("s", "k", "now", 1.0), defer]).unwrap();
        assert_eq!(disk.deferred().unwrap(), [(soul.clone(), key.clone(), value, state)]);
        assert_eq!(disk.load(&soul).unwrap().entries[0].1, Value::from("now"));
        disk.write(&[Write::Undefer { soul, key, state }]).unwrap();
        assert_eq!(disk.deferred().unwrap(), []);
    }

    #[test]
    fn a_file_in_use_is_not_opened_again() {
        let (folder, _disk) = open();
        let error = DiskGraph::open(&folder.path().join("graph")).unwrap_err();
        assert!(error.to_string().contains("opening it"), "{error}");
    }
}
