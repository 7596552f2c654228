//! The browser that approves: the person is signed in there and scanned the code. What it takes on is its alone from then on,
//! and it decides once, with the two digits that the waiting page shows.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::super::answer::{Refusal, json};
use super::super::body::JsonBody;
use super::super::caller::{CountedPageCall, SignedIn};
use super::super::limits::OrderFrom;
use super::super::settings::{Current, Settings};
use super::super::state::Shared;
use super::asked::may_scan;
use super::order::{self, Approver, Order, Way, refuse};
use crate::protocol::id::OrderId;
use crate::protocol::order::{Decision, Digits, OrderEvent, OrderState, Place};
use crate::protocol::origin::Origin;
use crate::protocol::qr::QrCode;
use crate::store::{AuditRecord, Audited, Session};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Scanned {
    /// The fragment of the code's address.
    code: String,
}

#[derive(Serialize)]
struct Shown<'a> {
    order: OrderId,
    origin: &'a Origin,
    browser: Option<&'a str>,
    place: Place,
    same_network: bool,
    name: &'a str,
    seconds: u64,
}

/// Takes an order on. The first does; a second who comes with the same code ends it, since one of the two is not the person.
pub(in crate::login) async fn scan(
    State(server): State<Shared>,
    settings: Current,
    _: CountedPageCall,
    SignedIn(session): SignedIn,
    from: OrderFrom,
    JsonBody(scanned): JsonBody<Scanned>,
) -> Result<Response, Refusal> {
    may_approve(&settings, &session)?;
    let subject = &session.account.subject;
    let unknown = |why: &str| {
        let over = server.limiter.strange_scan(subject, server.clock.now()).is_err();
        if over { Refusal::TooManyRequests } else { refuse(why) }
    };
    let Ok(code) = QrCode::parse(&scanned.code) else { return Err(unknown("this is no code")) };
    let Some(key) = order::find(&server, &code.order).await? else { return Err(unknown("nobody has such a code")) };
    let found = order::read(&server, &key).await?.filter(|order| order.way == Way::Scan);
    let Some(found) = found.filter(|order| code.is_made_with(&order.qr_key)) else {
        return Err(unknown("the code was not made here"));
    };
    let again = is_of(&found, &session);
    // Whoever comes late with an old picture takes nothing on, and ends nothing.
    if !again && !code.is_fresh(found.opened_at, server.clock.timestamp()) {
        return Err(unknown("the picture is an old one"));
    }
    if found.state == OrderState::Pending && !may_scan(&server, subject).await? {
        return Err(Refusal::TooManyRequests);
    }
    let approver =
        Approver::Session { session: session.key, subject: subject.clone(), generation: session.account.generation };
    let (order, is_taken) = order::change(&server, &key, |order, now| match order.state {
        OrderState::Pending => {
            order.go(OrderEvent::Scan, now)?;
            order.approver = Some(approver.clone());
            Ok(true)
        }
        OrderState::Scanned if is_of(order, &session) => Ok(true),
        OrderState::Scanned => order.go(OrderEvent::ScanByAnother, now).map(|()| false),
        OrderState::Superseded => Err(Refusal::Superseded),
        _ => Err(refuse("it is over")),
    })
    .await?;
    if !is_taken {
        note(&server, &session, Audited::ApprovalSuperseded, &order).await?;
        return Err(Refusal::Superseded);
    }
    let shown = Shown {
        order: order.id,
        origin: &order.origin,
        browser: order.browser.as_deref(),
        place: order.place,
        same_network: order.network.is_some() && order.network == from.network(&order.qr_key),
        name: session.account.profile.name.as_str(),
        seconds: order.deadline().seconds_since(server.clock.timestamp()),
    };
    Ok(json(StatusCode::OK, &shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Decided {
    order: OrderId,
    decision: Decision,
    /// What the person typed. Of a refusal, any two digits.
    code: Digits,
}

#[derive(Serialize)]
struct Outcome {
    state: OrderState,
}

/// Takes the person's decision, once. Other digits than the waiting page's are a refusal.
pub(in crate::login) async fn decide(
    State(server): State<Shared>,
    settings: Current,
    _: CountedPageCall,
    SignedIn(session): SignedIn,
    JsonBody(decided): JsonBody<Decided>,
) -> Result<Response, Refusal> {
    if decided.decision == Decision::Approve {
        // What is configured may have been changed since the scan.
        may_approve(&settings, &session)?;
    }
    let key = order::find(&server, &decided.order).await?.ok_or_else(|| refuse("nobody has such an order"))?;
    let (order, ()) = order::change(&server, &key, |order, now| {
        if !is_of(order, &session) {
            return Err(refuse("another browser took it on"));
        }
        if order.state == OrderState::Superseded {
            return Err(Refusal::Superseded);
        }
        order.go(verdict(order, decided.decision, &decided.code), now)
    })
    .await?;
    note(&server, &session, outcome_of(order.state), &order).await?;
    Ok(json(StatusCode::OK, &Outcome { state: order.state }))
}

/// Whether a session may let another browser in. One that goes on only as long as a provider says so may not: what it opened
/// would go on without.
fn may_approve(settings: &Settings, session: &Session) -> Result<(), Refusal> {
    #[cfg(feature = "connectors")]
    if super::super::connect::is_rechecked(settings, session) {
        tracing::warn!(method = session.method, "refused an approval: the provider is asked again about this session");
        return Err(Refusal::StrongerWayNeeded);
    }
    #[cfg(not(feature = "connectors"))]
    let _ = (settings, session);
    Ok(())
}

/// What a decision comes to.
pub(super) fn verdict(order: &Order, decision: Decision, typed: &Digits) -> OrderEvent {
    // One try of ninety, so that the time that comparing takes is nothing to learn from.
    if decision == Decision::Approve && order.digits == *typed { OrderEvent::Approve } else { OrderEvent::Deny }
}

/// What is recorded of a decision.
pub(super) const fn outcome_of(state: OrderState) -> Audited {
    if matches!(state, OrderState::Approved) { Audited::ApprovalGiven } else { Audited::ApprovalDenied }
}

fn is_of(order: &Order, session: &Session) -> bool {
    matches!(&order.approver, Some(Approver::Session { session: key, .. }) if *key == session.key)
}

async fn note(server: &Shared, session: &Session, what: Audited, order: &Order) -> Result<(), Refusal> {
    tracing::info!(subject = session.account.subject.as_str(), state = order.state.as_str(), "an order was decided");
    let detail = format!("by=session origin={} order={}", order.origin, order.id);
    let account = Some(session.account.profile.account.clone());
    Ok(server.store.record(AuditRecord { what, account, device: session.device.clone(), detail }).await?)
}
