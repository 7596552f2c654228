//! DingTalk's page in a browser, as a whole and in a frame.

use loopkey::connectors::dingtalk::Credentials;
use loopkey::connectors::{Beginning, Connector, Fault};
use url::Url;

use super::{APP, BACK, CORP, OTHER_CORP, Stand, class};

/// What the browser does with an address: asks for it, and goes where it is sent.
pub(crate) async fn visit(location: &str) -> (u16, Option<Url>, String) {
    let url: Url = location.parse().expect("an address");
    // A browser would follow; the redirect is what is looked at.
    let stream = tokio::net::TcpStream::connect((url.host_str().expect("a host"), url.port().expect("a port"))).await;
    let mut stream = stream.expect("connected");
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    (status, location.map(|location| location.trim().parse().expect("an address")), answer)
}

pub(crate) fn pairs(url: &Url) -> Vec<(String, String)> {
    url.query_pairs().into_owned().collect()
}

pub(super) async fn begin(connector: &dyn Connector, state: &str, embedded: bool) -> String {
    let begun = connector.begin(&Beginning { state, redirect_uri: BACK, embedded }).await.expect("a beginning");
    assert!(begun.kept.is_empty(), "there is nothing to keep: neither PKCE nor a nonce");
    begun.location
}

/// Signs somebody in with the page, and gives the parameters that come back.
pub(super) async fn there_and_back(
    stand: &Stand,
    connector: &dyn Connector,
    person: Option<(&str, &str)>,
) -> Vec<(String, String)> {
    stand.fake.state().person = person.map(|(corp, userid)| (corp.to_owned(), userid.to_owned()));
    let (status, back, answer) = visit(&begin(connector, "st4te+/=&", false).await).await;
    let back = back.unwrap_or_else(|| panic!("{answer}"));
    assert_eq!((status, &back[..url::Position::AfterPath]), (302, BACK));
    let parameters = pairs(&back);
    assert!(parameters.contains(&("state".into(), "st4te+/=&".into())), "{parameters:?}");
    parameters
}

pub(super) fn borrowed(parameters: &[(String, String)]) -> Vec<(&str, &str)> {
    parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn d04_both_ways_lead_to_the_same_person() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let back = there_and_back(&stand, &connector, Some((CORP, "ada"))).await;
    let by_page = stand.finish(&connector, &borrowed(&back)).await.expect("a person");
    let by_code = connector.exchange(&stand.code("ada")).await.expect("a person");
    assert!(by_page == by_code, "the same organisation, id and details");
    // The code counted.
    assert_eq!(class(stand.finish(&connector, &borrowed(&back)).await), Fault::Code);
}

#[tokio::test]
async fn d04_codes_of_the_two_ways_are_not_taken_for_each_other() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let in_app = stand.code("ada");
    assert_eq!(class(stand.finish(&connector, &[("authCode", in_app.expose())]).await), Fault::Code);
    connector.exchange(&in_app).await.expect("it is still good where it belongs");
    let back = there_and_back(&stand, &connector, Some((CORP, "ada"))).await;
    let code = back.iter().find(|(name, _)| name == "code").expect("a code").1.clone();
    assert_eq!(class(connector.exchange(&super::noted(code)).await), Fault::Code);
}

#[tokio::test]
async fn the_code_comes_under_two_names_and_only_as_one() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    for name in ["authCode", "code"] {
        let back = there_and_back(&stand, &connector, Some((CORP, "ada"))).await;
        let code = &back.iter().find(|(found, _)| found == name).expect("both").1;
        stand.finish(&connector, &[(name, code)]).await.expect("either is enough");
    }
    let asked = stand.fake.state().calls.len();
    let two = stand.finish(&connector, &[("authCode", "one"), ("code", "other")]).await;
    assert_eq!(class(two), Fault::Misbehaved);
    assert_eq!(class(stand.finish(&connector, &[("authCode", "")]).await), Fault::Code);
    assert_eq!(class(stand.finish(&connector, &[]).await), Fault::Code);
    let long = "x".repeat(513);
    assert_eq!(class(stand.finish(&connector, &[("code", long.as_str())]).await), Fault::Code);
    assert_eq!(stand.fake.state().calls.len(), asked, "none of these is asked for");
}

