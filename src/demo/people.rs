//! The sample people.

use base64::Engine as _;

/// Somebody who can be signed in to the client.
pub(super) struct Person {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) picture: &'static [u8],
}

pub(super) const PEOPLE: [Person; 3] = [
    Person { id: "ada", name: "Ada Lovelace", picture: include_bytes!("../../web/demo/avatars/ada.png") },
    Person { id: "lin", name: "林小雨", picture: include_bytes!("../../web/demo/avatars/lin.png") },
    Person { id: "sam", name: "Sam Okafor", picture: include_bytes!("../../web/demo/avatars/sam.png") },
];

impl Person {
    pub(super) fn by_id(id: &str) -> Option<&'static Self> {
        PEOPLE.iter().find(|person| person.id == id)
    }

    /// The picture as the backend hands it to the login server.
    pub(super) fn picture_url(&self) -> String {
        format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(self.picture))
    }
}
