//! Connectors, each against a provider that is run here.

pub(crate) mod dingtalk;
