//! The qualities in which a stream can be watched now, as a multivariant playlist. Feature `stake`.

use std::sync::Arc;

use alive_storage::serve::http::{has, not_modified, set};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{Api, error, lists, not_found, unavailable};
use crate::{explain::Explained, playlists::etag};

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
    let etag = etag(&list);
    let mut headers = HeaderMap::new();
    set(&mut headers, header::ETAG, &etag);
    set(&mut headers, header::CACHE_CONTROL, "no-cache");
    if has(&asked, &etag) {
        return not_modified(headers);
    }
    set(&mut headers, header::CONTENT_TYPE, "application/vnd.apple.mpegurl");
    (StatusCode::OK, headers, list).into_response()
}
