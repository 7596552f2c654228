//! News of the client's actions for the pages that may invoke them (protocol section 4.4): a player's state, say. Only the
//! newest of each action counts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::limits::ACTION_VALUE_MAX_LEN;
use super::message::AgentMessage;
use super::text_frame::TextFrame;

/// What the client last said of one action, encoded once for every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The `news` message.
    pub frame: TextFrame,
}

impl News {
    /// Encodes it; `None` where the value is longer than [`ACTION_VALUE_MAX_LEN`].
    #[must_use]
    pub fn new(name: &str, value: Value) -> Option<Self> {
        if value.to_string().len() > ACTION_VALUE_MAX_LEN {
            return None;
        }
        Some(Self { frame: TextFrame::new(&AgentMessage::News { name: name.to_owned(), value }.encode()) })
    }
}

/// The newest of every action.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Board {
    number: u64,
    newest: BTreeMap<String, (u64, News)>,
}

impl Board {
    /// Replaces what was said of an action.
    pub fn put(&mut self, name: &str, news: News) {
        self.number += 1;
        self.newest.insert(name.to_owned(), (self.number, news));
    }

    /// Forgets what was said of an action; true where there was something.
    pub fn forget(&mut self, name: &str) -> bool {
        self.newest.remove(name).is_some()
    }

    /// Forgets everything; true where there was something.
    pub fn clear(&mut self) -> bool {
        let some = !self.newest.is_empty();
        self.newest.clear();
        some
    }

    /// The number of the last news.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What came after the given number, by action.
    pub fn since(&self, number: u64) -> impl Iterator<Item = (&str, &News)> {
        self.newest.iter().filter(move |(_, (at, _))| *at > number).map(|(name, (_, news))| (name.as_str(), news))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_counts_and_only_once() {
        let news = |n: u64| News::new("player", n.into()).expect("short");
        let mut board = Board::default();
        board.put("player", news(1));
        board.put("other", news(2));
        board.put("player", news(3));
        assert_eq!(board.since(0).collect::<Vec<_>>(), [("other", &news(2)), ("player", &news(3))]);
        assert_eq!(board.since(2).count(), 1);
        assert_eq!(board.since(board.number()).count(), 0);
        assert!(board.forget("other") && !board.forget("other"));
        assert!(board.clear() && !board.clear());
        assert_eq!((board.since(0).count(), board.number()), (0, 3), "numbers are not given twice");
    }

    #[test]
    fn news_fit_a_message() {
        let of = |len: usize| News::new(&"n".repeat(64), "x".repeat(len - 2).into());
        let longest = of(ACTION_VALUE_MAX_LEN).expect("the longest");
        assert!(longest.frame.text().len() < super::super::limits::MESSAGE_MAX_LEN);
        assert_eq!(of(ACTION_VALUE_MAX_LEN + 1), None);
    }
}
