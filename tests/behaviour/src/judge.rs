use std::sync::Arc;

use crate::accepted::{Accepted, Judgement};
use crate::compare::{TRIES, compare, only_seconds};
use crate::recording::Recording;
use crate::{Case, Failure, Protocol, Session, Target};

/// Runs a case against an embedded server of its own, and holds that against what the real one was recorded to do.
///
/// # Errors
/// Where there is no recording, or no server.
pub async fn against_recording(case: &Case, protocol: Protocol) -> Result<Judgement, Failure> {
    let recording = Recording::read(case.name)?.ok_or_else(|| {
        Failure::new("it has no recording; `cargo xtask conform --record` makes one")
    })?;
    let accepted = Accepted::read(case.name)?;
    let mut judgement = Judgement::default();
    for _ in 0..TRIES {
        let target = Arc::new(Target::embedded(protocol).await?);
        let seen = Session::record(case, target).await;
        judgement = accepted.judge(case.name, compare(&recording, &seen));
        if !only_seconds(&judgement.left) {
            break;
        }
    }
    Ok(judgement)
}
