//! Names and pictures that were made to do harm, in real browsers on the demo's own pages. They come in by a login server
//! and an agent that let everything through, so that it is the card that stands the test, and by the backend's ticket.

use loopkey::demo::{Demo, Places};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::desk::SOON;
use crate::fake_agent::{FakeAgent, ready, state};
use crate::site::{Credulous, Place, Site, Stranger, in_front_of};
use crate::support::browser::{Browser, Context, Engine, LaunchOptions, Page};
use crate::support::places::free_places;

/// One browser of each kind for all tests of this file, with a context for each.
static BROWSERS: [OnceCell<Browser>; 2] = [OnceCell::const_new(), OnceCell::const_new()];

/// Runs in the page before anything hostile is shown: whatever script runs, asks or reports is written down.
pub(crate) const TRAPS: &str = r#"(() => {
  window.ran = [];
  window.pwned = (...args) => ran.push(`pwned ${args}`);
  for (const name of ['alert', 'confirm', 'prompt', 'print', 'open']) window[name] = (...args) => ran.push(`${name} ${args}`);
  window.violations = [];
  addEventListener('securitypolicyviolation', (event) => violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
  addEventListener('error', (event) => ran.push(`error ${event.message}`));
  return true;
})()"#;

/// What a page looks like with a hostile person on the card; `null` while another one is shown.
pub(crate) const CARD: &str = r#"((subject) => {
  const card = $('loopkey-card');
  if (card.loopkey.person?.subject !== subject || card.getAttribute('view') !== 'person') return null;
  const root = card.shadowRoot;
  const box = (element) => element.getBoundingClientRect();
  const [whole, title, button] = [card, root.querySelector('#title'), root.querySelector('#login')].map(box);
  const hit = root.elementFromPoint(button.x + button.width / 2, button.y + button.height / 2);
  const image = root.querySelector('img');
  return {
    title: root.querySelector('#title').textContent,
    label: root.querySelector('#login').textContent,
    read_out: root.querySelector('.status').textContent,
    tags: [...new Set([...root.querySelectorAll('*')].map((element) => element.localName))].sort(),
    inner: [...root.querySelectorAll('#title, #text, .label')].reduce((count, element) => count + element.childElementCount, 0),
    attributes: [...root.querySelectorAll('*')].flatMap((element) => element.getAttributeNames()).filter((name) => /^on|^style$|^srcset$/.test(name)),
    image: image && image.src,
    above: title.bottom <= button.top, within: title.left >= whole.left && title.right <= whole.right,
    clickable: Boolean(hit?.closest('#login')),
    bounded: whole.height < 520 && document.documentElement.scrollWidth <= innerWidth,
    foreign: performance.getEntriesByType('resource').map(({ name }) => new URL(name)).filter(({ origin, hostname, protocol }) =>
      protocol !== 'data:' && origin !== location.origin && hostname !== '127.0.0.1' && hostname !== '[::1]').map(String),
    ran, violations, title_of_page: document.title,
  };
})"#;

/// Every element that the card is made of.
const TAGS: [&str; 11] = ["a", "button", "div", "h2", "img", "p", "path", "section", "slot", "span", "svg"];

/// A page of the demo in a browser, with a login server and an agent behind it that believe whatever they are told.
pub(crate) struct Stage {
    credulous: Credulous,
    agent: FakeAgent,
    pub(crate) page: Page,
    epoch: u64,
    pub(crate) stranger: Stranger,
    demo: Demo,
    _site: Site,
    _context: Context,
}

impl Stage {
    pub(crate) async fn new(engine: Engine) -> Self {
        let places = free_places();
        let agent = FakeAgent::listen(places.agent[0], obliging).await;
        let (demo, credulous) = (start_demo(&places).await, Credulous::default());
        let site = Place::take().await.serve(&in_front_of(demo.site_url(), credulous.router(&places.agent)));
        credulous.tell("nobody yet", &json!("Nobody yet"), &Value::Null);
        let context = browser(engine).await.new_context().await.expect("a context");
        let page = context.new_page().await.expect("a tab");
        page.set_viewport(1200, 800).await.expect("a size");
        page.goto(&site.url()).await.expect("the page");
        assert!(page.eval::<bool>(TRAPS).await.expect("the traps are set"));
        let stranger = Stranger::listen().await;
        let stage = Self { credulous, agent, page, epoch: 1, stranger, demo, _site: site, _context: context };
        stage.seen("nobody yet").await;
        stage
    }

    /// Signs somebody in to the client who is called and looks like this, and answers what the card then shows.
    pub(crate) async fn show(&mut self, name: &Value, avatar: &Value) -> Value {
        self.epoch += 1;
        let subject = format!("s-{}", self.epoch);
        self.credulous.tell(&subject, name, avatar);
        self.agent.push(json!({ "type": "state", "seq": self.epoch, "state": state(self.epoch) }));
        self.seen(&subject).await
    }

    /// Where `/away.png` of the site leads.
    pub(crate) fn redirect_to(&self, url: &str) {
        self.credulous.redirect_to(url);
    }

