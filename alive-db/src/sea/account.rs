//! Accounts: [`Account`], made by a name and a password, opened by the password, its password changed.

use zeroize::Zeroizing;

use super::{
    cipher::{Encrypted, encrypt},
    key::{KeyError, KeyPair, PublicKey},
    sign::SignError,
    user_node::sign_node,
    work::work,
};
use crate::{
    gun::{Delta, NodeDelta, State, Value},
    json::{Json, Object, Text},
};

/// What others see of an account: enough to open it with its password.
///
/// ```
/// use alive_db::{gun::State, sea::{Account, KeyPair}};
/// let keys = KeyPair::generate()?;
/// let state = State::new(1795219437106.0).ok_or("finite")?;
/// let random = [7; Account::RANDOM_LEN]; // never twice the same
/// let delta = Account::create("alice", "correct horse", &keys, random, state)?;
/// assert_eq!(delta.len(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Whose it is: `pub`.
    pub public: PublicKey,
    /// The key that others encrypt for: `epub`.
    pub exchange: PublicKey,
    /// The private keys behind the password: the text of `auth`.
    pub auth: Text,
}

impl Account {
    /// How many random bytes making an account and changing its password take.
    pub const RANDOM_LEN: usize = 2 * SALT_LEN + Encrypted::RANDOM_LEN;
    /// Shortest password of a new account, in UTF-16 code units. Source: `spec/alivedb.md`, section 4.
    pub const MIN_PASSWORD: usize = 8;

    /// What a new account writes: its node `~PUB`, and the index of its alias, which is signed by nobody.
    ///
    /// Whether another has the alias is for the caller to see; there may be several. It takes about 50 ms of one core.
    ///
    /// # Errors
    /// [`AccountError::Short`], or the library fails.
    pub fn create(
        alias: &str,
        password: &str,
        keys: &KeyPair,
        random: [u8; Self::RANDOM_LEN],
        state: State,
    ) -> Result<Delta, AccountError> {
        let auth = lock(password, keys, random)?;
        let public = keys.public().to_string();
        let soul = Self::soul(keys.public());
        let values = [
            ("pub", Value::Text(public.into())),
            ("alias", Value::from(alias)),
            ("epub", Value::Text(keys.exchange().to_string().into())),
            ("auth", Value::Text(auth)),
        ];
        let account = sign_node(keys, soul.clone(), values, state)?;
        let index = vec![(soul.clone(), Value::Link(soul), state)];
        let index = NodeDelta { soul: Self::alias_soul(alias), entries: index };
        Ok(Delta { nodes: vec![account, index] })
    }

    /// What a new password writes: `auth` of the node `~PUB`. The keys stay, so an old record opens with the old
    /// password for whoever kept it.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn change_password(
        password: &str,
        keys: &KeyPair,
        random: [u8; Self::RANDOM_LEN],
        state: State,
    ) -> Result<Delta, AccountError> {
        let auth = Value::Text(lock(password, keys, random)?);
        let node = sign_node(keys, Self::soul(keys.public()), [("auth", auth)], state)?;
        Ok(Delta { nodes: vec![node] })
    }

    /// The node of an account.
    pub fn soul(public: &PublicKey) -> Text {
        format!("~{public}").into()
    }

    /// The node that lists the accounts of an alias.
    pub fn alias_soul(alias: &str) -> Text {
        format!("~@{alias}").into()
    }

    /// Opens the account. It takes about 50 ms of one core, whether the password is right or not.
    ///
    /// # Errors
    /// [`AccountError::Wrong`] whatever does not fit: the password, the record, or keys that are not this account's.
    pub fn open(&self, password: &str) -> Result<KeyPair, AccountError> {
        let text = self.auth.as_str().ok_or(AccountError::Wrong)?;
        let auth = Json::parse(text).map_err(|_| AccountError::Wrong)?;
        let keys = unlock(&auth, password).ok_or(AccountError::Wrong)?;
        if keys.public() != &self.public || keys.exchange() != &self.exchange {
            return Err(AccountError::Wrong);
        }
        Ok(keys)
    }
}

/// Why there is no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The cryptographic library failed.
    #[error(transparent)]
    Library(#[from] KeyError),
    /// The password of a new account is too short.
    #[error("Password too short!")]
    Short,
    /// A value cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The user, the password or the record is wrong.
    #[error("Wrong user or password.")]
    Wrong,
}

/// Characters of a salt. Source: `spec/alivedb.md`, section 4.
const SALT_LEN: usize = 64;
/// What salts and ids are made of: upper-case `Y` is missing in the original, too.
const ALPHABET: &[u8; 61] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXZabcdefghijklmnopqrstuvwxyz";

