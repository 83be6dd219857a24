//! Settings by the names of the original: [`Settings`].

use std::{path::PathBuf, time::Duration};

use alive_core::{Excerpt, StreamId};
use zeroize::Zeroizing;

use super::TokenConfig;

/// Where the API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the API is served on these")]
pub enum HttpAddress {
    /// A host and a port.
    Tcp {
        /// Name or address.
        host: Box<str>,
        /// 0 is any free one.
        port: u16,
    },
    /// A Unix socket's file.
    Unix(PathBuf),
}

/// All settings of an AliveDB server.
///
/// Each has the name that the original gives it: `--http_port` on its command line, `ALIVEDB_HTTP_PORT` in the
/// environment. An empty text counts as none. Source: `spec/alivedb.md`, section 7.
///
/// ```
/// use alive_db::rest::Settings;
/// let environment = [("ALIVEDB_HTTP_PORT", "3100"), ("ALIVEDB_PEERS", "http://a:3007/gun, ws://b/gun")];
/// let settings = Settings::read(|name| {
///     let name = Settings::environment_name(name);
///     environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
/// })?;
/// assert_eq!(settings.peers.len(), 2);
/// assert_eq!(settings.gun_port, 3007);
/// # Ok::<(), alive_db::rest::SettingsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// `data_dir`: where the graph is kept. None keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// `peers`: which other peers to dial.
    pub peers: Vec<Box<str>>,
    /// `http_host` and `http_port`: where the API listens; a port that is a path is a Unix socket. 127.0.0.1:3006.
    pub http: HttpAddress,
    /// `gun_host`: where GUN peers are taken. 0.0.0.0.
    pub gun_host: Box<str>,
    /// `gun_port`. 3007.
    pub gun_port: u16,
    /// `login_id`: who is logged in at the start, by alias.
    pub login_id: Option<Box<str>>,
    /// `login_pub`: the same by public key.
    pub login_pub: Option<Box<str>>,
    /// `login_password`
    pub login_password: Option<Zeroizing<String>>,
    /// `require_access_token`: `1` or `true`.
    pub require_access_token: bool,
    /// `auth_timeout_blocks`, `auth_identifier`, `auth_token_expiry` in seconds.
    pub tokens: TokenConfig,
    /// `chat_listener`: whose chat to follow, `network/user/link`.
    pub chat_listener: Option<StreamId>,
    /// `chat_middleware_enabled`: `1` or `true`.
    pub chat_middleware_enabled: bool,
    /// `hive_api`: which node of Hive is asked. <https://techcoderx.com>.
    pub hive_api: Box<str>,
    /// `blurt_api`: which node of Blurt is asked. <https://rpc.blurt.world>.
    pub blurt_api: Box<str>,
}

impl Settings {
    /// The names of all settings.
    pub const NAMES: [&str; 17] = [
        "data_dir",
        "peers",
        "http_host",
        "http_port",
        "gun_host",
        "gun_port",
        "login_id",
        "login_pub",
        "login_password",
        "require_access_token",
        "auth_timeout_blocks",
        "auth_identifier",
        "auth_token_expiry",
        "chat_listener",
        "chat_middleware_enabled",
        "hive_api",
        "blurt_api",
    ];

    /// What a setting is called in the environment.
    pub fn environment_name(name: &str) -> String {
        format!("ALIVEDB_{}", name.to_ascii_uppercase())
    }

