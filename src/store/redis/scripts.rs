//! The operations as Lua scripts: each runs alone on the server, so each is atomic.
//!
//! A script is called by its digest, and sent whole only where the server says that it does not know it, which means that
//! nothing was done.

use std::sync::LazyLock;

use redis::{Script, ScriptInvocation};
use serde_json::Value;

use crate::protocol::time::Timestamp;

/// In front of every key. The braces make Redis put everything into one slot.
pub(super) const PREFIX: &str = "{loopkey}:";

/// Makes the scripts, each of the files named.
macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)*) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!(concat!("lua/", $file, ".lua")),)+)));)*
    };
}

scripts! {
    INCARNATION = "life" "incarnation";
    MARK = "life" "mark";
    START = "lib" "start";
    PING = "lib" "ping";
    ISSUE_TICKET = "lib" "issue_ticket";
    ACCOUNT_OF = "lib" "account_of";
    ACCOUNTS = "lib" "accounts";
    CHANGE_ACCOUNT = "lib" "change_account";
    ERASE_ACCOUNT = "lib" "erase_account";
    ENROL = "lib" "enrol";
    DEVICE = "lib" "device";
    DEVICES = "lib" "devices";
    REVOKE_DEVICE = "lib" "revoke_device";
    RAISE_EPOCH = "lib" "raise_epoch";
    OPEN_SESSION = "lib" "open_session";
    SESSION = "lib" "session";
    SESSIONS = "lib" "sessions";
    NOTE_USE = "lib" "note_use";
    END_SESSION = "lib" "end_session";
    SIGN_OUT_ACCOUNT = "lib" "sign_out_account";
    SIGN_OUT_ORGANISATION = "lib" "sign_out_organisation";
    LINK_IDENTITY = "lib" "link_identity";
    IDENTITY = "lib" "identity";
    IDENTITIES = "lib" "identities";
    UNLINK_IDENTITY = "lib" "unlink_identity";
    ADOPT_IDENTITY = "lib" "adopt_identity";
    KEEP_NOTE = "lib" "life" "notes" "keep_note";
    NOTE = "lib" "life" "notes" "note";
    CHANGE_NOTE = "lib" "life" "notes" "change_note";
    TAKE_NOTE = "lib" "life" "notes" "take_note";
    RECORD = "lib" "record";
    AUDIT_TAIL = "lib" "audit_tail";
    LOG = "lib" "life" "log";
    ADD_KEY = "lib" "add_key";
}

/// A call of a script that was made with `lib.lua`. What is null is not told: Lua would take it for something.
pub(super) fn call<'a>(script: &'a Script, now: Timestamp, channel: &str, mut told: Value) -> ScriptInvocation<'a> {
    if let Value::Object(members) = &mut told {
        members.retain(|_, value| !value.is_null());
    }
    let mut call = script.prepare_invoke();
    call.key(PREFIX).arg(now.0).arg(channel).arg(told.to_string());
    call
}
