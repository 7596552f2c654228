//! DingTalk's connector against a DingTalk of our own. A test's name begins with the row of the feature list that it proves:
//! C the micro-application, D the login element, E the QR code for sites, F the five steps.

mod admin_console;
mod application;
pub(crate) mod browser;
pub(crate) mod callback;
mod documents;
mod faults;
mod in_app;
mod instances;
mod lives;
mod page;
mod program;
mod qr;
mod steps;
mod stream;
pub(crate) mod suite;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use loopkey::clock::{Clock as _, ManualClock};
use loopkey::connectors::dingtalk::{DingTalk, Settings, Table};
use loopkey::connectors::{ConnectFault, Connector, Fault, Guarded, Identified, Returned, http};
use loopkey::crypto::Secret;
use loopkey::protocol::time::UnixMillis;
use serde_json::json;

use crate::support::trace;
use loopkey::demo::dingtalk::{Department, FakeDingTalk, Kind, User};

pub(crate) const CORP: &str = "dingcorp0001";
pub(crate) const OTHER_CORP: &str = "dingcorp0002";
pub(crate) const APP: &str = "dingabcdefghij012345";
pub(crate) const BACK: &str = "https://app.example.com/loopkey/v1/connectors/ding/callback";
const NOW: u64 = 1_800_000_000_000;
/// Characters of the fake's codes.
const CODE_LEN: usize = 32;

/// Of the right form, and nobody's.
pub(crate) fn secret() -> String {
    "s3cret-_".repeat(8)
}

/// A fake with one organisation, an application of it, and a clock that the test moves.
pub(crate) struct Stand {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) fake: FakeDingTalk,
}

impl Stand {
    pub(crate) async fn start() -> Self {
        trace::start();
        trace::note(&secret());
        let clock = Arc::new(ManualClock::at(UnixMillis(NOW)));
        let fake = FakeDingTalk::start(clock.clone()).await.expect("four ports");
        {
            let mut state = fake.state();
            let user = |name: &str, number: u32, departments: &[i64]| User {
                unionid: format!("union{number}"),
                name: name.to_owned(),
                avatar: Some("https://static.example.com/a.png".into()),
                mobile: Some("13300001111".into()),
                email: Some(format!("p{number}@corp.example")),
                departments: departments.to_vec(),
            };
            let corp = state.corps.entry(CORP.into()).or_default();
            corp.secret = Some(secret());
            corp.users.insert("ada".into(), user("艾达", 1, &[1, 20]));
            // Who shows little of themselves.
            let shy = User { avatar: None, mobile: None, email: None, ..user("贝", 2, &[20]) };
            corp.users.insert("bei".into(), shy);
            let department = |id, name: &str, parent| Department { id, name: name.into(), parent };
            corp.departments =
                vec![department(20, "研发部", 1), department(21, "前端组", 20), department(30, "市场部", 1)];
            state.corps.entry(OTHER_CORP.into()).or_default().users.insert("eve".into(), user("Eve", 9, &[1]));
            let app = state.app(APP, &secret(), Kind::Internal { corp: CORP.into() });
            app.redirects.insert(BACK.into());
        }
        Self { clock, fake }
    }

    pub(crate) fn http() -> Guarded {
        http(true).expect("a client")
    }

    pub(crate) fn table(&self) -> Table {
        let table = json!({ "app_key": APP, "corp_id": CORP, "agent_id": 1_234_567_890_u64 });
        let mut table: Table = serde_json::from_value(table).expect("a table");
        table.hosts = Some(self.fake.hosts());
        table
    }

    pub(crate) fn settings(&self, change: impl FnOnce(&mut Table)) -> Settings {
        let mut table = self.table();
        change(&mut table);
        Settings::new(table, Secret::new(secret())).expect("sound settings")
    }

    pub(crate) fn connector(&self, change: impl FnOnce(&mut Table)) -> DingTalk {
        DingTalk::new(self.settings(change), Self::http(), self.clock.clone()).expect("a connector")
    }

    pub(crate) fn code(&self, userid: &str) -> Secret<String> {
        noted(self.fake.state().in_app_code(APP, CORP, userid))
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// What a connector makes of what came back.
    pub(crate) async fn finish(
        &self,
        connector: &dyn Connector,
        parameters: &[(&str, &str)],
    ) -> Result<Identified, ConnectFault> {
        let parameters = parameters.iter().filter(|(name, _)| *name != "state");
        // Codes are secrets; what tests put in their place is none, and may be in the log of another test.
        let value = |value: &str| if value.len() == CODE_LEN { noted(value.into()) } else { Secret::new(value.into()) };
        let parameters = parameters.map(|(name, text)| ((*name).to_owned(), value(text))).collect();
        let (kept, now) = (BTreeMap::new(), self.clock.timestamp());
        connector.finish(&Returned { parameters: &parameters, kept: &kept, redirect_uri: BACK, now }).await
    }
}

/// A secret that must be in no log.
pub(crate) fn noted(secret: String) -> Secret<String> {
    trace::note(&secret);
    Secret::new(secret)
}

pub(crate) fn class(result: Result<Identified, ConnectFault>) -> Fault {
    result.expect_err("a fault").fault
}
