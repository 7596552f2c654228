//! What the fake knows: organisations, applications, and what it gave out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::Clock;
use crate::connectors::dingtalk::Hosts;
use crate::crypto;
use crate::protocol::base64url;

use super::gate::Gate;

pub(super) const TOKEN_LIFE: u64 = 7_200;
pub(super) const CONSOLE_TOKEN_LIFE: u64 = 3_600;
pub(super) const CODE_LIFE: u64 = 300;
const TICKET_CAP: u64 = 24 * 3_600;

/// What kind of application it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Internal, of one organisation.
    Internal { corp: String },
    /// A third party's. Its secrets of the moment, and who opened it.
    Suite { ticket: String, opened: BTreeSet<String> },
    /// Sign-in for a site, which knows no organisation.
    Site,
}

#[derive(Debug, Clone)]
pub struct App {
    pub secret: String,
    pub agent_id: u64,
    pub kind: Kind,
    /// The addresses it may send browsers back to, exactly.
    pub redirects: BTreeSet<String>,
    /// The caller's address is on its list.
    pub is_listed: bool,
    /// It may see people and departments at all.
    pub sees_contacts: bool,
    /// People it does not see.
    pub blind_to: BTreeSet<String>,
    /// The ticket for pages: value, when it was made, when it ends.
    pub(super) ticket: Option<(String, u64, u64)>,
}

#[derive(Debug, Clone)]
pub struct User {
    pub unionid: String,
    pub name: String,
    pub avatar: Option<String>,
    pub mobile: Option<String>,
    pub email: Option<String>,
    pub departments: Vec<i64>,
}

#[derive(Debug, Clone)]
pub struct Department {
    pub id: i64,
    pub name: String,
    pub parent: i64,
}

#[derive(Debug, Default)]
pub struct Corp {
    /// `CorpSecret`, from before there were applications.
    pub secret: Option<String>,
    /// `ssoSecret`, of the admin console.
    pub sso_secret: Option<String>,
    /// Who may open the admin console.
    pub administrators: BTreeSet<String>,
    pub users: BTreeMap<String, User>,
    pub departments: Vec<Department>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeKind {
    InApp,
    Browser,
    Sns,
    Console,
}

#[derive(Debug, Clone)]
pub(super) struct Code {
    pub(super) kind: CodeKind,
    pub(super) app: String,
    pub(super) corp: String,
    pub(super) userid: String,
    pub(super) made: u64,
    /// The organisation was asked for too (scope `corpid`).
    pub(super) tells_corp: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TokenKind {
    Old,
    New,
    User,
    Site,
    Sns,
    Suite,
    Console,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) app: String,
    pub(super) corp: String,
    /// Whose it is, where it is a person's.
    pub(super) userid: String,
    pub(super) ends: u64,
}

/// Everything.
pub struct State {
    clock: Arc<dyn Clock>,
    pub(super) hosts: Hosts,
    pub(super) gateway: String,
    pub corps: BTreeMap<String, Corp>,
    pub apps: BTreeMap<String, App>,
    pub(super) codes: BTreeMap<String, Code>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) persistent: BTreeMap<String, Code>,
    pub(super) gateway_tickets: BTreeSet<String>,
    /// Who sits in front of the pages, and for which organisation; without anybody, the person says no.
    pub person: Option<(String, String)>,
    /// The pages ask who it is, among the organisation's members.
    pub asks_who: bool,
    /// Numbers of the interfaces' answers come as text.
    pub numbers_as_text: bool,
    /// The client cannot compute signatures at present.
    pub cannot_sign: bool,
    /// Errors of `topapi` calls come wrapped, and not only those of the gateway.
    pub wraps_everything: bool,
    /// Paths that were called, in order.
    pub calls: Vec<String>,
    pub gate: Gate,
}

impl State {
    pub(super) fn new(clock: Arc<dyn Clock>, hosts: Hosts, gateway: String) -> Self {
        Self {
            clock,
            hosts,
            gateway,
            corps: BTreeMap::new(),
            apps: BTreeMap::new(),
            codes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            persistent: BTreeMap::new(),
            gateway_tickets: BTreeSet::new(),
            person: None,
            asks_who: false,
            numbers_as_text: false,
            cannot_sign: false,
            wraps_everything: false,
            calls: Vec::new(),
            gate: Gate::default(),
        }
    }

