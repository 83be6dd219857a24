//! Streams by the page. Each network is asked for a page of its own, and they are merged: a file knows few networks.

use alive_core::{
    Network, StreamId,
    backend::{ListedStream, StreamMark, StreamOrder, StreamPage, StreamQuery},
};
use rusqlite::{Row, ToSql, Transaction, types::Value};

use super::{Failure, read};

/// What a page needs of each stream; [`read::info`] reads the first 14.
const COLUMNS: &str =
    "s.number, s.network_number, s.created, s.last_updated, s.first_streamed, s.last_streamed,
    s.finalized, s.head, s.ended, s.storage, s.l2, s.live_key, s.gateway, s.also, a.name, s.link";

/// A mark before every stream: times and numbers end before.
const BEFORE_ALL: (i64, i64) = (i64::MAX, i64::MAX);

pub(super) fn networks(transaction: &Transaction<'_>) -> Result<Vec<Network>, Failure> {
    let mut select = transaction
        .prepare_cached("SELECT name FROM networks WHERE last_num IS NOT NULL ORDER BY name")?;
    let names = select.query_map((), |row| read::text(row, 0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

pub(super) fn streams(
    transaction: &Transaction<'_>,
    query: &StreamQuery,
) -> Result<StreamPage, Failure> {
    let mut select = transaction
        .prepare_cached("SELECT id, name FROM networks WHERE ?1 IS NULL OR name = ?1")?;
    let asked = query.network.as_ref().map(Network::as_str);
    let networks = select
        .query_map([asked], |row| Ok((row.get(0)?, read::text(row, 1)?)))?
        .collect::<Result<Vec<(i64, Network)>, _>>()?;
    let mut found = Vec::new();
    for (id, network) in networks {
        Search { transaction, query, id, network, found: &mut found }.run()?;
    }
    Ok(query.page(found))
}

/// Finds the streams of one network.
struct Search<'s> {
    transaction: &'s Transaction<'s>,
    query: &'s StreamQuery,
    id: i64,
    network: Network,
    found: &'s mut Vec<ListedStream>,
}

impl Search<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let (network, after) = (self.id, self.query.after.as_ref());
        let (at, number) = after.map_or(BEFORE_ALL, |mark| self.behind(mark));
        match &self.query.order {
            StreamOrder::Author(author) => self.of_author(author.as_str(), (at, number)),
            StreamOrder::AuthorPrefix(prefix) => self.of_prefix(prefix),
            StreamOrder::Live { since } => self.select(
                "s.network = ? AND s.ended = 0 AND s.last_streamed >= ?
                AND (s.last_streamed, s.network_number) < (?, ?)
                ORDER BY s.last_streamed DESC, s.network_number DESC",
                &[&network, &since.as_unix_ms(), &at, &number],
            ),
            StreamOrder::Newest => self.select(
                "s.network = ? AND (s.created, s.network_number) < (?, ?)
                ORDER BY s.created DESC, s.network_number DESC",
                &[&network, &at, &number],
            ),
        }
    }

    fn of_author(&mut self, author: &str, (at, number): (i64, i64)) -> Result<(), Failure> {
        let network = self.id;
        self.select(
            "a.network = ? AND a.name = ? AND (s.created, s.network_number) < (?, ?)
            ORDER BY s.created DESC, s.network_number DESC",
            &[&network, &author, &at, &number],
        )
    }

    /// The rest of the author with whom the last page ended, then those behind.
    fn of_prefix(&mut self, prefix: &str) -> Result<(), Failure> {
        // Without an end, a blob: it comes behind every text.
        let end = StreamOrder::prefix_end(prefix).map_or(Value::Blob(Vec::new()), Value::Text);
        let network = self.id;
        let behind = match &self.query.after {
            Some(mark) if mark.account.as_str().starts_with(prefix) => {
                let author = mark.account.as_str();
                match self.network.cmp(&mark.network) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => self.of_author(author, self.behind(mark))?,
                    std::cmp::Ordering::Greater => self.of_author(author, BEFORE_ALL)?,
                }
                author
            }
            // A mark of another prefix is before all of these or behind them.
            Some(mark) => mark.account.as_str(),
            // No name is empty.
            None => "",
        };
        self.select(
            "a.network = ? AND a.created > 0 AND a.name >= ? AND a.name > ? AND a.name < ?
            ORDER BY a.name, s.created DESC, s.network_number DESC",
            &[&network, &prefix, &behind, &end],
        )
    }

    /// The time and number that all of this network's streams behind a mark are less than.
    fn behind(&self, mark: &StreamMark) -> (i64, i64) {
        let number = i64::try_from(mark.id).unwrap_or(i64::MAX);
        // Of equal times and numbers, the networks decide.
        let next = i64::from(self.network > mark.network);
        (mark.at.as_unix_ms(), number.saturating_add(next))
    }

    /// One more than a page has, so that it is known whether there are more.
    fn select(&mut self, which: &str, values: &[&dyn ToSql]) -> Result<(), Failure> {
        let limit = i64::try_from(self.query.limit).unwrap_or(i64::MAX).saturating_add(1);
        let values = &[values, &[&limit]].concat()[..];
        let sql = format!(
            "SELECT {COLUMNS} FROM streams s JOIN accounts a ON a.id = s.account WHERE {which} LIMIT ?"
        );
        #[cfg(test)]
        tests::check_plan(self.transaction, &sql, values);
        let mut select = self.transaction.prepare_cached(&sql)?;
        let rows = select.query_map(values, |row| self.stream(row))?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        self.found.extend(rows);
        Ok(())
    }

    fn stream(&self, row: &Row<'_>) -> rusqlite::Result<ListedStream> {
        let id = StreamId::new(self.network.clone(), read::text(row, 14)?, read::text(row, 15)?);
        Ok(ListedStream { id, info: read::info(row)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every question goes through indexes alone: nothing is sorted, no table is read from end to end. The suite of
    /// stores asks every kind.
    pub(super) fn check_plan(transaction: &Transaction<'_>, sql: &str, values: &[&dyn ToSql]) {
        let mut explain = transaction.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = explain.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        let steps = steps.collect::<Result<Vec<_>, _>>().unwrap();
        let indexed = |step: &String| step.starts_with("SEARCH ") && step.contains(" USING ");
        assert!(steps.iter().all(indexed), "{sql}: {steps:#?}");
        let bounded = steps.iter().any(|step| step.contains("name>? AND name<?"));
        assert_eq!(bounded, sql.contains("a.name < ?"), "{sql}: {steps:#?}");
    }
}
