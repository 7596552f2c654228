//! The five steps of a sign-in inside DingTalk's own client (免登), one after the other: a token of the application, a ticket
//! for pages, a signature for `dd.config`, who has the code that the page got, and what is known of them.
//!
//! ```sh
//! export DINGTALK_SECRET=…
//! cargo run --features connectors --example dingtalk -- --app-key dingabc… --corp-id ding… --agent-id 1234567890 \
//!     --page https://app.example.com/ --code CODE
//! ```
//!
//! Without `--app-key` the secret is the organisation's `CorpSecret`, and everything goes over the old interface.

#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::error::Error;
use std::sync::Arc;

use clap::Parser;
use loopkey::clock::SystemClock;
use loopkey::connectors::dingtalk::{
    Credentials, Dialect, DingTalk, Edition, Hosts, PageDigest, ROOT, Settings, Table,
};
use loopkey::connectors::{Connector as _, http};
use loopkey::crypto::Secret;

/// Signs one person in, step by step.
#[derive(Parser)]
struct Arguments {
    /// appKey of an internal application; without it, the secret is the organisation's
    #[arg(long)]
    app_key: Option<String>,

    /// appSecret, or CorpSecret
    #[arg(long, env = "DINGTALK_SECRET", hide_env_values = true)]
    secret: String,

    /// The organisation
    #[arg(long)]
    corp_id: String,

    /// The application in the organisation
    #[arg(long)]
    agent_id: u64,

    /// The page that calls dd.config
    #[arg(long)]
    page: String,

    /// What dd.requestAuthCode gave the page
    #[arg(long, allow_hyphen_values = true)]
    code: String,

    /// Other hosts than DingTalk's, for trying it out
    #[arg(long, requires_all = ["api", "login"])]
    oapi: Option<String>,
    #[arg(long)]
    api: Option<String>,
    #[arg(long)]
    login: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let (credentials, dialect) = match arguments.app_key {
        Some(_) => (Credentials::App, Dialect::New),
        None => (Credentials::CorpSecret, Dialect::Old),
    };
    let hosts = match (arguments.oapi, arguments.api, arguments.login) {
        (Some(oapi), Some(api), Some(login)) => Some(Hosts { oapi, api, login }),
        _ => None,
    };
    let development = hosts.is_some();
    let table = Table {
        app_key: arguments.app_key.unwrap_or_default(),
        corp_id: arguments.corp_id,
        agent_id: Some(arguments.agent_id),
        credentials,
        dialect,
        page_digest: PageDigest::default(),
        edition: Edition::default(),
        hosts,
    };
    let settings = Settings::new(table, Secret::new(arguments.secret))?;
    let dingtalk = DingTalk::new(settings, http(development)?, Arc::new(SystemClock))?;

    dingtalk.access_token(dialect).await?;
    println!("1. Token: there, and kept until shortly before its end");
    dingtalk.page_ticket().await?;
    println!("2. Ticket: there, and kept likewise");
    let configuration = dingtalk.page_configuration(&arguments.page).await?;
    println!("3. Signature for dd.config:\n{configuration:#}");
    let visitor = dingtalk.visitor(&Secret::new(arguments.code)).await?;
    println!("4. {} has the code", visitor.userid);
    let person = dingtalk.person(&visitor.userid).await?;
    println!("5. {}, in the departments {:?} of:", person.name.unwrap_or_default(), person.departments);
    for department in dingtalk.all_departments(ROOT).await? {
        println!("   {} {}", department.id, department.name);
    }
    Ok(())
}