    async fn seen(&self, subject: &str) -> Value {
        let look = format!("{CARD}('{subject}')");
        self.page.wait_for(&look, SOON).await.expect("the card shows the person");
        self.page.eval(&look).await.expect("the card")
    }

    /// Nothing ran, nothing was asked of anybody else, and our own code broke no policy.
    pub(crate) async fn leave(self) {
        let after: Value = self.page.eval("({ ran, violations })").await.expect("the traps");
        assert_eq!(after["ran"], json!([]), "something ran");
        assert_eq!(after["violations"], json!([]), "a policy was broken");
        let console = self.page.console();
        let faults: Vec<_> = console.iter().filter(|line| line.contains("Content Security Policy")).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        assert_eq!(self.stranger.calls().await, 0, "a foreign host was called");
        self.demo.stop().await;
    }
}

/// Proves and signs whatever it is asked for.
fn obliging(message: &Value) -> Vec<Value> {
    let id = &message["id"];
    match message["type"].as_str() {
        Some("open") => vec![ready(1, Some("a proof"))],
        Some("prove") => vec![json!({ "type": "proof", "id": id, "proof": "a proof" })],
        Some("login") => vec![json!({ "type": "token", "id": id, "token": "a token" })],
        _ => vec![],
    }
}

pub(crate) async fn browser(engine: Engine) -> &'static Browser {
    let place = &BROWSERS[usize::from(engine == Engine::Firefox)];
    place.get_or_init(async || Browser::launch(engine, LaunchOptions::default()).await.expect("a browser")).await
}

pub(crate) async fn start_demo(places: &Places) -> Demo {
    Demo::start(places.clone()).await.expect("the demo starts")
}

/// The card shows exactly `shown`, as text, in its place, and everything else is as it was.
pub(crate) fn assert_harmless(seen: &Value, shown: &str, given: &Value) {
    let given = given.to_string().chars().take(120).collect::<String>();
    assert_eq!(seen["title"], shown, "the title for {given}");
    assert_eq!(seen["label"], format!("Continue as {shown}"), "the button for {given}");
    assert!(seen["read_out"].as_str().is_some_and(|text| text.starts_with(shown)), "what is read out for {given}");
    for tag in seen["tags"].as_array().expect("tags") {
        assert!(TAGS.contains(&tag.as_str().expect("a tag")), "{tag} came from {given}");
    }
    assert_eq!((&seen["inner"], &seen["attributes"]), (&json!(0), &json!([])), "{given}");
    for is in ["above", "within", "clickable", "bounded"] {
        assert_eq!(seen[is], true, "not {is}: {given}\n{seen:#}");
    }
    assert_eq!((&seen["ran"], &seen["violations"], &seen["foreign"]), (&json!([]), &json!([]), &json!([])), "{given}");
    assert_eq!(seen["title_of_page"], "Tidemark", "{given}");
}

/// Shows each name on the card, and with the last one signs in and looks at the site.
async fn names(names: &[(Value, String)]) {
    for engine in Engine::ALL {
        let mut stage = Stage::new(engine).await;
        for (name, shown) in names {
            let seen = stage.show(name, &Value::Null).await;
            assert_harmless(&seen, shown, name);
        }
        let (_, last) = names.last().expect("some names");
        stage.page.click("loopkey-card >>> #login").await.expect("the button");
        stage.page.wait_for("document.body.dataset.session === 'in'", SOON).await.expect("a session");
        assert_eq!(stage.page.text("#person-name").await.expect("the name"), *last);
        assert_eq!(stage.page.text("#device").await.expect("the device"), *last);
        let greeting = stage.page.text("#greeting").await.expect("the greeting");
        assert_eq!(greeting, format!("Hello, {last}"));
        let inside = "document.querySelectorAll('#person-name *, #greeting *, #device *, #method *').length";
        assert_eq!(stage.page.eval::<u32>(inside).await.expect("a number"), 0, "text became elements");
        let fits: bool =
            stage.page.eval("document.documentElement.scrollWidth <= innerWidth").await.expect("the width");
        assert!(fits, "the site is wider than its window");
        stage.leave().await;
    }
}

