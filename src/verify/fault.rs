//! Why something presented was refused: one variant a cause, for the log alone.

use crate::protocol::statement::BadStatement;

/// What was wrong with a login token or a presence proof. It goes to the log; outside, all of them are one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The statement's size, form, header, algorithm, signature or claims.
    #[error("{0}")]
    Statement(#[from] BadStatement),
    /// No device record goes with the statement's `kid`.
    #[error("no enrolled device has the key that the statement names")]
    UnknownKey,
    /// The challenge's size, form, header, algorithm, signature or claims.
    #[error("challenge: {0}")]
    Challenge(BadStatement),
    /// The challenge names a key that is not, or no longer, one of this issuer's.
    #[error("the challenge is not signed with a key of this issuer")]
    ChallengeKey,
    /// The challenge was issued under another issuer name, or redeems elsewhere.
    #[error("the challenge is of another issuer")]
    ChallengeIssuer,
    /// The challenge was issued to a page of another origin than the one that posts.
    #[error("the challenge was issued to another origin")]
    ChallengeOrigin,
    /// The challenge was issued too long ago.
    #[error("the challenge is too old")]
    ChallengeAge,
    /// The statement answers another challenge.
    #[error("the statement answers another challenge")]
    Nonce,
    /// The statement was signed for a page of another origin.
    #[error("the statement is for another origin")]
    Origin,
    /// The statement was signed for another recipient.
    #[error("the statement is for another recipient")]
    Audience,
    /// The statement names another device than the one whose key signed it.
    #[error("the statement names another device")]
    Issuer,
    /// The request carries no pre-login cookie, or several.
    #[error("the request has no pre-login cookie, or more than one")]
    NoBrowser,
    /// The challenge was fetched by another browser.
    #[error("the challenge belongs to another browser")]
    ChallengeBrowser,
    /// The statement was signed for another browser.
    #[error("the statement belongs to another browser")]
    Browser,
    /// The statement's time is over.
    #[error("the statement has expired")]
    Expired,
    /// The statement names another person than the card that was clicked.
    #[error("the statement is for another person than the one posted")]
    PostedSubject,
    /// The statement names another person than the one whose device signed it.
    #[error("the statement is for another person than the device's")]
    Subject,
    /// The device was revoked.
    #[error("the device is revoked")]
    Revoked,
    /// The account was disabled.
    #[error("the account is disabled")]
    Disabled,
    /// The statement was signed before a sign-out or switch that the server knows of.
    #[error("the statement is from before a sign-out")]
    Epoch,
    /// The account's policy asks for more than the person did.
    #[error("the person was verified in a weaker way than the account's policy asks for")]
    UserVerification,
    /// The mark that was taken is for another challenge.
    #[error("the mark is for another challenge")]
    ForeignMark,
}
