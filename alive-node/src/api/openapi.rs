//! Our own routes and their description, which is made from the same code: [`Routes`].
//!
//! A stream is named in two ways: `/v1/streams/{author}/{link}/…` is one of the node's own network,
//! `/v1/networks/{network}/streams/{author}/{link}/…` one of any network that the node indexes.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;
use utoipa::{
    OpenApi, PartialSchema as _, ToSchema as _,
    openapi::{
        ContentBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, Type,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem},
        schema::SchemaType,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, operations, problem::Problem, v1};

/// Where the description is.
const PATH: &str = "/v1/openapi.json";
/// A stream of the node's own network.
const OWN: &str = "/v1/streams/{author}/{link}";
/// A stream of any network.
const ANY: &str = "/v1/networks/{network}/streams/{author}/{link}";
/// What every route may answer when it cannot do what is asked. 404 goes to those with a name in their path.
const PROBLEMS: [(&str, &str); 5] = [
    ("400", "The request has no meaning; `detail` says why"),
    ("405", "The method is not allowed; `Allow` says which are"),
    ("414", "Path and query are too long"),
    ("429", "Too many requests from this address; `Retry-After` says when to come back"),
    ("503", "The node cannot answer now; the same request may succeed later"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Alive node",
        description = "Streams of every network that the node indexes. Times are UTC, lengths are seconds. Errors are \
            problem details (RFC 9457).",
        license(name = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem<'_>)),
    tags(
        (name = "chat", description = "What is said beside a stream"),
        (name = "events", description = "What happens, as server-sent events"),
        (name = "operations", description = "For those who run the node"),
        (name = "streams", description = "Streams and what they are made of"),
    )
)]
struct Document;

/// Our own routes.
pub(super) struct Routes {
    /// Those that answer at once.
    pub(super) plain: Router<Arc<Api>>,
    /// Those where a client may ask to wait for something.
    pub(super) waiting: Router<Arc<Api>>,
}

/// The routes, and one more that describes them.
pub(super) fn routes() -> Routes {
    let plain = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(operations::health))
        .routes(routes!(operations::ready))
        .routes(routes!(v1::events))
        .routes(routes!(v1::list::streams))
        .routes(routes!(v1::networks::networks))
        .routes(routes!(v1::networks::network))
        .nest(OWN, of_stream())
        .nest(ANY, of_stream());
    let waiting = OpenApiRouter::new().nest(OWN, waiting()).nest(ANY, waiting());
    let (plain, mut document) = plain.split_for_parts();
    let (waiting, more) = waiting.split_for_parts();
    document.merge(more);
    for (path, item) in &mut document.paths.paths {
        complete(path, item);
    }
    let document = Bytes::from(document.to_json().unwrap_or_default());
    let plain = plain.route(PATH, get(move || std::future::ready(send(document.clone()))));
    Routes { plain, waiting }
}

fn of_stream() -> OpenApiRouter<Arc<Api>> {
    let router = OpenApiRouter::new();
    #[cfg(feature = "chat")]
    let router = router
        .routes(routes!(v1::chat::now, v1::chat::say))
        .routes(routes!(v1::chat::events))
        .routes(routes!(v1::chat::accounts))
        .routes(routes!(v1::chat::ask));
    router
        .routes(routes!(v1::stream::info))
        .routes(routes!(v1::stream::chunks))
        .routes(routes!(v1::stream::health))
        .routes(routes!(v1::stream::master))
        .routes(routes!(v1::segments))
        .routes(routes!(v1::list_events))
}

fn waiting() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(v1::stream::playlist))
}

/// Adds what all routes have in common, and a name of its own for the second way to a stream.
fn complete(path: &str, item: &mut PathItem) {
    for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
        complete_operation(path, operation);
    }
}

fn complete_operation(path: &str, operation: &mut Operation) {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut named = false;
    for name in names {
        named = true;
        describe(operation, name);
    }
    if let Some(id) = operation.operation_id.as_mut().filter(|_| path.starts_with(ANY)) {
        id.insert_str(0, "network_");
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        // What may be left out is not sent as null.
        if let RefOr::T(parameter) = parameter
            && let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
            && let SchemaType::Array(types) = &object.schema_type
            && let Some(only) = types.iter().find(|kind| **kind != Type::Null)
        {
            object.schema_type = SchemaType::Type(only.clone());
        }
    }
    let missing = named.then_some(("404", "There is no such stream, network or quality"));
    for (status, text) in PROBLEMS.into_iter().chain(missing) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name())));
        let response = ResponseBuilder::new()
            .description(text)
            .content("application/problem+json", content.build());
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| response.build().into());
    }
}

/// A part of a path.
fn describe(operation: &mut Operation, name: &str) {
    let (text, example) = match name {
        "author" => ("Account of the streamer", "alice"),
        "link" => ("The streamer's name for the stream", "stream1"),
        _ => ("Name of a network", "hive"),
    };
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(text))
        .example(Some(example.into()))
        .schema(Some(String::schema()));
    operation.parameters.get_or_insert_default().push(parameter.build().into());
}

fn send(document: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (StatusCode::OK, headers, document).into_response()
}
