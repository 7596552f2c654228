//! Asking the person where no client does it: in a dialog of the desktop, else in the terminal that the agent was started
//! in. Nothing here decides what an answer is good for.

mod dead_time;
mod dialog;
mod digits;
mod program;
mod question;
#[cfg(unix)]
mod terminal;

use std::sync::Arc;

use super::consent::Asker;
use dialog::Dialog;

/// Who asks the person. A program that embeds the agent and asks by itself comes first in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ask {
    /// Whoever can, in this order: a connected client, a dialog of the desktop, the terminal, the window of the page's bridge.
    Auto,
    /// Connected clients, and the window of the page's bridge where none is: the agent opens no window of its own.
    #[default]
    Client,
    /// A dialog of the desktop only, whatever clients say they can do.
    Dialog,
    /// The terminal only.
    Terminal,
}

impl Ask {
    /// Those who may ask, the first to be asked first. `clients` asks through the connected ones.
    pub(in crate::agent) fn askers(self, clients: Arc<dyn Asker>) -> Vec<Arc<dyn Asker>> {
        let dialog = || -> Arc<dyn Asker> { Arc::new(Dialog::default()) };
        match self {
            Self::Auto => [vec![clients, dialog()], terminal()].concat(),
            Self::Client => vec![clients],
            Self::Dialog => vec![dialog()],
            Self::Terminal => terminal(),
        }
    }
}

impl Ask {
    /// Whether the person may be asked in the window of a bridge, when all others cannot.
    pub(in crate::agent) const fn in_windows(self) -> bool {
        matches!(self, Self::Auto | Self::Client)
    }
}

#[cfg(test)]
#[test]
fn where_one_way_to_ask_is_named_no_window_asks() {
    let may = [Ask::Auto, Ask::Client, Ask::Dialog, Ask::Terminal].map(Ask::in_windows);
    assert_eq!(may, [true, true, false, false]);
}

fn terminal() -> Vec<Arc<dyn Asker>> {
    #[cfg(unix)]
    return vec![Arc::new(terminal::Terminal::default())];
    #[cfg(not(unix))]
    Vec::new()
}