    /// Unix seconds, and the same in milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.clock.timestamp().0
    }

    pub(super) fn millis(&self) -> u64 {
        self.clock.wall().0
    }

    pub(super) fn fresh() -> String {
        base64url::encode(crypto::random::<24>())
    }

    /// An application, which is given its key and secret.
    pub fn app(&mut self, key: &str, secret: &str, kind: Kind) -> &mut App {
        let app = App {
            secret: secret.to_owned(),
            agent_id: 1_234_567_890,
            kind,
            redirects: BTreeSet::new(),
            is_listed: true,
            sees_contacts: true,
            blind_to: BTreeSet::new(),
            ticket: None,
        };
        self.apps.insert(key.to_owned(), app);
        self.apps.get_mut(key).expect("there now")
    }

    /// What `dd.requestAuthCode` gives a page inside the client.
    pub fn in_app_code(&mut self, app: &str, corp: &str, userid: &str) -> String {
        self.code(CodeKind::InApp, app, corp, userid)
    }

    /// What the admin console opens an administration page with.
    pub fn console_code(&mut self, corp: &str, userid: &str) -> String {
        self.code(CodeKind::Console, corp, corp, userid)
    }

    pub(super) fn code(&mut self, kind: CodeKind, app: &str, corp: &str, userid: &str) -> String {
        let (code, made) = (Self::fresh(), self.now());
        let (app, corp, userid) = (app.to_owned(), corp.to_owned(), userid.to_owned());
        self.codes.insert(code.clone(), Code { kind, app, corp, userid, made, tells_corp: false });
        code
    }

    /// Uses a code up. One of another kind or application is none, and stays what it is.
    pub(super) fn take_code(&mut self, kind: CodeKind, app: &str, code: &str) -> Option<Code> {
        let found = self.codes.get(code).filter(|found| found.kind == kind && found.app == app)?;
        let is_young = self.now() <= found.made + CODE_LIFE;
        self.codes.remove(code).filter(|_| is_young)
    }

    /// A token of the application: the same one again, renewed, while it counts.
    pub(super) fn same_token(&mut self, kind: TokenKind, app: &str, corp: &str) -> String {
        let now = self.now();
        let same = |token: &Token| token.kind == kind && token.app == app && token.corp == corp && now < token.ends;
        if let Some((value, token)) = self.tokens.iter_mut().find(|(_, token)| same(token)) {
            token.ends = now + TOKEN_LIFE;
            return value.clone();
        }
        self.new_token(kind, app, corp, "")
    }

    pub(super) fn new_token(&mut self, kind: TokenKind, app: &str, corp: &str, userid: &str) -> String {
        let life = if kind == TokenKind::Console { CONSOLE_TOKEN_LIFE } else { TOKEN_LIFE };
        let (value, ends) = (Self::fresh(), self.now() + life);
        let (app, corp, userid) = (app.to_owned(), corp.to_owned(), userid.to_owned());
        self.tokens.insert(value.clone(), Token { kind, app, corp, userid, ends });
        value
    }

    pub(super) fn token(&self, value: &str, kind: TokenKind) -> Option<Token> {
        self.tokens.get(value).filter(|token| token.kind == kind && self.now() < token.ends).cloned()
    }

    /// Nothing that was given out counts any more: as when the secret is made anew.
    pub fn forget_tokens(&mut self) {
        self.tokens.clear();
    }

    /// The ticket for pages: renewed by two hours, but never beyond a day.
    pub(super) fn page_ticket(&mut self, app: &str) -> String {
        let now = self.now();
        let app = self.apps.get_mut(app).expect("an application");
        let (value, made) = match app.ticket.take() {
            Some((value, made, ends)) if now < ends => (value, made),
            _ => (Self::fresh(), now),
        };
        app.ticket = Some((value.clone(), made, (now + TOKEN_LIFE).min(made + TICKET_CAP)));
        value
    }

    /// A new ticket of a suite, which ends the one before.
    pub fn rotate_suite_ticket(&mut self, suite: &str) -> String {
        let fresh = Self::fresh();
        let Some(App { kind: Kind::Suite { ticket, .. }, .. }) = self.apps.get_mut(suite) else { panic!("no suite") };
        ticket.clone_from(&fresh);
        fresh
    }

    pub(super) fn user(&self, corp: &str, userid: &str) -> Option<&User> {
        self.corps.get(corp)?.users.get(userid)
    }
}
