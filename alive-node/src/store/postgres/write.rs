//! Steps of an indexer, each one transaction on the session that holds the network's lock.

use std::collections::HashMap;

use alive_core::{
    AccountName, BlockChanges, ContentId, GatewayUrl, LiveKey, LiveLayer, Network, Pushed, Quality,
    SegmentDuration, Seq, StreamInfo, StreamKey, Timestamp,
    backend::{BlockRef, Commit},
};
use futures_util::future::{try_join, try_join3};

use super::{
    error::{Failure, PostgresStoreError},
    outcome::Outcome,
    read::{text, unreadable, unsigned, value},
    session::{Parameter, Session},
};
use crate::news::News;
use crate::store::sections;

/// How many steps are kept for processes that were away.
const NEWS: i64 = 1024;

/// Rows of one statement: enough that its round trip costs nothing, few enough that its text stays small.
const ROWS: usize = 16_384;

/// Where a leader writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'w> {
    pub(super) session: &'w Session,
    pub(super) network: &'w Network,
    /// The network's row.
    pub(super) row: i64,
    /// The term in which the session leads.
    pub(super) term: i64,
    /// The channel to tell on, where the server has such.
    pub(super) channel: Option<&'w str>,
}

impl Place<'_> {
    /// Takes a step, whole or not at all. After [`Failure::Order`] the session is as before, after any other failure it is
    /// of no more use.
    pub(super) async fn commit(&self, step: &Commit) -> Result<(), Failure> {
        let done = match step {
            Commit::Apply { blocks, irreversible } => self.apply(step, blocks, *irreversible).await,
            Commit::Undo(block) => self.undo(step, block).await,
        };
        match done {
            Ok(()) => self.session.run("COMMIT").await?,
            Err(Failure::Order { .. }) => self.session.run("ROLLBACK").await?,
            Err(_) => {}
        }
        done
    }

    async fn apply(
        &self,
        step: &Commit,
        blocks: &[BlockChanges],
        irreversible: u64,
    ) -> Result<(), Failure> {
        let before = self.begin().await?;
        follows(before.last.as_ref(), blocks)?;
        let irreversible = irreversible.max(before.irreversible);
        let outcome = Outcome::of(blocks);
        self.write(&outcome).await?;
        let kept = blocks.iter().filter(|block| block.at.num > irreversible);
        self.keep_undo(kept).await?;
        self.drop_undo(irreversible).await?;
        let last = blocks.last().map(|block| &block.at);
        self.finish(step, before, last, irreversible, outcome.created).await
    }

    async fn undo(&self, step: &Commit, block: &BlockChanges) -> Result<(), Failure> {
        let before = self.begin().await?;
        let got = block.at.num;
        if before.last.as_ref() != Some(&block.at) || !self.take_undo(got).await? {
            return Err(Failure::Order { got });
        }
        let outcome = Outcome::of([block]);
        self.write(&outcome).await?;
        if !block.new_accounts.is_empty() {
            let names: Vec<&str> = block.new_accounts.iter().map(AccountName::as_str).collect();
            let delete = "DELETE FROM accounts WHERE network = $1 AND name = ANY ($2)";
            self.execute(delete, &[&self.row, &names]).await?;
        }
        let irreversible = before.irreversible;
        self.finish(step, before, Some(&block.previous), irreversible, outcome.created).await
    }

    /// Opens the transaction, and holds the network's row until its end. Whoever leads a later term has counted it up in
    /// that row: so nothing is written by one who lost the lock and does not know.
    async fn begin(&self) -> Result<Before, Failure> {
        let lock = "SELECT last_num, last_id, irreversible, term, version FROM networks
            WHERE id = $1 FOR UPDATE";
        let lock = self.session.prepare(lock).await?;
        let begin = self.session.run("BEGIN ISOLATION LEVEL READ COMMITTED");
        let ((), rows) = try_join(begin, self.session.query(&lock, &[&self.row])).await?;
        let row = rows.first().filter(|row| row.try_get(3).ok() == Some(self.term));
        let Some(row) = row else {
            return Err(PostgresStoreError::NotLeader(self.network.clone()).into());
        };
        let last = match value::<Option<i64>>(row, 0)? {
            None => None,
            Some(_) => Some(BlockRef { num: unsigned(row, 0)?, id: text(row, 1)? }),
        };
        Ok(Before { last, irreversible: unsigned(row, 2)?, version: value(row, 4)? })
    }

    async fn write(&self, outcome: &Outcome<'_>) -> Result<(), Failure> {
        self.remove_streams(outcome).await?;
        let accounts = self.write_accounts(outcome).await?;
        let streams = self.write_streams(outcome, &accounts).await?;
        self.remove_pushes(outcome, &streams).await?;
        self.write_pushes(outcome, &streams).await
    }

    /// Removes streams that are gone, or were gone in between, and their pushes.
    async fn remove_streams(&self, outcome: &Outcome<'_>) -> Result<(), Failure> {
        let gone = outcome.streams.iter().filter(|(_, touched)| touched.removed);
        let (accounts, links): (Vec<&str>, Vec<&str>) =
            gone.map(|(key, _)| (key.account.as_str(), key.link.as_str())).unzip();
        if links.is_empty() {
            return Ok(());
        }
        let find = "SELECT s.id FROM unnest($2::text[], $3::text[]) AS gone (account, link)
            JOIN accounts a ON a.network = $1 AND a.name = gone.account
            JOIN streams s ON s.account = a.id AND s.link = gone.link";
        let rows = self.session.rows(find, &[&self.row, &accounts, &links]).await?;
        let ids = rows.iter().map(|row| value(row, 0)).collect::<Result<Vec<i64>, _>>()?;
        self.execute("DELETE FROM pushes WHERE stream = ANY ($1)", &[&ids]).await?;
        self.execute("DELETE FROM streams WHERE id = ANY ($1)", &[&ids]).await?;
        Ok(())
    }

    /// Makes accounts that are absent, counts their streams, and gives their rows.
    async fn write_accounts<'s>(
        &self,
        outcome: &Outcome<'s>,
    ) -> Result<HashMap<&'s str, i64>, Failure> {
        let mut rows = HashMap::with_capacity(outcome.accounts.len());
        let all: Vec<(&str, i64)> =
            outcome.accounts.iter().map(|(name, created)| (name.as_str(), *created)).collect();
        for part in all.chunks(ROWS) {
            let (names, created): (Vec<&str>, Vec<i64>) = part.iter().copied().unzip();
            let upsert = "INSERT INTO accounts AS a (network, name, created)
                SELECT $1, u.name, greatest(u.created, 0)
                FROM unnest($2::text[], $3::bigint[]) AS u (name, created)
                LEFT JOIN accounts known ON known.network = $1 AND known.name = u.name
                WHERE known.id IS NULL OR u.created <> 0
                ON CONFLICT (network, name)
                DO UPDATE SET created = greatest(a.created + excluded.created, 0)";
            // A count that falls is no row to insert.
            let fall = "UPDATE accounts a SET created = greatest(a.created + u.created, 0)
                FROM unnest($2::text[], $3::bigint[]) AS u (name, created)
                WHERE a.network = $1 AND a.name = u.name AND u.created < 0";
            let select = "SELECT id, name FROM accounts WHERE network = $1 AND name = ANY ($2)";
            let parameters: &[Parameter<'_>] = &[&self.row, &names, &created];
            if created.iter().any(|created| *created < 0) {
                self.execute(fall, parameters).await?;
            } else {
                self.execute(upsert, parameters).await?;
            }
            let known: HashMap<&str, &str> = names.iter().map(|name| (*name, *name)).collect();
            for row in self.session.rows(select, &[&self.row, &names]).await? {
                if let Some(name) = known.get(value::<&str>(&row, 1)?) {
                    rows.insert(*name, value(&row, 0)?);
                }
            }
        }
        Ok(rows)
    }

    /// Writes the states of streams, and gives their rows.
    async fn write_streams<'s>(
        &self,
        outcome: &Outcome<'s>,
        accounts: &HashMap<&str, i64>,
    ) -> Result<HashMap<&'s StreamKey, i64>, Failure> {
        let mut ids = HashMap::with_capacity(outcome.streams.len());
        let all: Vec<(&StreamKey, &StreamInfo)> =
            outcome.streams.iter().filter_map(|(key, to)| Some((*key, to.info?))).collect();
        for part in all.chunks(ROWS) {
            let mut rows = StreamRows::default();
            let mut keys = HashMap::with_capacity(part.len());
            for (key, info) in part {
                let Some(&account) = accounts.get(key.account.as_str()) else {
                    return Err(unreadable("an account that was just written is absent".into()));
                };
                keys.insert((account, key.link.as_str()), *key);
                rows.add(account, key, info);
            }
            let parameters = rows.parameters(&self.row);
            for row in self.session.rows(StreamRows::UPSERT, &parameters).await? {
                let at = (value(&row, 1)?, value::<&str>(&row, 2)?);
                if let Some(key) = keys.get(&at) {
                    ids.insert(*key, value(&row, 0)?);
                }
            }
        }
        Ok(ids)
    }

    /// Removes pushes that were taken back.
    async fn remove_pushes(
        &self,
        outcome: &Outcome<'_>,
        ids: &HashMap<&StreamKey, i64>,
    ) -> Result<(), Failure> {
        let gone = pushes(outcome, ids).filter(|(_, _, pushed)| pushed.is_none());
        let (streams, seqs): (Vec<i64>, Vec<i32>) =
            gone.map(|(stream, seq, _)| (stream, i32::from(seq.as_u16()))).unzip();
        if !streams.is_empty() {
            let delete = "DELETE FROM pushes p
                USING unnest($1::bigint[], $2::integer[]) AS gone (stream, seq)
                WHERE p.stream = gone.stream AND p.seq = gone.seq";
            self.execute(delete, &[&streams, &seqs]).await?;
        }
        Ok(())
    }

    async fn write_pushes(
        &self,
        outcome: &Outcome<'_>,
        ids: &HashMap<&StreamKey, i64>,
    ) -> Result<(), Failure> {
        let written = pushes(outcome, ids);
        let written: Vec<(i64, Seq, &Pushed)> =
            written.filter_map(|(stream, seq, pushed)| Some((stream, seq, pushed?))).collect();
        for part in written.chunks(ROWS) {
            let mut rows = PushRows::default();
            for (stream, seq, pushed) in part {
                rows.add(*stream, *seq, pushed);
            }
            self.execute(PushRows::UPSERT, &rows.parameters()).await?;
        }
        Ok(())
    }

    async fn keep_undo(&self, blocks: impl Iterator<Item = &BlockChanges>) -> Result<(), Failure> {
        let (mut nums, mut texts) = (Vec::new(), Vec::new());
        for block in blocks {
            nums.push(signed(block.at.num));
            texts.push(serde_json::to_vec(block).map_err(|error| unreadable(error.into()))?);
        }
        if !nums.is_empty() {
            let insert = "INSERT INTO undo (network, num, changes)
                SELECT $1, u.num, u.changes FROM unnest($2::bigint[], $3::bytea[]) AS u (num, changes)";
            self.execute(insert, &[&self.row, &nums, &texts]).await?;
        }
        Ok(())
    }

    async fn drop_undo(&self, irreversible: u64) -> Result<(), Failure> {
        let delete = "DELETE FROM undo WHERE network = $1 AND num <= $2";
        self.execute(delete, &[&self.row, &signed(irreversible)]).await?;
        Ok(())
    }

    /// Removes the undo data of a block; whether there was any.
    async fn take_undo(&self, num: u64) -> Result<bool, Failure> {
        let delete = "DELETE FROM undo WHERE network = $1 AND num = $2";
        Ok(self.execute(delete, &[&self.row, &signed(num)]).await? == 1)
    }

    /// Writes the cursor, and what the step tells.
    async fn finish(
        &self,
        step: &Commit,
        before: Before,
        last: Option<&BlockRef>,
        irreversible: u64,
        created: i64,
    ) -> Result<(), Failure> {
        let news = News::of(step);
        let version = before.version + i64::from(!news.is_empty());
        let last = last.or(before.last.as_ref());
        let (num, id) = (last.map(|last| signed(last.num)), last.map(|last| last.id.as_str()));
        let update = "UPDATE networks SET last_num = $2, last_id = $3, irreversible = $4,
            created = greatest(created + $5, 0), version = $6 WHERE id = $1";
        let irreversible = signed(irreversible);
        let parameters: &[Parameter<'_>] =
            &[&self.row, &num, &id, &irreversible, &created, &version];
        self.execute(update, parameters).await?;
        if news.is_empty() {
            return Ok(());
        }
        let told = serde_json::to_vec(&news).map_err(|error| unreadable(error.into()))?;
        let insert = "INSERT INTO news (network, version, told) VALUES ($1, $2, $3)";
        let delete = "DELETE FROM news WHERE network = $1 AND version <= $2";
        let tell = async {
            match &self.channel {
                None => Ok(()),
                Some(channel) => {
                    self.session.rows("SELECT pg_notify($1, '')", &[channel]).await.map(drop)
                }
            }
        };
        try_join3(
            self.execute(insert, &[&self.row, &version, &told]),
            self.execute(delete, &[&self.row, &(version - NEWS)]),
            async { Ok(tell.await?) },
        )
        .await?;
        Ok(())
    }

    async fn execute(
        &self,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, Failure> {
        let statement = self.session.prepare(sql).await?;
        Ok(self.session.execute(&statement, parameters).await?)
    }
}

/// How far the network was.
#[derive(Debug)]
struct Before {
    last: Option<BlockRef>,
    irreversible: u64,
    version: i64,
}

/// Checks that the blocks follow the last one and each other.
fn follows(last: Option<&BlockRef>, blocks: &[BlockChanges]) -> Result<(), Failure> {
    let mut last = last;
    for block in blocks {
        // The tables count to 2^63 only; no chain does.
        let fits = i64::try_from(block.at.num).is_ok();
        if !fits || last.is_some_and(|last| *last != block.previous) {
            return Err(Failure::Order { got: block.at.num });
        }
        last = Some(&block.at);
    }
    Ok(())
}

/// What the pushes of streams that are there come to.
fn pushes<'o, 's>(
    outcome: &'o Outcome<'s>,
    ids: &'o HashMap<&StreamKey, i64>,
) -> impl Iterator<Item = (i64, Seq, Option<&'s Pushed>)> + 'o {
    let of_streams = outcome.streams.iter().filter_map(|(key, to)| Some((*ids.get(*key)?, to)));
    of_streams
        .flat_map(|(stream, to)| to.pushes.iter().map(move |(seq, pushed)| (stream, *seq, *pushed)))
}

/// Columns of streams.
#[derive(Debug, Default)]
struct StreamRows<'s> {
    accounts: Vec<i64>,
    links: Vec<&'s str>,
    numbers: Vec<i64>,
    network_numbers: Vec<i64>,
    created: Vec<i64>,
    last_updated: Vec<i64>,
    first_streamed: Vec<Option<i64>>,
    last_streamed: Vec<Option<i64>>,
    finalized: Vec<Option<i32>>,
    head: Vec<Option<i32>>,
    ended: Vec<bool>,
    storage: Vec<String>,
    l2: Vec<Option<&'s str>>,
    live_keys: Vec<Option<&'s str>>,
    gateways: Vec<Option<&'s str>>,
    also: Vec<String>,
}

impl<'s> StreamRows<'s> {
    /// What is fixed at creation stays.
    const UPSERT: &'static str =
        "INSERT INTO streams (network, account, link, number, network_number, created, last_updated,
            first_streamed, last_streamed, finalized, head, ended, storage, l2, live_key, gateway,
            also)
        SELECT $17, u.* FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
            $6::bigint[], $7::bigint[], $8::bigint[], $9::integer[], $10::integer[], $11::boolean[],
            $12::text[], $13::text[], $14::text[], $15::text[], $16::text[]) AS u
        ON CONFLICT (account, link) DO UPDATE SET last_updated = excluded.last_updated,
            first_streamed = excluded.first_streamed, last_streamed = excluded.last_streamed,
            finalized = excluded.finalized, head = excluded.head, ended = excluded.ended,
            l2 = excluded.l2, live_key = excluded.live_key, gateway = excluded.gateway,
            also = excluded.also
        RETURNING id, account, link";

    fn add(&mut self, account: i64, key: &'s StreamKey, info: &'s StreamInfo) {
        let settings = &*info.settings;
        self.accounts.push(account);
        self.links.push(key.link.as_str());
        self.numbers.push(info.number.into());
        self.network_numbers.push(signed(info.id));
        self.created.push(info.created.as_unix_ms());
        self.last_updated.push(info.last_updated.as_unix_ms());
        self.first_streamed.push(info.first_streamed.map(Timestamp::as_unix_ms));
        self.last_streamed.push(info.last_streamed.map(Timestamp::as_unix_ms));
        self.finalized.push(info.finalized.map(|seq| seq.as_u16().into()));
        self.head.push(info.head.map(|seq| seq.as_u16().into()));
        self.ended.push(info.ended);
        self.storage.push(settings.storage.to_string());
        self.l2.push(settings.l2.map(LiveLayer::as_str));
        self.live_keys.push(settings.live_key.as_ref().map(LiveKey::as_str));
        self.gateways.push(settings.gateway.as_ref().map(GatewayUrl::as_str));
        self.also.push(settings.also.to_string());
    }

    fn parameters<'r>(&'r self, network: &'r i64) -> [Parameter<'r>; 17] {
        [
            &self.accounts,
            &self.links,
            &self.numbers,
            &self.network_numbers,
            &self.created,
            &self.last_updated,
            &self.first_streamed,
            &self.last_streamed,
            &self.finalized,
            &self.head,
            &self.ended,
            &self.storage,
            &self.l2,
            &self.live_keys,
            &self.gateways,
            &self.also,
            network,
        ]
    }
}

