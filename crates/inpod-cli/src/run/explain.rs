//! What a run on this machine is like, in words.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use inpod_sandbox::{View, Way};

use super::reach::Reach;
use super::{service, view};
use crate::failure::Failure;

/// `--explain`: goes as far as a run would, with nothing to show and nothing to start.
pub(super) fn explain() -> Result<ExitCode, Failure> {
    let view = |reach: &Reach| {
        let service = reach.address().unwrap_or(view::SERVICE);
        let mut view = View::default();
        view.volumes
            .insert(view::MOUNT_PATH.into(), BTreeMap::new());
        view.hosts = vec![(service.ip(), vec!["kubernetes.default.svc".into()])];
        view.services = vec![service::api_server_at(service.ip())];
        if reach.address().is_none() {
            view.redirects = vec![view::nowhere(service)];
        }
        Ok(view)
    };
    let (way, reach) = Reach::first()?.until_one_works(view, inpod_sandbox::check)?;
    let limits = limits(way, &reach, &[]);
    let limits = if limits.is_empty() {
        "Nothing of what inpod knows a Pod by would be missing.".to_owned()
    } else {
        format!("Not as in a Pod:\n- {}", limits.join("\n- "))
    };
    let text = format!(
        "CMD would be shown its Pod by {way}, and meet the API server {reach}.\n{limits}\n"
    );
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Said once, where a run is not all that it can be.
#[expect(clippy::print_stderr, reason = "a word for the person at the terminal")]
pub(super) fn say(way: Way, reach: &Reach, more: &[&'static str]) {
    let limits = limits(way, reach, more);
    if !limits.is_empty() {
        eprintln!(
            "inpod: on this machine CMD is shown its Pod by {way}, and meets the API server {reach}. Not as in a Pod (-q leaves this \
             out):\n- {}",
            limits.join("\n- ")
        );
    }
}

fn limits(way: Way, reach: &Reach, more: &[&'static str]) -> Vec<&'static str> {
    way.limits()
        .iter()
        .chain(reach.limits())
        .chain(more)
        .copied()
        .collect()
}
