//! People of an organisation: who has a code, and what the application may see of somebody.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::DingTalk;
use super::fault::DingTalkFault;
use super::settings::Dialect;
use super::wire::{Call, number, optional, text};
use crate::connectors::{Fault, Identified};
use crate::crypto::Secret;

/// Who has a code of DingTalk's own application (免登).
#[derive(Clone)]
pub struct Visitor {
    /// The person in the organisation.
    pub userid: String,
    /// The person among all applications of one developer's account.
    pub unionid: Option<String>,
    /// A name to show.
    pub name: Option<String>,
    /// 1 main administrator, 2 administrator, 100 head, 0 anybody else.
    pub level: Option<u64>,
    /// Everything that DingTalk told, known to us or not.
    pub raw: Map<String, Value>,
}

/// What the application may see of a person. DingTalk leaves out what it may not.
#[derive(Clone)]
pub struct Person {
    /// The person in the organisation.
    pub userid: String,
    /// The person among all applications of one developer's account.
    pub unionid: Option<String>,
    /// A name to show.
    pub name: Option<String>,
    /// The address of a picture.
    pub avatar: Option<String>,
    /// A telephone number.
    pub mobile: Option<String>,
    /// An address.
    pub email: Option<String>,
    /// The number of the employment.
    pub job_number: Option<String>,
    /// What they are.
    pub title: Option<String>,
    /// When they came, in Unix milliseconds.
    pub hired: Option<u64>,
    /// The departments they are in.
    pub departments: Vec<i64>,
    /// Everything that DingTalk told, known to us or not.
    pub raw: Map<String, Value>,
}

/// Nobody's data belong into a log.
macro_rules! shows_nobody {
    ($($type:ident),+) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }
    )+};
}
pub(super) use shows_nobody;
shows_nobody!(Visitor, Person);

impl DingTalk {
    /// Who has this code. It counts once, for five minutes, for this application.
    ///
    /// # Errors
    /// [`DingTalkFault`]; [`Fault::Code`] for every code that does not count, whatever the reason.
    pub async fn visitor(&self, code: &Secret<String>) -> Result<Visitor, DingTalkFault> {
        if code.expose().is_empty() || code.expose().len() > CODE_MAX_LEN {
            return Err(DingTalkFault::new(Fault::Code, "not of a code's length"));
        }
        let found = match self.settings.dialect {
            Dialect::New => {
                let body = json!({ "code": code.expose() });
                result(self.tokens.call(&Call::post(Dialect::Old, "/topapi/v2/user/getuserinfo", body)).await?)?
            }
            Dialect::Old => {
                let call = Call::get(Dialect::Old, "/user/getuserinfo").with("code", code.expose());
                self.tokens.call(&call).await?
            }
        };
        let level = number(&found["sys_level"]);
        let (userid, unionid, name) = (text(&found, "userid")?, optional(&found, "unionid"), optional(&found, "name"));
        Ok(Visitor { userid, unionid, name, level, raw: members(found) })
    }

    /// What the application may see of a person.
    ///
    /// # Errors
    /// [`DingTalkFault`].
    pub async fn person(&self, userid: &str) -> Result<Person, DingTalkFault> {
        let is_new = self.settings.dialect == Dialect::New;
        let found = if is_new {
            let body = json!({ "userid": userid, "language": "zh_CN" });
            result(self.tokens.call(&Call::post(Dialect::Old, "/topapi/v2/user/get", body)).await?)?
        } else {
            self.tokens.call(&Call::get(Dialect::Old, "/user/get").with("userid", userid)).await?
        };
        let told = text(&found, "userid")?;
        if told != userid {
            return Err(DingTalkFault::new(Fault::Misbehaved, "the answer is of another person"));
        }
        // The old interface writes the same with other letters.
        let either = |new: &str, old: &str| optional(&found, if is_new { new } else { old });
        let departments = found[if is_new { "dept_id_list" } else { "department" }].as_array();
        let departments = departments.into_iter().flatten().filter_map(number).collect();
        Ok(Person {
            userid: told,
            unionid: optional(&found, "unionid"),
            name: optional(&found, "name"),
            avatar: optional(&found, "avatar"),
            mobile: optional(&found, "mobile"),
            email: either("org_email", "orgEmail").or_else(|| optional(&found, "email")),
            job_number: either("job_number", "jobnumber"),
            title: either("title", "position"),
            hired: number(&found[if is_new { "hired_date" } else { "hiredDate" }]),
            departments,
            raw: members(found),
        })
    }

    /// The member of the organisation who is this person elsewhere (`topapi/user/getbyunionid`).
    ///
    /// That the browser's person has to be found by `unionid` is in DingTalk's documents as we have them; the call itself is not,
    /// and is made as public programs make it. Nobody has run it against the real one.
    ///
    /// # Errors
    /// [`DingTalkFault`]; [`Fault::Tenant`] where they are no member.
    pub async fn userid_of(&self, unionid: &str) -> Result<String, DingTalkFault> {
        let call = Call::post(Dialect::Old, "/topapi/user/getbyunionid", json!({ "unionid": unionid }));
        let found = result(self.tokens.call(&call).await?)?;
        if number(&found["contact_type"]).unwrap_or(0_u64) != 0 {
            return Err(DingTalkFault::new(Fault::Tenant, "a contact from outside, and no member"));
        }
        text(&found, "userid")
    }

    /// The person as the login server keeps them.
    pub(super) fn identified(&self, person: Person) -> Identified {
        let departments = person.departments.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let details = [
            ("email", person.email),
            ("phone", person.mobile),
            ("union_id", person.unionid),
            ("job_number", person.job_number),
            ("title", person.title),
            ("hired_date", person.hired.map(|hired| hired.to_string())),
            ("departments", Some(departments).filter(|list| !list.is_empty())),
        ];
        let details = details.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Identified {
            tenant: self.settings.corp_id.clone(),
            id: person.userid,
            name: person.name,
            avatar: person.avatar,
            details,
            kept: BTreeMap::new(),
        }
    }
}

/// Longest accepted code in bytes; DingTalk's have 32.
pub(super) const CODE_MAX_LEN: usize = 512;

/// The `result` of a `topapi` answer.
pub(super) fn result(mut answer: Value) -> Result<Value, DingTalkFault> {
    match answer["result"].take() {
        Value::Null => Err(DingTalkFault::lacks("result")),
        result => Ok(result),
    }
}

pub(super) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
