//! A stream on all networks that it is on: [`Told`].

use std::sync::Arc;

use alive_core::{
    Quality, Stream, StreamId, Twins,
    backend::{SharedStreamStore, StoreError, StreamStore as _},
    timeline,
};

/// A stream that was asked for, and the streams of other networks that are one with it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) stream: Arc<Stream>,
    /// Those of the [names](Twins) that name it, too, with their states.
    pub(crate) twins: Vec<(StreamId, Arc<Stream>)>,
}

impl Told {
    /// Reads a stream; `None` if there is none. `expect` is told the names on other networks before they are looked up, so
    /// that no change of them is missed.
    pub(crate) async fn read(
        store: &SharedStreamStore,
        id: &StreamId,
        expect: impl FnOnce(&Twins),
    ) -> Result<Option<Self>, StoreError> {
        let Some(stream) = stream(store, id).await? else { return Ok(None) };
        let settings = &stream.info().settings;
        expect(&settings.also);
        let mut twins = Vec::new();
        for name in settings.also.iter() {
            if let Some(other) = self::stream(store, name).await?
                && Twins::are_mutual((id, settings), (name, &other.info().settings))
            {
                twins.push((name.clone(), other));
            }
        }
        Ok(Some(Self { stream, twins }))
    }

    /// Whether any chain tells of this rendition.
    pub(super) fn has(&self, quality: Quality) -> bool {
        let twins = self.twins.iter().map(|(_, twin)| twin);
        let mut all = [&self.stream].into_iter().chain(twins);
        all.any(|stream| timeline::renditions(stream).contains(&quality))
    }
}

async fn stream(
    store: &SharedStreamStore,
    id: &StreamId,
) -> Result<Option<Arc<Stream>>, StoreError> {
    let stored = store.stream(id).await?;
    Ok(stored.map(|stored| Arc::new(Stream::restore(stored.info, stored.pushes))))
}
