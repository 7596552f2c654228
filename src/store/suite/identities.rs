//! What every engine must do with identities.

use super::*;

fn identity(id: &str) -> Identity {
    Identity::new(parsed("dingtalk"), "corp", id).expect("sound")
}

fn details(name: &str) -> Details {
    let mut details = Details::default();
    assert!(details.add("name", name));
    details
}

async fn known(bench: &Bench, name: &str) -> AccountId {
    bench.store.issue_ticket(fresh_ticket(), profile(name)).await.expect("store").expect("ticket");
    parsed(name)
}

pub(super) async fn identities(bench: &Bench) {
    let store = &bench.store;
    let (ada, lin) = (known(bench, "ada-linked").await, known(bench, "lin-linked").await);
    let link = async |account: &AccountId, identity: &Identity, name: &str| {
        store.link_identity(account, identity.clone(), details(name)).await.expect("store")
    };
    let (one, two) = (identity("1"), identity("2"));
    assert_eq!(store.identity(&one).await.expect("store"), None);
    assert_eq!(link(&parsed("nobody"), &one, "x").await, Err(LinkRefusal::NoAccount));
    assert_eq!(link(&ada, &one, "Ada").await, Ok(()));
    let linked_at = bench.clock.timestamp();
    let line = store.audit_tail(Some(&ada), 1).await.expect("store").remove(0);
    assert_eq!((line.what.as_str(), line.detail.as_str()), ("identity_linked", "connector=dingtalk tenant=corp"));
    bench.clock.advance(Duration::from_secs(10));
    let linked = |identity: &Identity, name: &str, linked_at| LinkedIdentity {
        identity: identity.clone(),
        account: ada.clone(),
        details: details(name),
        linked_at,
    };
    let account = store.account(&ada).await.expect("store").expect("ada");
    assert_eq!(store.identity(&one).await.expect("store"), Some((account.clone(), linked(&one, "Ada", linked_at))));
    // Of one account, and of the whole key.
    assert_eq!(link(&lin, &one, "Lin").await, Err(LinkRefusal::Taken));
    assert_eq!(store.identity(&identity("1 ")).await.expect("store"), None);
    for (tenant, id) in [("", "1"), ("corp2", "1"), ("cor", "p1"), ("", "corp1")] {
        let other = Identity::new(parsed("dingtalk"), tenant, id).expect("sound");
        assert_eq!(store.identity(&other).await.expect("store"), None, "{tenant} {id}");
    }
    let other = Identity::new(parsed("oidc"), "corp", "1").expect("sound");
    assert_eq!(store.identity(&other).await.expect("store"), None);
    // Again: what was said of the person is written anew, and nothing is recorded.
    assert_eq!(link(&ada, &one, "Ada L.").await, Ok(()));
    assert_eq!(link(&ada, &two, "A").await, Ok(()));
    let later = bench.clock.timestamp();
    let both = vec![linked(&one, "Ada L.", linked_at), linked(&two, "A", later)];
    assert_eq!(store.identities(&ada).await.expect("store"), both);
    let recorded = store.audit_tail(Some(&ada), 9).await.expect("store");
    assert_eq!(recorded.iter().filter(|line| line.what == "identity_linked").count(), 2);
    assert!(store.identities(&lin).await.expect("store").is_empty());
    // Taken away by whose it is.
    assert!(!store.unlink_identity(&lin, &one).await.expect("store"));
    assert!(store.unlink_identity(&ada, &one).await.expect("store"));
    assert!(!store.unlink_identity(&ada, &one).await.expect("store"), "once");
    let line = store.audit_tail(Some(&ada), 1).await.expect("store").remove(0);
    assert_eq!((line.what.as_str(), line.detail.as_str()), ("identity_unlinked", "connector=dingtalk tenant=corp"));
    assert_eq!(store.identity(&one).await.expect("store"), None);
    assert_eq!(store.identities(&ada).await.expect("store"), both[1..]);
    assert_eq!(link(&lin, &one, "Lin").await, Ok(()), "free again");
    // A disabled account keeps what it has and gets nothing new.
    let disable = AccountChange { disabled: Some(true), ..AccountChange::default() };
    store.change_account(&ada, disable).await.expect("store").expect("ada");
    assert_eq!(link(&ada, &identity("3"), "x").await, Err(LinkRefusal::Disabled));
    assert_eq!(link(&ada, &two, "x").await, Err(LinkRefusal::Disabled));
    let (owner, found) = store.identity(&two).await.expect("store").expect("linked");
    assert!(owner.disabled && found.details == details("A"));
    // Gone with the account.
    assert!(store.erase_account(&ada).await.expect("store"));
    assert_eq!(store.identity(&two).await.expect("store"), None);
    assert!(store.identity(&one).await.expect("store").is_some());
    known(bench, "ada-linked").await;
    assert_eq!(store.identities(&ada).await.expect("store"), [], "a new life");
}

