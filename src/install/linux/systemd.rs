//! Units of the person's own systemd.
//!
//! The socket unit holds the agent's first port, on both loopback addresses, from login on: a page that looks for the
//! agent starts it, and nobody else can take the port while it does not run. The control socket is not activated, so that
//! `loopkey status` tells whether the agent runs rather than starting it.

/// The unit that runs the agent, from the moment on when the desktop's session has told systemd of its display: dialogs
/// and the default browser need it. Where a desktop starts no `graphical-session.target`, the first page or wake starts the
/// agent. A browser that the agent has opened is not ended with it, and keeps its own way to a sandbox. A wrong
/// configuration (exit code 2) is not tried again.
pub(super) fn service(program: &str, config: &str) -> String {
    format!(
        "[Unit]\n\
         Description=Loopkey agent: signs this person in to web pages with the desktop client\n\
         Wants={socket}\n\
         After={socket} graphical-session-pre.target\n\
         PartOf=graphical-session.target\n\
         \n\
         [Service]\n\
         Type=exec\n\
         ExecStart={} agent --config {}\n\
         Restart=on-failure\n\
         RestartPreventExitStatus=2\n\
         KillMode=process\n\
         \n\
         [Install]\n\
         WantedBy=graphical-session.target\n",
        word(program, false),
        word(config, true),
        socket = super::SOCKET,
    )
}

/// The unit that holds the port. Where one of the two addresses cannot be had it fails, and the agent looks for a port
/// by itself.
pub(super) fn socket(port: u16) -> String {
    format!(
        "[Unit]\n\
         Description=Where web pages find the Loopkey agent\n\
         \n\
         [Socket]\n\
         ListenStream=127.0.0.1:{port}\n\
         ListenStream=[::1]:{port}\n\
         \n\
         [Install]\n\
         WantedBy=sockets.target\n"
    )
}

/// One word of `ExecStart` (systemd.service(5), "Command lines"). Variables are not looked for in the program's path.
fn word(word: &str, has_variables: bool) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '$' if has_variables => quoted.push_str("$$"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
