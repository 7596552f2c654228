//! The page about this connector says what its rows promise.

fn page() -> &'static str {
    include_str!("../../../../docs/dingtalk.md")
}

#[test]
fn c09_the_page_explains_what_mian_deng_is() {
    assert!(page().contains("免登") && page().contains("no user name and no password"));
}

#[test]
fn d03_the_page_says_where_each_value_is_found() {
    for value in ["app_key", "app_secret", "agent_id", "corp_id", "callback_token_file", "callback_key_file"] {
        let step = page().lines().find(|line| line.starts_with(|c: char| c.is_ascii_digit()) && line.contains(value));
        assert!(step.is_some(), "no step names {value}");
    }
}

#[test]
fn d02_the_configuration_on_the_page_is_one() {
    let block = page().split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a configuration");
    let value: toml::Value = toml::from_str(block).expect("TOML");
    let table = value["connector"][0].as_table().expect("a table").clone();
    // These are the login server's own.
    let own = ["name", "kind", "label", "app_secret_file"];
    let table: toml::Table = table.into_iter().filter(|(key, _)| !own.contains(&key.as_str())).collect();
    let table: loopkey::connectors::dingtalk::Table = table.try_into().expect("only known entries");
    let secret = loopkey::crypto::Secret::new("s".repeat(64));
    loopkey::connectors::dingtalk::Settings::new(table, secret).expect("a sound example");
}

/// Every block of the page, as `loopkey check-config` would read it.
#[test]
fn d02_each_configuration_on_the_page_is_a_server_toml() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocks: Vec<_> = page().split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 3, "an internal application, a suite, the QR code for sites");
    for block in blocks {
        let mut text =
            format!("issuer = \"https://app.example.com\"\nlisten = \"127.0.0.1:28980\"\nstore = \"memory:\"\n{block}");
        for name in ["dingtalk-secret", "suite-secret", "site-secret"] {
            let path = folder.path().join(name);
            std::fs::write(&path, "s".repeat(64)).expect("written");
            text = text.replace(&format!("/etc/loopkey/{name}"), &path.to_string_lossy());
        }
        let config = loopkey::config::server(&text, folder.path()).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
        assert!(!config.login.connectors.is_empty());
    }
}
