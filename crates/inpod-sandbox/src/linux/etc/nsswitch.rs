//! The contents of `/etc/nsswitch.conf` (nsswitch.conf(5)).

/// Where it is.
pub(super) const PATH: &str = "/etc/nsswitch.conf";

/// What has to be asked before anything that answers outside of the sandbox, and ends the search where it knows no such name: a
/// resolver daemon (`resolve [!UNAVAIL=return]`, systemd's own recommendation), mDNS.
const FIRST: [&str; 2] = ["files", "dns"];

/// The same with `files` and `dns` first among the sources of `hosts`; `None` where that is so already, or nothing is said of hosts.
pub(super) fn contents(machine: &[u8]) -> Option<Vec<u8>> {
    let machine = std::str::from_utf8(machine).ok()?;
    let mut changed = false;
    let lines: Vec<String> = machine
        .split_inclusive('\n')
        .map(|line| {
            let new = reordered(line);
            changed |= new.as_deref().is_some_and(|new| new != line);
            new.unwrap_or_else(|| line.to_owned())
        })
        .collect();
    changed.then(|| lines.concat().into_bytes())
}

/// The line of `hosts`, in order.
fn reordered(line: &str) -> Option<String> {
    let text = line.split('#').next().unwrap_or_default();
    let (database, sources) = text.split_once(':')?;
    if database.trim() != "hosts" {
        return None;
    }
    let sources: Vec<Source<'_>> = sources_of(sources);
    let in_order = FIRST
        .iter()
        .filter(|first| sources.iter().any(|source| source.name == **first))
        .count();
    let leads = sources.iter().take(in_order).zip(FIRST);
    if leads
        .into_iter()
        .all(|(source, first)| source.name == first)
    {
        return None;
    }
    let mut new = String::from("hosts:");
    let mut push = |text: &str| {
        new.push(' ');
        new.push_str(text);
    };
    let known = |name: &str| sources.iter().any(|source| source.name == name);
    // An action that ends the search belongs to the place that a source had.
    FIRST
        .into_iter()
        .filter(|name| known(name))
        .for_each(&mut push);
    for source in sources
        .iter()
        .filter(|source| !FIRST.contains(&source.name))
    {
        push(source.name);
        source.actions.iter().for_each(|action| push(action));
    }
    new.push('\n');
    Some(new)
}

struct Source<'a> {
    name: &'a str,
    /// `[STATUS=ACTION …]`
    actions: Vec<&'a str>,
}

fn sources_of(mut text: &str) -> Vec<Source<'_>> {
    let mut sources: Vec<Source<'_>> = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return sources;
        }
        let end = if text.starts_with('[') {
            text.find(']').map_or(text.len(), |end| end + 1)
        } else {
            text.find(|c: char| c.is_whitespace() || c == '[')
                .unwrap_or(text.len())
        };
        let (word, rest) = text.split_at(end);
        match sources.last_mut() {
            Some(source) if word.starts_with('[') => source.actions.push(word),
            _ => sources.push(Source {
                name: word,
                actions: Vec::new(),
            }),
        }
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hosts(line: &str) -> Option<String> {
        contents(line.as_bytes()).map(|contents| String::from_utf8(contents).unwrap())
    }

    #[test]
    fn files_and_dns_come_before_who_answers_elsewhere() {
        for (machine, seen) in [
            (
                "hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n",
                "hosts: files dns mymachines resolve [!UNAVAIL=return] myhostname\n",
            ),
            (
                "hosts:          files mdns4_minimal [NOTFOUND=return] dns # mdns\n",
                "hosts: files dns mdns4_minimal [NOTFOUND=return]\n",
            ),
            ("hosts: dns [!UNAVAIL=return] files", "hosts: files dns\n"),
            (
                "hosts: db[NOTFOUND=return]files\n",
                "hosts: files db [NOTFOUND=return]\n",
            ),
        ] {
            assert_eq!(hosts(machine).as_deref(), Some(seen), "{machine}");
        }
    }

    #[test]
    fn what_is_in_order_stays_as_it_is() {
        for machine in [
            "hosts: files dns\n",
            "hosts:\tfiles dns mymachines\n",
            "hosts: files\n",
            "# hosts: dns files\npasswd: files\n",
            "",
        ] {
            assert_eq!(hosts(machine), None, "{machine}");
        }
    }

    #[test]
    fn other_databases_stay_as_they_are() {
        let machine = "passwd: sss files\nhosts: resolve files\nnetworks: files\n";
        assert_eq!(
            hosts(machine).as_deref(),
            Some("passwd: sss files\nhosts: files resolve\nnetworks: files\n")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(hosts:|[a-z \\[\\]=!#\n]){0,40}") {
            let _ = hosts(&text);
        }
    }
}