pub(super) async fn adopting(bench: &Bench) {
    let store = &bench.store;
    let adopt = async |account: &str, id: &str| {
        let named = details("Ada");
        store.adopt_identity(profile(account), identity(id), named).await.expect("store")
    };
    let made = adopt("ada-adopted", "a1").await.expect("adopted");
    assert_eq!((&made.profile, made.disabled, made.generation), (&profile("ada-adopted"), false, Generation(0)));
    assert_eq!(store.account(&parsed("ada-adopted")).await.expect("store"), Some(made.clone()));
    assert_eq!(store.account_of(&made.subject).await.expect("store"), Some(made.clone()));
    let (owner, linked) = store.identity(&identity("a1")).await.expect("store").expect("linked");
    assert_eq!((&owner, linked.account.as_str(), &linked.details), (&made, "ada-adopted", &details("Ada")));
    let lines = store.audit_tail(Some(&parsed("ada-adopted")), 9).await.expect("store");
    assert_eq!(lines.iter().map(|line| line.what.as_str()).collect::<Vec<_>>(), ["identity_linked"]);
    // Who comes again is the same; the profile stays.
    let renamed = Profile { name: DisplayName::clean("Other").expect("name"), ..profile("ada-adopted") };
    let again = store.adopt_identity(renamed, identity("a1"), details("A.")).await.expect("store");
    assert_eq!(again, Ok(made.clone()));
    let (_, linked) = store.identity(&identity("a1")).await.expect("store").expect("linked");
    assert_eq!(linked.details, details("A."));
    // Nobody gets an account by its name, nor an identity by another one.
    assert_eq!(adopt("ada-adopted", "a2").await, Err(LinkRefusal::Taken));
    known(bench, "ada-backend").await;
    assert_eq!(adopt("ada-backend", "a2").await, Err(LinkRefusal::Taken));
    assert_eq!(store.identity(&identity("a2")).await.expect("store"), None);
    assert_eq!(adopt("ada-adopted-2", "a1").await, Err(LinkRefusal::Taken));
    assert_eq!(store.account(&parsed("ada-adopted-2")).await.expect("store"), None, "and none is made");
    let disable = AccountChange { disabled: Some(true), ..AccountChange::default() };
    store.change_account(&parsed("ada-adopted"), disable).await.expect("store").expect("ada");
    assert_eq!(adopt("ada-adopted", "a1").await, Err(LinkRefusal::Disabled));
    // It has no ticket and no device, and is listed as any other.
    let page = store.accounts(Some(&parsed("ada-adopte")), 1).await.expect("store");
    assert_eq!(page[0].profile.account.as_str(), "ada-adopted");
}

/// First sign-ins that come at once.
pub(super) async fn adopted_once(bench: &Bench) {
    let store = &bench.store;
    let together = (0..16).map(|_| store.adopt_identity(profile("twins"), identity("twins"), Details::default()));
    let all = futures::future::join_all(together).await;
    let first = store.account(&parsed("twins")).await.expect("store").expect("made");
    for one in all {
        assert_eq!(one.expect("store"), Ok(first.clone()));
    }
    // One person under sixteen names: one account is made.
    let names: Vec<_> = (0..16).map(|n| format!("many-{n}")).collect();
    let racing = names.iter().map(|name| store.adopt_identity(profile(name), identity("many"), Details::default()));
    let all = futures::future::join_all(racing).await;
    let adopted = all.into_iter().filter(|one| one.as_ref().expect("store").is_ok()).count();
    assert_eq!(adopted, 1);
    let mut made = 0;
    for name in &names {
        made += usize::from(store.account(&parsed(name)).await.expect("store").is_some());
    }
    assert_eq!(made, 1);
    // Sixteen people who want one name: one gets it.
    let ids: Vec<_> = (0..16).map(|n| identity(&format!("wants-{n}"))).collect();
    let racing = ids.iter().map(|id| store.adopt_identity(profile("wanted"), id.clone(), Details::default()));
    let all = futures::future::join_all(racing).await;
    assert_eq!(all.into_iter().filter(|one| one.as_ref().expect("store").is_ok()).count(), 1);
    assert_eq!(store.identities(&parsed("wanted")).await.expect("store").len(), 1);
}
