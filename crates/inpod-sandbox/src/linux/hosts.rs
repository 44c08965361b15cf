//! The contents of `/etc/hosts`.

use std::net::IpAddr;

/// Where it is.
pub(super) const PATH: &str = "/etc/hosts";

/// The line of one address.
pub(super) fn line(address: IpAddr, names: &[String]) -> String {
    format!("{address}\t{}", names.join(" "))
}

/// The view's lines, then the machine's own. A resolver takes the first match, and a developer's line for
/// `kubernetes.default.svc` must not lead out of the sandbox.
pub(super) fn contents(lines: &[String], machine: &[u8]) -> Vec<u8> {
    let mut contents = Vec::with_capacity(machine.len() + 256);
    for line in lines {
        contents.extend(line.bytes());
        contents.push(b'\n');
    }
    contents.extend(machine);
    contents
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
    fn without_a_hosts_file_ours_stand_alone() {
        assert_eq!(contents(&["::1\tx".into()], b""), b"::1\tx\n");
    }
}
