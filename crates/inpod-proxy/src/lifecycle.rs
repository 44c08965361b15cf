use std::future::Future;
use std::pin::Pin;

use tokio::sync::watch;

/// Comes when the proxy stops taking requests.
pub(crate) type Drained = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells every connection when to finish.
#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<bool>);

/// A connection's end of a [`Drain`].
#[derive(Debug, Clone)]
pub(crate) struct Draining(watch::Receiver<bool>);

impl Drain {
    pub(crate) fn new() -> (Self, Draining) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Draining(receiver))
    }

    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Draining {
    pub(crate) fn begun(&self) -> Drained {
        let mut receiver = self.0.clone();
        Box::pin(async move {
            // An error says that the proxy is gone altogether.
            let _ = receiver.wait_for(|draining| *draining).await;
        })
    }
}
