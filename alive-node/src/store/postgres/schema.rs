//! The tables, and how an older schema becomes one of today.

use super::{
    config::PostgresStoreConfig,
    error::{Failure, PostgresStoreError},
    lock_key,
    pool::Question,
    read::value,
    session::Session,
};

/// A step from one version of the schema to the next. A released step never changes.
struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// All steps; the version of a schema is how many of them it has taken.
const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "streams of any number of networks",
        sql: include_str!("migrations/1_streams.sql"),
    },
    Migration {
        name: "initialisation sections of segments",
        sql: include_str!("migrations/2_sections.sql"),
    },
];

/// Brings a schema up to date, whole or not at all. Of processes that start together, one does it and the others wait; a
/// process without the right to write finds a schema that is up to date, or fails.
pub(super) struct Migrate<'q>(pub(super) &'q PostgresStoreConfig);

impl Question for Migrate<'_> {
    type Answer = ();

    async fn ask(&self, session: &Session) -> Result<(), Failure> {
        migrate(session, self.0).await
    }
}

async fn migrate(session: &Session, config: &PostgresStoreConfig) -> Result<(), Failure> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if version(session, &config.schema).await? == known {
        return Ok(());
    }
    session.run("BEGIN; SET LOCAL lock_timeout = 0").await?;
    let key = lock_key(&config.schema, "migrations");
    session.rows("SELECT pg_advisory_xact_lock($1)", &[&key]).await?;
    let found = version(session, &config.schema).await?;
    if found == 0 {
        session.run(&format!("CREATE SCHEMA IF NOT EXISTS {}", config.schema)).await?;
        session
            .run("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, name text NOT NULL)")
            .await?;
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(found as usize) {
        session.run(migration.sql).await?;
        let insert = "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)";
        session.rows(insert, &[&version, &migration.name]).await?;
        tracing::info!(version, name = migration.name, "schema migrated");
    }
    session.run("COMMIT").await?;
    Ok(())
}

/// The version of a schema, 0 for one that is absent or empty.
async fn version(session: &Session, schema: &str) -> Result<u32, Failure> {
    let tables = "SELECT count(*), count(*) FILTER (WHERE tablename = 'schema_migrations')
        FROM pg_catalog.pg_tables WHERE schemaname = $1";
    let Some(row) = session.row(tables, &[&schema]).await? else { return Ok(0) };
    let (all, ours): (i64, i64) = (value(&row, 0)?, value(&row, 1)?);
    if ours == 0 {
        let foreign = || PostgresStoreError::Foreign(schema.into()).into();
        return if all == 0 { Ok(0) } else { Err(foreign()) };
    }
    let row = session.row("SELECT max(version) FROM schema_migrations", &[]).await?;
    let found = row.map(|row| value::<Option<i64>>(&row, 0)).transpose()?.flatten().unwrap_or(0);
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(PostgresStoreError::Newer { found, known }.into());
    }
    Ok(found)
}
