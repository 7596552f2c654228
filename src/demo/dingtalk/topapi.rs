//! `topapi`: behind the old interface's gateway, which wraps its own errors.

use serde_json::{Value, json};

use super::old::{admit, exchange, seen};
use super::reply::{Asked, Reply};
use super::state::{State, Token};

type Refusal = (i64, &'static str);

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    let method: fn(&mut State, &Asked, &Token) -> Result<Value, Refusal> = match asked.path.as_str() {
        "/topapi/v2/user/getuserinfo" => visitor,
        "/topapi/v2/user/get" => person,
        "/topapi/user/getbyunionid" => by_unionid,
        "/topapi/user/listsimple" => members,
        "/topapi/v2/department/listsub" => departments,
        "/topapi/v2/department/listsubid" => department_ids,
        _ => return Reply::errcode(22, "Invalid method"),
    };
    let token = match admit(state, asked) {
        Ok(token) => token,
        Err((code, message)) => return Reply::wrapped(code, message),
    };
    match method(state, asked, &token) {
        Ok(result) => Reply::fine(json!({ "result": result, "request_id": "r1" })),
        Err((code, message)) if state.wraps_everything => Reply::wrapped(code, message),
        Err((code, message)) => Reply::errcode(code, message),
    }
}

fn visitor(state: &mut State, asked: &Asked, token: &Token) -> Result<Value, Refusal> {
    let (userid, name) = exchange(state, asked.member("code"), token)?;
    let unionid = state.user(&token.corp, &userid).map(|user| user.unionid.clone());
    Ok(json!({
        "userid": userid, "unionid": unionid, "associated_unionid": "a1", "name": name, "device_id": "d1",
        "sys": false, "sys_level": 0,
    }))
}

fn person(state: &mut State, asked: &Asked, token: &Token) -> Result<Value, Refusal> {
    let userid = asked.member("userid");
    let user = seen(state, token, userid)?;
    let mut person = json!({
        "userid": userid, "unionid": user.unionid, "name": user.name, "job_number": "A-7", "title": "工程师",
        "dept_id_list": user.departments, "admin": false, "boss": false, "senior": false, "active": true,
        "hired_date": 1_597_573_616_828_u64,
    });
    // What is not there, or not to be seen, is left out.
    for (member, value) in [("avatar", &user.avatar), ("mobile", &user.mobile), ("org_email", &user.email)] {
        if let Some(value) = value {
            person[member] = json!(value);
        }
    }
    Ok(person)
}

fn by_unionid(state: &mut State, asked: &Asked, token: &Token) -> Result<Value, Refusal> {
    let unionid = asked.member("unionid");
    let found = state.corps[&token.corp].users.iter().find(|(_, user)| user.unionid == unionid);
    let (userid, _) = found.ok_or((60121, "找不到该用户"))?;
    Ok(json!({ "contact_type": 0, "userid": userid }))
}

fn members(state: &mut State, asked: &Asked, token: &Token) -> Result<Value, Refusal> {
    let (Some(department), Some(cursor), Some(size)) =
        (asked.number("dept_id"), asked.number("cursor"), asked.number("size"))
    else {
        return Err((400_002, "参数错误"));
    };
    if !(1..=100).contains(&size) || cursor < 0 {
        return Err((400_002, "参数错误"));
    }
    let corp = &state.corps[&token.corp];
    let all: Vec<_> = corp.users.iter().filter(|(_, user)| user.departments.contains(&department)).collect();
    let (from, to) = (usize::try_from(cursor).expect("small"), usize::try_from(cursor + size).expect("small"));
    let page: Vec<_> = all.iter().take(to).skip(from).collect();
    let list: Vec<Value> = page.iter().map(|(userid, user)| json!({ "userid": userid, "name": user.name })).collect();
    let mut result = json!({ "has_more": to < all.len(), "list": list });
    if to < all.len() {
        result["next_cursor"] = json!(to);
    }
    Ok(result)
}

fn below(state: &State, asked: &Asked, token: &Token) -> Result<Vec<super::Department>, Refusal> {
    let parent = if asked.body["dept_id"].is_null() { Some(1) } else { asked.number("dept_id") };
    let parent = parent.ok_or((400_002, "参数错误"))?;
    if state.apps.get(&token.app).is_some_and(|app| !app.sees_contacts) {
        return Err((50004, "请求的部门id不在授权范围内"));
    }
    let departments = &state.corps[&token.corp].departments;
    if parent != 1 && !departments.iter().any(|department| department.id == parent) {
        return Err((60003, "部门不存在"));
    }
    Ok(departments.iter().filter(|department| department.parent == parent).cloned().collect())
}

fn departments(state: &mut State, asked: &Asked, token: &Token) -> Result<Value, Refusal> {
    let below = below(state, asked, token)?;
    let list = below.into_iter().map(|d| {
        json!({
            "dept_id": d.id, "name": d.name, "parent_id": d.parent, "create_dept_group": true, "auto_add_user": true,
        })
    });
    Ok(Value::Array(list.collect()))
}

fn department_ids(state: &mut State, asked: &Asked, token: &Token) -> Result<Value, Refusal> {
    let below = below(state, asked, token)?;
    Ok(json!({ "dept_id_list": below.iter().map(|department| department.id).collect::<Vec<_>>() }))
}
