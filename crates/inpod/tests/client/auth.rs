//! Who a request says it is from.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use inpod::{Body, Client, Config};
use serde_json::{Value, json};

use crate::over_both;
use crate::server::{Authority, Protocol, Server, body, replace, reply};

over_both! {
    async fn the_token_leaves_the_process_with_each_request(protocol) {
        let server = Server::start(protocol, |_, _| async { reply(200, "{}") }).await;
        let (_account, client) = server.client();
        let _: Value = client.get("/api/v1/pods?limit=1").await.unwrap();
        let seen = &server.seen()[0];
        assert_eq!(seen.header("authorization"), "Bearer one");
        assert!(seen.header("user-agent").contains("inpod/"), "{seen:?}");
        assert_eq!(seen.uri.path_and_query().unwrap(), "/api/v1/pods?limit=1");
        let authority = server.address.to_string();
        match protocol {
            Protocol::Http1 => assert_eq!(seen.header("host"), authority),
            Protocol::Http2 => assert_eq!(seen.uri.authority().unwrap().as_str(), authority),
        }
        let expected = match protocol {
            Protocol::Http1 => Version::HTTP_11,
            Protocol::Http2 => Version::HTTP_2,
        };
        assert_eq!(seen.version, expected);
    }

    async fn a_renewed_token_is_used_at_once_and_the_last_good_one_when_it_is_lost(protocol) {
        let server = Server::start(protocol, |_, _| async { reply(200, "{}") }).await;
        let (account, client) = server.client();
        for token in ["one", "two\n", ""] {
            account.write("token", token);
            let _: Value = client.get("/version").await.unwrap();
        }
        let tokens: Vec<_> = server
            .seen()
            .iter()
            .map(|seen| seen.header("authorization").to_owned())
            .collect();
        assert_eq!(tokens, ["Bearer one", "Bearer two", "Bearer two"]);
    }

    async fn after_a_401_the_request_is_sent_once_more_with_the_files_new_token(protocol) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let answer = move |request: Request<_>, _| {
            let path = path.clone();
            async move {
                if request.headers()[AUTHORIZATION] == "Bearer two" {
                    return reply(201, body(request).await);
                }
                // The token is renewed while the request is on its way.
                replace(&path, "token", "two");
                reply(401, "")
            }
        };
        let server = Server::start(protocol, answer).await;
        replace(directory.path(), "token", "one");
        replace(directory.path(), "ca.crt", &server.authority.pem);
        let address = format!("https://{}", server.address);
        let config = Config::builder()
            .service_account_dir(directory.path())
            .server(address.parse().unwrap());
        let client = Client::new(config.in_cluster().unwrap()).unwrap();
        let object = json!({"metadata": {"name": "a"}});
        let created: Value = client.create("/api/v1/pods", &object).await.unwrap();
        assert_eq!(created, object);
        assert_eq!(server.seen().len(), 2);
    }

    async fn a_401_with_the_same_token_is_the_answer(protocol) {
        let server = Server::start(protocol, |_, _| async { reply(401, "") }).await;
        let (_account, client) = server.client();
        let response = client.send(get("/api")).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(server.seen().len(), 1);
    }

    async fn a_body_that_is_a_stream_is_sent_once(protocol) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let answer = move |_, _| {
            replace(&path, "token", "two");
            async { reply(401, "") }
        };
        let server = Server::start(protocol, answer).await;
        replace(directory.path(), "token", "one");
        let config = Config::builder()
            .token_file(directory.path().join("token"))
            .ca_pem(&*server.authority.pem)
            .server(format!("https://{}", server.address).parse().unwrap());
        let client = Client::new(config.build().unwrap()).unwrap();
        let body = Body::new(Full::new(Bytes::from("{}")));
        let request = Request::post("/api/v1/pods").body(body).unwrap();
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(server.seen().len(), 1);
    }

    async fn an_authorization_of_the_callers_own_is_left_as_it_is(protocol) {
        let server = Server::start(protocol, |_, _| async { reply(200, "{}") }).await;
        let (_account, client) = server.client();
        let mut request = get("/api");
        let own = "Bearer own".parse().unwrap();
        request.headers_mut().insert(AUTHORIZATION, own);
        client.send(request).await.unwrap();
        assert_eq!(server.seen()[0].header("authorization"), "Bearer own");
    }
}

#[tokio::test]
async fn no_credential_goes_over_plain_http() {
    let answer = |_, _| async { reply(200, "{}") };
    let server = Server::custom(Protocol::Http1, Authority::new(), None, 1, answer).await;
    let config = Config::builder()
        .server(
            format!("http://{}/prefix/", server.address)
                .parse()
                .unwrap(),
        )
        .token("sesame")
        .build()
        .unwrap();
    let client = Client::new(config).unwrap();
    let response = client.send(get("/api")).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "{}"
    );
    let seen = &server.seen()[0];
    assert_eq!(seen.header("authorization"), "");
    assert_eq!(seen.uri, "/prefix/api");
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}
