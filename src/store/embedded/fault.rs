//! What goes wrong with the database, in words that say what to do.

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// The error as whoever runs the server should read it.
pub(super) fn explain(error: rusqlite::Error) -> StoreError {
    let cure = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: free space there; nothing that was acknowledged is lost",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            "the store's folder can no longer be written: look at its mount and its owner"
        }
        Some(ErrorCode::SystemIoFailure) => {
            "the disk fails: look at the system's log, and restore a copy if it is damaged"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the database is damaged: stop the server and restore a copy (loopkey admin restore)"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds the database: end whatever has it open"
        }
        _ => return StoreError::new(error),
    };
    StoreError::new(format!("{cure} ({error})"))
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, Error, ffi};

    use super::*;

    #[test]
    fn what_can_be_mended_says_how() {
        for (code, cure) in [
            (ffi::SQLITE_FULL, "free space"),
            (ffi::SQLITE_IOERR, "the disk fails"),
            (ffi::SQLITE_CORRUPT, "loopkey admin restore"),
            (ffi::SQLITE_READONLY, "its owner"),
            (ffi::SQLITE_BUSY, "another program"),
        ] {
            let error = Error::SqliteFailure(ffi::Error::new(code), None);
            assert!(explain(error).to_string().contains(cure), "{cure}");
        }
        let other = Connection::open_in_memory().and_then(|c| c.execute_batch("SELECT")).expect_err("no statement");
        assert!(explain(other).to_string().starts_with("the store is out of reach: "));
    }
}
