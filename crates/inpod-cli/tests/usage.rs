//! What the binary says of itself and of a command line it cannot read.

use std::process::{Command, Output};

fn inpod(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_inpod"))
        .args(arguments)
        .output()
        .expect("the binary under test starts")
}

#[test]
fn help_and_version_are_asked_for_and_go_to_standard_output() {
    for arguments in [["--help"], ["--version"]] {
        let output = inpod(&arguments);
        assert!(output.status.success());
        assert!(!output.stdout.is_empty());
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn a_command_line_that_cannot_be_read_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["no-such-command"],
        &["run"],
        &["api"],
        &["proxy", "--port", "99999"],
        &["cluster", "--port", "x"],
    ] {
        let output = inpod(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
#[cfg(feature = "cluster")]
fn a_program_without_the_dashes_is_told_of_them() {
    for (arguments, says) in [
        (&["run", "-n", "team", "true"][..], true),
        (&["cluster", "kubectl", "get", "pods"], true),
        (&["run", "--no-such-option", "--", "true"], false),
        (&["api", "/api", "more"], false),
    ] {
        let stderr = String::from_utf8(inpod(arguments).stderr).expect("UTF-8");
        let said = stderr.contains("comes after `--`: inpod ");
        assert_eq!(said, says, "{arguments:?}: {stderr}");
    }
}
