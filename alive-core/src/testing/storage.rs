//! The promises of [`Storage`].

use bytes::Bytes;
use cid::Cid;
use data_encoding::BASE64URL_NOPAD;
use futures_util::{FutureExt as _, future};
use multihash::Multihash;

use crate::{
    backend::{Storage, StorageError},
    content::ContentId,
};

use super::{Dice, ok};

/// Sizes at which importers change their ways: nothing, one byte, a chunk of the protocol, one block of a file and one
/// byte more, several blocks.
const SIZES: [usize; 6] = [0, 1, 4200, 256 << 10, (256 << 10) + 1, 1_000_003];

/// Checks every promise of a [`Storage`]. It stores some 2 MB of content that it does not remove.
///
/// # Panics
/// The storage breaks a promise; the message says which.
pub async fn storage(store: &impl Storage) {
    for len in SIZES {
        round_trip(store, &content(1, len)).await;
    }
    let (a, b) = (content(2, 1000), content(3, 1000));
    let id_a = ok(store.put(a.clone()).await, "put must take content");
    let id_b = ok(store.put(b.clone()).await, "put must take content");
    assert_ne!(id_a, id_b, "different content must get different ids");
    absent(store, &absent_id(&id_a)).await;
    pinned(store, &id_a, &a).await;
    concurrent(store).await;
    dropped(store).await;
    assert_eq!(read(store, &id_b).await, b, "content must stay as it is while other content comes");
}

/// Checks that what was put is there after closing and opening again. `open` opens the same storage each time; the one
/// before is dropped by then.
///
/// # Panics
/// Content is lost or changed, or [`storage`] would panic.
pub async fn storage_survives<S: Storage>(open: impl AsyncFn() -> S) {
    let mut kept = Vec::new();
    for (seed, len) in (50..).zip(SIZES) {
        let data = content(seed, len);
        let store = open().await;
        kept.push((ok(store.put(data.clone()).await, "put must take content"), data));
    }
    let store = open().await;
    for (id, data) in &kept {
        assert!(ok(store.has(id).await, "has must answer"), "{id} must be here after reopening");
        assert_eq!(read(&store, id).await, data, "{id} must be the same after reopening");
    }
    storage(&store).await;
}

/// Checks that damaged content is never given out and that storing it again heals it. `damage` changes some byte of what
/// the storage holds under an id, or removes part of it.
///
/// # Panics
/// Damaged content is given out, or does not heal.
pub async fn storage_heals<S: Storage>(store: &S, damage: impl AsyncFn(&S, &ContentId)) {
    for (seed, len) in (60..).zip(SIZES).filter(|&(_, len)| len > 0) {
        let data = content(seed, len);
        let id = ok(store.put(data.clone()).await, "put must take content");
        damage(store, &id).await;
        match store.get(&id, usize::MAX).await {
            Err(StorageError::Corrupt { id: named, .. } | StorageError::NotFound(named)) => {
                assert_eq!(named, id, "an error must name the content that was asked for");
            }
            other => {
                panic!("damaged content must be corrupt or not found, it was {}", tell(&other))
            }
        }
        let again = ok(store.put(data.clone()).await, "put must take damaged content again");
        assert_eq!(again, id, "storing content again must give the same id");
        assert_eq!(read(store, &id).await, data, "storing damaged content again must heal it");
    }
}

async fn round_trip(store: &impl Storage, data: &Bytes) {
    let len = data.len();
    let id = ok(store.put(data.clone()).await, &format!("put must take {len} bytes"));
    assert!(ok(store.has(&id).await, "has must answer"), "content just put must be here");
    assert_eq!(read(store, &id).await, data, "get must give the {len} bytes that were put");
    let whole = store.get(&id, len).await;
    assert_eq!(ok(whole, "a limit of just the size must do"), data, "get must give what was put");
    let again = ok(store.put(data.clone()).await, "putting the same content again is no error");
    assert_eq!(again, id, "the same content must get the same id");
    let Some(limit) = len.checked_sub(1) else { return };
    for limit in [limit, 0] {
        match store.get(&id, limit).await {
            Err(StorageError::TooLarge { id: named, limit: told }) => {
                assert_eq!((named, told), (id, limit), "the error must name content and limit");
            }
            other => panic!(
                "{len} bytes with a limit of {limit} must be TooLarge, it was {}",
                tell(&other)
            ),
        }
    }
}

