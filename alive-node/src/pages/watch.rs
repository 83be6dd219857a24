//! The page of a stream: [`Page`]. What the script needs to know stands in it as data.

use alive_core::{StreamId, StreamInfo};
use maud::{Markup, html};

use super::{
    address::{self, Site},
    assets, document,
};

/// Size of a player in somebody else's page, in pixels.
const EMBED_WIDTH: &str = "640";
const EMBED_HEIGHT: &str = "360";

/// A stream that is looked at.
pub(super) struct Page<'p> {
    pub(super) id: &'p StreamId,
    pub(super) info: &'p StreamInfo,
    pub(super) site: Site,
    /// Where segments come from, best first; an empty one is this node.
    pub(super) gateways: &'p [String],
    /// What stands beside the player.
    pub(super) chat: Option<Markup>,
}

impl Page<'_> {
    /// The page that people share.
    pub(super) fn whole(&self) -> Markup {
        let title = self.title();
        let body = html! {
            (document::header())
            main {
                div.columns {
                    div {
                        (self.player())
                        h1 { (title) }
                        (self.proof())
                        (share(&self.address("watch"), &self.address("embed")))
                        (keys())
                    }
                    @if let Some(chat) = &self.chat { (chat) }
                }
            }
        };
        document::page(&format!("{title} · Alive"), "watch", &self.head(), &body)
    }

    /// The player alone.
    pub(super) fn embedded(&self) -> Markup {
        let body = html! { main { (self.player()) } };
        document::page(&format!("{} · Alive", self.title()), "embed", &self.head(), &body)
    }

    fn title(&self) -> String {
        format!("{}/{}", self.id.account, self.id.link)
    }

    /// The address of one of the stream's pages, as others reach it.
    fn address(&self, root: &str) -> String {
        format!("{}{}", self.site, address::page(root, self.id))
    }

    fn state(&self) -> &'static str {
        match (self.info.ended, self.info.head) {
            (true, _) => "Recording",
            (false, Some(_)) => "Live",
            (false, None) => "Not started",
        }
    }

    /// For those who show links: Open Graph and the like. They need whole addresses.
    fn head(&self) -> Markup {
        let title = format!("{} · {}", self.title(), self.state());
        let description = format!(
            "A stream of {} on {}, checked block by block.",
            self.id.account, self.id.network
        );
        let (watch, embed) = (self.address("watch"), self.address("embed"));
        html! {
            link rel="modulepreload" href=(assets::address("hls.light.min.mjs"));
            script type="module" src=(assets::address("watch.mjs")) {}
            link rel="canonical" href=(watch);
            meta name="description" content=(description);
            meta property="og:site_name" content="Alive";
            meta property="og:type" content="video.other";
            meta property="og:title" content=(title);
            meta property="og:description" content=(description);
            meta property="og:url" content=(watch);
            meta property="og:video" content=(embed);
            meta property="og:video:type" content="text/html";
            meta property="og:video:width" content=(EMBED_WIDTH);
            meta property="og:video:height" content=(EMBED_HEIGHT);
            meta name="twitter:card" content="player";
            meta name="twitter:title" content=(title);
            meta name="twitter:description" content=(description);
            meta name="twitter:player" content=(embed);
            meta name="twitter:player:width" content=(EMBED_WIDTH);
            meta name="twitter:player:height" content=(EMBED_HEIGHT);
        }
    }

    fn player(&self) -> Markup {
        let list = address::list(self.id);
        let gateways = serde_json::json!(self.gateways).to_string();
        let live = (self.state() == "Live").to_string();
        html! {
            div #stage data-list=(list) data-stream=(address::stream(self.id)) data-segments=(address::segments(self.id))
                data-network=(self.id.network) data-gateways=(gateways)
            {
                video #video controls playsinline preload="metadata" aria-label=(self.title()) {}
                noscript {
                    p {
                        "The player needs JavaScript. Other players can open "
                        a href=(list) { "the list of the stream" } "."
                    }
                }
                div.bar role="group" aria-label="Player" {
                    span #state data-live=(live) { (self.state()) }
                    button #edge type="button" hidden { "Go to live" }
                    label { "Quality " select #quality disabled { option value="-1" { "Automatic" } } }
                    span #badge role="status" data-state="wait" { "Nothing played yet" }
                }
                p #message role="status" {}
            }
        }
    }

    fn proof(&self) -> Markup {
        html! {
            details {
                summary { "What is checked" }
                p {
                    "Your browser compares every block with its content id before anything is played. "
                    "The ids come from operations that the streamer signed."
                }
                dl {
                    dt { "Checked" } dd #proof-checked { "0 segments" }
                    dt { "Attested" } dd #proof-chain { (self.id.network) ": nothing to compare yet" }
                    dt { "Chains" } dd { ul #chains {} }
                    dt { "Gateways" } dd { span #proof-gateways {} ul #gateways {} }
                }
            }
        }
    }
}

fn share(watch: &str, embed: &str) -> Markup {
    let frame = html! {
        iframe src=(embed) width=(EMBED_WIDTH) height=(EMBED_HEIGHT) allow="autoplay; fullscreen" {}
    };
    html! {
        details {
            summary { "Share" }
            div.copy {
                label { "Link " input #share-link readonly value=(watch); }
                button type="button" data-copies="share-link" aria-label="Copy the link" { "Copy" }
            }
            div.copy {
                label { "Player for your page " input #share-embed readonly value=(frame.into_string()); }
                button type="button" data-copies="share-embed" aria-label="Copy the player" { "Copy" }
            }
        }
    }
}

fn keys() -> Markup {
    html! {
        details {
            summary { "Keys" }
            p {
                kbd { "k" } " play or pause · " kbd { "j" } " back · " kbd { "l" } " forward · "
                kbd { "e" } " live edge · " kbd { "m" } " sound · " kbd { "f" } " full screen"
            }
        }
    }
}
