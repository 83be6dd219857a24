//! What all pages have in common.

use maud::{DOCTYPE, Markup, html};

use super::assets;

/// A whole page: `head` is put into its head, `body` is what is seen.
pub(super) fn page(title: &str, class: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
                link rel="stylesheet" href=(assets::address("style.css"));
                (head)
            }
            body class=(class) { (body) }
        }
    }
}

/// The line on top of pages that are not in a frame.
pub(super) fn header() -> Markup {
    html! {
        header { a href="/" { "Alive" } }
    }
}

/// A page that says one thing.
pub(super) fn notice(title: &str, text: &str) -> Markup {
    let body = html! {
        (header())
        main {
            h1 { (title) }
            p { (text) }
        }
    };
    page(
        &format!("{title} · Alive"),
        "notice",
        &html! { meta name="robots" content="noindex"; },
        &body,
    )
}
