//! Departments of an organisation, level by level, and who is in one, page by page.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::DingTalk;
use super::fault::DingTalkFault;
use super::people::result;
use super::settings::Dialect;
use super::wire::{Call, number, text};
use crate::connectors::Fault;

/// The department that all others are below.
pub const ROOT: i64 = 1;

/// Most departments, and most pages of members, that are asked for: an answer that goes round in circles ends.
const MOST: usize = 10_000;
const PAGES_MOST: usize = 1_000;
/// Members in a page: DingTalk's most.
const PAGE_LEN: u64 = 100;

/// A department.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Department {
    /// Its number in the organisation.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The one it is below; none for the root.
    pub parent: Option<i64>,
}

impl DingTalk {
    /// The departments right below one.
    ///
    /// # Errors
    /// [`DingTalkFault`].
    pub async fn departments(&self, below: i64) -> Result<Vec<Department>, DingTalkFault> {
        match self.settings.dialect {
            Dialect::New => {
                let body = json!({ "dept_id": below, "language": "zh_CN" });
                let call = Call::post(Dialect::Old, "/topapi/v2/department/listsub", body);
                let found = result(self.tokens.call(&call).await?)?;
                list(&found)?.iter().map(|one| department(one, "dept_id", "parent_id")).collect()
            }
            Dialect::Old => {
                let call = Call::get(Dialect::Old, "/department/list").with("fetch_child", "false");
                // Without a number it is the root's; the old sample writes that as a number below zero.
                let call = if below < 0 { call } else { call.with("id", below.to_string()) };
                let found = self.tokens.call(&call).await?;
                list(&found["department"])?.iter().map(|one| department(one, "id", "parentid")).collect()
            }
        }
    }

    /// Every department below one that the application sees.
    ///
    /// # Errors
    /// [`DingTalkFault`]; [`Fault::Misbehaved`] where there is no end of them.
    pub async fn all_departments(&self, below: i64) -> Result<Vec<Department>, DingTalkFault> {
        let (mut found, mut seen, mut next) = (Vec::new(), BTreeSet::from([below]), VecDeque::from([below]));
        while let Some(parent) = next.pop_front() {
            for department in self.departments(parent).await? {
                if seen.insert(department.id) {
                    next.push_back(department.id);
                    found.push(department);
                }
            }
            if found.len() > MOST {
                return Err(DingTalkFault::new(Fault::Misbehaved, "departments without end"));
            }
        }
        Ok(found)
    }

    /// The ids of a department's members, however many pages they fill (`topapi/user/listsimple`).
    ///
    /// The call is not in DingTalk's documents as we have them, and is made as public programs make it. Nobody has run it against
    /// the real one. The older interface has no such call: this one is made whatever the dialect.
    ///
    /// # Errors
    /// [`DingTalkFault`]; [`Fault::Misbehaved`] where the pages have no end.
    pub async fn members(&self, department: i64) -> Result<Vec<String>, DingTalkFault> {
        let (mut found, mut cursor) = (Vec::new(), 0);
        for _ in 0..PAGES_MOST {
            let body = json!({ "dept_id": department, "cursor": cursor, "size": PAGE_LEN });
            let call = Call::post(Dialect::Old, "/topapi/user/listsimple", body);
            let page = result(self.tokens.call(&call).await?)?;
            for member in list(&page["list"])? {
                found.push(text(member, "userid")?);
            }
            if page["has_more"] != true {
                return Ok(found);
            }
            let next = number(&page["next_cursor"]).ok_or_else(|| DingTalkFault::lacks("next_cursor"))?;
            if next <= cursor {
                break;
            }
            cursor = next;
        }
        Err(DingTalkFault::new(Fault::Misbehaved, "pages of members without end"))
    }
}

fn list(value: &Value) -> Result<&Vec<Value>, DingTalkFault> {
    value.as_array().ok_or_else(|| DingTalkFault::lacks("list"))
}

fn department(value: &Value, id: &str, parent: &str) -> Result<Department, DingTalkFault> {
    let id = number(&value[id]).ok_or_else(|| DingTalkFault::lacks(id))?;
    Ok(Department { id, name: text(value, "name")?, parent: number(&value[parent]) })
}
