//! Browsers, and where each looks for an administrator's policies.

/// A browser that knows policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Browser {
    /// Chromium.
    Chromium,
    /// Google Chrome.
    Chrome,
    /// Microsoft Edge.
    Edge,
    /// Firefox.
    Firefox,
}

impl Browser {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Chromium, Self::Chrome, Self::Edge, Self::Firefox];

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium",
            Self::Chrome => "Google Chrome",
            Self::Edge => "Microsoft Edge",
            Self::Firefox => "Firefox",
        }
    }

    /// The file on Linux.
    #[must_use]
    pub const fn linux(self) -> &'static str {
        match self {
            Self::Chromium => "/etc/chromium/policies/managed/loopkey.json",
            Self::Chrome => "/etc/opt/chrome/policies/managed/loopkey.json",
            Self::Edge => "/etc/opt/edge/policies/managed/loopkey.json",
            Self::Firefox => "/etc/firefox/policies/policies.json",
        }
    }

    /// Where the same goes on macOS.
    #[must_use]
    pub const fn macos(self) -> &'static str {
        match self {
            Self::Chromium => "a configuration profile for org.chromium.Chromium, with these keys",
            Self::Chrome => "a configuration profile for com.google.Chrome, with these keys",
            Self::Edge => "a configuration profile for com.microsoft.Edge, with these keys",
            Self::Firefox => "/Applications/Firefox.app/Contents/Resources/distribution/policies.json",
        }
    }

    /// Where the same goes on Windows.
    #[must_use]
    pub const fn windows(self) -> &'static str {
        match self {
            Self::Chromium => r"HKLM\Software\Policies\Chromium, lists as values 1, 2, …, everything else as JSON text",
            Self::Chrome => {
                r"HKLM\Software\Policies\Google\Chrome, lists as values 1, 2, …, everything else as JSON text"
            }
            Self::Edge => {
                r"HKLM\Software\Policies\Microsoft\Edge, lists as values 1, 2, …, everything else as JSON text"
            }
            Self::Firefox => r"C:\Program Files\Mozilla Firefox\distribution\policies.json",
        }
    }
}
