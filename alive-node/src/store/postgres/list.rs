//! Streams by the page. Each network is asked for a page of its own, and they are merged: there are few networks.

use alive_core::{
    AccountName, Network, StreamId, Timestamp,
    backend::{ListedStream, StreamMark, StreamOrder, StreamPage, StreamQuery},
};
use tokio_postgres::Row;

use super::{
    error::Failure,
    pool::Question,
    read::{info, info_columns, text, value},
    session::{Parameter, Session},
};

/// A question for some streams; its last parameter is how many.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT ",
            info_columns!(),
            ", a.name, s.link FROM streams s JOIN accounts a ON a.id = s.account WHERE ",
            $which
        )
    };
}

/// A mark before every stream: times and numbers end before.
const BEFORE_ALL: (i64, i64) = (i64::MAX, i64::MAX);

/// The networks that the store has come anywhere on.
pub(super) struct Networks;

impl Question for Networks {
    type Answer = Vec<Network>;

    async fn ask(&self, session: &Session) -> Result<Vec<Network>, Failure> {
        let sql = "SELECT name FROM networks WHERE last_num IS NOT NULL ORDER BY name";
        session.rows(sql, &[]).await?.iter().map(|row| text(row, 0)).collect()
    }
}

/// A page of streams, as of one moment.
pub(super) struct PageOf<'q>(pub(super) &'q StreamQuery);

impl Question for PageOf<'_> {
    type Answer = StreamPage;

    async fn ask(&self, session: &Session) -> Result<StreamPage, Failure> {
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let asked = self.0.network.as_ref().map(Network::as_str);
        let sql = "SELECT id, name FROM networks WHERE $1::text IS NULL OR name = $1";
        let mut found = Vec::new();
        for row in session.rows(sql, &[&asked]).await? {
            let (id, network) = (value(&row, 0)?, text(&row, 1)?);
            found.extend(Search { session, query: self.0, id, network }.run().await?);
        }
        session.run("COMMIT").await?;
        Ok(self.0.page(found))
    }
}

/// Finds the streams of one network.
struct Search<'s> {
    session: &'s Session,
    query: &'s StreamQuery,
    id: i64,
    network: Network,
}

impl Search<'_> {
    async fn run(&self) -> Result<Vec<ListedStream>, Failure> {
        let place = self.query.after.as_ref().map_or(BEFORE_ALL, |mark| self.behind(mark));
        match &self.query.order {
            StreamOrder::Author(author) => self.of_author(author, place).await,
            StreamOrder::AuthorPrefix(prefix) => self.of_prefix(prefix).await,
            StreamOrder::Live { since } => self.live(*since, place).await,
            StreamOrder::Newest => {
                let sql = select!(
                    "s.network = $1 AND (s.created, s.network_number) < ($2, $3)
                    ORDER BY s.created DESC, s.network_number DESC LIMIT $4"
                );
                self.select(sql, &[&self.id, &place.0, &place.1, &self.limit()]).await
            }
        }
    }

    async fn live(
        &self,
        since: Timestamp,
        (at, number): (i64, i64),
    ) -> Result<Vec<ListedStream>, Failure> {
        let sql = select!(
            "s.network = $1 AND NOT s.ended AND s.last_streamed >= $2
            AND (s.last_streamed, s.network_number) < ($3, $4)
            ORDER BY s.last_streamed DESC, s.network_number DESC LIMIT $5"
        );
        let since = since.as_unix_ms();
        self.select(sql, &[&self.id, &since, &at, &number, &self.limit()]).await
    }

    async fn of_author(
        &self,
        author: &AccountName,
        (at, number): (i64, i64),
    ) -> Result<Vec<ListedStream>, Failure> {
        let author = author.as_str();
        if author.contains('\0') {
            return Ok(Vec::new());
        }
        // Of one row, as the server knows then: the index gives the order, however many streams the author has.
        let sql = select!(
            "s.account = (SELECT id FROM accounts WHERE network = $1 AND name = $2)
            AND (s.created, s.network_number) < ($3, $4)
            ORDER BY s.created DESC, s.network_number DESC LIMIT $5"
        );
        self.select(sql, &[&self.id, &author, &at, &number, &self.limit()]).await
    }

    /// The rest of the author with whom the last page ended, then those behind.
    async fn of_prefix(&self, prefix: &str) -> Result<Vec<ListedStream>, Failure> {
        let mut found = Vec::new();
        let behind = match &self.query.after {
            Some(mark) if mark.account.as_str().starts_with(prefix) => {
                match self.network.cmp(&mark.network) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => {
                        found = self.of_author(&mark.account, self.behind(mark)).await?;
                    }
                    std::cmp::Ordering::Greater => {
                        found = self.of_author(&mark.account, BEFORE_ALL).await?;
                    }
                }
                mark.account.as_str()
            }
            // A mark of another prefix is before all of these or behind them.
            Some(mark) => mark.account.as_str(),
            // No name is empty.
            None => "",
        };
        // Longer than any name, of letters that no other comes behind.
        let all = || "\u{10ffff}".repeat(AccountName::MAX_LEN / 4 + 1);
        let end = StreamOrder::prefix_end(prefix).unwrap_or_else(all);
        if [prefix, behind, &end].iter().any(|text| text.contains('\0')) {
            return Ok(found);
        }
        let sql = select!(
            "a.network = $1 AND a.created > 0 AND a.name >= $2 AND a.name > $3 AND a.name < $4
            ORDER BY a.name, s.created DESC, s.network_number DESC LIMIT $5"
        );
        found.extend(self.select(sql, &[&self.id, &prefix, &behind, &end, &self.limit()]).await?);
        Ok(found)
    }

    /// The time and number that all of this network's streams behind a mark are less than.
    fn behind(&self, mark: &StreamMark) -> (i64, i64) {
        let number = i64::try_from(mark.id).unwrap_or(i64::MAX);
        // Of equal times and numbers, the networks decide.
        let next = i64::from(self.network > mark.network);
        (mark.at.as_unix_ms(), number.saturating_add(next))
    }

    /// One more than a page has, so that it is known whether there are more.
    fn limit(&self) -> i64 {
        i64::try_from(self.query.limit).unwrap_or(i64::MAX).saturating_add(1)
    }

    async fn select(
        &self,
        sql: &'static str,
        values: &[Parameter<'_>],
    ) -> Result<Vec<ListedStream>, Failure> {
        let rows = self.session.rows(sql, values).await?;
        rows.iter().map(|row| self.stream(row)).collect()
    }

    fn stream(&self, row: &Row) -> Result<ListedStream, Failure> {
        let id = StreamId::new(self.network.clone(), text(row, 14)?, text(row, 15)?);
        Ok(ListedStream { id, info: info(row)? })
    }
}
