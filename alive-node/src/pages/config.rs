//! What pages there are and where their segments come from: [`PagesConfig`].

use alive_core::GatewayUrl;

/// The pages of a node: `/`, `/watch/…`, `/embed/…`.
///
/// ```
/// use alive_node::{NodeConfig, PagesConfig};
/// let pages = PagesConfig::default().gateway("https://ipfs.example".parse()?);
/// assert!(NodeConfig::default().pages(pages).pages.enabled);
/// # Ok::<(), alive_core::GatewayUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PagesConfig {
    /// Whether there are pages.
    pub enabled: bool,
    /// Gateways that the player asks for segments which the node itself, or the gateway that its lists name, does not give.
    /// None by default: the browsers of viewers talk to nobody but this node.
    pub gateways: Vec<GatewayUrl>,
    /// APIs of Hive that visitors of a chat may choose to be told the keys of accounts by, instead of by this node. None by
    /// default.
    pub chat_keys_from: Vec<GatewayUrl>,
    /// The address under which people reach the node, such as `https://alive.example`. Links for sharing and what other
    /// sites show of a stream are made of it. Without it they are made of the host that the browser asked for.
    pub public_url: Option<GatewayUrl>,
}

impl PagesConfig {
    /// Sets whether there are pages.
    #[must_use]
    pub fn enabled(self, enabled: bool) -> Self {
        Self { enabled, ..self }
    }

    /// Adds a gateway that the player may ask for segments.
    #[must_use]
    pub fn gateway(mut self, gateway: GatewayUrl) -> Self {
        self.gateways.push(gateway);
        self
    }

    /// Adds an API of Hive that visitors of a chat may choose.
    #[must_use]
    pub fn chat_keys_from(mut self, api: GatewayUrl) -> Self {
        self.chat_keys_from.push(api);
        self
    }

    /// Sets the address under which people reach the node.
    #[must_use]
    pub fn public_url(self, public_url: GatewayUrl) -> Self {
        Self { public_url: Some(public_url), ..self }
    }
}

impl Default for PagesConfig {
    fn default() -> Self {
        Self { enabled: true, gateways: Vec::new(), chat_keys_from: Vec::new(), public_url: None }
    }
}
