//! `mimeapps.list`, the person's default programs (freedesktop.org, "Association between MIME types and applications").
//!
//! The list belongs to every program of the person, so its text is changed in one place and nothing else of it: whoever
//! was there keeps every byte. `xdg-mime default` does not do that: it takes a former program of the same scheme out, it
//! puts a file in the place of a link, and it cannot take anything back.

const SECTION: &str = "[Default Applications]";

/// Puts a program first for a kind; gives the new text and what was put in. Where the program stands behind another it is
/// taken from there. `None` where it comes first already.
pub(in crate::install) fn insert(text: &str, kind: &str, program: &str) -> Option<(String, String)> {
    let mut at = 0;
    let mut behind_header = None;
    let mut behind_key = None;
    let mut in_section = false;
    let mut first = None;
    // The text without the program where it is one of several.
    let mut rest = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if line.starts_with('[') {
            in_section = line.trim_end() == SECTION;
            if in_section {
                behind_header.get_or_insert(at);
            }
        } else if in_section && let Some((key, value)) = line.split_once('=').filter(|(key, _)| key.trim_end() == kind)
        {
            first = first.or_else(|| programs(value).next());
            let blanks = value.len() - value.trim_start_matches([' ', '\t']).len();
            behind_key.get_or_insert(start + key.len() + 1 + blanks);
            rest.extend(without(line, program));
            continue;
        }
        rest.push_str(line);
    }
    if first == Some(program) {
        return None;
    }
    if rest != text {
        return insert(&rest, kind, program);
    }
    let (at, inserted) = match (behind_key, behind_header) {
        (Some(at), _) => (at, format!("{program};")),
        (None, Some(at)) => (at, format!("{}{kind}={program};\n", new_line(&text[..at]))),
        (None, None) => {
            let blank_line = if text.is_empty() { "" } else { "\n" };
            (text.len(), format!("{}{blank_line}{SECTION}\n{kind}={program};\n", new_line(text)))
        }
    };
    Some((format!("{}{inserted}{}", &text[..at], &text[at..]), inserted))
}

/// Takes a program out of every list, and what [`insert`] put around it.
pub(in crate::install) fn remove(text: &str, program: &str, inserted: &str) -> String {
    // Nothing came behind it: what was put in goes as it came, so that the rest is as it was.
    let whole = inserted.contains('\n').then(|| text.strip_suffix(inserted)).flatten();
    let mut rest = String::with_capacity(text.len());
    for line in whole.unwrap_or(text).split_inclusive('\n') {
        rest.extend(without(line, program));
    }
    if inserted.contains(SECTION) && whole.is_none() { without_empty_section(&rest, inserted) } else { rest }
}

/// A line without a program; `None` where nothing is listed in it any more.
fn without(line: &str, program: &str) -> Option<String> {
    let listing = line.split_once('=').filter(|(_, value)| programs(value).any(|listed| listed == program));
    let Some((key, value)) = listing else { return Some(line.to_owned()) };
    let mut kept = String::new();
    for item in value.split_inclusive(';') {
        let named = item.trim_start_matches([' ', '\t']);
        let is_program = named.trim_end_matches([';', '\n', '\r']).trim_end() == program;
        kept.push_str(if is_program { &item[..item.len() - named.len()] } else { item });
    }
    // The line's end went with the program where no semicolon stood behind it.
    let end = if line.ends_with('\n') && !kept.ends_with('\n') { "\n" } else { "" };
    programs(&kept).next().is_some().then(|| format!("{key}={kept}{end}"))
}

/// The text without the section that was put in, where nobody has put anything else into it.
fn without_empty_section(text: &str, inserted: &str) -> String {
    let Some(start) = text.find(&format!("{SECTION}\n")) else { return text.to_owned() };
    let body = &text[start + SECTION.len() + 1..];
    let end = body.find("\n[").map_or(body.len(), |at| at + 1);
    let end = if body.starts_with('[') { 0 } else { end };
    if !body[..end].trim().is_empty() {
        return text.to_owned();
    }
    let before = &text[..start];
    let before = inserted.starts_with('\n').then(|| before.strip_suffix('\n')).flatten().unwrap_or(before);
    format!("{before}{body}")
}

fn programs(value: &str) -> impl Iterator<Item = &str> {
    value.split(';').map(str::trim).filter(|program| !program.is_empty())
}

