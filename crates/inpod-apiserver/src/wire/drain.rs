use tokio::sync::watch;

/// Tells everything that holds a [`Drain`] to come to its end; dropping it does the same.
#[derive(Debug)]
pub(crate) struct Drainer(watch::Sender<()>);

/// Waits for its [`Drainer`].
#[derive(Debug, Clone)]
pub(crate) struct Drain(watch::Receiver<()>);

impl Drainer {
    pub(crate) fn new() -> (Self, Drain) {
        let (sender, receiver) = watch::channel(());
        (Self(sender), Drain(receiver))
    }

    pub(crate) fn drain(&self) {
        self.0.send_replace(());
    }
}

impl Drain {
    /// Returns once the server is to end.
    pub(crate) async fn wait(mut self) {
        // An error is the drainer's drop, which says the same.
        let _ = self.0.changed().await;
    }
}
