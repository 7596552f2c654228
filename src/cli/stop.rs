//! `loopkey stop`

use serde_json::json;

use super::control::call;
use super::{Failure, Global};

pub(super) async fn run(global: &Global) -> Result<(), Failure> {
    #[cfg(feature = "desktop")]
    super::desktop::release(global);
    call(global, "stop", &json!({})).await.map(drop)
}
