//! Opening a page in the person's browser from the client.

use std::io;

use reqwest::Url;

use crate::protocol::origin::Origin;

/// Opens addresses for the person: the system's default browser, or what the embedding program has for it.
pub trait Browser: Send + Sync {
    /// Opens an `https://` (or, for development, `http://`) address.
    ///
    /// # Errors
    /// What the system says where no browser can be started.
    fn open(&self, url: &str) -> io::Result<()>;
}

/// The default browser of this user.
pub(in crate::agent) struct DefaultBrowser;

impl Browser for DefaultBrowser {
    fn open(&self, url: &str) -> io::Result<()> {
        // The opener of a Linux desktop is a script that ends well without having opened anything.
        #[cfg(target_os = "linux")]
        if ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"].iter().all(|name| std::env::var_os(name).is_none()) {
            let words = "this session has no screen: DISPLAY, WAYLAND_DISPLAY and BROWSER are not set for the agent";
            return Err(io::Error::new(io::ErrorKind::NotFound, words));
        }
        open::that_detached(url)
    }
}

/// The address of a page.
pub(in crate::agent) struct Page {
    url: Url,
    origin: Origin,
}

impl Page {
    pub(in crate::agent) fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "give a whole address, such as https://app.example.com/start")?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err("it does not start with https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("remove the user name before the host");
        }
        let origin = url.origin().ascii_serialization().parse();
        origin.map(|origin| Self { url, origin }).map_err(|_| "its host is not one that an origin can have")
    }

    pub(in crate::agent) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The address with a mark in its fragment, which browsers send to nobody. A fragment that is there stays in front of it.
    pub(in crate::agent) fn marked(&self, mark: &impl std::fmt::Display) -> String {
        let mut url = self.url.clone();
        let fragment = match url.fragment().filter(|fragment| !fragment.is_empty()) {
            Some(fragment) => format!("{fragment}&loopkey={mark}"),
            None => format!("loopkey={mark}"),
        };
        url.set_fragment(Some(&fragment));
        url.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_pages_are_opened() {
        for (url, origin) in [
            ("https://app.example/a?b=c", "https://app.example"),
            ("https://APP.example:443", "https://app.example"),
            ("http://localhost:28980/", "http://localhost:28980"),
        ] {
            assert_eq!(Page::parse(url).map(|page| page.origin.to_string()).as_deref(), Ok(origin), "{url}");
        }
        for url in [
            "",
            "app.example",
            "//app.example",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://app.example",
            "https://user@app.example",
            "https://:word@app.example",
            "-https://app.example",
            "blob:https://app.example/x",
        ] {
            assert!(Page::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_mark_is_in_the_fragment_behind_what_was_there() {
        let marked = |url| Page::parse(url).map(|page| page.marked(&"M"));
        assert_eq!(marked("https://a.example/p?q=1").as_deref(), Ok("https://a.example/p?q=1#loopkey=M"));
        assert_eq!(marked("https://a.example/#").as_deref(), Ok("https://a.example/#loopkey=M"));
        assert_eq!(marked("https://a.example/#/doc/1").as_deref(), Ok("https://a.example/#/doc/1&loopkey=M"));
    }
}
