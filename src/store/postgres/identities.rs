//! Identities in SQL.

use tokio_postgres::Row;

use super::accounts;
use super::columns::{ACCOUNT, account_at, integer, number_at, text_at};
use super::connection::{Connection, Params};
use super::pool::Transaction;
use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::time::Timestamp;
use crate::store::{
    Account, AccountId, Audited, Avatar, Details, Identity, LinkRefusal, LinkedIdentity, Profile, StoreError,
};

/// The columns that [`linked_at`] reads, from a table called `i`. Six.
const IDENTITY: &str = "i.connector, i.tenant, i.id, i.account, i.details, i.linked_at";

fn linked_at(row: &Row) -> Result<LinkedIdentity, StoreError> {
    let identity = Identity::new(text_at(row, 0)?, row.try_get(1)?, row.try_get(2)?).map_err(StoreError::new)?;
    Ok(LinkedIdentity {
        identity,
        account: text_at(row, 3)?,
        details: serde_json::from_str(row.try_get(4)?).map_err(StoreError::new)?,
        linked_at: Timestamp(number_at(row, 5)?),
    })
}

pub(super) async fn find(
    connection: &Connection,
    identity: &Identity,
) -> Result<Option<(Account, LinkedIdentity)>, StoreError> {
    let sql = format!(
        "SELECT {IDENTITY}, {ACCOUNT} FROM identities i JOIN accounts a USING (account)
         WHERE i.connector = $1 AND i.tenant = $2 AND i.id = $3"
    );
    let row = connection.first(&sql, &[&identity.connector().as_str(), &identity.tenant(), &identity.id()]).await?;
    row.map(|row| Ok((account_at(&row, 6)?, linked_at(&row)?))).transpose()
}

pub(super) async fn of_account(
    connection: &Connection,
    account: &AccountId,
) -> Result<Vec<LinkedIdentity>, StoreError> {
    let sql = format!(
        "SELECT {IDENTITY} FROM identities i WHERE i.account = $1 ORDER BY i.linked_at, i.connector, i.tenant, i.id"
    );
    connection.all(&sql, &[&account.as_str()]).await?.iter().map(linked_at).collect()
}

pub(super) async fn link(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    identity: &Identity,
    details: &Details,
) -> Result<Result<(), LinkRefusal>, StoreError> {
    let Some(account) = accounts::held(tx, account).await? else { return Ok(Err(LinkRefusal::NoAccount)) };
    if account.disabled {
        return Ok(Err(LinkRefusal::Disabled));
    }
    let linked = insert(tx, &account, identity, details).await? || refresh(tx, &account, identity, details).await?;
    Ok(if linked { Ok(()) } else { Err(LinkRefusal::Taken) })
}

pub(super) async fn adopt(
    tx: &mut Transaction<'_>,
    profile: &Profile,
    identity: &Identity,
    details: &Details,
) -> Result<Result<Account, LinkRefusal>, StoreError> {
    let name = profile.account.as_str();
    let others = |owner: &Account| owner.profile.account != profile.account;
    if find(tx, identity).await?.is_some_and(|(owner, _)| others(&owner)) {
        return Ok(Err(LinkRefusal::Taken));
    }
    let sql = "INSERT INTO accounts (account, subject, name, avatar, created_at, updated_at)
               VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING";
    let (subject, avatar) = (base64url::encode(crypto::random::<16>()), profile.avatar.as_ref().map(Avatar::as_str));
    let values: Params<'_> = &[&name, &subject, &profile.name.as_str(), &avatar, &integer(tx.now.0)];
    let made = tx.execute(sql, values).await? > 0;
    // Who was there may have been erased since, and may come again.
    let Some(account) = accounts::held(tx, &profile.account).await? else { return Ok(Err(LinkRefusal::NoAccount)) };
    if !made {
        // Looked at again now that it is held: two first sign-ins may have come at once.
        return Ok(match find(tx, identity).await? {
            Some((owner, _)) if others(&owner) => Err(LinkRefusal::Taken),
            None => Err(LinkRefusal::Taken),
            Some(_) if account.disabled => Err(LinkRefusal::Disabled),
            Some(_) => {
                refresh(tx, &account, identity, details).await?;
                Ok(account)
            }
        });
    }
    if insert(tx, &account, identity, details).await? {
        return Ok(Ok(account));
    }
    // Somebody was quicker, with another account.
    tx.execute("DELETE FROM accounts WHERE account = $1", &[&name]).await?;
    Ok(Err(LinkRefusal::Taken))
}

/// Links to a held account; whether nobody has it.
async fn insert(
    tx: &Transaction<'_>,
    account: &Account,
    identity: &Identity,
    details: &Details,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO identities (connector, tenant, id, account, details, linked_at)
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let (connector, name) = (identity.connector().as_str(), account.profile.account.as_str());
    let (details, now) = (details.to_json(), integer(tx.now.0));
    let values: Params<'_> = &[&connector, &identity.tenant(), &identity.id(), &name, &details, &now];
    if tx.execute(sql, values).await? == 0 {
        return Ok(false);
    }
    tx.record(Audited::IdentityLinked, Some(&account.subject), None, &identity.detail()).await?;
    Ok(true)
}

/// Writes the details of a held account's identity anew; whether it has it.
async fn refresh(
    tx: &Transaction<'_>,
    account: &Account,
    identity: &Identity,
    details: &Details,
) -> Result<bool, StoreError> {
    let sql = "UPDATE identities SET details = $5 WHERE connector = $1 AND tenant = $2 AND id = $3 AND account = $4";
    let (connector, name) = (identity.connector().as_str(), account.profile.account.as_str());
    let values: Params<'_> = &[&connector, &identity.tenant(), &identity.id(), &name, &details.to_json()];
    Ok(tx.execute(sql, values).await? > 0)
}

pub(super) async fn unlink(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    identity: &Identity,
) -> Result<bool, StoreError> {
    let Some(account) = accounts::held(tx, account).await? else { return Ok(false) };
    let sql = "DELETE FROM identities WHERE connector = $1 AND tenant = $2 AND id = $3 AND account = $4";
    let (connector, name) = (identity.connector().as_str(), account.profile.account.as_str());
    let values: Params<'_> = &[&connector, &identity.tenant(), &identity.id(), &name];
    if tx.execute(sql, values).await? == 0 {
        return Ok(false);
    }
    tx.record(Audited::IdentityUnlinked, Some(&account.subject), None, &identity.detail()).await?;
    Ok(true)
}
