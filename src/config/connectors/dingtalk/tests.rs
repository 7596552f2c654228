//! DingTalk in `server.toml`: each kind of application, and each entry that is wrong.

use crate::config::tests::{SERVER, assert_named, faults, server};

const DINGTALK: &str = r#"
[[connector]]
name = "ding"
kind = "dingtalk"
label = "钉钉"
app_key = "dingabcdefghij012345"
app_secret_file = "SECRET"
corp_id = "dingcorp0001"
agent_id = 1234567890
page_digest = "sha1"
edition = "international"
"#;

#[test]
fn d01_d02_dingtalk_is_read_and_each_wrong_entry_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    let secret = "planted0".repeat(8);
    std::fs::write(&path, &secret).expect("written");
    let text = format!("{SERVER}{DINGTALK}").replace("SECRET", &path.to_string_lossy());
    let config = server(&text).expect("a sound file");
    let [ding] = config.login.connectors.as_slice() else { panic!("{:?}", config.login.connectors) };
    assert_eq!((ding.connector.kind(), ding.connector.tenant()), ("dingtalk", Some("dingcorp0001")));
    assert!(ding.connector.is_in_app());
    let described = ding.connector.describe();
    assert_eq!(
        (&described["page_digest"], &described["hosts"][0]),
        (&"sha1".into(), &"https://oapi.dingtalk.io".into())
    );
    let shown = format!("{config:?}{described}{}", ding.connector.front_end());
    assert!(!shown.contains("planted"), "{shown}");

    let line = |entry: &str| 1 + text.lines().position(|line| line.starts_with(entry)).expect("a line");
    for (from, to, at, entry, cure) in [
        ("dingabcdefghij012345", "short", "app_key", "connector[0].app_key", "20 letters and digits"),
        ("\"dingcorp0001\"", "\"corp\"", "corp_id", "connector[0].corp_id", "front page"),
        ("corp_id = \"dingcorp0001\"\n", "", "[[connector]]", "connector[0].corp_id", "is missing"),
        ("1234567890", "12", "agent_id", "connector[0].agent_id", "from 1000000000"),
        ("agent_id = 1234567890\n", "", "[[connector]]", "connector[0].agent_id", "is missing"),
        ("page_digest = \"sha1\"", "page_digest = \"md5\"", "page_digest", "connector[0].page_digest", "\"sha256\""),
        ("edition =", "editions =", "edition", "connector[0].editions", "did you mean edition?"),
    ] {
        assert_named(&faults(server, &text, &[(from, to)]), line(at), entry, cure);
    }
    std::fs::write(&path, "planted-too-short").expect("written");
    let found = faults(server, &text, &[]);
    assert_named(&found, line("app_secret_file"), "connector[0].app_secret_file", "64 letters");
    assert!(!format!("{found:?}").contains("planted"));
    let without = text.lines().filter(|line| !line.starts_with("app_secret_file")).collect::<Vec<_>>().join("\n");
    assert_named(&faults(server, &without, &[]), line("[[connector]]"), "connector[0].app_secret_file", "is missing");
}

const SUITE: &str = r#"
[[connector]]
name = "one"
kind = "dingtalk"
label = "钉钉 1"
app_key = "suiteexample0001"
app_secret_file = "SECRET"
corp_id = "dingcorp0001"
agent_id = 1234567890
credentials = "suite"

[[connector]]
name = "two"
kind = "dingtalk"
label = "钉钉 2"
app_key = "suiteexample0001"
app_secret_file = "SECRET"
corp_id = "dingcorp0002"
agent_id = 1234567891
credentials = "suite"
dialect = "old"
callback_token_file = "TOKEN"
callback_key_file = "KEY"
"#;

struct Files {
    folder: tempfile::TempDir,
    text: String,
}

impl Files {
    /// A file, with its secrets in files of their own.
    fn new(connectors: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            ("SECRET", "planted0".repeat(8)),
            ("OTHER", "planted1".repeat(8)),
            ("TOKEN", "planted-token\n".to_owned()),
            ("KEY", "plantedplantedplantedplantedplantedplanted1\n".to_owned()),
        ];
        let mut text = format!("{SERVER}{connectors}");
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("written");
            text = text.replace(&format!("\"{name}\""), &format!("{:?}", path.to_string_lossy()));
        }
        Self { folder, text }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// The line of the n-th entry of a name.
    fn line(&self, entry: &str, nth: usize) -> usize {
        let lines = self.text.lines().enumerate().filter(|(_, line)| line.starts_with(entry));
        lines.map(|(at, _)| at + 1).nth(nth).expect("a line")
    }
}

#[test]
fn c04_d01_a_suite_stands_once_for_each_organisation() {
    let files = Files::new(SUITE);
    let config = server(&files.text).expect("a sound file");
    let [one, two] = config.login.connectors.as_slice() else { panic!("{:?}", config.login.connectors) };
    assert_eq!((one.connector.tenant(), two.connector.tenant()), (Some("dingcorp0001"), Some("dingcorp0002")));
    for way in [one, two] {
        let described = way.connector.describe();
        assert_eq!((&described["credentials"], &described["app_key"]), (&"suite".into(), &"suiteexample0001".into()));
        // The second one's callback is the suite's: they share it.
        assert_eq!(described["events"], "callback");
    }
    assert!(!format!("{config:?}").contains("planted"), "{config:?}");
    let streamed = files.text.lines().filter(|line| !line.starts_with("callback_")).collect::<Vec<_>>().join("\n");
    let config = server(&streamed).expect("a sound file");
    assert_eq!(config.login.connectors[0].connector.describe()["events"], "stream");
}

