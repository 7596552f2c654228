//! `GET /metrics`, and the dashboard that shows it.

use std::collections::BTreeSet;

use loopkey::store::StoreUrl;
use serde_json::Value;

use super::device::Device;
use super::failing::FailingStore;
use super::http::Call;
use super::{Server, clock};

async fn metrics(server: &Server) -> String {
    let answer = Call::new("GET", "/metrics").send(server.address).await;
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").expect("a type");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(answer.body.ends_with("# EOF\n"), "the format wants an end");
    answer.body
}

/// The value of a line that begins so.
fn value(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {line:?} in\n{text}"))
}

#[tokio::test]
async fn what_happens_is_counted_and_nobody_is_named() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "grace@example.com").await;
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let token = device.token(&challenge);
    let before = browser.cookies.clone();
    assert_eq!(browser.login(&challenge, &token, device.subject.as_str()).await.status, 204);
    let signed_in = browser.cookies.clone();
    browser.cookies = before;
    browser.login(&challenge, &token, device.subject.as_str()).await.expect_error(401, "invalid_token");
    browser.cookies = signed_in;
    let events = browser.events().await;
    let text = metrics(&server).await;
    let login = |status: u16| {
        value(&text, &format!("loopkey_http_requests_total{{method=\"POST\",call=\"/v1/login\",status=\"{status}\"}}"))
    };
    assert_eq!((login(204), login(401)), (1.0, 1.0));
    let mark = |outcome: &str| value(&text, &format!("loopkey_marks_total{{outcome=\"{outcome}\"}}"));
    assert_eq!((mark("first"), mark("used")), (1.0, 1.0));
    assert_eq!(value(&text, "loopkey_store_seconds_count{operation=\"mark\"}"), 2.0);
    assert_eq!(value(&text, "loopkey_http_request_seconds_count{call=\"/v1/login\"}"), 2.0);
    assert_eq!((value(&text, "loopkey_event_streams "), value(&text, "loopkey_log_readable ")), (1.0, 1.0));
    for secret in ["grace", device.id(), device.subject.as_str(), "127.0.0.1", "example.com"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    drop(events);
    device.signs_out(&server, 1).await;
    // A page that left is noticed when something is written to it.
    crate::commands::until("the page's end", || async {
        let text = metrics(&server).await;
        value(&text, "loopkey_event_streams ") == 0.0 && value(&text, "loopkey_withdrawals_total ") == 1.0
    })
    .await;
}

#[tokio::test]
async fn a_store_that_breaks_shows() {
    let clock = clock();
    let inner = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    let store = FailingStore::over(inner);
    let server = Server::start_with(store.clone(), clock).await;
    let device = Device::enrol(&server, "ada").await;
    store.fail("mark");
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let answer = browser.login(&challenge, &device.token(&challenge), device.subject.as_str()).await;
    answer.expect_error(503, "unavailable");
    let text = metrics(&server).await;
    assert_eq!(value(&text, "loopkey_marks_total{outcome=\"unavailable\"}"), 1.0);
    assert_eq!(value(&text, "loopkey_store_errors_total{operation=\"mark\"}"), 1.0);
    store.fail("withdrawals");
    crate::commands::until("a log that cannot be read", || async {
        value(&metrics(&server).await, "loopkey_log_readable ") == 0.0
    })
    .await;
    let ready = async || Call::new("GET", "/readyz").send(server.address).await;
    ready().await.expect_error(503, "unavailable");
    store.recover();
    crate::commands::until("a log that can be read again", || async {
        value(&metrics(&server).await, "loopkey_log_readable ") == 1.0
    })
    .await;
    assert_eq!(ready().await.status, 200);
}

/// A fault of our own in whoever follows the log is no quiet end of it.
#[tokio::test]
async fn whoever_follows_the_log_begins_anew_after_a_fault() {
    let clock = clock();
    let inner = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    let store = FailingStore::over(inner);
    let server = Server::start_with(store.clone(), clock).await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    let mut events = browser.events().await;
    store.fail("a reader of the log");
    let readable = async || value(&metrics(&server).await, "loopkey_log_readable ");
    crate::commands::until("a fault", || async { readable().await == 0.0 }).await;
    assert_eq!(device.signs_out(&server, 1).await.status, 204);
    store.recover();
    events.until("event: signed_out").await;
    crate::commands::until("a log that is followed again", || async { readable().await == 1.0 }).await;
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(text) if name == "expr" => found.push(text.to_owned()),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// One metric in an expression, with what it asks of the labels: names and values, the values of `=~` one by one. What Grafana
/// fills in is left out.
#[derive(Debug, Clone)]
struct Selector {
    name: String,
    labels: Vec<(String, String)>,
}

impl Selector {
    fn matches(&self, line: &str) -> bool {
        let pair = |(label, value): &(String, String)| line.contains(&format!("{label}=\"{value}\""));
        line.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with(['{', ' '])) && self.labels.iter().all(pair)
    }
}

fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("loopkey_") {
        let Some((name, rest)) = expression[at..].split_once('{') else { continue };
        let labels = rest.split_once('}').expect("an end").0;
        let mut selectors = vec![Selector { name: name.to_owned(), labels: Vec::new() }];
        for matcher in labels.split(',').filter(|matcher| !matcher.contains('$') && !matcher.contains("!=")) {
            let (label, values) = matcher.split_once('=').expect("a matcher");
            let values: Vec<_> = values.trim_start_matches('~').trim_matches('"').split('|').collect();
            let with = |selector: &Selector, value: &str| {
                let mut selector = selector.clone();
                selector.labels.push((label.to_owned(), value.to_owned()));
                selector
            };
            selectors = values.iter().flat_map(|v| selectors.iter().map(|s| with(s, v)).collect::<Vec<_>>()).collect();
        }
        found.extend(selectors);
    }
    found
}

#[tokio::test]
async fn the_dashboard_asks_for_what_is_there() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    browser.get("/v1/session").await;
    // What a browser asks first on behalf of another origin of the list is no sign-in.
    let preflight = Call::new("OPTIONS", "/v1/login").header("Origin", "https://www.example.com");
    let preflight = preflight.header("Access-Control-Request-Method", "POST");
    assert_eq!(preflight.send(server.address).await.status, 204);
    let text = metrics(&server).await;
    let known: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .flat_map(|name| ["", "_total", "_bucket", "_sum", "_count", "_info"].map(|end| format!("{name}{end}")))
        .collect();
    let dashboard = include_str!("../../../packaging/grafana-dashboard.json");
    let dashboard: Value = serde_json::from_str(dashboard).expect("JSON");
    let mut asked = Vec::new();
    expressions(&dashboard, &mut asked);
    assert!(asked.len() >= 8, "{asked:?}");
    let sign_ins: Vec<_> =
        asked.iter().flat_map(|e| selectors(e)).filter(|s| format!("{s:?}").contains("204")).collect();
    let counted = text.lines().filter(|line| sign_ins.iter().any(|selector| selector.matches(line)));
    assert_eq!(counted.map(|line| line.rsplit(' ').next().expect("a value")).collect::<Vec<_>>(), ["1"]);
    for expression in asked {
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for name in words.filter(|word| word.starts_with("loopkey_")) {
            assert!(known.contains(name), "{expression}: no {name}");
        }
        for selector in selectors(&expression) {
            assert!(text.lines().any(|line| selector.matches(line)), "{expression}: {selector:?} selects nothing");
        }
    }
    let mut ids: Vec<_> = dashboard["panels"].as_array().expect("panels").iter().map(|p| p["id"].as_i64()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), dashboard["panels"].as_array().map_or(0, Vec::len), "each panel has its own id");
}
