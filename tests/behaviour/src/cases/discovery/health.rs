use http::Method;

use crate::{Outcome, Request, Session, case_list, get};

case_list![
    "discovery":
    health_in_one_word,
    health_by_check,
    health_whatever_the_method,
    health_line_by_line,
];

async fn health_in_one_word(s: &mut Session) -> Outcome {
    for name in ["healthz", "livez", "readyz"] {
        s.send(get(format!("/{name}"))).await?;
        s.send(get(format!("/{name}?exclude=ping"))).await?;
        s.send(get(format!("/{name}")).accept("application/json"))
            .await?;
        s.send(get(format!("/{name}")).anonymous()).await?;
    }
    Ok(())
}

async fn health_by_check(s: &mut Session) -> Outcome {
    for name in ["healthz", "livez", "readyz"] {
        s.send(get(format!("/{name}/ping"))).await?;
        s.send(get(format!("/{name}/ping?verbose"))).await?;
        s.send(get(format!("/{name}/none"))).await?;
        s.send(get(format!("/{name}/"))).await?;
        s.send(get(format!("/{name}/ping/"))).await?;
        s.send(get(format!("/{name}/ping")).anonymous()).await?;
    }
    Ok(())
}

async fn health_whatever_the_method(s: &mut Session) -> Outcome {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::HEAD] {
        s.send(Request::new(method.clone(), "/livez")).await?;
        s.send(Request::new(method, "/readyz/ping")).await?;
    }
    Ok(())
}

/// Only the lines of the checks that every server has: the rest tells how a server is built.
async fn health_line_by_line(s: &mut Session) -> Outcome {
    for query in [
        "verbose",
        "verbose&exclude=ping",
        "verbose&exclude=ping&exclude=none&exclude=other",
    ] {
        for name in ["healthz", "livez", "readyz"] {
            let answer = s.set_up(get(format!("/{name}?{query}"))).await?;
            let text = String::from_utf8_lossy(&answer.raw).into_owned();
            let lines: Vec<&str> = text
                .split('\n')
                .filter(|line| !line.starts_with("[+]") || line.starts_with("[+]ping"))
                .collect();
            s.observe(&format!("{name}?{query}"), lines);
            s.observe("content-type", answer.header("content-type"));
        }
    }
    Ok(())
}
