//! Chunks that were read, in the same file.

use alive_core::{ContentId, backend::StoreError};
use bytes::Bytes;
use rusqlite::{OptionalExtension as _, Transaction};
use sha2::{Digest as _, Sha256};

use super::{Failure, SqliteStore};
use crate::store::ChunkCache;

impl ChunkCache for SqliteStore {
    async fn load(&self, ids: &[ContentId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let ids: Vec<ContentId> = ids.to_vec();
        self.read(move |transaction| ids.iter().map(|id| find(transaction, id)).collect()).await
    }

    async fn keep(&self, id: &ContentId, csv: Bytes) -> Result<(), StoreError> {
        let (id, max) = (*id, self.max_chunks);
        self.write(move |transaction| insert(transaction, &id, &csv, max)).await
    }
}

/// A chunk; one whose bytes have changed since is absent.
fn find(transaction: &Transaction<'_>, id: &ContentId) -> Result<Option<Bytes>, Failure> {
    let mut select = transaction.prepare_cached("SELECT csv, sum FROM chunks WHERE content = ?")?;
    let found = select.query_row([id.canonical().as_str()], |row| {
        let (csv, sum) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
        Ok((*Sha256::digest(csv) == *sum).then(|| Bytes::copy_from_slice(csv)))
    });
    Ok(found.optional()?.flatten())
}

/// A chunk that is here is written anew: its bytes may have been damaged.
fn insert(
    transaction: &Transaction<'_>,
    id: &ContentId,
    csv: &[u8],
    max: u32,
) -> Result<(), Failure> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO chunks (content, csv, sum) VALUES (?, ?, ?)")?
        .execute((id.canonical().as_str(), csv, &*Sha256::digest(csv)))?;
    let oldest = transaction.last_insert_rowid() - i64::from(max);
    transaction.prepare_cached("DELETE FROM chunks WHERE id <= ?")?.execute([oldest])?;
    Ok(())
}