    /// Takes the settings that `given` has; it is asked for the [`NAMES`](Self::NAMES).
    ///
    /// # Errors
    /// A value that is none; secrets are not repeated.
    pub fn read(given: impl Fn(&'static str) -> Option<String>) -> Result<Self, SettingsError> {
        let text = |name| given(name).filter(|value| !value.is_empty());
        let boxed = |name| text(name).map(String::into_boxed_str);
        let or = |name, default: &str| boxed(name).unwrap_or_else(|| default.into());
        let host = or("http_host", "127.0.0.1");
        let http = match text("http_port") {
            Some(path) if path.contains('/') => HttpAddress::Unix(path.into()),
            port => HttpAddress::Tcp { host, port: number("http_port", port, 3006)? },
        };
        let peers = text("peers").unwrap_or_default();
        let peers = peers.split(',').map(str::trim).filter(|peer| !peer.is_empty());
        let tokens = TokenConfig::default();
        let expiry =
            number("auth_token_expiry", text("auth_token_expiry"), tokens.expiry.as_secs())?;
        let timeout = text("auth_timeout_blocks");
        let auth_identifier = or("auth_identifier", &tokens.auth_identifier);
        if auth_identifier.contains(':') {
            // It is one of seven parts with colons between.
            return Err(SettingsError::new("auth_identifier", &auth_identifier));
        }
        let listener = text("chat_listener").map(|listener| {
            let stream = listener.parse();
            stream.map_err(|_| SettingsError::new("chat_listener", &listener))
        });
        let switched = |name| switch(name, text(name).as_deref());
        Ok(Self {
            data_dir: text("data_dir").map(PathBuf::from),
            peers: peers.map(Box::from).collect(),
            http,
            gun_host: or("gun_host", "0.0.0.0"),
            gun_port: number("gun_port", text("gun_port"), 3007)?,
            login_id: boxed("login_id"),
            login_pub: boxed("login_pub"),
            login_password: text("login_password").map(Zeroizing::new),
            require_access_token: switched("require_access_token")?,
            tokens: TokenConfig {
                auth_identifier,
                timeout_blocks: number("auth_timeout_blocks", timeout, tokens.timeout_blocks)?,
                expiry: Duration::from_secs(expiry),
            },
            chat_listener: listener.transpose()?,
            chat_middleware_enabled: switched("chat_middleware_enabled")?,
            hive_api: or("hive_api", "https://techcoderx.com"),
            blurt_api: or("blurt_api", "https://rpc.blurt.world"),
        })
    }
}

/// A setting has a value that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("setting {name}: {value} is not allowed")]
pub struct SettingsError {
    /// Its name.
    pub name: &'static str,
    value: Excerpt,
}

impl SettingsError {
    fn new(name: &'static str, value: &str) -> Self {
        Self { name, value: Excerpt::of(value) }
    }
}

fn number<T: std::str::FromStr>(
    name: &'static str,
    value: Option<String>,
    default: T,
) -> Result<T, SettingsError> {
    let Some(value) = value else { return Ok(default) };
    value.parse().map_err(|_| SettingsError::new(name, &value))
}

fn switch(name: &'static str, value: Option<&str>) -> Result<bool, SettingsError> {
    match value {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(other) => Err(SettingsError::new(name, other)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn with(name: &str, value: &str) -> Result<Settings, SettingsError> {
        Settings::read(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn the_defaults_are_those_of_the_original() {
        let settings = Settings::read(|_| None).unwrap();
        assert_eq!(settings.http, HttpAddress::Tcp { host: "127.0.0.1".into(), port: 3006 });
        assert_eq!((&*settings.gun_host, settings.gun_port), ("0.0.0.0", 3007));
        assert_eq!(&*settings.tokens.auth_identifier, "alivedb_login");
        assert_eq!(settings.tokens.timeout_blocks, 20);
        assert_eq!(settings.tokens.expiry, Duration::from_hours(24));
        assert!(!settings.require_access_token && !settings.chat_middleware_enabled);
    }

    #[test]
    fn every_name_changes_something() {
        let plain = Settings::read(|_| None).unwrap();
        for name in Settings::NAMES {
            let value = match name {
                "chat_listener" => "hive/alice/s",
                "require_access_token" | "chat_middleware_enabled" => "true",
                _ => "17",
            };
            assert_ne!(with(name, value).unwrap(), plain, "{name}");
            assert_eq!(with(name, "").unwrap(), plain, "{name} empty");
        }
    }

    #[test]
    fn a_port_that_is_a_path_is_a_socket() {
        let path = "/run/alivedb.sock";
        assert_eq!(with("http_port", path).unwrap().http, HttpAddress::Unix(path.into()));
    }

    #[rstest]
    #[case("http_port", "65536")]
    #[case("http_port", "socket")]
    #[case("gun_port", "-1")]
    #[case("require_access_token", "yes")]
    #[case("auth_token_expiry", "1d")]
    #[case("auth_timeout_blocks", "20.5")]
    #[case("auth_identifier", "a:b")]
    #[case("chat_listener", "hive/alice")]
    fn refuses_values_that_are_none(#[case] name: &str, #[case] value: &str) {
        assert_eq!(with(name, value).unwrap_err().name, name);
    }
}
