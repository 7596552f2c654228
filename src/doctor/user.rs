//! What users of this computer are called.

/// This process's own user, where users have numbers.
pub(super) fn own() -> Option<u32> {
    #[cfg(unix)]
    return Some(rustix::process::geteuid().as_raw());
    #[cfg(not(unix))]
    None
}

/// The user with this number, as people know him: by the local list of users, else by the number.
pub(super) fn name_of(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut columns = line.split(':');
        let name = columns.next()?;
        (columns.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.map_or_else(|| format!("user {uid}"), |name| format!("user {name} ({uid})"))
}

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn a_listed_user_has_a_name_and_another_his_number() {
        assert_eq!(super::name_of(0), "user root (0)");
        assert_eq!(super::name_of(4_000_000_001), "user 4000000001");
    }
}
