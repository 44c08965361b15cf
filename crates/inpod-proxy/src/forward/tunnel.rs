use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

/// Two connections that have changed to the same protocol.
pub(crate) struct Tunnel {
    pub(crate) client: OnUpgrade,
    pub(crate) server: OnUpgrade,
}

impl Tunnel {
    /// Carries bytes both ways until both ends are done. Where one end stops sending, the other may still: port-forward and exec
    /// rely on that. What either sent right behind its head comes first.
    pub(crate) async fn run(self) {
        let ends = async { Ok::<_, hyper::Error>((self.client.await?, self.server.await?)) };
        let (client, server) = match ends.await {
            Ok(ends) => ends,
            Err(error) => {
                tracing::debug!(%error, "an end of a tunnel was gone before it began");
                return;
            }
        };
        let copied = copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server)).await;
        if let Err(error) = copied {
            tracing::debug!(%error, "a tunnel broke");
        }
    }
}
