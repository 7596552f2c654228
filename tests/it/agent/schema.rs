//! `docs/control.schema.json` and `docs/control.md` say what the agent does: each is held against the other and the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use boon::{Compiler, SchemaIndex, Schemas};
use loopkey::agent::control::rpc::{Incoming, RpcError};
use loopkey::agent::control::{FaultCode, Method};
use loopkey::agent::{Agent, Browser};
use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::grant::Grant;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use serde_json::{Value, json};

use crate::support::world::{RunningAgent, Server, TestBrowser, TestClient, TestPage, settings};

const INVALID_PARAMS: i64 = -32602;
/// What the agent says without being asked.
const SAID: &[&str] = &["requests", "notifications"];

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(path).expect("a document")
}

/// The schema, ready to be asked.
struct Book {
    text: Value,
    schemas: Schemas,
    parts: BTreeMap<String, SchemaIndex>,
}

impl Book {
    /// As it stands in the file.
    fn open() -> Self {
        Self::of(serde_json::from_str(&document("control.schema.json")).expect("JSON"))
    }

    /// With nothing but the members that it describes, so that what the agent says and the schema does not is found.
    fn closed() -> Self {
        fn close(schema: &mut Value) {
            if let Value::Object(members) = schema {
                if members.get("type").is_some_and(|kind| *kind == "object") {
                    members.entry("additionalProperties").or_insert(Value::Bool(false));
                }
                members.values_mut().for_each(close);
            } else if let Value::Array(items) = schema {
                items.iter_mut().for_each(close);
            }
        }
        let mut text = Self::open().text;
        close(&mut text);
        Self::of(text)
    }

    fn of(text: Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.add_resource("https://schema.invalid/control", text.clone()).expect("a schema");
        let mut book = Self { text, schemas: Schemas::new(), parts: BTreeMap::new() };
        let mut pointers = vec!["/properties/error".to_owned()];
        for group in ["methods", "requests", "notifications"] {
            for name in book.names(&[group]) {
                let at = format!("/properties/{group}/properties/{name}/properties");
                let parts = book.text.pointer(&at).and_then(Value::as_object).expect("params and result");
                pointers.extend(parts.keys().map(|part| format!("{at}/{part}")));
            }
        }
        for pointer in pointers {
            let part = compiler.compile(&format!("https://schema.invalid/control#{pointer}"), &mut book.schemas);
            let part = part.unwrap_or_else(|error| panic!("{pointer}: {error}"));
            book.parts.insert(pointer, part);
        }
        book
    }

    fn names(&self, groups: &[&str]) -> BTreeSet<String> {
        let names = |group: &&str| self.text["properties"][*group]["properties"].as_object().expect("names").keys();
        groups.iter().flat_map(names).cloned().collect()
    }

    fn pointer(group: &str, name: &str, part: &str) -> String {
        format!("/properties/{group}/properties/{name}/properties/{part}")
    }

    fn fits(&self, pointer: &str, value: &Value) -> Result<(), String> {
        let part = self.parts.get(pointer).ok_or_else(|| format!("nothing in the schema is called {pointer}"))?;
        self.schemas.validate(value, *part).map_err(|error| format!("{pointer}: {value} does not fit: {error:#}"))
    }

    fn assert_fits(&self, pointer: &str, value: &Value) {
        self.fits(pointer, value).unwrap_or_else(|problem| panic!("{problem}"));
    }

    /// A schema of the file behind its reference.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(to) => self.text.pointer(to.trim_start_matches('#')).expect("what is referred to"),
            None => schema,
        }
    }

    /// Variations of an object, each with one thing other than it was, as the schema of the object has it.
    fn variations(&self, schema: &Value, object: &Value) -> Vec<Value> {
        let members = object.as_object().expect("an object");
        let with = |name: &str, value: Value| {
            let mut varied = members.clone();
            varied.insert(name.to_owned(), value);
            Value::Object(varied)
        };
        let mut all = vec![with("stray", json!(1))];
        for (name, of_member) in self.resolved(schema)["properties"].as_object().into_iter().flatten() {
            let of_member = self.resolved(of_member);
            let mut fewer = members.clone();
            assert!(fewer.remove(name).is_some(), "the sound params lack {name}");
            all.push(Value::Object(fewer));
            let values = [json!(null), json!(true), json!(7), json!(1.5), json!(-1), json!([]), json!({})];
            all.extend(values.into_iter().map(|value| with(name, value)));
            // An array of the members, in order, is no object; a word with nothing under it is no word.
            all.extend(of_member.get("properties").map(|_| with(name, json!(["a", "b"]))));
            // Where the schema says no more of a string than that it is one, the rest is the code's.
            if of_member["type"] != "string" || of_member.get("pattern").is_some() {
                all.extend(["text", ""].map(|text| with(name, json!(text))));
            }
            all.extend(of_member["enum"][0].as_str().map(|word| with(name, json!({ word: null }))));
            for (bound, step) in [("minimum", -1), ("maximum", 1)] {
                all.extend(of_member[bound].as_i64().map(|bound| with(name, json!(bound + step))));
            }
            if of_member.get("properties").is_some() {
                all.extend(self.variations(of_member, &members[name]).into_iter().map(|value| with(name, value)));
            }
        }
        all
    }
}

