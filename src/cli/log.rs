//! `loopkey log`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::control::{call, count, say};
use super::{Failure, Global};
use crate::agent::audit::{self, Entry, Reading};
use crate::config;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many of the newest lines are shown: 300 at most, and any number with --config.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = at_least_one)]
    lines: usize,

    /// Prints each line as JSON, without its hash.
    #[arg(long)]
    json: bool,

    /// Reads the log of the agent with this configuration, whether it is running or not.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "give a number of lines, at least 1".to_owned())
}

pub(super) async fn run(arguments: Arguments, global: &Global) -> Result<(), Failure> {
    let reading = match &arguments.config {
        Some(path) => {
            let settings = config::load(path, config::Kind::Agent, config::agent)?;
            audit::read(&settings.state_dir).map_err(Failure::failed)?
        }
        None => {
            let answer = call(global, "log.tail", &json!({ "count": arguments.lines })).await?;
            serde_json::from_value(answer)
                .map_err(|error| Failure::failed(format!("the agent is of another version: {error}")))?
        }
    };
    let Reading { entries, faults, last_hash, .. } = reading;
    for entry in &entries[entries.len().saturating_sub(arguments.lines)..] {
        if arguments.json { say(serde_json::to_string(entry).map_err(Failure::failed)?) } else { say(line(entry)?) }
    }
    if !faults.is_empty() {
        let list: Vec<_> = faults.iter().map(ToString::to_string).collect();
        return Err(Failure::failed(format!(
            "the log was changed by somebody else than the agent: {}",
            list.join("; ")
        )));
    }
    if !arguments.json {
        match entries.last() {
            Some(last) => {
                say(format_args!("{}; nobody changed them. The last one's hash: {last_hash}", count(last.n, "line")));
            }
            None => say("nothing has been written down yet"),
        }
    }
    Ok(())
}

/// One line for a person: when, what, and its details.
fn line(entry: &Entry) -> Result<String, Failure> {
    let at = httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(entry.at.0));
    let act = serde_json::to_value(&entry.act).map_err(Failure::failed)?;
    let mut details: Vec<String> = Vec::new();
    for (name, value) in act.as_object().into_iter().flatten().filter(|(name, _)| *name != "act") {
        details.push(format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    let what = act["act"].as_str().unwrap_or_default().replace('_', " ");
    Ok(format!("{:>5}  {at}  {what}  {}", entry.n, details.join(" ")))
}
