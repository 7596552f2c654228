//! One thing that is not as it should be, and what to do about it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody cannot sign in.
    Error,
    /// It works, but less well or less safely than it should, or not for much longer.
    Warning,
    /// Worth knowing; nothing is wrong.
    Note,
}

/// One thing that is not as it should be. It holds no secret: support desks pass these on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is called by programs: `docs/doctor.md` lists them all, and none changes its meaning.
    pub code: Cow<'static, str>,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What to do, in one sentence.
    pub cure: String,
    /// What it was found by, for whoever looks further.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

impl Finding {
    /// Somebody cannot sign in.
    pub fn error(code: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, what.into(), cure.into())
    }

    /// It works, but not as it should.
    pub fn warning(code: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, what.into(), cure.into())
    }

    /// Worth knowing.
    pub fn note(code: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, what.into(), cure.into())
    }

    fn new(severity: Severity, code: &'static str, what: String, cure: String) -> Self {
        Self { code: Cow::Borrowed(code), severity, what, cure, details: Map::new() }
    }

    /// The same finding with a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Whether it is more than a note.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.severity != Severity::Note
    }
}

/// What one side has looked at, and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Examination {
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What was looked at, in a few words each.
    #[serde(default)]
    pub looked_at: Vec<String>,
    /// The ports that pages look for this agent on.
    #[serde(default)]
    pub ports: Vec<u16>,
}

impl Examination {
    /// Takes in what another look brought up; what is known already is not said twice.
    pub fn add(&mut self, looked_at: impl Into<String>, findings: impl IntoIterator<Item = Finding>) {
        let looked_at = looked_at.into();
        if !self.looked_at.contains(&looked_at) {
            self.looked_at.push(looked_at);
        }
        for finding in findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }
}