async fn absent(store: &impl Storage, id: &ContentId) {
    assert!(!ok(store.has(id).await, "has must answer"), "content never put must not be here");
    match store.get(id, usize::MAX).await {
        Err(StorageError::NotFound(named)) => assert_eq!(named, *id, "the error must name the id"),
        other => panic!("getting content never put must be NotFound, it was {}", tell(&other)),
    }
    match store.pin(id).await {
        Err(StorageError::NotFound(named)) => assert_eq!(named, *id, "the error must name the id"),
        other => panic!("pinning content never put must be NotFound, it was {other:?}"),
    }
}

async fn pinned(store: &impl Storage, id: &ContentId, data: &Bytes) {
    ok(store.pin(id).await, "content that is here can be pinned");
    ok(store.pin(id).await, "pinning twice is no error");
    assert_eq!(read(store, id).await, data, "pinning must not change content");
}

/// Several at once, two of them of the same content.
async fn concurrent(store: &impl Storage) {
    let contents: Vec<_> = [4, 5, 6, 4].map(|seed| content(seed, 50_000)).into();
    let puts = future::join_all(contents.iter().map(|data| store.put(data.clone()))).await;
    let ids: Vec<_> =
        puts.into_iter().map(|id| ok(id, "puts at the same time must work")).collect();
    assert_eq!(ids.first(), ids.last(), "the same content put twice at once must get one id");
    let gets = future::join_all(ids.iter().map(|id| store.get(id, usize::MAX))).await;
    for (got, data) in gets.into_iter().zip(&contents) {
        assert_eq!(
            ok(got, "gets at the same time must work"),
            data,
            "each get must give its content"
        );
    }
}

/// A put that is given up after its first step.
async fn dropped(store: &impl Storage) {
    let data = content(7, 300_000);
    drop(store.put(data.clone()).now_or_never());
    let id =
        ok(store.put(data.clone()).await, "content must be taken after a put that was dropped");
    assert_eq!(read(store, &id).await, data, "a dropped put must not leave half of the content");
}

async fn read(store: &impl Storage, id: &ContentId) -> Bytes {
    ok(store.get(id, usize::MAX).await, "content that was put can be got")
}

/// Content that looks random: no two seeds share a block of it.
fn content(seed: u64, len: usize) -> Bytes {
    Dice(0xa11e_0000 + seed).bytes(len).into()
}

/// An id like this one, of content that nobody has.
fn absent_id(like: &ContentId) -> ContentId {
    let made = match (like.to_cid(), like.to_skylink_bytes()) {
        (Some(cid), _) => {
            let digest: Vec<_> = cid.hash().digest().iter().map(|byte| !byte).collect();
            let hash = Multihash::wrap(cid.hash().code(), &digest).ok();
            let cid = hash.and_then(|hash| Cid::new(cid.version(), cid.codec(), hash).ok());
            cid.and_then(|cid| ContentId::from_cid(&cid).ok())
        }
        (None, Some(mut raw)) => {
            raw.iter_mut().skip(2).for_each(|byte| *byte = !*byte);
            BASE64URL_NOPAD.encode(&raw).parse().ok()
        }
        (None, None) => None,
    };
    made.unwrap_or_else(|| panic!("{like} is no id of a known kind"))
}

/// An outcome without its bytes.
fn tell(outcome: &Result<Bytes, StorageError>) -> String {
    match outcome {
        Ok(data) => format!("{} bytes", data.len()),
        Err(error) => format!("{error:?}"),
    }
}
