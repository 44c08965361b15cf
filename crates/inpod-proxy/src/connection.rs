use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use inpod::Client;

use crate::body::ResponseBody;
use crate::exchange::Exchange;
use crate::forward;
use crate::guard;
use crate::guard::framing::{After, MAX_HEAD};
use crate::inbound::Inbound;
use crate::lifecycle::Draining;
use crate::listener::{Stream, Via};

/// Serves one connection to its end: requests one after another, then perhaps a tunnel.
pub(crate) async fn serve(client: Client, stream: Stream, via: Via, draining: Draining) {
    let exchange = Arc::new(Exchange::default());
    let io = TokioIo::new(Inbound::new(stream, exchange.clone()));
    let service = service_fn(|request| {
        let head = exchange.pop_head();
        let (client, via, draining, exchange) = (&client, &via, &draining, &exchange);
        async move {
            let closes = !matches!(head, Ok(After::Body(_)));
            let mut response = match head {
                // Boxed, because hyper keeps the space for it as long as the connection, which is mostly idle or a watch.
                Ok(_) => Box::pin(answer(client, request, via, draining, exchange)).await,
                Err(failure) => failure.into_response(),
            };
            if closes && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                exchange.linger();
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut http = http1::Builder::new();
    // The head's time is kept by `Inbound`: hyper's would also end connections that are merely idle. And no `pipeline_flush`: it
    // keeps an answer back while anything is read behind the request, be it the first bytes of a tunnel.
    http.header_read_timeout(None).max_buf_size(MAX_HEAD + 1);
    let connection = http.serve_connection(io, service).with_upgrades();
    tokio::pin!(connection);

    let finished = tokio::select! {
        finished = connection.as_mut() => finished,
        () = draining.begun() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    match finished {
        Ok(()) => {
            if let Some(tunnel) = exchange.take_tunnel() {
                tunnel.run().await;
            }
        }
        Err(error) => tracing::debug!(%error, "the client's connection ended"),
    }
}

async fn answer(
    client: &Client,
    request: Request<Incoming>,
    via: &Via,
    draining: &Draining,
    exchange: &Exchange,
) -> Response<ResponseBody> {
    let (head, body) = request.into_parts();
    match guard::check(&head, via) {
        Ok(accepted) => forward::forward(client, accepted, head, body, draining, exchange).await,
        Err(failure) => {
            tracing::debug!(code = %failure.code, message = %failure.message, "refused a request");
            exchange.linger();
            failure.into_response()
        }
    }
}
