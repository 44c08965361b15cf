//! Generated requests: random sequences of operations, the same one to both servers. One that parts them is shrunk to a short one.

mod kind;
mod operation;
mod player;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt as _, stream};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::runtime::Handle;

use crate::compare::{TRIES, compare, only_seconds};
use crate::{Session, Target};
use operation::{Operation, Sequence};
use player::Player;

/// How many sequences run at once; most of their time they wait for the real server.
const AT_ONCE: usize = 8;
/// The operations of a sequence.
const LENGTH: usize = 20;
/// How many shorter sequences are tried for one that parts the servers.
const SHRINKS: u32 = 100;

/// A sequence on which the servers did not do the same.
#[derive(Debug)]
pub struct Parting {
    /// Which reproduces it.
    pub seed: u64,
    operations: Vec<Operation>,
    differences: String,
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the servers part (--sequences 1 --seed {} shows it again):",
            self.seed
        )?;
        for operation in &self.operations {
            writeln!(f, "  {operation:?}")?;
        }
        f.write_str(&self.differences)
    }
}

/// A seed that no earlier run had.
pub fn seed() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Runs sequences, whose seeds count up from `seed`, and answers those on which the servers part.
pub async fn run(
    real: Arc<Target>,
    embedded: Arc<Target>,
    sequences: u64,
    seed: u64,
) -> Vec<Parting> {
    stream::iter(seed..seed + sequences)
        .map(|seed| {
            let (real, embedded) = (real.clone(), embedded.clone());
            let handle = Handle::current();
            async move {
                tokio::task::spawn_blocking(move || one(&handle, &real, &embedded, seed))
                    .await
                    .unwrap_or_else(|error| {
                        Some(Parting {
                            seed,
                            operations: Vec::new(),
                            differences: error.to_string(),
                        })
                    })
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

fn one(handle: &Handle, real: &Arc<Target>, embedded: &Arc<Target>, seed: u64) -> Option<Parting> {
    let config = Config {
        cases: 1,
        max_shrink_iters: SHRINKS,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result =
        TestRunner::new_with_rng(config, random).run(&Sequence { length: LENGTH }, |operations| {
            let differences = handle.block_on(differences(&operations, real, embedded));
            if differences.is_empty() {
                Ok(())
            } else {
                Err(TestCaseError::fail(differences))
            }
        });
    let (operations, differences) = match result {
        Ok(()) => return None,
        Err(TestError::Fail(why, operations)) => (operations, why.message().to_owned()),
        Err(TestError::Abort(why)) => (Vec::new(), why.message().to_owned()),
    };
    Some(Parting {
        seed,
        operations,
        differences,
    })
}

/// What differs between the servers after the same operations, also when they are played again where only seconds seem to matter;
/// empty where nothing does.
async fn differences(
    operations: &[Operation],
    real: &Arc<Target>,
    embedded: &Arc<Target>,
) -> String {
    let mut lines = Vec::new();
    for _ in 0..TRIES {
        let play = |target: &Arc<Target>| {
            Session::play("generated", target.clone(), async |session| {
                Player::play(session, operations).await
            })
        };
        let (real, embedded) = tokio::join!(play(real), play(embedded));
        let request = |pointer: &str| {
            let step: usize = pointer.split('/').nth(1)?.parse().ok()?;
            real.steps.get(step)?.get("request")?.as_str()
        };
        let differences = compare(&real, &embedded);
        lines = differences
            .iter()
            .map(|difference| {
                let request = request(&difference.pointer).unwrap_or("(all)");
                format!("  {request}: {difference}\n")
            })
            .collect();
        if !only_seconds(&differences) {
            break;
        }
    }
    lines.concat()
}
