//! Names of Avalon's accounts: [`is_user_name`].

/// Longest name. Source: `spec/avalon.md`, section 1.
pub const MAX_NAME_LEN: usize = 50;

/// Whether Avalon takes a text for the name of an account: 1 to 50 of `a-z0-9`, and `-` and `.` but first and last.
///
/// Source: `spec/avalon.md`, section 4.
///
/// ```
/// use alive_avalon::is_user_name;
/// assert!(is_user_name("a..b-9"));
/// assert!(!is_user_name("Alice") && !is_user_name("-a") && !is_user_name("a."));
/// ```
pub fn is_user_name(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match text.as_bytes() {
        [one] => plain(one),
        [first, middle @ .., last] => {
            text.len() <= MAX_NAME_LEN
                && plain(first)
                && plain(last)
                && middle.iter().all(|byte| plain(byte) || matches!(byte, b'-' | b'.'))
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_sharp() {
        let long = "a".repeat(50);
        for name in ["a", "9", "ab", "a-b", "a.-.b", &long] {
            assert!(is_user_name(name), "{name}");
        }
        let longer = "a".repeat(51);
        for name in ["", ".", "-", "a-", ".a", "A", "a_b", "a b", "é", "a\n", &longer] {
            assert!(!is_user_name(name), "{name:?}");
        }
    }
}
