use std::path::Path;

use http::HeaderValue;

/// `program/version (system/machine) inpod/version`: what an audit log knows a program by comes first, and what comes before its
/// slash is the manager of the fields it writes, as with client-go. The version is that of this library, there too.
pub(super) fn of_this_process() -> HeaderValue {
    let program = std::env::args_os().next();
    let program = program
        .as_deref()
        .and_then(|path| Path::new(path).file_name()?.to_str())
        .unwrap_or_default();
    let program: String = program
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .collect();
    let program = if program.is_empty() {
        "unknown"
    } else {
        &program
    };
    let version = env!("CARGO_PKG_VERSION");
    let text = format!(
        "{program}/{version} ({}/{}) inpod/{version}",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("inpod"))
}
