//! Bodies that are passed on as they come.

use std::future::{Ready, ready};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use inpod::{Body, Client};
use tokio::sync::mpsc;

use crate::over_both;
use crate::server::{Protocol, Reply, Server, stream};

over_both! {
    async fn each_chunk_of_an_answer_arrives_before_the_next_is_sent(protocol) {
        let (hand_over, mut senders) = mpsc::unbounded_channel();
        let server = Server::start(protocol, move |_, _| held(&hand_over)).await;
        let (_account, client) = server.client();
        let mut body = open(&client, Body::empty()).await;
        let sender = senders.recv().await.unwrap();
        for chunk in ["one", "two"] {
            sender.send(Bytes::from(chunk)).unwrap();
            assert_eq!(next(&mut body).await.unwrap(), chunk);
        }
        drop(sender);
        assert_eq!(next(&mut body).await, None);
    }

    async fn each_chunk_of_a_request_arrives_before_the_next_is_sent(protocol) {
        let server = Server::start(protocol, |request, _| echo(request)).await;
        let (_account, client) = server.client();
        let (sender, receiver) = mpsc::unbounded_channel::<&'static str>();
        let chunks = futures_util::stream::unfold(receiver, async |mut receiver| {
            let chunk = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from(chunk))), receiver))
        });
        let mut body = open(&client, Body::new(StreamBody::new(Box::pin(chunks)))).await;
        for chunk in ["one", "two"] {
            sender.send(chunk).unwrap();
            assert_eq!(next(&mut body).await.unwrap(), chunk);
        }
        drop(sender);
        assert_eq!(next(&mut body).await, None);
    }

    async fn an_answer_that_breaks_off_is_an_error_and_not_a_short_answer(protocol) {
        let (hand_over, mut senders) = mpsc::unbounded_channel();
        let server = Server::start(protocol, move |_, _| held(&hand_over)).await;
        let (_account, client) = server.client();
        let mut body = open(&client, Body::empty()).await;
        let sender = senders.recv().await.unwrap();
        sender.send(Bytes::from("{\"items\":[")).unwrap();
        next(&mut body).await.unwrap();
        server.control.kill();
        assert!(body.frame().await.unwrap().is_err());
    }
}

/// An answer whose body the test sends.
fn held(hand_over: &mpsc::UnboundedSender<mpsc::UnboundedSender<Bytes>>) -> Ready<Reply> {
    let (sender, reply) = stream();
    hand_over.send(sender).unwrap();
    ready(reply)
}

async fn open(client: &Client, body: Body) -> Body {
    let request = Request::post("/").body(body).unwrap();
    client.send(request).await.unwrap().into_body()
}

/// The next chunk, or none at the end, which HTTP/2 may say with an empty one.
async fn next(body: &mut Body) -> Option<Bytes> {
    loop {
        let data = body.frame().await?.unwrap().into_data().unwrap();
        if !data.is_empty() {
            return Some(data);
        }
    }
}

/// Answers with the request's body as it comes.
fn echo(request: Request<Incoming>) -> Ready<Reply> {
    let (sender, reply) = stream();
    tokio::spawn(async move {
        let mut body = request.into_body();
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { return };
            if sender.send(data).is_err() {
                return;
            }
        }
    });
    ready(reply)
}
