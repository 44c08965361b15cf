use super::support::{Setup, value};

/// What is asked, and the code it is answered with; 200 says that the API server was asked, and only then. Beside it, where it
/// differs, what kubectl 1.36 does.
const TABLE: &[(&str, u16)] = &[
    // Hosts.
    ("GET /api/v1/pods HTTP/1.1\r\nHost: localhost\r\n", 200),
    ("GET /api/v1/pods HTTP/1.1\r\nHost: localhost:8001\r\n", 200),
    ("GET /api/v1/pods HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n", 200),
    ("GET /api/v1/pods HTTP/1.1\r\nHost: [::1]\r\n", 200),
    ("GET /api/v1/pods HTTP/1.1\r\nHost: [::1]:8001\r\n", 200), // 403, kubernetes/kubernetes#77496
    ("GET /api/v1/pods HTTP/1.1\r\nHost: ::1\r\n", 200),        // 403
    ("GET /api/v1/pods HTTP/1.1\r\nHost: LOCALHOST\r\n", 200),  // 403
    ("GET /api/v1/pods HTTP/1.1\r\nHost: localhost.\r\n", 403),
    ("GET /api/v1/pods HTTP/1.1\r\nHost: evil.com\r\n", 403),
    (
        "GET /api/v1/pods HTTP/1.1\r\nHost: localhost.evil.com\r\n",
        403,
    ),
    ("GET /api/v1/pods HTTP/1.1\r\nHost: 127a0b0c1\r\n", 403),
    ("GET /api/v1/pods HTTP/1.1\r\nHost: 127.0.0.2\r\n", 403),
    ("GET /api/v1/pods HTTP/1.1\r\nHost: 127.1\r\n", 403),
    (
        "GET /api/v1/pods HTTP/1.1\r\nHost: evil.com@localhost\r\n",
        403,
    ),
    (
        "GET /api/v1/pods HTTP/1.1\r\nHost: localhost, evil.com\r\n",
        403,
    ),
    ("GET /api/v1/pods HTTP/1.1\r\nHost: \r\n", 403),
    ("GET /api/v1/pods HTTP/1.1\r\n", 400),
    ("GET /api/v1/pods HTTP/1.0\r\n", 403),
    ("GET /api/v1/pods HTTP/1.0\r\nHost: localhost\r\n", 200),
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
        400,
    ),
    // Origins.
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\n",
        200,
    ),
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nOrigin: https://127.0.0.1\r\n",
        200,
    ),
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.com\r\n",
        403,
    ), // forwarded
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n",
        403,
    ), // forwarded
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.com\r\n",
        403,
    ),
    (
        "GET /api/v1/secrets?watch=true HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        403,
    ),
    // Targets.
    (
        "GET http://localhost/api HTTP/1.1\r\nHost: localhost\r\n",
        200,
    ),
    ("GET http://localhost HTTP/1.1\r\nHost: localhost\r\n", 200),
    (
        "GET http://localhost/api HTTP/1.1\r\nHost: evil.com\r\n",
        400,
    ), // forwarded
    (
        "GET http://evil.com/api HTTP/1.1\r\nHost: localhost\r\n",
        400,
    ), // 403
    (
        "GET http://evil.com/api HTTP/1.1\r\nHost: evil.com\r\n",
        403,
    ),
    (
        "GET ftp://localhost/api HTTP/1.1\r\nHost: localhost\r\n",
        400,
    ),
    ("GET localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n", 400),
    ("GET api HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", 400), // 200, answered by itself
    (
        "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n",
        405,
    ), // 404
    ("CONNECT /x/../api HTTP/1.1\r\nHost: localhost\r\n", 405), // forwarded
    ("TRACE /api HTTP/1.1\r\nHost: localhost\r\n", 405), // forwarded
    (
        "GET /api/v1/namespaces/d/pods/p?a=1;b&c=%zz HTTP/1.1\r\nHost: localhost\r\n",
        200,
    ),
    (
        "GET /api/v1/namespaces/d/pods/a%20b/%41+~!$&'()*,;=:@ HTTP/1.1\r\nHost: localhost\r\n",
        200,
    ),
    (
        "GET /api/v1/namespaces/d/pods/p%2Fexec HTTP/1.1\r\nHost: localhost\r\n",
        400,
    ), // 403
    (
        "GET /x/%2e%2e/api/v1/namespaces/d/pods/p HTTP/1.1\r\nHost: localhost\r\n",
        400,
    ), // forwarded
    ("GET /x/%2E./api HTTP/1.1\r\nHost: localhost\r\n", 400), // forwarded
    ("GET /x/../api HTTP/1.1\r\nHost: localhost\r\n", 400),   // 307
    ("GET /x/./api HTTP/1.1\r\nHost: localhost\r\n", 400),    // 307
    ("GET //api/v1 HTTP/1.1\r\nHost: localhost\r\n", 400),    // 307
    ("GET /api//v1 HTTP/1.1\r\nHost: localhost\r\n", 400),    // 307
    (
        "GET /api/v1/namespaces/d/pods/p%0A/exec HTTP/1.1\r\nHost: localhost\r\n",
        400,
    ), // forwarded
    ("GET /api/%zz HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("GET /api/%4 HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("GET /api/%ff HTTP/1.1\r\nHost: localhost\r\n", 400), // forwarded
    ("GET /api#fragment HTTP/1.1\r\nHost: localhost\r\n", 400), // forwarded, escaped
    // Methods that Kubernetes may or may not know are its own to judge.
    ("get /api HTTP/1.1\r\nHost: localhost\r\n", 200),
    ("FOO /api HTTP/1.1\r\nHost: localhost\r\n", 200),
    (
        "POST /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n",
        200,
    ),
    (
        "DELETE /api/v1/namespaces/d/pods/p HTTP/1.1\r\nHost: localhost\r\n",
        200,
    ),
    // Upgrades.
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        501,
    ), // tunnelled
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        501,
    ),
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        501,
    ),
    (
        "GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: xupgradex\r\nUpgrade: websocket\r\n",
        400,
    ), // tunnelled
    (
        "POST /api HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
        400,
    ),
];

