//! Doing what a plan says, and taking it away again. What is to be done is looked up first, as [`Step`]s; a dry run ends
//! there.

use std::path::{Path, PathBuf};

use super::fault::InstallError;
use super::linux::mime_apps;
use super::plan::Plan;
use super::record::{Listed, Record};
use super::step::Step;
use super::{Homes, Registration, run as run_program};
use crate::keyfile;

/// Registers what is planned; gives what was done, or, for a dry run, what would be.
///
/// # Errors
/// [`InstallError`]. What was done until then is in the record, and `uninstall` takes it away.
pub fn install(
    plan: &Plan,
    registration: &Registration,
    homes: &Homes,
    allow_root: bool,
    dry_run: bool,
) -> Result<Vec<Step>, InstallError> {
    let place = homes.record();
    let former = Record::read(&place)?;
    let mut steps = Vec::new();
    for entry in &plan.entries {
        steps.push(Step::towards(entry, former.as_ref().is_some_and(|r| r.files.iter().any(|f| f == entry.path())))?);
    }
    let obsolete = |path: &&PathBuf| plan.entries.iter().all(|entry| entry.path() != path.as_path());
    let former_files = former.as_ref().map(|record| record.files.as_slice()).unwrap_or_default();
    steps.extend(former_files.iter().filter(obsolete).cloned().map(Step::Remove));
    let former_listed = former.as_ref().and_then(|record| record.listed.clone());
    let listed = enlist(plan, former_listed, &mut steps)?;
    // Where nothing is a file (Windows), nothing tells whether it is done already.
    if plan.entries.is_empty() || steps.iter().any(|step| !matches!(step, Step::Keep(_))) {
        let before = former.iter().flat_map(|record| &record.undo);
        steps.extend(before.cloned().map(|words| Step::Run { words, must_succeed: false }));
        steps.extend(plan.commands.iter().cloned().map(|words| Step::Run { words, must_succeed: true }));
    }
    if dry_run {
        return Ok(steps);
    }

    let files: Vec<_> = plan.entries.iter().map(|entry| entry.path().to_owned()).collect();
    let mut folders = former.as_ref().map(|record| record.folders.clone()).unwrap_or_default();
    let paths = files.iter().chain(listed.as_ref().map(|listed| &listed.list)).chain([&place]);
    for folder in paths.flat_map(|path| missing_folders(path)) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let mut record = Record {
        config: registration.config.clone().into(),
        starts_by: plan.starts_by,
        allow_root,
        files: files.iter().chain(former_files).cloned().collect(),
        folders,
        listed,
        undo: plan.undo.clone(),
        undone: plan.undone.clone(),
    };
    // Before anything is made, so that nothing is ever there that no record knows.
    keyfile::private_folder(place.parent().unwrap_or(&place))?;
    if former.as_ref() != Some(&Record { files: files.clone(), ..record.clone() }) {
        record.write(&place)?;
    }
    for step in &steps {
        step.take()?;
    }
    if record.files.len() != files.len() {
        record.files = files;
        record.write(&place)?;
    }
    Ok(steps)
}

/// Puts the program first in the shared list, where it is not yet.
fn enlist(plan: &Plan, former: Option<Listed>, steps: &mut Vec<Step>) -> Result<Option<Listed>, InstallError> {
    let Some(default) = &plan.default else { return Ok(former) };
    let text = read_list(&default.list)?;
    let was_made = former.as_ref().is_some_and(|listed| listed.made);
    match mime_apps::insert(text.as_deref().unwrap_or_default(), default.kind, default.program) {
        None => {
            steps.push(Step::Keep(default.list.clone()));
            let listed = || Listed {
                list: default.list.clone(),
                program: default.program.to_owned(),
                inserted: String::new(),
                made: false,
            };
            Ok(Some(former.unwrap_or_else(listed)))
        }
        Some((content, inserted)) => {
            steps.push(Step::Edit { path: default.list.clone(), content, change: format!("{inserted:?} put in") });
            let (list, program) = (default.list.clone(), default.program.to_owned());
            Ok(Some(Listed { list, program, inserted, made: text.is_none() || was_made }))
        }
    }
}

/// Takes away what was registered; gives what was done, or, for a dry run, what would be. Nothing where nothing is.
///
/// # Errors
/// [`InstallError`]. The record stays until everything else is gone.
pub fn uninstall(homes: &Homes, dry_run: bool) -> Result<Vec<Step>, InstallError> {
    let place = homes.record();
    let Some(record) = Record::read(&place)? else { return Ok(Vec::new()) };
    let run = |words: &Vec<String>| Step::Run { words: words.clone(), must_succeed: false };
    let mut steps: Vec<_> = record.undo.iter().map(run).collect();
    steps.extend(record.files.into_iter().map(Step::Remove));
    if let Some(listed) = &record.listed
        && let Some(text) = read_list(&listed.list)?
    {
        let content = mime_apps::remove(&text, &listed.program, &listed.inserted);
        if listed.made && content.trim().is_empty() {
            steps.push(Step::Remove(listed.list.clone()));
        } else if content != text {
            let change = format!("{} taken out", listed.program);
            steps.push(Step::Edit { path: listed.list.clone(), content, change });
        }
    }
    steps.extend(record.undone.iter().map(run));
    steps.push(Step::Remove(place));
    steps.extend(record.folders.into_iter().rev().map(Step::RemoveFolder));
    if dry_run {
        return Ok(steps);
    }
    let mut taken = Vec::new();
    for step in steps {
        match step {
            // It keeps nothing from being taken away, but whoever asked for it hears of it.
            Step::Run { words, .. } => taken.push(match run_program(&words) {
                Ok(()) => Step::Run { words, must_succeed: false },
                Err(error) => Step::Failed(error.to_string()),
            }),
            step => {
                if step.take()? {
                    taken.push(step);
                }
            }
        }
    }
    Ok(taken)
}

fn read_list(path: &Path) -> Result<Option<String>, InstallError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(InstallError::io(path)(error)),
    }
}

/// The folders above a path that are not there, outer ones first.
fn missing_folders(path: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<_> =
        path.ancestors().skip(1).take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
    missing.retain(|folder| !folder.as_os_str().is_empty());
    missing.reverse();
    missing
}
