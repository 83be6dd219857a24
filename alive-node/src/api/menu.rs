//! The qualities in which a stream can be watched now, as a multivariant playlist. Feature `stake`.
//!
//! It is the list of renditions with those of other accounts in it: measured, named and sent by the same code.

use std::sync::Arc;

use alive_core::Quality;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};

use super::{
    Api,
    encoding::Accepted,
    lists::{self, named, no_stream, send},
    not_found,
    query::Query,
    streams::{Links, List},
    unavailable,
};
use crate::{explain::Explained, renditions::RenditionDesk};

/// The menu; there is none on a node that was given no desk.
pub(super) async fn menu(
    State(api): State<Arc<Api>>,
    path: lists::Path,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(desk) = &api.renditions else { return not_found().await };
    let query = Query::parse(uri.query());
    api.menu(desk, path, &query, &headers).await.unwrap_or_else(|answer| answer)
}

impl Api {
    async fn menu(
        &self,
        desk: &RenditionDesk,
        path: lists::Path,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Response, Response> {
        let links = Links::parse(query, List::Sibling)?;
        let id = self.stream_of(path, "").ok_or_else(no_stream)?;
        let menu = desk.menu(&id).await.map_err(|why| {
            tracing::warn!(stream = %id, error = %Explained(&why), "no quality menu");
            unavailable("the stream store failed")
        })?;
        let menu = menu.ok_or_else(no_stream)?;
        let src = self.watch(&named(Some(id), &Query::parse(None))?).await?;
        let others = menu.items.into_iter().filter(|item| item.quality != Quality::Src);
        let others = others.map(|item| (item.quality, item.stream));
        let list = self.described(&src, others, &links).await;
        // Who is admitted may change with any round.
        Ok(send(&list, "no-cache", HeaderMap::new(), &Accepted::of(headers)))
    }
}
