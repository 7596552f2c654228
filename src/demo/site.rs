//! The demo site: two static files beside its login server, as any web application would be.

use std::fmt::Write as _;

use axum::Router;
use axum::routing::get;

use super::Places;
use super::assets::{SITE, guarded};
use crate::login::ConfiguredConnector;

/// Where the page says which ports to look at, and where the client's window is.
const PORTS_IN_PAGE: &str = "data-ports=\"28970 28971\" data-client=\"28981\"";

pub(super) fn router(places: &Places, connectors: &[ConfiguredConnector]) -> Router {
    // The page may reach the agent, and nothing else besides its own server. `[::1]` has no spelling in a policy.
    let mut connect = String::new();
    for port in &places.agent {
        let _ = write!(connect, " ws://127.0.0.1:{port} http://127.0.0.1:{port}");
    }
    let ports: Vec<_> = places.agent.iter().map(u16::to_string).collect();
    let ports = format!("data-ports=\"{}\" data-client=\"{}\"", ports.join(" "), places.client);
    let pages = SITE.iter().fold(Router::new(), |router, asset| {
        let asset = asset.with(PORTS_IN_PAGE, &ports);
        router.route(asset.path, get(async move || asset.answer()))
    });
    let frames: Vec<_> = connectors.iter().filter_map(|way| way.connector.frame_origin()).collect();
    guarded(pages, &connect, &frames)
}
