//! A sandbox at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

use crate::harness::{User, binary, expect, run, trial};

pub(crate) fn trials(user: User) -> Vec<Trial> {
    vec![
        trial(
            user,
            "ctrl_c_reaches_the_command_once_and_the_runner_outlives_it",
            ctrl_c,
        ),
        trial(user, "ctrl_z_stops_all_and_fg_continues_all", ctrl_z),
        trial(user, "job_control_works_inside", inner_shell),
    ]
}

/// A terminal with a session of its own, and what it has shown.
struct Terminal {
    keyboard: File,
    shown: Arc<(Mutex<String>, Condvar)>,
    seen: usize,
    session: Child,
}

impl Terminal {
    /// Runs a program as the session's leader.
    fn start(program: &Command) -> Result<Self, Failed> {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let slave = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(ptsname_r(&master)?)?;
        // It is nobody's to open otherwise.
        rustix::fs::fchmod(&slave, rustix::fs::Mode::from_raw_mode(0o666))?;
        let mut session = Command::new("setsid");
        session
            .args(["--ctty", "--wait"])
            // Whoever started the tests in the background ignores them.
            .args(["env", "--default-signal=INT,QUIT,HUP"])
            .arg(program.get_program())
            .args(program.get_args());
        session.env("PS1", "prompt> ").env("TERM", "dumb");
        let session = session
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave)
            .spawn()?;

        let keyboard = File::from(OwnedFd::from(master));
        let shown = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let (mut screen, writer) = (keyboard.try_clone()?, Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                let mut text = writer.0.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&String::from_utf8_lossy(&bytes[..length]));
                writer.1.notify_all();
            }
        });
        Ok(Self {
            keyboard,
            shown,
            seen: 0,
            session,
        })
    }

    fn types(&mut self, keys: &str) -> Result<(), Failed> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Waits until something is shown after what was seen before.
    fn shows(&mut self, expected: &str) -> Result<(), Failed> {
        let text = self.shown.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.seen;
        let position = |text: &String| text[seen..].find(expected);
        let (text, _) = self
            .shown
            .1
            .wait_timeout_while(text, Duration::from_secs(20), |text| {
                position(text).is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        let Some(at) = position(&text) else {
            return Err(format!("{expected:?} is not shown, but {:?}", &text[seen..]).into());
        };
        self.seen += at + expected.len();
        Ok(())
    }
}

fn ctrl_c(user: User) -> Result<(), Failed> {
    let binary = binary().to_str().ok_or("a path in UTF-8")?;
    let mut terminal = Terminal::start(&run(user, &[binary, "--count-interrupts"]))?;
    terminal.shows("ready")?;
    // Two signals that come close are one; not every time.
    for _ in 0..20 {
        terminal.types("\x03")?;
        terminal.shows("interrupted")?;
    }
    terminal.types("end\n")?;
    terminal.shows("in all 20.")?;
    expect(terminal.session.wait()?.code(), Some(5))
}

fn shell() -> Command {
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    shell
}

fn line(program: &Command) -> String {
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    words
        .map(|word| format!("'{}'", word.display()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn ctrl_z(user: User) -> Result<(), Failed> {
    let mut terminal = Terminal::start(&shell())?;
    terminal.shows("prompt> ")?;
    terminal.types(&format!(
        "{}\n",
        line(&run(user, &["sh", "-c", "echo re''ady; cat; exit 4"]))
    ))?;
    terminal.shows("ready")?;
    terminal.types("\x1a")?;
    terminal.shows("Stopped")?;
    terminal.shows("prompt> ")?;
    terminal.types("fg\n")?;
    terminal.shows("exit 4")?; // the shell says what it continues
    terminal.types("through\n")?;
    terminal.shows("through\r\nthrough")?;
    terminal.types("\x04")?;
    terminal.shows("prompt> ")?;
    terminal.types("echo status $?\n")?;
    terminal.shows("status 4")?;
    terminal.types("exit\n")?;
    terminal.session.wait()?;
    Ok(())
}

fn inner_shell(user: User) -> Result<(), Failed> {
    let mut terminal = Terminal::start(&shell())?;
    terminal.shows("prompt> ")?;
    terminal.types(&format!(
        "PS1='inner> ' {}\n",
        line(&run(user, &["bash", "--norc", "--noprofile", "-i"]))
    ))?;
    terminal.shows("\ninner> ")?;
    terminal.types("sh -c \"echo st''arted; exec cat\"\n")?;
    terminal.shows("started")?;
    terminal.types("once\n")?;
    terminal.shows("once\r\nonce")?;
    terminal.types("\x1a")?;
    terminal.shows("Stopped")?;
    terminal.shows("inner> ")?;
    terminal.types("fg\n")?;
    terminal.shows("exec cat")?;
    terminal.types("again\n")?;
    terminal.shows("again\r\nagain")?;
    terminal.types("\x03")?;
    terminal.shows("inner> ")?;
    // The whole of it: the outer shell goes on, and continues it.
    terminal.types("suspend\n")?;
    terminal.shows("Stopped")?;
    terminal.shows("prompt> ")?;
    terminal.types("fg\n")?;
    terminal.shows("inner> ")?;
    terminal.types("exit 6\n")?;
    terminal.shows("prompt> ")?;
    // The terminal is the outer shell's again.
    terminal.types("echo status $?\n")?;
    terminal.shows("status 6")?;
    terminal.types("exit\n")?;
    terminal.session.wait()?;
    Ok(())
}
