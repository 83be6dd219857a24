//! Names that people take for one another: [`skeleton`] and [`resembles`].

use crate::networks::Account;

/// What is left of a name when letters that look alike become one: two names with one skeleton are easily confused.
///
/// Names of all known networks are lower-case ASCII, so letters of other scripts are refused before they come here.
///
/// ```
/// use alive_chat::skeleton;
/// assert_eq!(skeleton("techc0derx"), skeleton("techcoderx"));
/// assert_eq!(skeleton("rnary"), skeleton("mary"));
/// assert_ne!(skeleton("alice"), skeleton("bob"));
/// ```
pub fn skeleton(name: &str) -> String {
    let single: String = name
        .chars()
        .filter(|c| !matches!(c, '-' | '.' | '_'))
        .map(|c| match c {
            '0' => 'o',
            '1' | 'i' | 'j' => 'l',
            '5' => 's',
            '2' => 'z',
            '8' => 'b',
            '9' | 'q' => 'g',
            other => other,
        })
        .collect();
    single.replace("rn", "m").replace("vv", "w").replace("cl", "d")
}

/// Whether `account` could be taken for `known` and is another: also the same name on another network.
///
/// ```
/// # use alive_chat::{Family, Networks};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([
/// #     Family::new("hive".parse()?, GraphenePlain, is_account_name),
/// #     Family::new("blurt".parse()?, GraphenePlain, is_account_name),
/// # ])?;
/// use alive_chat::resembles;
/// let alice = networks.account("hive", "alice")?;
/// assert!(resembles(&networks.account("hive", "al1ce")?, &alice));
/// assert!(resembles(&networks.account("blurt", "alice")?, &alice));
/// assert!(!resembles(&alice, &alice));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn resembles(account: &Account, known: &Account) -> bool {
    account != known && skeleton(account.name().as_str()) == skeleton(known.name().as_str())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("alice", "a1ice", true)]
    #[case("alice", "ailce", true)]
    #[case("alice", "alcie", false)]
    #[case("alice", "aljce", true)]
    #[case("mod.alive", "mod-alive", true)]
    #[case("clave", "dave", true)]
    #[case("vvill", "will", true)]
    #[case("s5z2b8", "ssz2bb", true)]
    #[case("alice", "alicia", false)]
    fn alike_is_what_people_confuse(#[case] a: &str, #[case] b: &str, #[case] alike: bool) {
        assert_eq!(skeleton(a) == skeleton(b), alike);
    }
}
