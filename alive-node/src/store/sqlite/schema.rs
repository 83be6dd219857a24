//! The tables, and how an older file becomes one of today.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::SqliteStoreError;

/// Marks a file as ours: `ALIV`.
const APPLICATION_ID: i32 = 0x414c_4956;

/// A step from one version of the schema to the next. A released step never changes.
struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// All steps; the version of a schema is how many of them it has taken.
const MIGRATIONS: &[Migration] = &[
    Migration { name: "streams of any number of networks", sql: STREAMS },
    Migration { name: "chunks that were read", sql: CHUNKS },
    Migration { name: "streams by the page", sql: LISTING },
    Migration { name: "names of streams on other networks", sql: ALSO },
    Migration { name: "initialisation sections of segments", sql: SECTIONS },
];

/// Times are milliseconds since 1970, lengths are microseconds. `undo` holds the changes of reversible blocks as JSON.
const STREAMS: &str = "
CREATE TABLE networks (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_num INTEGER,
    last_id TEXT,
    created INTEGER NOT NULL,
    irreversible INTEGER NOT NULL
) STRICT;
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    network INTEGER NOT NULL REFERENCES networks (id),
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    UNIQUE (network, name)
) STRICT;
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id),
    link TEXT NOT NULL,
    number INTEGER NOT NULL,
    network_number INTEGER NOT NULL,
    created INTEGER NOT NULL,
    last_updated INTEGER NOT NULL,
    first_streamed INTEGER,
    last_streamed INTEGER,
    finalized INTEGER,
    head INTEGER,
    ended INTEGER NOT NULL,
    storage TEXT NOT NULL,
    l2 TEXT,
    live_key TEXT,
    gateway TEXT,
    UNIQUE (account, link)
) STRICT;
CREATE TABLE pushes (
    stream INTEGER NOT NULL REFERENCES streams (id),
    seq INTEGER NOT NULL,
    src TEXT NOT NULL,
    len INTEGER,
    discontinuity INTEGER NOT NULL,
    p240 TEXT,
    p480 TEXT,
    p720 TEXT,
    p1080 TEXT,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE undo (
    network INTEGER NOT NULL REFERENCES networks (id),
    num INTEGER NOT NULL,
    changes BLOB NOT NULL,
    PRIMARY KEY (network, num)
) STRICT, WITHOUT ROWID;
";

/// `sum` is the SHA2-256 of the bytes, against a damaged disk.
const CHUNKS: &str = "
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content TEXT NOT NULL UNIQUE,
    csv BLOB NOT NULL,
    sum BLOB NOT NULL
) STRICT;
";

/// An index for each order of `StreamOrder`, so that a page costs the same anywhere in a list. Only accounts with streams
/// are searched, and only streams that have not ended may be live.
const LISTING: &str = "
ALTER TABLE streams ADD COLUMN network INTEGER REFERENCES networks (id);
UPDATE streams SET network = (SELECT a.network FROM accounts a WHERE a.id = streams.account);
CREATE INDEX streams_newest ON streams (network, created, network_number);
CREATE INDEX streams_live ON streams (network, last_streamed, network_number) WHERE ended = 0;
CREATE INDEX streams_author ON streams (account, created, network_number);
CREATE INDEX accounts_streaming ON accounts (network, name) WHERE created > 0;
";

/// An older file has none.
const ALSO: &str = "ALTER TABLE streams ADD COLUMN also TEXT NOT NULL DEFAULT '';";

/// Most pushes have none.
const SECTIONS: &str = "ALTER TABLE pushes ADD COLUMN sections TEXT;";

/// Brings a file up to date, whole or not at all.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), SqliteStoreError> {
    take(connection, MIGRATIONS)
}

fn take(connection: &mut Connection, steps: &[Migration]) -> Result<(), SqliteStoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    let found = version(&transaction)?;
    if found > known {
        return Err(SqliteStoreError::Newer { found, known });
    }
    for (version, migration) in (1_u32..).zip(steps).skip(found as usize) {
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            "INSERT INTO schema_migrations (version, name) VALUES (?, ?)",
            (version, migration.name),
        )?;
    }
    transaction.commit()?;
    Ok(())
}

/// The version of a file's schema, 0 for an empty one.
fn version(transaction: &Transaction<'_>) -> Result<u32, SqliteStoreError> {
    let application: i32 =
        transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let table = transaction.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", (), |_| Ok(()));
    let is_new = table.optional()?.is_none();
    if application != APPLICATION_ID {
        if application != 0 || !is_new {
            return Err(SqliteStoreError::Foreign(application));
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
    )?;
    let version = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    Ok(transaction.query_row(version, (), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::connections::{Role, open};

    #[test]
    fn an_older_file_takes_the_steps_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = open(&folder.path().join("db"), Role::Writer).unwrap();
        take(&mut connection, &MIGRATIONS[..1]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO networks VALUES (7, 'n', 1, 'b', 1, 0);
                INSERT INTO accounts VALUES (8, 7, 'alice', 1);
                INSERT INTO streams VALUES
                    (9, 8, 's', 0, 1, 5, 5, NULL, NULL, NULL, NULL, 0, 'ipfs', NULL, NULL, NULL)",
            )
            .unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let names: Vec<String> = connection
            .prepare("SELECT name FROM schema_migrations ORDER BY version")
            .unwrap()
            .query_map((), |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(names, MIGRATIONS.iter().map(|step| step.name).collect::<Vec<_>>());
        assert_eq!(
            connection.query_row("SELECT count(*) FROM chunks", (), |row| row.get::<_, u32>(0)),
            Ok(0)
        );
        // What was there before is listed.
        let network = connection.query_row("SELECT network FROM streams", (), |row| row.get(0));
        assert_eq!(network, Ok(7));
    }

    #[test]
    fn a_later_version_and_another_program_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = open(&folder.path().join("db"), Role::Writer).unwrap();
        migrate(&mut connection).unwrap();
        connection.execute("INSERT INTO schema_migrations VALUES (99, 'later')", ()).unwrap();
        let later = migrate(&mut connection);
        let Err(SqliteStoreError::Newer { found: 99, known }) = later else { panic!("{later:?}") };
        assert_eq!(known as usize, MIGRATIONS.len());

        let mut other = open(&folder.path().join("other"), Role::Writer).unwrap();
        other.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
        assert!(matches!(migrate(&mut other), Err(SqliteStoreError::Foreign(0))));
    }
}
