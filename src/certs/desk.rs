//! The five things that `loopkey certs` does.

use std::path::PathBuf;

use serde::Serialize;

use super::fault::CertsError;
use super::issue::{Issued, issue};
use super::nss;
use super::record::Record;
use super::stores::{Known, Store};
use crate::agent::{Validity, WssFiles};
use crate::install::{Homes, InstallError, Step};
use crate::keyfile;
use crate::protocol::time::{Timestamp, UnixMillis};

/// One agent's certificate, and this person's stores.
#[derive(Debug, Clone)]
pub struct Certs {
    /// Where the certificate is kept.
    pub files: WssFiles,
    /// Where this person's programs keep their files.
    pub homes: Homes,
}

/// How the certificate stands, and who knows its authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// The authority's name, as browsers' lists show it.
    pub name: String,
    /// When it and the certificate end.
    pub ends: Timestamp,
    /// Whether a browser that knows the authority takes the certificate.
    pub sound: bool,
    /// Whether it is time for a new one.
    pub due: bool,
    /// Every store of this person that was found, and the system's.
    pub stores: Vec<Known>,
}

impl Certs {
    fn record(&self) -> PathBuf {
        self.files.folder().join("record.json")
    }

    fn read(&self) -> Result<Record, CertsError> {
        Record::read(&self.record())?.ok_or_else(|| CertsError::Missing(self.files.folder().to_owned()))
    }

    /// Whether there is a certificate.
    #[must_use]
    pub fn exist(&self) -> bool {
        self.record().exists()
    }

    /// Makes authority and certificate; nobody is told.
    ///
    /// # Errors
    /// [`CertsError::Exists`] and others.
    pub fn create(&self, now: Timestamp) -> Result<(), CertsError> {
        if self.exist() {
            return Err(CertsError::Exists(self.files.folder().to_owned()));
        }
        keyfile::private_folder(self.files.folder())?;
        let Issued { name, authority, identity, ends } = issue(now)?;
        Record { name, ends, former: Vec::new(), stores: Vec::new(), made: Vec::new() }.write(&self.record())?;
        keyfile::replace(&self.files.authority(), authority.as_bytes())?;
        Ok(keyfile::replace(&self.files.identity(), identity.expose().as_bytes())?)
    }

    /// Tells this person's browsers of the authority, and the system where that is asked for; gives what was done, or, for a
    /// dry run, what would be.
    ///
    /// # Errors
    /// [`CertsError`]. What was done until then is in the record.
    pub fn install(&self, system: bool, dry_run: bool) -> Result<Vec<Step>, CertsError> {
        let mut record = self.read()?;
        let asked = system.then(|| Store::of_system().ok_or_else(|| CertsError::NoSystemStore(self.files.authority())));
        let mut steps = Vec::new();
        for store in Store::of_user(&self.homes).into_iter().chain(asked.transpose()?) {
            if !store.knows(&record.name)? {
                steps.extend(store.add(&record.name, &self.files.authority()));
                if !dry_run {
                    self.make_room(&store, &mut record)?;
                }
            }
            if !record.stores.contains(&store) {
                record.stores.push(store);
            }
        }
        steps.extend(Self::forget(&record.former, &record.stores)?);
        if !dry_run {
            // Before anybody is told, so that nobody ever knows what no record names.
            record.write(&self.record())?;
            take(&steps)?;
            record.former.clear();
            record.write(&self.record())?;
        }
        Ok(steps)
    }

    /// The folder of a database that is not there yet, and in the record everything that it will consist of.
    fn make_room(&self, store: &Store, record: &mut Record) -> Result<(), CertsError> {
        if let Store::Chromium(folder) = store
            && !folder.join(nss::FILE).exists()
        {
            let missing = folder.ancestors().take_while(|folder| !folder.exists()).map(ToOwned::to_owned);
            let mut made: Vec<_> = missing.collect();
            made.reverse();
            made.extend(nss::FILES.map(|file| folder.join(file)));
            record.made.extend(made);
            record.write(&self.record())?;
            keyfile::private_folder(folder)?;
        }
        Ok(())
    }

