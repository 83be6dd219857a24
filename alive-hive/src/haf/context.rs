//! Our context in HAF: [`prepare`] makes it, [`look`] tells where it is.

use super::{
    config::HafBlockSourceConfig,
    error::HafError,
    read::block_id,
    session::{Session, column},
};
use alive_core::backend::BlockId;

/// What HAF's log calls a massive range that took too long.
const MASSIVE_ALARM: &str = "20 seconds";

/// Sees that the context is there, and creates it with its schema if not. Several processes may do so at once.
pub(super) async fn prepare(
    session: &Session,
    config: &HafBlockSourceConfig,
) -> Result<(), HafError> {
    let HafBlockSourceConfig { context, schema, .. } = config;
    let is_haf =
        "SELECT to_regnamespace('hive') IS NOT NULL AND to_regnamespace('hafd') IS NOT NULL";
    if !is_true(session, "HAF was looked for", is_haf).await? {
        return Err(HafError::NoHaf);
    }
    let exists = format!("SELECT hive.app_context_exists('{context}')");
    if !is_true(session, "the context was looked for", &exists).await? {
        create(session, config, &exists).await?;
    }
    let views = format!("SELECT to_regclass('{schema}.blocks_view') IS NOT NULL");
    if is_true(session, "the context's views were looked for", &views).await? {
        Ok(())
    } else {
        Err(HafError::ForeignSchema { context: context.clone(), schema: schema.clone() })
    }
}

async fn create(
    session: &Session,
    config: &HafBlockSourceConfig,
    exists: &str,
) -> Result<(), HafError> {
    let HafBlockSourceConfig { context, schema, batch, massive_distance, .. } = config;
    let what = "the context was created";
    session.run(what, "BEGIN").await?;
    // Whoever comes second waits here, and then sees what the first one made.
    let lock = format!("SELECT pg_advisory_xact_lock(hashtext('alive.haf.{context}'))");
    session.run(what, &lock).await?;
    if !is_true(session, what, exists).await? {
        // Asked first, because IF NOT EXISTS needs the right to create one even where there is one.
        let there = format!("SELECT to_regnamespace('{schema}') IS NOT NULL");
        if !is_true(session, what, &there).await? {
            session.run(what, &format!("CREATE SCHEMA {schema}")).await?;
        }
        let create = format!(
            "SELECT hive.app_create_context('{context}', _schema => '{schema}', \
             _stages => ARRAY[hive.stage('massive', {massive_distance}, {batch}, '{MASSIVE_ALARM}'), \
             hafd.live_stage()], _is_forking => FALSE)"
        );
        session.run(what, &create).await?;
        tracing::info!(%context, %schema, "created a context in HAF");
    }
    session.run(what, "COMMIT").await
}

async fn is_true(session: &Session, what: &'static str, sql: &str) -> Result<bool, HafError> {
    Ok(session.value(what, sql).await?.as_deref() == Some("t"))
}

/// Where HAF and its context are.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// The last block that the context has handed out for good.
    pub(super) current: u32,
    /// The last irreversible block of HAF.
    pub(super) irreversible: u32,
    /// The id that HAF gives to the block that was asked about, if it can tell.
    pub(super) id: Option<BlockId>,
}

/// Looks where HAF is, and which id its block `num` has. A pruned HAF tells by the block after it.
pub(super) async fn look(session: &Session, context: &str, num: u32) -> Result<Look, HafError> {
    let sql = format!(
        "SELECT hive.app_get_current_block_num('{context}'::hafd.context_name)::bigint, \
         hive.app_get_irreversible_block()::bigint, \
         COALESCE((SELECT hash FROM hive.blocks_view WHERE num = $1::bigint), \
                  (SELECT prev FROM hive.blocks_view WHERE num = $1::bigint + 1))"
    );
    let want = "where the context and the irreversible block are";
    let mut look = None;
    session
        .rows("it was asked where it is", &sql, &[&i64::from(num)], |row| {
            let number = |index| -> Result<u32, HafError> {
                let number = column::<Option<i64>>(row, index, want)?.unwrap_or(0);
                u32::try_from(number).map_err(|_| HafError::Answer(want))
            };
            let id = column::<Option<&[u8]>>(row, 2, want)?.map(block_id).transpose()?;
            look = Some(Look { current: number(0)?, irreversible: number(1)?, id });
            Ok(true)
        })
        .await?;
    look.ok_or(HafError::Answer(want))
}