#[tokio::test]
async fn who_says_no_comes_back_without_a_code() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let back = there_and_back(&stand, &connector, None).await;
    assert_eq!(class(stand.finish(&connector, &borrowed(&back)).await), Fault::Refused);
    // An error beside a code is an error.
    let both = stand.finish(&connector, &[("error", "access_denied"), ("code", "c")]).await;
    assert_eq!(class(both), Fault::Refused);
}

#[tokio::test]
async fn i152_what_a_provider_says_is_cut_and_without_markup_that_runs() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let markup = format!("<script>alert(1)</script>\r\n\x1b[31m{}", "x".repeat(10_000));
    let fault = stand.finish(&connector, &[("error", &markup)]).await.expect_err("an error");
    // Nothing of it is repeated, not even in the log.
    assert!(fault.fault == Fault::Refused && !fault.to_string().contains("script"), "{fault}");
}

#[tokio::test]
async fn d13_a_person_of_another_organisation_is_told_apart() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    // DingTalk shows an internal application to members alone; should it not, it is seen here.
    stand.fake.state().person = Some((OTHER_CORP.into(), "eve".into()));
    let (status, back, _) = visit(&begin(&connector, "s", false).await).await;
    assert_eq!((status, back), (400, None));
    stand.fake.state().apps.get_mut(APP).expect("the app").kind =
        loopkey::demo::dingtalk::Kind::Suite { ticket: String::new(), opened: Default::default() };
    let back = there_and_back(&stand, &connector, Some((OTHER_CORP, "eve"))).await;
    assert_eq!(class(stand.finish(&connector, &borrowed(&back)).await), Fault::Tenant);
}

#[tokio::test]
async fn d12_the_frame_is_dingtalks_page_and_posts_where_it_would_go() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    stand.fake.state().person = Some((CORP.into(), "ada".into()));
    let location = begin(&connector, "s", true).await;
    let url: Url = location.parse().expect("an address");
    assert_eq!(url.origin().ascii_serialization(), connector.front_end()["frame_origin"]);
    assert!(pairs(&url).contains(&("iframe".into(), "true".into())));
    let (status, none, page) = visit(&location).await;
    assert!(status == 200 && none.is_none() && page.contains("postMessage") && page.contains("redirectUrl"), "{page}");
}

#[tokio::test]
async fn the_address_is_dingtalks_and_encoded_once() {
    let stand = Stand::start().await;
    let connector = stand.connector(|table| table.hosts = None);
    let location = begin(&connector, "a b+c&d=e", false).await;
    assert!(location.starts_with("https://login.dingtalk.com/oauth2/auth?"), "{location}");
    assert!(location.contains("&scope=openid%20corpid&") && !location.contains('+'), "{location}");
    assert_eq!(
        pairs(&location.parse().expect("an address")),
        [
            ("redirect_uri".into(), BACK.into()),
            ("response_type".into(), "code".into()),
            ("client_id".into(), APP.into()),
            ("scope".into(), "openid corpid".into()),
            ("prompt".into(), "consent".into()),
            ("state".into(), "a b+c&d=e".to_owned()),
        ]
    );
    let oldest = stand.connector(|table| {
        table.app_key.clear();
        table.credentials = Credentials::CorpSecret;
        table.dialect = loopkey::connectors::dingtalk::Dialect::Old;
    });
    let beginning = Beginning { state: "s", redirect_uri: BACK, embedded: false };
    assert_eq!((oldest.has_page(), oldest.frame_origin()), (false, None), "no card offers it");
    assert_eq!(oldest.begin(&beginning).await.expect_err("no such thing").fault, Fault::Unsupported);
}
