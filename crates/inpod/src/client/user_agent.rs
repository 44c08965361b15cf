use std::path::Path;

use http::HeaderValue;

/// `program (system/machine) inpod/version`: what an audit log knows a program by comes first, as with client-go.
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
    let text = format!(
        "{program} ({}/{}) inpod/{}",
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_VERSION")
    );
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("inpod"))
}