/// Opens nothing.
struct NoBrowser;

impl Browser for NoBrowser {
    fn open(&self, _: &str) -> std::io::Result<()> {
        Ok(())
    }
}

/// A login server, an agent that nobody embeds, and a client that is connected to it.
struct Stage {
    server: Server,
    agent: RunningAgent,
    client: TestClient,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let server = Server::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path(), &server.issuer);
        let grants = [Grant::Presence, Grant::Login, Grant::Action("open".to_owned())];
        settings.origins[0].grants = grants.into_iter().collect();
        let control = settings.control.clone();
        let agent = RunningAgent::run(Agent::builder(settings).browser(Arc::new(NoBrowser))).await;
        let client = TestClient::connect(&control).await;
        Self { server, agent, client, _folder: folder }
    }

    async fn page(&self, browser: &mut TestBrowser) -> TestPage {
        let open = OpenWith::Challenge(browser.challenge().await);
        TestPage::open(&self.agent.handle, &self.server.issuer, open).await
    }
}

#[test]
fn the_schema_and_the_page_name_what_the_code_knows_and_nothing_else() {
    let book = Book::open();
    let methods: BTreeSet<_> = Method::ALL.iter().map(|method| method.word().to_owned()).collect();
    assert_eq!(book.names(&["methods"]), methods);
    let codes = &book.text["properties"]["error"]["properties"]["data"]["properties"]["code"]["enum"];
    let codes: BTreeSet<_> = codes.as_array().expect("codes").iter().filter_map(Value::as_str).collect();
    assert_eq!(codes, FaultCode::ALL.iter().map(|code| code.word()).collect());
    let page = document("control.md");
    let said = book.names(SAID);
    for word in methods.iter().chain(&said).map(String::as_str).chain(codes) {
        assert!(page.contains(&format!("`{word}`")), "docs/control.md does not name {word}");
    }
}

#[tokio::test]
async fn params_are_accepted_exactly_where_they_fit_the_schema() {
    let stage = Stage::new().await;
    let book = Book::open();
    let account = crate::support::world::enrol(&stage.server, &stage.agent.handle, "ada").await;
    let (issuer, origin) = (&stage.server.issuer, "https://elsewhere.example");
    let sound = |method: Method| match method {
        Method::Hello => json!({ "name": "Test", "version": "1", "consent": true }),
        Method::Enrol => json!({ "issuer": issuer, "ticket": "A".repeat(43) }),
        Method::Remove | Method::SignOut => json!({ "account": account }),
        Method::SetPresence => {
            let profile = json!({ "name": "Ada", "avatar": "https://app.example.com/ada.png" });
            json!({ "account": account, "presence": "away", "profile": profile })
        }
        Method::Revoke => json!({ "origin": origin }),
        Method::SetGrant => json!({ "origin": origin, "consent": "always" }),
        Method::Register => json!({ "name": "open", "schema": {} }),
        Method::Unregister => json!({ "name": "open" }),
        Method::Publish => json!({ "name": "open", "value": 1 }),
        Method::Open => json!({ "url": origin }),
        Method::Tail => json!({ "count": 1 }),
        Method::Accounts | Method::Grants | Method::Status | Method::Doctor | Method::Stop => json!({}),
    };
    let mut tried = (0, 0);
    for method in Method::ALL {
        let (word, sound) = (method.word(), sound(*method));
        let pointer = Book::pointer("methods", word, "params");
        book.assert_fits(&pointer, &sound);
        let schema = book.text.pointer(&pointer).expect("a schema");
        // `null` is the same as nothing at all, which is the same as an empty object.
        let mut params = vec![json!(true), json!(7), json!("text"), json!([]), json!([sound])];
        params.extend(book.variations(schema, &sound));
        // The last one ends the agent.
        params.push(sound);
        for params in params {
            let fits = book.fits(&pointer, &params);
            let answer = stage.client.peer.call(word, &params).await;
            let accepted = answer.as_ref().map_err(|error| error.code) != Err(INVALID_PARAMS);
            assert_eq!(accepted, fits.is_ok(), "{word} {params}: the agent says {answer:?}, the schema {fits:?}");
            if accepted { tried.0 += 1 } else { tried.1 += 1 }
        }
    }
    assert!(tried.0 > 50 && tried.1 > 250, "{tried:?}");
}