/// Columns of pushes.
#[derive(Debug, Default)]
struct PushRows<'s> {
    streams: Vec<i64>,
    seqs: Vec<i32>,
    src: Vec<&'s str>,
    len: Vec<Option<i64>>,
    discontinuity: Vec<bool>,
    renditions: [Vec<Option<&'s str>>; 4],
    sections: Vec<Option<String>>,
}

impl<'s> PushRows<'s> {
    const UPSERT: &'static str = "INSERT INTO pushes
            (stream, seq, src, len, discontinuity, p240, p480, p720, p1080, sections)
        SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::bigint[], $5::boolean[],
            $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
        ON CONFLICT (stream, seq) DO UPDATE SET src = excluded.src, len = excluded.len,
            discontinuity = excluded.discontinuity, p240 = excluded.p240, p480 = excluded.p480,
            p720 = excluded.p720, p1080 = excluded.p1080, sections = excluded.sections";

    fn add(&mut self, stream: i64, seq: Seq, pushed: &'s Pushed) {
        self.streams.push(stream);
        self.seqs.push(seq.as_u16().into());
        self.src.push(pushed.src.as_str());
        self.len.push(pushed.len.map(|len| signed(SegmentDuration::as_micros(len))));
        self.discontinuity.push(pushed.discontinuity);
        for (column, quality) in self.renditions.iter_mut().zip(Quality::TRANSCODED) {
            column.push(pushed.content(quality).map(ContentId::as_str));
        }
        self.sections.push(sections::to_text(&pushed.renditions));
    }

    fn parameters(&self) -> [Parameter<'_>; 10] {
        let [p240, p480, p720, p1080] = &self.renditions;
        [
            &self.streams,
            &self.seqs,
            &self.src,
            &self.len,
            &self.discontinuity,
            p240,
            p480,
            p720,
            p1080,
            &self.sections,
        ]
    }
}

/// Block numbers are checked when they come; counts stay far below.
fn signed(number: impl Into<u64>) -> i64 {
    i64::try_from(number.into()).unwrap_or(i64::MAX)
}
