//! Where nobody says beforehand who sits in front of the pages, they ask: who are you, or do you refuse?

use super::reply::{Asked, Reply};
use super::state::State;

/// The one parameter that DingTalk does not have: who the person said they are; empty where they refuse.
const PERSON: &str = "simulated_person";

/// Who sits in front of a page.
pub(super) enum Chosen {
    /// A member of an organisation.
    Person(String, String),
    /// Somebody who says no.
    Nobody,
    /// It is asked.
    Ask(Reply),
}

/// Who sits there, of the members of `corp`.
pub(super) fn person(state: &State, asked: &Asked, corp: Option<&str>) -> Chosen {
    if !state.asks_who {
        return state.person.clone().map_or(Chosen::Nobody, |(corp, userid)| Chosen::Person(corp, userid));
    }
    let Some(corp) = corp.or_else(|| state.corps.keys().next().map(String::as_str)) else { return Chosen::Nobody };
    match asked.query.get(PERSON) {
        None => Chosen::Ask(page(state, asked, corp)),
        Some(userid) if state.user(corp, userid).is_some() => Chosen::Person(corp.to_owned(), userid.clone()),
        Some(_) => Chosen::Nobody,
    }
}

fn page(state: &State, asked: &Asked, corp: &str) -> Reply {
    let link = |userid: &str, class: &str, words: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(asked.query.iter()).append_pair(PERSON, userid);
        // A query that was encoded has no character that HTML gives a meaning to, but for `&`.
        let query = query.finish().replace('&', "&amp;");
        format!("<a class=\"{class}\" data-person=\"{}\" href=\"?{query}\">{}</a>", escaped(userid), escaped(words))
    };
    let users = state.corps.get(corp).map(|corp| &corp.users);
    let people: String = users.into_iter().flatten().map(|(userid, user)| link(userid, "person", &user.name)).collect();
    let decline = link("", "decline", "Decline · 拒绝");
    Reply::html(&format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>DingTalk (simulated)</title><style>{STYLE}</style>\
         <main><p class=\"kicker\">Simulated DingTalk · 模拟钉钉</p><h1>Who signs in? · 谁在登录？</h1>{people}{decline}</main>"
    ))
}

const STYLE: &str = "*{box-sizing:border-box}\
    body{margin:0;font:1rem/1.4 system-ui,sans-serif;color:#171a1d;background:#f4f6f9}\
    main{max-width:22rem;margin:0 auto;padding:1rem}\
    .kicker{margin:0;color:#5c6573;font-size:.8rem}h1{margin:.15rem 0 .75rem;font-size:1.15rem}\
    a{display:block;margin:.4rem 0;padding:.55rem .8rem;border-radius:.5rem;text-decoration:none}\
    .person{background:#0a64d8;color:#fff}.decline{background:#fff;color:#171a1d;border:1px solid #c4ccd6}\
    a:focus-visible{outline:3px solid #7fb2ff;outline-offset:2px}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
