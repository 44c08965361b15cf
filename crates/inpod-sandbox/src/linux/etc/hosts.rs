//! The contents of `/etc/hosts`.

use std::collections::HashSet;
use std::net::IpAddr;

/// Where it is.
pub(in crate::linux) const PATH: &str = "/etc/hosts";

/// The line of one address.
pub(in crate::linux) fn line(address: IpAddr, names: &[String]) -> String {
    format!("{address}\t{}", names.join(" "))
}

/// The view's lines, then the machine's own without the names that the view has. Some resolvers take the first line of a name,
/// others all, and a developer's line for `kubernetes.default.svc` must not lead out of the sandbox.
pub(super) fn contents(lines: &[String], machine: &[u8]) -> Vec<u8> {
    let ours: HashSet<&[u8]> = lines
        .iter()
        .flat_map(|line| names(line.as_bytes()))
        .collect();
    let mut contents = Vec::with_capacity(machine.len() + 256);
    for line in lines {
        contents.extend(line.bytes());
        contents.push(b'\n');
    }
    for line in machine.split_inclusive(|byte| *byte == b'\n') {
        if names(line).any(|name| ours.contains(name)) {
            contents.extend(without(line, &ours));
        } else {
            contents.extend(line);
        }
    }
    contents
}

/// The names of a line of `hosts(5)`.
fn names(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    text.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .skip(1)
}

/// The line with its other names; nothing where it has none.
fn without(line: &[u8], ours: &HashSet<&[u8]>) -> Vec<u8> {
    let address = line
        .split(u8::is_ascii_whitespace)
        .find(|word| !word.is_empty());
    let left: Vec<&[u8]> = names(line).filter(|name| !ours.contains(name)).collect();
    if left.is_empty() {
        return Vec::new();
    }
    let mut new = address.unwrap_or_default().to_vec();
    for name in left {
        new.push(b' ');
        new.extend(name);
    }
    new.push(b'\n');
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_lines_stay_behind_ours() {
        let line = line(
            IpAddr::from([10, 96, 0, 1]),
            &["kubernetes.default.svc".into(), "kubernetes".into()],
        );
        assert_eq!(
            String::from_utf8(contents(&[line], b"127.0.0.1 localhost")).unwrap(),
            "10.96.0.1\tkubernetes.default.svc kubernetes\n127.0.0.1 localhost"
        );
    }

    #[test]
    fn a_name_of_ours_leads_nowhere_else() {
        let line = line(
            IpAddr::from([10, 96, 0, 1]),
            &["kubernetes.default.svc".into(), "kubernetes".into()],
        );
        let machine = b"# local\n127.0.0.1 localhost kubernetes # dev\n10.1.2.3\tkubernetes.default.svc\n::1 localhost\n";
        assert_eq!(
            String::from_utf8(contents(&[line], machine)).unwrap(),
            "10.96.0.1\tkubernetes.default.svc kubernetes\n# local\n127.0.0.1 localhost\n::1 localhost\n"
        );
    }

    #[test]
    fn without_a_hosts_file_ours_stand_alone() {
        assert_eq!(contents(&["::1\tx".into()], b""), b"::1\tx\n");
    }
}
