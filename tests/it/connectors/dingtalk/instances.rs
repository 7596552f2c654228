//! Several instances, what they show of themselves, and one of somebody else's.

use std::sync::Arc;

use async_trait_of_the_crate::Outside;
use loopkey::connectors::{Connector, of_tenant};
use loopkey::store::{ConnectorName, Details, Identity};
use serde_json::Value;

use super::{APP, CORP, OTHER_CORP, Stand, secret};
use loopkey::demo::dingtalk::Kind;

const OTHER_APP: &str = "dingzyxwvutsrq987654";

fn two(stand: &Stand) -> [(&'static str, Arc<dyn Connector>); 2] {
    stand.fake.state().app(OTHER_APP, &secret(), Kind::Internal { corp: OTHER_CORP.into() });
    let other = stand.connector(|table| {
        table.app_key = OTHER_APP.into();
        table.corp_id = OTHER_CORP.into();
    });
    [("ours", Arc::new(stand.connector(|_| {}))), ("theirs", Arc::new(other))]
}

#[tokio::test]
async fn d01_several_instances_stand_side_by_side() {
    let stand = Stand::start().await;
    let [(_, ours), (_, theirs)] = two(&stand);
    let person = ours.exchange(&stand.code("ada")).await.expect("a person");
    let code = super::noted(stand.fake.state().in_app_code(OTHER_APP, OTHER_CORP, "eve"));
    let other = theirs.exchange(&code).await.expect("a person");
    assert_eq!((person.tenant.as_str(), other.tenant.as_str()), (CORP, OTHER_CORP));
    // Each knows the codes of its own application alone.
    let code = stand.code("ada");
    theirs.exchange(&code).await.expect_err("not of that application");
}

#[tokio::test]
async fn d08_the_instance_of_an_organisation_is_found_or_there_is_none() {
    let stand = Stand::start().await;
    let instances = two(&stand);
    let find = |tenant: &str| of_tenant(instances.iter().map(|(name, c)| (*name, &**c)), tenant).map(|(name, _)| name);
    assert_eq!((find(CORP), find(OTHER_CORP)), (Some("ours"), Some("theirs")));
    assert_eq!((find("dingnobody"), find("")), (None, None));
    let twice = instances.iter().chain(&instances).map(|(name, c)| (*name, &**c));
    assert!(of_tenant(twice, CORP).is_none(), "two are none: nobody guesses which");
}

#[tokio::test]
async fn d05_the_front_end_gets_no_secret() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let shown = connector.front_end();
    let members: Vec<_> = shown.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["app_key", "corp_id", "frame_origin"]);
    for text in [shown.to_string(), connector.describe().to_string(), format!("{connector:?}")] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn d09_administrators_see_the_configuration_with_the_secret_masked() {
    let stand = Stand::start().await;
    let shown = stand.connector(|_| {}).describe();
    assert_eq!((shown["kind"].as_str(), shown["app_key"].as_str()), (Some("dingtalk"), Some(APP)));
    assert_eq!((shown["app_secret"].as_str(), shown["dialect"].as_str()), (Some("********"), Some("new")));
}

#[tokio::test]
async fn d10_what_is_known_of_a_person_fits_beside_the_link() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let person = connector.exchange(&stand.code("ada")).await.expect("a person");
    let name: ConnectorName = "ding-ours".parse().expect("a name");
    let identity = Identity::new(name, &person.tenant, &person.id).expect("an identity");
    assert_eq!((identity.tenant(), identity.id()), (CORP, "ada"));
    let details = Details::try_from(person.details).expect("they fit");
    for (name, value) in [
        ("union_id", "union1"),
        ("job_number", "A-7"),
        ("phone", "13300001111"),
        ("email", "p1@corp.example"),
        ("hired_date", "1597573616828"),
    ] {
        assert_eq!(details.get(name), Some(value));
    }
    assert!(person.avatar.is_some());
}

#[tokio::test]
async fn d14_anybody_can_write_a_connector() {
    let outside: Arc<dyn Connector> = Arc::new(Outside);
    let found = of_tenant([("mine", &*outside)], "acme").map(|(name, _)| name);
    assert_eq!((found, outside.describe()["kind"].as_str()), (Some("mine"), Some("acme")));
    assert_eq!(outside.front_end(), Value::Object(serde_json::Map::new()));
}

/// A connector as somebody else would write it: with nothing but what is public.
mod async_trait_of_the_crate {
    use std::collections::BTreeMap;

    use loopkey::connectors::{Beginning, Begun, Claim, ConnectFault, Connector, Fault, Identified, Returned};

    #[derive(Debug)]
    pub(super) struct Outside;

    #[async_trait::async_trait]
    impl Connector for Outside {
        fn kind(&self) -> &'static str {
            "acme"
        }

        fn tenant(&self) -> Option<&str> {
            Some("acme")
        }

        fn claims(&self) -> &'static [Claim] {
            &[Claim::Name]
        }

        async fn begin(&self, beginning: &Beginning<'_>) -> Result<Begun, ConnectFault> {
            let location = format!("https://id.acme.example/?state={}", beginning.state);
            Ok(Begun { location, kept: BTreeMap::new() })
        }

        async fn finish(&self, returned: &Returned<'_>) -> Result<Identified, ConnectFault> {
            let code = returned.parameter("code").ok_or(Fault::Code)?;
            Err(ConnectFault::new(Fault::Code, format_args!("{} bytes that are no code", code.expose().len())))
        }
    }
}