/// Names of which every character is shown.
async fn as_they_are(texts: &[&str]) {
    names(&texts.iter().map(|text| (json!(text), (*text).to_owned())).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn i153_names_with_tags() {
    as_they_are(&[
        "<b>Ada</b>",
        "<script>pwned()</script>",
        "<SCRIPT src=//127.0.0.1/x.js></SCRIPT>",
        "<iframe srcdoc='<script>parent.pwned()</script>'>",
        "<style>*{display:none}</style>",
        "<base href=//127.0.0.1:9/>",
        "<meta http-equiv=refresh content=0;url=//127.0.0.1:9/>",
        "<form action=//127.0.0.1:9/><button>Continue",
        "<template shadowrootmode=open><slot></slot>",
        "</h2></section><h1>Signed in</h1>",
        "<!--",
        "]]>",
        "<?xml?>",
        "<svg><script>pwned()</script></svg>",
    ])
    .await;
}

#[tokio::test]
async fn i153_names_with_event_handlers() {
    as_they_are(&[
        "<img src=x onerror=pwned(1)>",
        "<svg onload=pwned(2)>",
        "<details open ontoggle=pwned(3)>",
        "<input autofocus onfocus=pwned(4)>",
        "<video><source onerror=pwned(5)></video>",
        "<a href=javascript:pwned(6)>Ada</a>",
        "<x style=animation:turn onanimationstart=pwned(7)>",
        "<body onpageshow=pwned(8)>",
    ])
    .await;
}

#[tokio::test]
async fn i153_names_with_quotes_and_ways_out_of_them() {
    as_they_are(&[
        "\" onmouseover=\"pwned()",
        "' onmouseover='pwned()",
        "` onmouseover=`pwned()",
        "\"><script>pwned()</script>",
        "');pwned();//",
        "\\\");pwned();//",
        "\\u003cscript\\u003epwned()\\u003c/script\\u003e",
        "&lt;img src=x onerror=pwned()&gt; &#60;b&#62; &amp;",
        "%3Cscript%3Epwned()%3C/script%3E",
        "url(//127.0.0.1:9/); } :host { display: none",
    ])
    .await;
}

#[tokio::test]
async fn i153_names_in_the_languages_of_templates() {
    as_they_are(&[
        "{name}",
        "{app} {App} {code}",
        "{constructor} {__proto__}",
        "${pwned()}",
        "{{constructor.constructor('pwned()')()}}",
        "<%= pwned() %>",
        "#{pwned()}",
        "[[${pwned()}]]",
        "$& $1 $` $' $<name>",
        "%s %d %n",
        "__proto__",
        "constructor",
        "null",
    ])
    .await;
}

#[tokio::test]
async fn i153_names_that_turn_the_text_around() {
    names(&[
        (json!("\u{202e}ecalevoL adA"), "ecalevoL adA".into()),
        (json!("Ada\u{202e} fo daetsni yrollaM"), "Ada fo daetsni yrollaM".into()),
        (json!("\u{2066}\u{2067}\u{2068}Ada\u{2069}"), "Ada".into()),
        (json!("\u{202d}\u{202a}\u{202b}Lin\u{202c}"), "Lin".into()),
        (json!("\u{200e}\u{200f}\u{061c}Sam"), "Sam".into()),
        (json!("עדה לאבלייס"), "עדה לאבלייס".into()),
    ])
    .await;
}

#[tokio::test]
async fn i153_names_with_what_does_not_show() {
    names(&[
        (json!("A\u{0}da"), "Ada".into()),
        (json!("\u{1b}[31mAda\u{7}\u{8}"), "[31mAda".into()),
        (json!("A\u{200b}d\u{2060}a\u{feff}\u{ad} L"), "Ada L".into()),
        (json!("Ada\r\nSet-Cookie: x=1\t\u{85}\u{2028}\u{2029}."), "AdaSet-Cookie: x=1.".into()),
        (json!("\u{e0041}\u{e0042}Ada!"), "Ada!".into()),
        (json!("\u{200b}\u{202e}\u{0}"), "?".into()),
        (json!(""), "?".into()),
        (json!("   "), "?".into()),
    ])
    .await;
}

#[tokio::test]
async fn i153_names_of_ten_kilobytes_are_cut() {
    let long = |text: &str| -> (Value, String) {
        let many = text.repeat(10_240 / text.len() + 1);
        let cut: String = many.chars().take(128).collect();
        (many.into(), format!("{cut}…"))
    };
    names(&[
        long("W"),
        long("W "),
        long("林"),
        long("<b>"),
        long("😀"),
        long("\u{fdfd}"),
        long("a\u{301}"),
        long("Ada Lovelace "),
    ])
    .await;
}

#[tokio::test]
async fn i153_names_of_sequences_and_stacks() {
    let stack: String = std::iter::once('Z').chain(std::iter::repeat_n('\u{0351}', 100)).collect();
    names(&[
        (json!("👩‍👩‍👧‍👦 Ada"), "👩‍👩‍👧‍👦 Ada".into()),
        (json!("🏳️‍🌈 🇺🇳 👍🏽"), "🏳️‍🌈 🇺🇳 👍🏽".into()),
        (json!("نام‌خانوادگی"), "نام‌خانوادگی".into()),
        (json!("क्‍षत्रिय"), "क्‍षत्रिय".into()),
        (json!(stack), stack.clone()),
        (json!("\u{301}\u{301}\u{301}"), "\u{301}\u{301}\u{301}".into()),
    ])
    .await;
}

#[tokio::test]
async fn i153_names_that_are_no_text() {
    names(&[
        (json!(null), "?".into()),
        (json!(7), "?".into()),
        (json!(["<b>"]), "?".into()),
        (json!({ "toString": "<b>", "__proto__": { "x": 1 } }), "?".into()),
    ])
    .await;
}