    /// Takes former authorities out of the stores.
    fn forget(names: &[String], stores: &[Store]) -> Result<Vec<Step>, CertsError> {
        let mut steps = Vec::new();
        for store in stores {
            for name in names {
                if store.knows(name)? {
                    steps.extend(store.delete(name));
                }
            }
        }
        Ok(steps)
    }

    /// How everything stands.
    ///
    /// # Errors
    /// [`CertsError`] where there is no certificate, or what is there cannot be read.
    pub fn status(&self, now: UnixMillis) -> Result<Outlook, CertsError> {
        let Record { name, ends, stores, .. } = self.read()?;
        let validity = self.files.validity(now)?;
        let mut all = Store::of_user(&self.homes);
        all.extend(Store::of_system());
        all.extend(stores.into_iter().filter(|store| !all.contains(store)).collect::<Vec<_>>());
        let stores = all.into_iter().map(|store| Known { knows: store.knows(&name).ok(), store }).collect();
        Ok(Outlook { name, ends, sound: validity != Validity::Over, due: validity != Validity::Sound, stores })
    }

    /// Makes another authority and certificate. Whoever knew the former one knows this one before the agent shows it, and
    /// nobody knows the former one afterwards.
    ///
    /// # Errors
    /// [`CertsError`]. Where it is broken off, `renew` or `install` goes on with it.
    pub fn renew(&self, now: Timestamp) -> Result<Vec<Step>, CertsError> {
        let former = self.read()?;
        let Issued { name, authority, identity, ends } = issue(now)?;
        let names = former.former.iter().cloned().chain([former.name]).collect();
        let mut record = Record { name, ends, former: names, stores: former.stores, made: former.made };
        record.write(&self.record())?;
        keyfile::replace(&self.files.authority(), authority.as_bytes())?;
        let mut steps: Vec<_> =
            record.stores.iter().flat_map(|store| store.add(&record.name, &self.files.authority())).collect();
        take(&steps)?;
        keyfile::replace(&self.files.identity(), identity.expose().as_bytes())?;
        let after = Self::forget(&record.former, &record.stores)?;
        take(&after)?;
        steps.extend(after);
        record.former.clear();
        record.write(&self.record())?;
        Ok(steps)
    }

    /// Takes everything away: out of the stores, and then the files.
    ///
    /// # Errors
    /// [`CertsError`]. The record stays until everything else is gone.
    pub fn remove(&self, dry_run: bool) -> Result<Vec<Step>, CertsError> {
        let record = self.read()?;
        let names: Vec<_> = record.former.iter().cloned().chain([record.name]).collect();
        let mut steps = Self::forget(&names, &record.stores)?;
        if !dry_run {
            take(&steps)?;
        }
        // A database that was made for this goes too, unless somebody else keeps something in it by now.
        for store in &record.stores {
            if let Store::Chromium(folder) = store
                && record.made.iter().any(|made| made.starts_with(folder))
                && (dry_run || nss::is_empty(folder)?)
            {
                let (files, folders): (Vec<_>, Vec<_>) =
                    record.made.iter().rev().partition(|path| nss::FILES.iter().any(|file| path.ends_with(file)));
                steps.extend(files.into_iter().cloned().map(Step::Remove));
                steps.extend(folders.into_iter().cloned().map(Step::RemoveFolder));
            }
        }
        steps.extend([self.files.identity(), self.files.authority(), self.record()].map(Step::Remove));
        steps.push(Step::RemoveFolder(self.files.folder().to_owned()));
        if !dry_run {
            take(steps.iter().filter(|step| !matches!(step, Step::Run { .. })))?;
        }
        Ok(steps)
    }
}

fn take<'s>(steps: impl IntoIterator<Item = &'s Step>) -> Result<(), CertsError> {
    for step in steps {
        step.take().map_err(|error| match error {
            InstallError::Missing { command } if command == "certutil" => CertsError::NoCertutil,
            error => error.into(),
        })?;
    }
    Ok(())
}
