//! What stands in front of the interfaces: limits, bans, and everything that goes wrong on the way.

use std::collections::BTreeMap;

use serde_json::json;

use super::Host;
use super::reply::{Asked, Fate, Reply};
use super::state::State;

/// How a ban shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ban {
    #[default]
    Json,
    Html,
}

/// Something that goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// -1, or 500 `systemBusy`: nothing was done, try again.
    Busy,
    /// 429 `systemBusy`.
    TooMany,
    /// 403: the application called this too often in a second, or in a minute.
    QpsOfApp,
    QpmOfApp,
    /// 90002, or 403: everybody together called this too often.
    QpsOfAll,
    /// JSON that ends in the middle, with its length as announced.
    CutJson,
    /// A page with 200.
    Html,
    /// JSON that lacks what was asked for.
    Empty,
    Redirect,
    /// A page of a gateway with nothing behind it.
    BadGateway,
    /// An error that nobody documented.
    Strange,
    Never,
    /// The connection ends without a byte.
    Closed,
    BrokenOff,
    /// The answer is about somebody whom nobody asked for.
    Stranger,
    /// There is always another page, and departments are below each other.
    Endless,
}

#[derive(Debug, Default)]
pub struct Gate {
    /// What the next calls of a path meet, in order. The last of several may be for ever.
    pub mischief: BTreeMap<String, (Mischief, u32)>,
    /// Calls of one address in twenty seconds, over all interfaces.
    pub burst: Option<u32>,
    pub ban: Ban,
    /// Calls of one path in a second.
    pub per_second: Option<u32>,
    window: (u64, u32),
    second: (u64, BTreeMap<String, u32>),
    banned_until: u64,
}

impl Gate {
    /// The next `times` calls of a path meet this.
    pub fn spoil(&mut self, path: &str, mischief: Mischief, times: u32) {
        self.mischief.insert(path.to_owned(), (mischief, times));
    }

    pub fn is_banned(&self, now: u64) -> bool {
        now < self.banned_until
    }
}

const WINDOW: u64 = 20;
const BAN: u64 = 300;

/// Nothing where the call passes.
pub(super) fn pass(state: &mut State, asked: &Asked) -> Option<Reply> {
    if asked.host == Host::Login {
        return None;
    }
    let now = state.now();
    let gate = &mut state.gate;
    if now >= gate.window.0 + WINDOW {
        gate.window = (now, 0);
    }
    gate.window.1 += 1;
    if gate.burst.is_some_and(|most| gate.window.1 > most) {
        gate.banned_until = now + BAN;
    }
    if gate.is_banned(now) {
        return Some(match gate.ban {
            Ban::Html => Reply::html("<!doctype html><title>Access denied</title><p>Too many requests"),
            Ban::Json => {
                let body = json!({ "status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": "u1" });
                Reply::json(200, &body)
            }
        });
    }
    if gate.second.0 != now {
        gate.second = (now, BTreeMap::new());
    }
    let calls = gate.second.1.entry(asked.path.clone()).or_default();
    *calls += 1;
    if gate.per_second.is_some_and(|most| *calls > most) {
        return Some(spoiled(asked.host, Mischief::QpsOfAll));
    }
    let (mischief, times) = gate.mischief.get_mut(&asked.path).filter(|(_, times)| *times > 0)?;
    *times = times.saturating_sub(1);
    Some(spoiled(asked.host, *mischief))
}

fn spoiled(host: Host, mischief: Mischief) -> Reply {
    let is_old = host == Host::Oapi;
    match mischief {
        Mischief::Busy if is_old => Reply::errcode(-1, "系统繁忙"),
        Mischief::Busy => Reply::error(500, "systemBusy", "系统繁忙"),
        Mischief::TooMany => Reply::error(429, "systemBusy", "系统繁忙"),
        Mischief::QpsOfApp => Reply::error(403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "qps"),
        Mischief::QpmOfApp => Reply::error(403, "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi", "qpm"),
        Mischief::QpsOfAll if is_old => {
            Reply::errcode(90002, "您的服务器调用钉钉开放平台当前接口的所有请求都被暂时禁用了")
        }
        Mischief::QpsOfAll => Reply::error(403, "Forbidden.AccessDenied.QpsLimitForApi", "qps"),
        Mischief::CutJson => Reply { body: "{\"errcode\":0,\"access_to".into(), ..Reply::json(200, &json!({})) },
        Mischief::Html => Reply::html("<html><body>Welcome"),
        Mischief::Empty if is_old => Reply::fine(json!({})),
        Mischief::Empty => Reply::good(json!({})),
        Mischief::Redirect => Reply::redirect("http://127.0.0.1:1/".into()),
        Mischief::BadGateway => Reply { status: 502, ..Reply::html("<html><body>Bad Gateway") },
        Mischief::Strange if is_old => Reply::errcode(77_777, "未知"),
        Mischief::Strange => Reply::error(418, "unheardOf", "未知"),
        Mischief::Closed => Reply { fate: Fate::Closed, ..Reply::json(200, &json!({})) },
        Mischief::Never => Reply { fate: Fate::Never, ..Reply::json(200, &json!({})) },
        Mischief::Stranger => Reply::fine(json!({ "result": { "userid": "eve", "name": "Eve" } })),
        Mischief::Endless => Reply::fine(json!({ "result": { "has_more": true, "next_cursor": 0, "list": [] } })),
        Mischief::BrokenOff => Reply { fate: Fate::BrokenOff, ..Reply::json(200, &json!({})) },
    }
}
