//! Threads for what may take its time, kept for a while: making one costs more than most connects.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread waits for more to do.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// As many threads as there are jobs at once. They end when they have had nothing to do for long.
#[derive(Default)]
pub(super) struct Workers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
}

impl Workers {
    /// Does it on a thread that waits, or on a new one.
    ///
    /// # Errors
    /// Where the machine has no thread left; it is not done then.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.0.state();
        if state.idle > state.jobs.len() {
            state.jobs.push_back(Box::new(job));
            self.0.wake.notify_one();
            return Ok(());
        }
        drop(state);
        let shared = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name("inpod-connect".into())
            .spawn(move || {
                job();
                while let Some(job) = shared.next() {
                    job();
                }
            })?;
        Ok(())
    }
}

impl Shared {
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        state.idle += 1;
        let (mut state, _) = self
            .wake
            .wait_timeout_while(state, IDLE, |state| state.jobs.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.jobs.pop_front()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn jobs_that_wait_for_each_other_run_at_once() {
        let workers = Workers::default();
        for _ in 0..3 {
            let (sender, receiver) = mpsc::channel();
            let (done, ended) = mpsc::channel();
            let wait = move || done.send(receiver.recv().unwrap() + 1).unwrap();
            workers.run(wait).unwrap();
            workers.run(move || sender.send(1).unwrap()).unwrap();
            assert_eq!(ended.recv(), Ok(2));
        }
    }
}
