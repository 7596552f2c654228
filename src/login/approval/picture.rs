//! `GET /v1/orders/qr.svg`: the QR code of the order, as it is at the moment, for the browser that holds the order alone.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode as Symbol};

use super::super::answer::Refusal;
use super::super::state::Shared;
use super::holder::holder;
use super::order::{self, Way, refuse};
use crate::protocol::order::OrderState;
use crate::protocol::qr::{QrCode, step_at};

/// The picture's own policy: it is an image, whatever a browser is made to open it as.
const POLICY: &str = "default-src 'none'; sandbox";

/// Draws the code of this moment. There is none once somebody scanned it.
pub(in crate::login) async fn show(State(server): State<Shared>, headers: HeaderMap) -> Result<Response, Refusal> {
    let order = order::read(&server, &order::key_of(&holder(&headers)?)).await?;
    let order = order
        .filter(|order| order.way == Way::Scan && order.state == OrderState::Pending)
        .ok_or_else(|| refuse("there is none to be scanned"))?;
    let step = step_at(order.opened_at, server.clock.timestamp());
    let address = QrCode::new(order.id, step, &order.qr_key).address(&server.config.issuer);
    // Longer than a QR code takes: the issuer's address is.
    let symbol = Symbol::with_error_correction_level(address, EcLevel::M).map_err(|error| {
        tracing::error!("the issuer's address fits no QR code: {error}");
        Refusal::Unavailable
    })?;
    // Black on white whatever the page's colours: scanners want it so.
    let dark = svg::Color("#000");
    let picture = symbol.render().dark_color(dark).light_color(svg::Color("#fff")).quiet_zone(true).build();
    let fixed = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    Ok((fixed, picture).into_response())
}
