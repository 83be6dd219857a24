//! The networks whose accounts may chat: [`Networks`], [`Family`] and [`Account`].

use std::{fmt, sync::Arc};

use alive_core::{
    AccountName, Excerpt, Network,
    backend::{SharedSignatureScheme, SignatureScheme},
};

/// How the accounts of one network are named and sign. A further network is one more of these.
///
/// ```
/// use alive_chat::Family;
/// use alive_core::Network;
/// use alive_hive::{GraphenePlain, is_account_name};
/// let hive = Family::new(Network::hive(), GraphenePlain, is_account_name);
/// assert_eq!(hive.network(), &Network::hive());
/// ```
#[derive(Clone, Debug)]
pub struct Family {
    network: Network,
    scheme: SharedSignatureScheme,
    is_name: fn(&str) -> bool,
    recovery_id: bool,
}

impl Family {
    /// A network whose signatures are one text, as those of Hive are.
    pub fn new(
        network: Network,
        scheme: impl SignatureScheme + 'static,
        is_name: fn(&str) -> bool,
    ) -> Self {
        Self { network, scheme: Arc::new(scheme), is_name, recovery_id: false }
    }

    /// Messages of this network carry a recovery id in `r`, as those of Avalon do: the scheme is given the text of `s`, a
    /// comma and the digit. Source: `spec/avalon.md`, section 11.
    #[must_use]
    pub fn with_recovery_id(mut self) -> Self {
        self.recovery_id = true;
        self
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Whether signatures stand with a recovery id beside them.
    pub fn has_recovery_id(&self) -> bool {
        self.recovery_id
    }

    pub(crate) fn scheme(&self) -> &dyn SignatureScheme {
        &*self.scheme
    }
}

/// The networks of a chat. A clone is a handle to the same list.
///
/// ```
/// use alive_avalon::{AvalonPlain, is_user_name};
/// use alive_chat::{Family, Networks};
/// use alive_core::Network;
/// use alive_hive::{GraphenePlain, is_account_name};
/// let networks = Networks::new([
///     Family::new(Network::hive(), GraphenePlain, is_account_name),
///     Family::new("blurt".parse()?, GraphenePlain, is_account_name),
///     Family::new(Network::avalon(), AvalonPlain, is_user_name).with_recovery_id(),
/// ])?;
/// assert!(networks.account("hive", "alice").is_ok());
/// assert!(networks.account("hive", "Alice").is_err());
/// assert!(networks.account("nostr", "alice").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Networks(Arc<[Family]>);

impl Networks {
    /// Most networks in one chat. Our own limit: the list is searched from the front.
    pub const MAX: usize = 16;

    /// The networks of a chat.
    ///
    /// # Errors
    /// A network is named twice, has an underscore in its name (the signed text would be ambiguous: `spec/alivedb.md`,
    /// section 8.2), or there are more than [`MAX`](Self::MAX).
    pub fn new(families: impl IntoIterator<Item = Family>) -> Result<Self, NetworksError> {
        let mut list: Vec<Family> = Vec::new();
        for family in families {
            if family.network.as_str().contains('_') {
                return Err(NetworksError::Ambiguous(family.network));
            }
            if list.iter().any(|known| known.network == family.network) {
                return Err(NetworksError::Twice(family.network));
            }
            if list.len() >= Self::MAX {
                return Err(NetworksError::TooMany);
            }
            list.push(family);
        }
        Ok(Self(list.into()))
    }

    /// The network of this name.
    pub fn get(&self, name: &str) -> Option<&Family> {
        self.0.iter().find(|family| family.network.as_str() == name)
    }

    /// Every network.
    pub fn iter(&self) -> impl Iterator<Item = &Family> {
        self.0.iter()
    }

    /// Checks the name of an account by the rule of its network.
    ///
    /// # Errors
    /// The network is not one of these, or the name cannot be one of its accounts.
    pub fn account(&self, network: &str, name: &str) -> Result<Account, AccountError> {
        let unknown = || AccountError::Network(Excerpt::of(network));
        let family = self.get(network).ok_or_else(unknown)?;
        let refused =
            || AccountError::Name { network: family.network.clone(), name: Excerpt::of(name) };
        // What would make the signed text ambiguous, whatever the network says.
        let ambiguous = name.contains(['_', '/']);
        if ambiguous || !(family.is_name)(name) {
            return Err(refused());
        }
        let name = name.parse().map_err(|_| refused())?;
        Ok(Account { network: family.network.clone(), name })
    }
}

/// Why [`Networks`] cannot be made of a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworksError {
    /// Its name has an underscore.
    #[error("network {0} cannot chat: with an underscore in its name signed texts are ambiguous")]
    Ambiguous(Network),
    /// There are more than [`Networks::MAX`].
    #[error("more than {max} networks", max = Networks::MAX)]
    TooMany,
    /// It is in the list twice.
    #[error("network {0} is named twice")]
    Twice(Network),
}

/// An account whose name fits its network; written `hive/alice`. That it exists is not said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    network: Network,
    name: AccountName,
}

impl Account {
    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The name on that network.
    pub fn name(&self) -> &AccountName {
        &self.name
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.name)
    }
}

/// Why two texts name no [`Account`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The network has no such names.
    #[error("{name} cannot be an account of {network}")]
    Name {
        /// The network.
        network: Network,
        /// How the name starts.
        name: Excerpt,
    },
    /// The chat has no such network.
    #[error("unknown network {0}")]
    Network(Excerpt),
}

#[cfg(test)]
mod tests {
    use alive_hive::GraphenePlain;

    use super::*;

    fn any(name: &str) -> Family {
        Family::new(name.parse().unwrap(), GraphenePlain, |_| true)
    }

    #[test]
    fn what_would_be_ambiguous_is_refused_whatever_the_network_says() {
        assert!(matches!(Networks::new([any("hive_testnet")]), Err(NetworksError::Ambiguous(_))));
        let networks = Networks::new([any("open")]).unwrap();
        assert!(networks.account("open", "al ice").is_ok());
        for name in ["al_ice", "al/ice", ""] {
            assert!(networks.account("open", name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn lists_are_bounded_and_without_repetition() {
        assert!(matches!(Networks::new([any("a"), any("a")]), Err(NetworksError::Twice(_))));
        let many = (0..=Networks::MAX).map(|n| any(&format!("n{n}")));
        assert!(matches!(Networks::new(many), Err(NetworksError::TooMany)));
    }
}