/// A client that holds everything that it is told against the schema.
struct Witness {
    book: Book,
    stage: Stage,
    called: BTreeSet<String>,
    heard: BTreeSet<String>,
}

impl Witness {
    async fn call(&mut self, method: Method, params: Value) -> Value {
        let word = method.word();
        self.book.assert_fits(&Book::pointer("methods", word, "params"), &params);
        let result = self.stage.client.ok(word, params).await;
        self.book.assert_fits(&Book::pointer("methods", word, "result"), &result);
        self.called.insert(word.to_owned());
        result
    }

    /// Calls a method that is to fail.
    async fn fails(&self, method: &str, params: Value, code: i64) {
        let error = self.stage.client.peer.call(method, &params).await.expect_err(method);
        assert_eq!(error.code, code, "{method} {params}");
        self.book.assert_fits("/properties/error", &json!(error));
    }

    /// The next request or notification of that name; each on the way is looked at.
    async fn hears(&mut self, name: &str) -> Incoming {
        loop {
            let heard = self.stage.client.incoming.recv().await.expect("the agent is there");
            let group = if heard.id.is_some() { "requests" } else { "notifications" };
            self.book.assert_fits(&Book::pointer(group, &heard.method, "params"), &heard.params);
            self.heard.insert(heard.method.clone());
            if heard.method == name {
                return heard;
            }
        }
    }

    async fn answers(&self, request: &Incoming, result: Result<Value, RpcError>) {
        if let Ok(value) = &result {
            self.book.assert_fits(&Book::pointer("requests", &request.method, "result"), value);
        }
        self.stage.client.peer.answer(request.id.as_ref().expect("a number"), result).await;
    }
}

/// Another browser is let in by the two digits.
async fn sign_in_by_approval(browser: &mut TestBrowser, witness: &mut Witness) {
    let (_, order) = browser.post("/v1/orders", json!({ "account": "ada" })).await;
    let request = witness.hears("approval.request").await;
    witness.answers(&request, Ok(json!({ "allow": true, "code": order["code"] }))).await;
    while browser.post("/v1/orders/finish", json!({})).await.0 != 204 {
        tokio::task::yield_now().await;
    }
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn everything_that_the_agent_says_fits_the_schema() {
    let stage = Stage::new().await;
    let mut witness = Witness { book: Book::closed(), stage, called: BTreeSet::new(), heard: BTreeSet::new() };
    let issuer = witness.stage.server.issuer.clone();
    let origin = issuer.origin();
    witness.call(Method::Hello, json!({ "name": "Test", "version": "1" })).await;
    let ticket = witness.stage.server.ticket("ada").await;
    let enrolled = witness.call(Method::Enrol, json!({ "issuer": issuer, "ticket": ticket })).await;
    let profile = json!({ "avatar": "https://app.example.com/ada.png" });
    witness.call(Method::SetPresence, json!({ "presence": "signed_in", "profile": profile })).await;
    witness.call(Method::Accounts, json!({})).await;
    witness.call(Method::Register, json!({ "name": "open", "schema": true })).await;
    witness.call(Method::Publish, json!({ "name": "open", "value": ["a", "b"] })).await;

    let mut browser = TestBrowser::of(&witness.stage.server);
    let mut page = witness.stage.page(&mut browser).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::News { .. })));
    witness.hears("sockets.changed").await;
    let (id, login) = page.machine.login(browser.challenge().await);
    page.send(&login.encode()).await;
    witness.hears("consent.request").await;
    page.send(&json!({ "type": "cancel", "id": id }).to_string()).await;
    witness.hears("consent.withdrawn").await;
    while !matches!(page.next().await, Ok(AgentMessage::Refused { .. })) {}
    let challenge = browser.challenge().await;
    let (_, login) = page.machine.login(challenge.clone());
    page.send(&login.encode()).await;
    let request = witness.hears("consent.request").await;
    witness.answers(&request, Ok(json!({ "allow": true, "remember": true }))).await;
    let token = loop {
        if let Ok(AgentMessage::Token { token, .. }) = page.next().await {
            break token;
        }
    };
    let subject = enrolled["account"].as_str().expect("a subject").parse().expect("a subject");
    assert_eq!(browser.redeem(&challenge, &token, &subject).await, 204);
    let action = |id| json!({ "type": "action", "id": id, "name": "open", "params": null }).to_string();
    page.send(&action(7)).await;
    let request = witness.hears("action.invoke").await;
    witness.answers(&request, Err(RpcError::failed("denied", "no"))).await;
    assert_eq!(page.next().await, Ok(AgentMessage::Refused { id: 7, code: RefusalCode::Denied }));
    page.send(&action(8)).await;
    witness.hears("action.invoke").await;
    drop(page);
    witness.hears("action.withdrawn").await;

    let mut other = TestBrowser::of(&witness.stage.server);
    assert_eq!(other.post("/v1/orders", json!({ "account": "ada" })).await.0, 201);
    witness.hears("approval.request").await;
    assert_eq!(other.post("/v1/orders/cancel", json!({})).await.0, 204);
    witness.hears("approval.withdrawn").await;
    sign_in_by_approval(&mut other, &mut witness).await;
    witness.call(Method::Grants, json!({})).await;
    witness.call(Method::SetGrant, json!({ "origin": origin, "consent": "always" })).await;
    witness.call(Method::Status, json!({})).await;
    witness.call(Method::Doctor, json!({})).await;
    witness.call(Method::Revoke, json!({ "origin": origin })).await;
    witness.call(Method::Open, json!({ "url": origin })).await;
    witness.call(Method::Unregister, json!({ "name": "open" })).await;
    witness.fails("presence.set", json!({ "presence": "signed_out" }), -32000).await;
    witness.fails("presence.set", json!({}), INVALID_PARAMS).await;
    witness.fails("presence.get", json!({}), -32601).await;
    let log = witness.call(Method::Tail, json!({})).await;
    let device = log["entries"].as_array().into_iter().flatten().find_map(|entry| entry["device"].as_str());
    assert_eq!(browser.revoke_device(device.expect("a device")).await, 204);
    witness.hears("account.revoked").await;
    let ticket = witness.stage.server.ticket("ada").await;
    let enrolled = witness.call(Method::Enrol, json!({ "issuer": issuer, "ticket": ticket })).await;
    sign_in_by_approval(&mut other, &mut witness).await;
    assert_eq!(other.post("/v1/logout", json!({ "everywhere": true })).await.0, 204);
    witness.hears("account.signed_out").await;
    witness.call(Method::SignOut, json!({ "account": enrolled["account"] })).await;
    witness.call(Method::Status, json!({})).await;
    witness.call(Method::Remove, json!({})).await;
    let log = witness.call(Method::Tail, json!({})).await;
    assert!(log["entries"].as_array().is_some_and(|entries| entries.len() >= 10), "{log}");
    witness.call(Method::Stop, json!({})).await;

    assert_eq!(witness.called, witness.book.names(&["methods"]));
    let said = witness.book.names(SAID);
    assert_eq!(witness.heard, said);
}

