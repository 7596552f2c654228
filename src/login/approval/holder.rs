//! The browser that waits: it opens an order, gives it up, and fetches the session that was approved. All by a cookie that
//! no script reads, and that nobody else has.

use std::sync::{Arc, Weak};

use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::super::answer::{Refusal, json};
use super::super::body::JsonBody;
use super::super::browser;
use super::super::caller::PageCall;
use super::super::cookie::{Cookie, CookieSecret};
use super::super::limits::{OrderCall, OrderFrom};
use super::super::settings::Current;
use super::super::state::{Shared, State};
use super::asked::may_be_asked;
use super::order::{self, Approver, Order, Way, refuse};
use crate::crypto;
use crate::protocol::id::{Nonce, OrderId, TokenId};
use crate::protocol::json;
use crate::protocol::order::{Digits, OrderEvent, OrderState};
use crate::protocol::statement::UserVerification;
use crate::protocol::time::Timestamp;
use crate::store::{
    AccountId, Approved, AuditRecord, Audited, DisplayName, NewSession, NoteKey, SessionKey, Vouched, Voucher,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Asked {
    /// Whose agents are to be asked. Without it the order is for whoever scans its QR code.
    #[serde(default, deserialize_with = "json::present")]
    account: Option<String>,
}

#[derive(Serialize)]
struct Opened<'a> {
    code: &'a str,
    qr: bool,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Nothing {}

/// Opens an order. The answer is the same whoever is named, and takes the same time: the account is looked for after it.
pub(in crate::login) async fn open(
    Extract(server): Extract<Shared>,
    page: OrderCall,
    from: OrderFrom,
    headers: HeaderMap,
    JsonBody(asked): JsonBody<Asked>,
) -> Result<Response, Refusal> {
    // One order a browser: the one before is given up, whether or not it is still there.
    if let Some(former) = Cookie::Order.read(&headers) {
        let _ = give_up(&server, &former).await;
    }
    let (secret, cookie) = Cookie::Order.issue();
    let (key, now) = (order::key_of(&secret), server.clock.timestamp());
    let (qr_key, way) = (crypto::random(), if asked.account.is_some() { Way::Agents } else { Way::Scan });
    let order = Order {
        id: OrderId::from_bytes(crypto::random()),
        state: OrderState::Pending,
        opened_at: now,
        since: now,
        way,
        origin: page.origin().clone(),
        browser: browser::of(&headers).map(|name| name.as_str().to_owned()),
        place: from.place(),
        network: from.network(&qr_key),
        digits: two_digits(),
        nonce: Nonce::from_bytes(crypto::random()),
        qr_key,
        subject: None,
        approver: None,
    };
    order::keep(&server, &key, &order).await?;
    if let Some(account) = asked.account {
        server.spawn(ask(Arc::downgrade(&server), key, account));
    }
    let opened = Opened { code: order.digits.as_str(), qr: way == Way::Scan, expires_at: order.deadline() };
    let mut response = json(StatusCode::CREATED, &opened);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

fn two_digits() -> Digits {
    loop {
        let [byte] = crypto::random::<1>();
        if let Some(digits) = Digits::from_random(byte) {
            return digits;
        }
    }
}

/// Has the agents of an account asked, if there is such an account and it may be asked. Nobody hears which it was.
async fn ask(server: Weak<State>, key: NoteKey, name: String) {
    let Some(server) = server.upgrade() else { return };
    let Ok(name) = AccountId::try_from(name) else { return };
    let asked = async {
        let account = server.store.account(&name).await?.filter(|account| !account.disabled);
        let Some(account) = account else { return Ok(()) };
        if !may_be_asked(&server, &account.subject, &key).await? {
            return Ok(());
        }
        let (order, ()) = order::change(&server, &key, |order, _| {
            order.subject = Some(account.subject.clone());
            if order.state == OrderState::Pending { Ok(()) } else { Err(Refusal::InvalidOrder) }
        })
        .await?;
        let detail = format!("origin={} order={}", order.origin, order.id);
        let record = AuditRecord { what: Audited::ApprovalAsked, account: Some(name.clone()), device: None, detail };
        server.store.record(record).await?;
        Ok::<_, Refusal>(())
    };
    // What the store has to say about it is in the log; the order waits and expires.
    let _ = asked.await;
}

/// Gives the session to the browser that waited for it, once.
pub(in crate::login) async fn finish(
    Extract(server): Extract<Shared>,
    settings: Current,
    page: PageCall,
    headers: HeaderMap,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Response, Refusal> {
    let secret = holder(&headers)?;
    let key = order::key_of(&secret);
    let (order, approver) = order::change(&server, &key, |order, now| {
        if order.origin != *page.origin() {
            return Err(refuse("another page than the one that opened it fetches its session"));
        }
        order.go(OrderEvent::Consume, now)?;
        order.approver.clone().ok_or_else(|| refuse("nobody approved it"))
    })
    .await?;
    let (id, session_cookie) = Cookie::Session.issue();
    let (session, name) = (SessionKey::of(&id), TokenId::from_bytes(crypto::random()));
    let session = match approver {
        Approver::Session { subject, generation, .. } => {
            let (by, uv) = (Voucher::Approval, UserVerification::Page);
            let vouched = Vouched { subject, generation, by, origin: order.origin, uv, id: name };
            NewSession::vouched(vouched, session, settings.lifetimes)
        }
        Approver::Device { device, epoch, .. } => {
            let approved = Approved { device, epoch, origin: order.origin, uv: UserVerification::Prompt, id: name };
            NewSession::approved(approved, session, settings.lifetimes)
        }
    };
    let former = Cookie::Session.read(&headers).map(|id| SessionKey::of(&id));
    let browser: Option<DisplayName> = browser::of(&headers);
    let session = session.replacing(former).in_browser(browser);
    let account = server.store.open_session(session).await?.map_err(refuse)?;
    tracing::info!(subject = account.subject.as_str(), "signed in by approval");
    let cookies = [Cookie::Order.delete(), Cookie::PreLogin.delete(), session_cookie];
    let cookies: [(_, HeaderValue); 3] = cookies.map(|cookie| (header::SET_COOKIE, cookie));
    Ok((StatusCode::NO_CONTENT, AppendHeaders(cookies)).into_response())
}

/// Gives an order up. Nothing tells whether there was one.
pub(in crate::login) async fn cancel(
    Extract(server): Extract<Shared>,
    _: PageCall,
    headers: HeaderMap,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Response, Refusal> {
    if let Some(secret) = Cookie::Order.read(&headers)
        && give_up(&server, &secret).await == Err(Refusal::Unavailable)
    {
        return Err(Refusal::Unavailable);
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, Cookie::Order.delete())]).into_response())
}

async fn give_up(server: &State, secret: &CookieSecret) -> Result<(), Refusal> {
    let key = order::key_of(secret);
    let Some(order) = order::read(server, &key).await?.filter(|order| !order.state.is_over()) else { return Ok(()) };
    tracing::debug!(state = order.state.as_str(), "an order is given up");
    order::change(server, &key, |order, now| order.go(OrderEvent::Cancel, now)).await.map(drop)
}

/// The secret of the browser that waits.
pub(super) fn holder(headers: &HeaderMap) -> Result<CookieSecret, Refusal> {
    Cookie::Order.read(headers).ok_or_else(|| refuse("no cookie of an order came with the call"))
}
