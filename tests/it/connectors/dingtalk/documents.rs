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
    for value in ["app_key", "app_secret", "agent_id", "corp_id"] {
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