/// Hides the private keys behind a password.
fn lock(
    password: &str,
    keys: &KeyPair,
    random: [u8; Account::RANDOM_LEN],
) -> Result<Text, AccountError> {
    if password.encode_utf16().count() < Account::MIN_PASSWORD {
        return Err(AccountError::Short);
    }
    let (for_salt, for_cipher) = random.split_at(2 * SALT_LEN);
    let salt = random_text(for_salt);
    let mut cipher_random = [0; Encrypted::RANDOM_LEN];
    cipher_random.copy_from_slice(for_cipher);
    let (sign, agree) = (keys.private_text(), keys.exchange_private_text());
    // Both are base64url: nothing in them needs an escape.
    let secret = Zeroizing::new(format!(r#"{{"priv":"{}","epriv":"{}"}}"#, *sign, *agree));
    let hidden = encrypt(&secret, &work(password, &salt), cipher_random);
    let auth = Object::from_iter([("ek", hidden.to_json()), ("s", Json::Text(salt.into()))]);
    Ok(Json::Object(auth).print().into())
}

fn unlock(auth: &Json, password: &str) -> Option<KeyPair> {
    let salt = auth.member("s")?.as_text()?.as_str()?;
    let hidden = Encrypted::from_json(auth.member("ek")?).ok()?;
    let secret = hidden.decrypt(&work(password, salt)).ok()?;
    let secret = Json::parse(&secret).ok()?;
    let member = |name| secret.member(name)?.as_text()?.as_str();
    KeyPair::from_texts(member("priv")?, member("epriv")?).ok()
}

/// A text of one character for every two random bytes.
pub(crate) fn random_text(random: &[u8]) -> String {
    let (pairs, _) = random.as_chunks();
    let char = |pair: &[u8; 2]| {
        let place = usize::from(u16::from_le_bytes(*pair)) % ALPHABET.len();
        ALPHABET.get(place).map(|&byte| char::from(byte))
    };
    pairs.iter().filter_map(char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gun::{Admission as _, Put},
        sea::UserSpace,
    };

    const RANDOM: [u8; Account::RANDOM_LEN] = [7; Account::RANDOM_LEN];

    fn state(ms: f64) -> State {
        State::new(ms).unwrap()
    }

    /// What a reader makes of the account's node, after the rules have let it pass.
    fn read(keys: &KeyPair, delta: &Delta) -> Account {
        let rules = UserSpace::default();
        let mut auth = None;
        for node in &delta.nodes {
            for (key, value, state) in &node.entries {
                let put = Put { soul: &node.soul, key, value, state: *state };
                rules.admit(put, state.millis()).unwrap();
                if *key == "auth" {
                    let Some(Value::Text(text)) = rules.plain(put) else { panic!() };
                    auth = Some(text);
                }
            }
        }
        let (public, exchange) = (keys.public().clone(), keys.exchange().clone());
        Account { public, exchange, auth: auth.unwrap() }
    }

    #[test]
    fn the_password_opens_the_account_and_no_other_does() {
        let keys = KeyPair::generate().unwrap();
        let delta = Account::create("alice", "пароль-😀", &keys, RANDOM, state(5.0)).unwrap();
        let account = read(&keys, &delta);
        let opened = account.open("пароль-😀").unwrap();
        assert_eq!(opened.private_text(), keys.private_text());
        assert_eq!(opened.exchange_private_text(), keys.exchange_private_text());
        assert_eq!(account.open("пароль-😀 ").unwrap_err(), AccountError::Wrong);
    }

    #[test]
    fn a_new_password_takes_the_place_of_the_old_one() {
        let keys = KeyPair::generate().unwrap();
        let old = Account::create("alice", "old password", &keys, RANDOM, state(5.0)).unwrap();
        let new = [8; Account::RANDOM_LEN];
        let new = Account::change_password("new password", &keys, new, state(6.0)).unwrap();
        assert_eq!(new.len(), 1, "nothing but auth changes");
        let account = read(&keys, &new);
        assert_eq!(account.open("new password").unwrap().public(), keys.public());
        assert_eq!(account.open("old password").unwrap_err(), AccountError::Wrong);
        assert!(read(&keys, &old).open("old password").is_ok(), "the old record keeps opening");
    }

    #[test]
    fn keys_of_another_account_do_not_open_it() {
        let [alice, mallory] = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
        let delta = Account::create("m", "password", &mallory, RANDOM, state(5.0)).unwrap();
        let account = read(&mallory, &delta);
        let stolen = Account { public: alice.public().clone(), ..account.clone() };
        assert_eq!(stolen.open("password").unwrap_err(), AccountError::Wrong);
        let mixed = Account { exchange: alice.exchange().clone(), ..account };
        assert_eq!(mixed.open("password").unwrap_err(), AccountError::Wrong);
    }

    #[test]
    fn a_short_password_makes_no_account() {
        let keys = KeyPair::generate().unwrap();
        let make = |password| Account::create("a", password, &keys, RANDOM, state(5.0));
        assert_eq!(make("1234567").unwrap_err(), AccountError::Short);
        assert_eq!(make("éééé😀é").unwrap_err(), AccountError::Short);
        assert!(make("éééé😀éé").is_ok(), "counted as JavaScript counts");
    }

    #[test]
    fn records_that_are_none_are_wrong() {
        let keys = KeyPair::generate().unwrap();
        for auth in ["", "{}", "[]", "null", r#"{"s":"x"}"#, r#"{"ek":{},"s":"x"}"#] {
            let (public, exchange) = (keys.public().clone(), keys.exchange().clone());
            let account = Account { public, exchange, auth: auth.into() };
            assert_eq!(account.open("password").unwrap_err(), AccountError::Wrong, "{auth}");
        }
    }

    #[test]
    fn random_texts_have_a_character_for_two_bytes() {
        let every: Vec<u8> = (0..61_u16).flat_map(u16::to_le_bytes).collect();
        assert_eq!(random_text(&every).as_bytes(), ALPHABET);
        assert_eq!(random_text(&[1, 0, 62, 0]), "11");
    }
}