fn new_line(before: &str) -> &'static str {
    if before.is_empty() || before.ends_with('\n') { "" } else { "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "x-scheme-handler/loopkey";
    const PROGRAM: &str = "loopkey-wake.desktop";

    #[track_caller]
    fn inserted(text: &str) -> (String, String) {
        insert(text, KIND, PROGRAM).expect("it was not listed")
    }

    /// Lists as people have them, tidy and untidy.
    const LISTS: [&str; 10] = [
        "",
        "[Default Applications]",
        "[Default Applications]\n",
        "[Default Applications]\ntext/html=firefox.desktop\n",
        "[Default Applications]\ntext/html=firefox.desktop\nx-scheme-handler/loopkey=other.desktop;\n\n[Added Associations]\n",
        "[Default Applications]\nx-scheme-handler/loopkey = other.desktop",
        "[Added Associations]\ntext/html=firefox.desktop;",
        "# by hand\n\n[Added Associations]\ntext/html=firefox.desktop;\n\n\n",
        "[Added Associations]\nx-scheme-handler/loopkey=other.desktop;\n[Default Applications]\r\na/b=c.desktop\r\n",
        "no section at all",
    ];

    #[test]
    fn whoever_was_there_keeps_every_byte() {
        for before in LISTS {
            let (after, put_in) = inserted(before);
            assert_eq!(remove(&after, PROGRAM, &put_in), before, "{after:?}");
            // All that came is one piece.
            let at = after.find(&put_in).expect("it is in there");
            assert_eq!(format!("{}{}", &after[..at], &after[at + put_in.len()..]), before);
        }
    }

    #[test]
    fn the_program_comes_first_and_once() {
        for before in LISTS {
            let (after, _) = inserted(before);
            let section = after.split_once(SECTION).expect("the section").1;
            let line = section.lines().find(|line| line.starts_with(KIND)).expect("the line");
            assert_eq!(programs(line.split_once('=').expect("a list").1).next(), Some(PROGRAM), "{after:?}");
            assert_eq!(insert(&after, KIND, PROGRAM), None, "listed already");
        }
    }

    #[test]
    fn behind_another_it_is_taken_from_there_and_put_first() {
        for (before, after, left) in [
            ("other.desktop;loopkey-wake.desktop;\n", "loopkey-wake.desktop;other.desktop;\n", "other.desktop;\n"),
            ("other.desktop;loopkey-wake.desktop\n", "loopkey-wake.desktop;other.desktop;\n", "other.desktop;\n"),
            (
                "a.desktop;loopkey-wake.desktop;b.desktop",
                "loopkey-wake.desktop;a.desktop;b.desktop",
                "a.desktop;b.desktop",
            ),
            (
                "a.desktop\nx-scheme-handler/loopkey=loopkey-wake.desktop\nx/y=loopkey-wake.desktop;z.desktop\n",
                "loopkey-wake.desktop;a.desktop\nx/y=loopkey-wake.desktop;z.desktop\n",
                "a.desktop\nx/y=z.desktop\n",
            ),
        ] {
            let list =
                |value| format!("[Added Associations]\n{KIND}=c.desktop;\n[Default Applications]\n{KIND}={value}");
            let (text, put_in) = inserted(&list(before));
            assert_eq!(text, list(after));
            assert_eq!(insert(&text, KIND, PROGRAM), None, "first already");
            // The others keep their order and every byte.
            assert_eq!(remove(&text, PROGRAM, &put_in), list(left));
        }
        // Behind nobody it is first, also with another kind's line before.
        assert_eq!(insert(&format!("[Default Applications]\na/b=c.desktop\n{KIND}={PROGRAM}\n"), KIND, PROGRAM), None);
    }

    #[test]
    fn what_others_did_meanwhile_stays() {
        let (after, put_in) = inserted("[Added Associations]\na/b=c.desktop;\n");
        // Somebody put a line of his own into our section, and us into his.
        let later =
            after.replace("a/b=c.desktop;", "a/b=c.desktop;loopkey-wake.desktop;") + "text/html=firefox.desktop\n";
        let left = "[Added Associations]\na/b=c.desktop;\n\n[Default Applications]\ntext/html=firefox.desktop\n";
        assert_eq!(remove(&later, PROGRAM, &put_in), left);
        // Somebody put a section behind ours.
        let later = after + "\n[Removed Associations]\nd/e=f.desktop;\n";
        let left = "[Added Associations]\na/b=c.desktop;\n\n[Removed Associations]\nd/e=f.desktop;\n";
        assert_eq!(remove(&later, PROGRAM, &put_in), left);
        // Somebody took the other program out of the line that we are in.
        let (after, put_in) = inserted("[Default Applications]\nx-scheme-handler/loopkey=other.desktop;\n");
        assert_eq!(remove(&after.replace("other.desktop;", ""), PROGRAM, &put_in), "[Default Applications]\n");
        // Somebody listed us himself, without the last semicolon.
        let listed =
            "[Default Applications]\nx-scheme-handler/loopkey=other.desktop;loopkey-wake.desktop\nx/y=z.desktop\n";
        let left = "[Default Applications]\nx-scheme-handler/loopkey=other.desktop;\nx/y=z.desktop\n";
        assert_eq!(remove(listed, PROGRAM, ""), left);
    }
}
