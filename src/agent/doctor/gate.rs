//! What the refusals since the start say about the set-up.

use std::time::{Duration, UNIX_EPOCH};

use super::finding::Finding;
use super::troubles::{Cause, Lists, Trouble};
use crate::protocol::gate::Refused;
use crate::protocol::peer::StrangePeer;
use crate::protocol::time::UnixMillis;

/// What was refused, as findings.
pub(super) fn findings(lists: &Lists) -> Vec<Finding> {
    let gate = lists.gate.iter().map(|trouble| told(of_refusal(trouble), trouble));
    // Where the issuer is away is found by asking it.
    let challenges = lists.challenges.iter().filter(|trouble| trouble.kind != Cause::IssuerAway);
    let challenges = challenges.map(|trouble| told(of_challenge(trouble), trouble));
    let flood = (lists.over_budget > 0).then(|| {
        Finding::warning(
            "knocked_too_often",
            format!(
                "{} connections were closed without a word, since more than ten a second were refused",
                lists.over_budget
            ),
            "some program on this computer connects over and over: the refusals beside this one say which site, if one",
        )
        .with("count", lists.over_budget)
    });
    gate.chain(challenges).chain(flood).collect()
}

fn told<K>(finding: Finding, trouble: &Trouble<K>) -> Finding {
    let finding = finding.with("count", trouble.count).with("last", trouble.last.0);
    match &trouble.origin {
        Some(origin) => finding.with("origin", origin.as_str()),
        None => finding,
    }
}

fn times(count: u64, last: UnixMillis) -> String {
    let last = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(last.0));
    if count == 1 { format!("once, on {last}") } else { format!("{count} times, last on {last}") }
}

fn of_refusal(trouble: &Trouble<Refused>) -> Finding {
    let times = times(trouble.count, trouble.last);
    let pages = trouble.origin.as_ref().map_or_else(|| "a page".to_owned(), |origin| format!("a page of {origin}"));
    match trouble.kind {
        Refused::Origin => match &trouble.origin {
            Some(origin) => Finding::warning(
                "origin_not_listed",
                format!("pages of {origin}, which is not in this agent's configuration, were refused ({times})"),
                "if people are to sign in there, add an [[origin]] with exactly this text to agent.toml (and have no policy \
                 take it away), and start the agent again; if not, nothing is to be done",
            ),
            None => Finding::note(
                "origin_unusable",
                format!("a program that names no origin, or one that cannot be configured, was refused ({times})"),
                "if it was your page: open it over https:// (or, with development = true, from localhost), not as a file and \
                 not in a sandboxed frame",
            ),
        },
        Refused::Peer(StrangePeer::OtherUser(uid)) => Finding::note(
            "other_user_refused",
            format!("programs of another user of this computer were refused ({times})"),
            "if the browser runs as another user than the agent, start both as the same one; if not, nothing is to be done",
        )
        .with("uid", uid),
        Refused::Peer(StrangePeer::NoRow) => Finding::warning(
            "peer_unknown",
            format!("the system did not say whose program was connected, so it was refused ({times})"),
            "where this happens to every page, the browser runs in a sandbox or container with a network of its own, or the \
             kernel may not be asked (sock_diag): start both in the same one",
        ),
        Refused::Peer(StrangePeer::Orphan | StrangePeer::Replaced) => Finding::note(
            "peer_gone",
            format!("programs that were gone before they were answered were refused ({times})"),
            "nothing is to be done",
        ),
        Refused::Host => Finding::warning(
            "wrong_host",
            format!("{pages} called the agent by another name than 127.0.0.1 or [::1] and was refused ({times})"),
            "have the page use Loopkey's own browser library, which connects to the literal address; a name that points at \
             this computer is an attack that is kept out here",
        ),
        Refused::Blocked => Finding::note(
            "origin_blocked",
            format!("{pages} was refused, since the person has blocked it ({times})"),
            "to allow it again: loopkey grants set ORIGIN default",
        ),
        Refused::Limit => Finding::warning(
            "too_many_connections",
            format!("{pages} was refused, since too many connections were open ({times})"),
            "close some tabs; if there are few, the page opens sockets without closing them",
        ),
        Refused::Head(_) | Refused::SlowHead | Refused::Target | Refused::Fetch | Refused::Upgrade => Finding::note(
            "strange_request",
            format!("something that no page of Loopkey's library sends was refused: {} ({times})", trouble.kind),
            "if it was your page, have it use Loopkey's own browser library; if not, nothing is to be done",
        ),
    }
}

fn of_challenge(trouble: &Trouble<Cause>) -> Finding {
    let times = times(trouble.count, trouble.last);
    let origin = trouble.origin.as_ref().map_or("a page", |origin| origin.as_str());
    match trouble.kind {
        Cause::Time => Finding::error(
            "challenge_time",
            format!("challenges that {origin} brought were not of their issuer's own time ({times})"),
            "if several servers answer for the issuer, have them set by the same time server, and let no proxy keep answers \
             or their Date header",
        ),
        Cause::Mapping => Finding::error(
            "challenge_foreign",
            format!("challenges that {origin} brought were made by another issuer or for another origin ({times})"),
            "compare `issuer` of this [[origin]] in agent.toml with the login server that the page uses",
        ),
        Cause::Key => Finding::error(
            "challenge_key",
            format!(
                "challenges that {origin} brought were signed with a key that their issuer does not publish ({times})"
            ),
            "compare `issuer` of this [[origin]] in agent.toml with the login server that the page uses; if it is that one, and \
             several servers answer for it, give all of them the same store folder with the challenge keys",
        ),
        Cause::Replayed => Finding::note(
            "challenge_replayed",
            format!("challenges that {origin} brought had been used before ({times})"),
            "have the page fetch a new challenge each time, as Loopkey's own browser library does",
        ),
        Cause::Form | Cause::IssuerAway => Finding::warning(
            "challenge_malformed",
            format!("what {origin} brought as a challenge was none ({times})"),
            "have the page pass the login server's answer on as it is, as Loopkey's own browser library does",
        ),
    }
}
