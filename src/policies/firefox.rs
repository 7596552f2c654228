//! Firefox: the one file `policies.json`, which everybody's policies share.

use serde_json::{Value, json};

use super::{Wish, own};
use crate::protocol::metadata::WAKE_SCHEME;

pub(super) fn policies(wish: &Wish) -> Value {
    let sites = wish.sites();
    let hosts: Vec<_> = wish.origins.iter().map(|origin| host_of(origin.as_str())).collect();
    let mut policies = json!({
        "AutoLaunchProtocolsFromOrigins": [{ "protocol": WAKE_SCHEME, "allowed_origins": sites }],
        // By the page's host: it has no form for an origin.
        "LocalNetworkAccess": { "SkipDomains": hosts },
    });
    if wish.authority.is_some() {
        policies["Certificates"] = json!({ "Install": [own::AUTHORITY] });
    }
    json!({ "policies": policies })
}

fn host_of(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    host.split(':').next().unwrap_or(host)
}

/// Everything that `there` says, and what is `wanted` besides: lists and objects grow, and nothing that is said already is
/// said otherwise.
///
/// # Errors
/// The key at which the two contradict each other.
pub(super) fn merge(there: &mut Value, wanted: &Value, key: &str) -> Result<(), String> {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            for (name, wanted) in wanted {
                match there.get_mut(name) {
                    Some(there) => merge(there, wanted, name)?,
                    None => drop(there.insert(name.clone(), wanted.clone())),
                }
            }
            Ok(())
        }
        (Value::Array(there), Value::Array(wanted)) => {
            for wanted in wanted {
                // An entry about the same scheme grows; another one with it would not count.
                let same = |there: &Value| !wanted["protocol"].is_null() && there["protocol"] == wanted["protocol"];
                match there.iter().position(same) {
                    Some(at) => merge(&mut there[at], wanted, key)?,
                    None if there.contains(wanted) => {}
                    None => there.push(wanted.clone()),
                }
            }
            Ok(())
        }
        (there, wanted) if there == wanted => Ok(()),
        _ => Err(key.to_owned()),
    }
}