#[test]
fn d02_what_is_wrong_with_a_suite_is_named() {
    let files = Files::new(SUITE);
    let (secret, other, key, token) =
        (files.path("SECRET"), files.path("OTHER"), files.path("KEY"), files.path("TOKEN"));
    let second = |entry: &str| format!("connector[1].{entry}");
    let found = |changes: &[(&str, &str)]| faults(server, &files.text, changes);
    let corp2 = "corp_id = \"dingcorp0002\"";
    // Another secret, or another DingTalk, than the same suite's other connector.
    let (before, behind) = files.text.rsplit_once(&secret).expect("a second one");
    let differs = format!("{before}{other}{behind}");
    let named = faults(server, &differs, &[]);
    assert_named(&named, files.line("app_secret_file", 1), &second("app_secret_file"), "one secret");
    let elsewhere = found(&[(corp2, "corp_id = \"dingcorp0002\"\nedition = \"international\"")]);
    assert!(elsewhere.iter().any(|fault| fault.contains("connector[1].hosts: another")), "{elsewhere:?}");
    assert_named(
        &found(&[("callback_key_file", "# ")]),
        files.line("[[connector]]", 1),
        &second("callback_key_file"),
        "need both",
    );
    assert_named(
        &found(&[("callback_token_file", "# ")]),
        files.line("[[connector]]", 1),
        &second("callback_token_file"),
        "need both",
    );
    assert_named(
        &found(&[("callback_token_file", "callback_token")]),
        files.line("callback_token", 0),
        &second("callback_token"),
        "callback_token_file",
    );
    std::fs::write(&key, "planted-short").expect("written");
    assert_named(&found(&[]), files.line("callback_key", 0), &second("callback_key_file"), "43 letters");
    std::fs::write(&key, "plantedplantedplantedplantedplantedplanted1").expect("written");
    std::fs::write(&token, "planted token").expect("written");
    let named = found(&[]);
    assert_named(&named, files.line("callback_token", 0), &second("callback_token_file"), "visible");
    assert!(!format!("{named:?}").contains("planted"), "{named:?}");
    std::fs::write(&token, "planted-token").expect("written");
    let variable = format!("callback_token_file = {token:?}");
    let named = found(&[(&variable, "callback_token_env = \"LOOPKEY_TEST_NEVER_SET\"")]);
    assert_named(&named, files.line("callback_token", 0), &second("callback_token_env"), "LOOPKEY_TEST_NEVER_SET");
    // A suite's key begins with `suite`; and events over HTTP are a suite's alone.
    let named = found(&[("suiteexample0001", "dingabcdefghij012345")]);
    assert_named(&named, files.line("app_key", 0), "connector[0].app_key", "begins with");
    let internal = files.text.replace("suiteexample0001", "dingabcdefghij012345").replace("= \"suite\"", "= \"app\"");
    let named = faults(server, &internal, &[]);
    assert_named(&named, files.line("callback_token", 0), &second("callback_token_file"), "alone");
}

const QR: &str = r#"
[[connector]]
name = "site"
kind = "dingtalk_qr"
label = "钉钉扫码"
app_id = "dingoaexample01234"
app_secret_file = "SECRET"
exchange = "persistent"
"#;

#[test]
fn e01_the_qr_code_for_sites_is_read_and_each_wrong_entry_is_named() {
    let files = Files::new(QR);
    let config = server(&files.text).expect("a sound file");
    let [site] = config.login.connectors.as_slice() else { panic!("{:?}", config.login.connectors) };
    assert_eq!((site.connector.kind(), site.connector.tenant()), ("dingtalk_qr", None));
    assert_eq!(site.connector.front_end()["frame_origin"], "https://login.dingtalk.com");
    let described = site.connector.describe();
    assert_eq!((&described["app_id"], &described["exchange"]), (&"dingoaexample01234".into(), &"persistent".into()));
    let shown = format!("{config:?}{described}{}", site.connector.front_end());
    assert!(!shown.contains("planted"), "{shown}");
    let hosts = "[connector.hosts]\noapi = \"https://a.example\"\napi = \"https://b.example\"\nlogin = \"https://c.example/x\"\n";
    for (from, to, at, entry, cure) in [
        ("dingoaexample01234", "ding", "app_id", "app_id", "8 to 64"),
        ("app_id = \"dingoaexample01234\"\n", "", "[[connector]]", "app_id", "is missing"),
        ("app_secret_file", "# ", "[[connector]]", "app_secret_file", "is missing"),
        ("app_id =", "app_key =", "app_id", "app_key", "known here"),
        ("\"persistent\"", "\"kept\"", "exchange", "exchange", "\"signed\""),
        ("exchange = ", "agent_id = 1\nexchange = ", "exchange", "agent_id", "not a known key"),
        ("exchange = ", "edition = \"moon\"\nexchange = ", "exchange", "edition", "\"china\""),
    ] {
        assert_named(
            &faults(server, &files.text, &[(from, to)]),
            files.line(at, 0),
            &format!("connector[0].{entry}"),
            cure,
        );
    }
    let named = faults(server, &format!("{}{hosts}", files.text), &[]);
    assert_named(&named, files.line("exchange", 0) + 1, "connector[0].hosts", "without a path");
    std::fs::write(files.path("SECRET"), "planted-short").expect("written");
    let named = faults(server, &files.text, &[]);
    assert_named(&named, files.line("app_secret_file", 0), "connector[0].app_secret_file", "16 to 128");
    assert!(!format!("{named:?}").contains("planted"), "{named:?}");
}
