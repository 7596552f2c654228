//! Firefox: the permissions of each profile, in SQLite.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::protocol::origin::Origin;

/// The file of a profile.
const FILE: &str = "permissions.sqlite";
/// `loopback-network` is what pages ask for; `localhost` is what it was called before.
const QUERY: &str = "SELECT origin FROM moz_perms WHERE type IN ('loopback-network', 'localhost') AND permission = 2";

/// The origins whose pages are kept away in a profile; nothing where the folder is none, or cannot be read.
pub(super) fn denied<'o>(profile: &Path, origins: &'o [Origin]) -> Option<Vec<&'o Origin>> {
    let file = profile.join(FILE);
    if !file.is_file() {
        return None;
    }
    let denied = read(&file).ok()?;
    // A container tab's decision carries its container behind the origin.
    let is_denied = |origin: &&Origin| denied.iter().any(|other| other.split('^').next() == Some(origin.as_str()));
    Some(origins.iter().filter(is_denied).collect())
}

/// A running Firefox keeps the file locked. Read as one that nobody writes to, it is as it was when it was last put in order.
fn read(file: &Path) -> rusqlite::Result<Vec<String>> {
    let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let database = Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)?;
    let mut statement = database.prepare(QUERY)?;
    statement.query_map([], |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_found_also_while_firefox_holds_the_file() {
        let folder = tempfile::Builder::new().prefix("a?b#c%20").tempdir().expect("a folder");
        let origins =
            ["https://app.example.com", "https://b.example.com"].map(|o| o.parse::<Origin>().expect("an origin"));
        assert_eq!(denied(folder.path(), &origins), None, "no profile");
        let firefox = Connection::open(folder.path().join(FILE)).expect("a database");
        firefox
            .execute_batch(
                "CREATE TABLE moz_perms (id INTEGER PRIMARY KEY, origin TEXT, type TEXT, permission INTEGER, expireType INTEGER,
                     expireTime INTEGER, modificationTime INTEGER);
                 INSERT INTO moz_perms (origin, type, permission) VALUES
                     ('https://app.example.com', 'loopback-network', 2), ('https://b.example.com', 'loopback-network', 1),
                     ('https://b.example.com', 'camera', 2);
                 PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;",
            )
            .expect("written and held");
        assert_eq!(denied(folder.path(), &origins), Some(vec![&origins[0]]));
    }
}
