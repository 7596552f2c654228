//! Connectors, each against a provider that is run here.

mod dingtalk;
