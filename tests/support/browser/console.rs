//! What the browsers report as console messages, in one form: `[kind level] text`.

use serde_json::Value;

/// A DevTools event as a line, if it is one of the console.
pub(super) fn chromium_line(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.consoleAPICalled" => {
            let words = params["args"].as_array()?.iter().map(|argument| match &argument["value"] {
                Value::Null => argument["description"].as_str().unwrap_or("undefined").to_owned(),
                Value::String(text) => text.clone(),
                value => value.to_string(),
            });
            Some(format!("[{}] {}", params["type"].as_str()?, words.collect::<Vec<_>>().join(" ")))
        }
        "Runtime.exceptionThrown" => Some(format!("[exception] {}", exception(&params["exceptionDetails"]))),
        "Log.entryAdded" => {
            let entry = &params["entry"];
            let [source, level, text, url] =
                ["source", "level", "text", "url"].map(|key| entry[key].as_str().unwrap_or_default());
            Some(format!("[{source} {level}] {text} {url}").trim_end().to_owned())
        }
        _ => None,
    }
}

/// What was thrown, in words.
pub(super) fn exception(details: &Value) -> String {
    let thrown = &details["exception"];
    let said = thrown["description"].as_str().map_or_else(|| thrown["value"].to_string(), str::to_owned);
    format!("{} {said}", details["text"].as_str().unwrap_or_default())
}

/// A BiDi event as a line, if it is one of the console.
pub(super) fn firefox_line(event: &Value) -> Option<String> {
    if event["method"] != "log.entryAdded" {
        return None;
    }
    let entry = &event["params"];
    let said = if entry["type"] == "console" { &entry["method"] } else { &entry["type"] };
    // Chromium writes it without hyphens; a test should find it in both.
    let text = entry["text"].as_str()?.replace("Content-Security-Policy", "Content Security Policy");
    Some(match said.as_str()? {
        kind @ "javascript" => format!("[{kind} {}] {text}", entry["level"].as_str()?),
        kind => format!("[{kind}] {text}"),
    })
}