/// A call on the page that waits for its answer.
#[derive(Debug)]
struct Shown {
    group: &'static str,
    method: String,
    fits: Result<(), String>,
}

/// The exchanges on the page: `→` to the agent, `←` from it.
#[test]
fn the_examples_of_the_page_fit_the_schema() {
    let (book, page) = (Book::closed(), document("control.md"));
    let mut shown = BTreeSet::new();
    let mut calls: BTreeMap<(&str, u64), Shown> = BTreeMap::new();
    for (number, line) in (1..).zip(page.lines()) {
        let (direction, other, text) = match (line.strip_prefix("→"), line.strip_prefix("←")) {
            (Some(text), _) => ("→", "←", text),
            (_, Some(text)) => ("←", "→", text),
            _ => continue,
        };
        let line: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("line {number}: {error}"));
        assert_eq!(line["jsonrpc"], "2.0", "line {number}");
        let id = line["id"].as_u64();
        if let Some(method) = line["method"].as_str() {
            let group = match (direction, id) {
                ("→", _) => "methods",
                (_, Some(_)) => "requests",
                (_, None) => "notifications",
            };
            let params = line.get("params").cloned().unwrap_or_else(|| json!({}));
            let fits = book.fits(&Book::pointer(group, method, "params"), &params);
            shown.insert(method.to_owned());
            match id {
                Some(id) => drop(calls.insert((direction, id), Shown { group, method: method.to_owned(), fits })),
                None => fits.expect("params that fit"),
            }
            continue;
        }
        let call = id.and_then(|id| calls.remove(&(other, id)));
        let Shown { group, method, fits } = call.unwrap_or_else(|| panic!("line {number} answers nothing"));
        let refused = line["error"]["code"] == INVALID_PARAMS;
        assert_eq!(fits.is_err(), refused, "line {number}: {fits:?}");
        match (line.get("result"), line.get("error")) {
            (Some(result), None) => book.assert_fits(&Book::pointer(group, &method, "result"), result),
            // What a client refuses with is its own.
            (None, Some(error)) if direction == "←" => book.assert_fits("/properties/error", error),
            (None, Some(_)) => {}
            _ => panic!("line {number} is neither a result nor an error"),
        }
    }
    assert_eq!(calls.len(), 0, "{calls:?}");
    let said = book.names(&["methods", "requests", "notifications"]);
    assert_eq!(shown, said, "each has its example");
}
