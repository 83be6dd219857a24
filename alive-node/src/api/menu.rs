//! The qualities in which a stream can be watched now, as a multivariant playlist. Feature `stake`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{
    Api,
    encoding::Accepted,
    error,
    lists::{self, send},
    not_found, unavailable,
};
use crate::{explain::Explained, playlists::ListText};

/// The menu; there is none on a node that was given no desk.
pub(super) async fn menu(
    State(api): State<Arc<Api>>,
    path: lists::Path,
    asked: HeaderMap,
) -> Response {
    let Some(desk) = &api.renditions else { return not_found().await };
    let no_stream = || error(StatusCode::NOT_FOUND, "stream not found");
    let Some(id) = api.stream_of(path, "") else { return no_stream() };
    let list = match desk.menu(&id).await {
        Ok(Some(menu)) => menu.to_playlist().to_bytes(),
        Ok(None) => return no_stream(),
        Err(why) => {
            tracing::warn!(stream = %id, error = %Explained(&why), "no quality menu");
            return unavailable("the stream store failed");
        }
    };
    // Who is admitted may change with any round.
    send(&ListText::new(list), "no-cache", HeaderMap::new(), &Accepted::of(&asked))
}
