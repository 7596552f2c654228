//! Answers as people read them.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

/// A list of objects as a table with these columns.
pub(super) fn of(list: &Value, columns: &[&str]) -> String {
    let rows: Vec<Vec<String>> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| columns.iter().map(|column| cell(column, &row[*column])).collect())
        .collect();
    if rows.is_empty() {
        return "nothing is there".to_owned();
    }
    let head: Vec<String> = columns.iter().map(|column| column.replace('_', " ")).collect();
    let width = |at: usize| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    [&head].into_iter().chain(&rows).map(line).collect::<Vec<_>>().join("\n")
}

/// One object, a line for each member.
pub(super) fn one(object: &Value) -> String {
    let members = object.as_object().into_iter().flatten();
    members
        .map(|(name, value)| format!("{}: {}", name.replace('_', " "), cell(name, value)))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A time in Unix seconds, as HTTP writes dates.
pub(super) fn time(seconds: &Value) -> String {
    let seconds = seconds.as_u64().unwrap_or(0);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799)))
}

fn cell(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Number(_) if name == "at" || name.ends_with("_at") => time(value),
        Value::String(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(80).collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let list = json!([{ "account": "ada", "enrolled_at": 0 }, { "account": "grace hopper", "enrolled_at": null }]);
        assert_eq!(
            of(&list, &["account", "enrolled_at"]),
            "account       enrolled at\nada           Thu, 01 Jan 1970 00:00:00 GMT\ngrace hopper  -"
        );
        assert_eq!(of(&json!([]), &["account"]), "nothing is there");
        assert_eq!(one(&json!({ "name": "A\u{1b}[2J", "disabled": false })), "disabled: false\nname: A\u{fffd}[2J");
    }
}
