//! `kind = "dingtalk_qr"`: the older QR code for sites outside any organisation.

use std::sync::Arc;

use super::dingtalk::{edition, hosts};
use super::{COMMON, Means, Text, secret_entry};
use crate::config::reader::Section;
use crate::connectors::Connector;
use crate::connectors::dingtalk::{QrExchange, QrLogin};

/// What it has besides what every kind has.
const OWN: [&str; 6] = ["app_id", "app_secret_file", "app_secret_env", "exchange", "edition", "hosts"];

impl Means<'_> {
    pub(super) fn dingtalk_qr(&self, mut section: Section<'_>) -> Option<Arc<dyn Connector>> {
        let app_id = section.required::<Text>("app_id", "\"dingoaexample01234\"");
        let exchanges = [("signed", QrExchange::Signed), ("persistent", QrExchange::Persistent)];
        let exchange = section.one_of("exchange", &exchanges).unwrap_or_default();
        let edition = edition(&mut section);
        let (entry, table) = (secret_entry(&section, "app_secret"), section.entry(""));
        let secret = self.secret(&mut section, "app_secret");
        if matches!(secret, Ok(None)) {
            self.notes.fault_of(&entry, "is missing: name the file with the application's secret");
        }
        let hosts = hosts(self, &mut section);
        section.end(&[&COMMON[..], &OWN[..]].concat());
        let hosts = hosts.ok()?.unwrap_or_else(|| edition.hosts());
        let (Text(app_id), secret) = (app_id?, secret.ok()??);
        let made = QrLogin::new((app_id, secret), exchange, hosts, self.http.clone(), Arc::clone(&self.clock));
        let made = made.map_err(|fault| {
            let other = format!("{table}{}", fault.entry());
            self.bad_setting(if fault.entry() == "app_secret" { &entry } else { &other }, fault);
        });
        Some(Arc::new(made.ok()?))
    }
}