#[tokio::test]
async fn what_may_pass_passes_and_nothing_of_the_rest_does() {
    let mut proxy = Setup::new().await.record();
    for (request, code) in TABLE {
        let (answer, asked) = proxy.ask(format!("{request}\r\n").as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(status, code.to_string(), "{request}\n{answer}");
        if *code == 200 {
            assert_eq!(asked.len(), 1, "{request}\n{asked:?}");
        } else {
            assert_eq!(asked, [], "{request}");
            assert_eq!(value(&answer, "content-type"), Some("application/json"));
            let body = answer.split_once('{').map(|(_, body)| format!("{{{body}"));
            let status: serde_json::Value = serde_json::from_str(&body.unwrap()).unwrap();
            assert_eq!(status["kind"], "Status", "{request}");
            assert_eq!(status["status"], "Failure", "{request}");
            assert_eq!(status["code"], *code, "{request}");
            assert_ne!(status["message"], "", "{request}");
        }
    }
}

#[tokio::test]
async fn path_and_query_reach_the_server_byte_for_byte() {
    let mut proxy = Setup::new().await.record();
    for target in [
        "/",
        "/api/",
        "/api/test?fields=ID%3Dfoo&labels=key%3Dvalue",
        "/api/v1/namespaces/d/services/s/proxy/a%20b/%41+~!$&'()*,;=:@?a=1;b&c=%zz&d=/../",
        "/x?",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (_, asked) = proxy.ask(request.as_bytes()).await;
        let line = asked[0].0.lines().next().unwrap();
        assert_eq!(line, format!("GET {target} HTTP/1.1"));
    }
}
