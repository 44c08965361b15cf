use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::normal::Known;
use crate::recording::Recording;
use crate::target::collect;
use crate::{Answer, Case, Failure, Outcome, Request, Target, Watch, delete, get, post};

/// The headers that are compared. The rest is HTTP's own (date, length, framing), or belongs to priority and fairness.
const HEADERS: [&str; 12] = [
    "audit-id",
    "cache-control",
    "content-encoding",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "vary",
    "warning",
    "www-authenticate",
    "x-content-type-options",
];

/// The longest a controller may take to do what is waited for.
const PATIENCE: Duration = Duration::from_secs(45);

/// One run of a case against one server: sends its requests, and keeps what was asked and answered.
#[derive(Debug)]
pub struct Session {
    target: Arc<Target>,
    steps: Vec<Value>,
    known: Known,
    clean_up: Vec<String>,
    names: usize,
}

impl Session {
    /// Runs a case, and tells what came of it. A case that could not go on ends in a step that says why.
    pub async fn record(case: &Case, target: Arc<Target>) -> Recording {
        Self::play(case.name, target, async |session| (case.run)(session).await).await
    }

    /// As [`Session::record`], of what is no committed case.
    pub(crate) async fn play(
        name: &str,
        target: Arc<Target>,
        run: impl AsyncFnOnce(&mut Self) -> Outcome,
    ) -> Recording {
        let mut session = Self {
            known: Known::new(target.address()),
            target,
            steps: Vec::new(),
            clean_up: Vec::new(),
            names: 0,
        };
        if let Err(failure) = run(&mut session).await {
            session.steps.push(json!({"failure": failure.to_string()}));
        }
        session.clean_up().await;
        Recording::new(name, session.steps, session.known)
    }

    /// Sends a request and keeps the exchange.
    ///
    /// # Errors
    /// Where there is no response; one that tells an error is a response.
    pub async fn send(&mut self, request: Request) -> Result<Answer, Failure> {
        let answer = self.ask(&request).await?;
        self.keep(&request, &answer);
        Ok(answer)
    }

    /// Sends a request that is not what the case is about: it must succeed, and is not compared.
    ///
    /// # Errors
    /// Where it does not succeed.
    pub async fn set_up(&mut self, request: Request) -> Result<Answer, Failure> {
        let answer = self.ask(&request).await?;
        if answer.status < 300 {
            self.known.learn(&answer.body);
            return Ok(answer);
        }
        Err(Failure::new(format!(
            "{} {}: {}",
            request.method, request.path, answer.body
        )))
    }

    /// Sends a request of which only what the case observes is compared; whatever the answer.
    ///
    /// # Errors
    /// Where there is no response.
    pub async fn ask_aside(&mut self, request: Request) -> Result<Answer, Failure> {
        self.ask(&request).await
    }

    /// Sends a request until its answer is `good`, and keeps that one exchange: what a controller does takes its time.
    ///
    /// # Errors
    /// Where that takes longer than 45 seconds, with the last answer.
    pub async fn eventually(
        &mut self,
        request: Request,
        good: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, Failure> {
        let answer = self.eventually_aside(&request, good).await?;
        self.keep(&request, &answer);
        Ok(answer)
    }

    /// As [`Session::eventually`], without keeping the exchange.
    ///
    /// # Errors
    /// As [`Session::eventually`].
    pub async fn eventually_aside(
        &mut self,
        request: &Request,
        good: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, Failure> {
        let start = Instant::now();
        loop {
            let answer = self.ask(request).await?;
            if good(&answer) {
                return Ok(answer);
            }
            if start.elapsed() > PATIENCE {
                return Err(Failure::new(format!(
                    "not within {PATIENCE:?}: {} {}: {}",
                    request.method, request.path, answer.body
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A token of the server with other claims, signed with the server's own key.
    ///
    /// # Errors
    /// Where `token` is no JWT.
    pub fn forge(&self, token: &str, change: impl FnOnce(&mut Value)) -> Result<String, Failure> {
        let mut claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token)?;
        change(&mut claims.claims);
        Ok(jsonwebtoken::encode(
            &claims.header,
            &claims.claims,
            self.target.token_key(),
        )?)
    }

    /// Opens a watch and keeps the head of the response; [`Session::events`] keeps what it brings. Where the server refuses, the
    /// whole answer is kept.
    ///
    /// # Errors
    /// Where there is no response, or it is a refusal.
    pub async fn watch(&mut self, request: Request) -> Result<Watch, Failure> {
        let response = self.target.send(&request).await?;
        if response.status() != StatusCode::OK {
            let (status, headers, raw) = collect(response).await?;
            let answer = answer(status, headers, raw);
            self.keep(&request, &answer);
            return Err(Failure::new("the watch was refused"));
        }
        let (head, body) = response.into_parts();
        let mut step = self.step(&request, head.status, &head.headers);
        step.insert("events".to_owned(), Value::Array(Vec::new()));
        self.steps.push(step.into());
        Ok(Watch::new(self.steps.len() - 1, body))
    }

    /// Waits for `count` events of a watch, keeps them, and answers the last.
    ///
    /// # Errors
    /// Where one does not come within 30 seconds, or the watch ends.
    pub async fn events(&mut self, watch: &mut Watch, count: usize) -> Result<Value, Failure> {
        let mut last = Value::Null;
        for _ in 0..count {
            last = watch
                .next()
                .await?
                .ok_or_else(|| Failure::new("the watch ended"))?;
            self.keep_event(watch, last.clone());
        }
        Ok(last)
    }

    /// Waits for an event that is `last`, and keeps it and those before it.
    ///
    /// # Errors
    /// Where one does not come within 30 seconds, or the watch ends.
    pub async fn events_until(
        &mut self,
        watch: &mut Watch,
        last: impl Fn(&Value) -> bool,
    ) -> Outcome {
        while !last(&self.events(watch, 1).await?) {}
        Ok(())
    }

    /// As [`Session::events`], of a watch that may bring bookmarks at any time: they are left out.
    ///
    /// # Errors
    /// As [`Session::events`].
    pub async fn changes(&mut self, watch: &mut Watch, count: usize) -> Outcome {
        let mut kept = 0;
        while kept < count {
            let event = watch
                .next()
                .await?
                .ok_or_else(|| Failure::new("the watch ended"))?;
            if event["type"] != "BOOKMARK" {
                self.keep_event(watch, event);
                kept += 1;
            }
        }
        Ok(())
    }

    /// Waits for the end of a watch, and keeps what comes before, and that it came.
    ///
    /// # Errors
    /// Where nothing comes for 30 seconds.
    pub async fn end(&mut self, watch: &mut Watch) -> Outcome {
        while let Some(event) = watch.next().await? {
            self.keep_event(watch, event);
        }
        self.keep_event(watch, json!("end"));
        Ok(())
    }

    /// Keeps a value that the case has worked out: what a token claims, how two answers compare.
    pub fn observe(&mut self, what: &str, value: impl Into<Value>) {
        self.steps
            .push(json!({"observed": what, "value": value.into()}));
    }

    /// A new namespace of the case's own, with what every namespace has; it is deleted when the case is over.
    ///
    /// # Errors
    /// Where it cannot be had.
    pub async fn namespace(&mut self) -> Result<String, Failure> {
        let name = self.name("case");
        let path = format!("/api/v1/namespaces/{name}");
        self.set_up(post(
            "/api/v1/namespaces",
            &json!({"metadata": {"name": name}}),
        ))
        .await?;
        self.clean_up.push(path.clone());
        for needed in ["serviceaccounts/default", "configmaps/kube-root-ca.crt"] {
            let request = get(format!("{path}/{needed}"));
            let start = Instant::now();
            while self.ask(&request).await?.status != 200 {
                if start.elapsed() > PATIENCE {
                    return Err(Failure::new(format!("no {needed} in {name}")));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(name)
    }

    /// A name that no other run has, for what lives in no namespace. The recording shows `PREFIX-‹N›`, N counting the case's.
    pub fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        let name = format!("{prefix}-{}", unique());
        self.known
            .hide(&name, &format!("{prefix}-‹{}›", self.names));
        name
    }

    /// Has what lies at `path` deleted when the case is over.
    pub fn clean_up_later(&mut self, path: impl Into<String>) {
        self.clean_up.push(path.into());
    }

    /// Shows `placeholder` wherever the recording would show `value`, which differs from run to run.
    pub fn hide(&mut self, value: &str, placeholder: &str) {
        self.known.hide(value, placeholder);
    }

    /// Waits until a time that is taken now differs from those taken before, by two of the seconds that times are told in.
    pub async fn let_time_pass(&self) {
        tokio::time::sleep(Duration::from_millis(2100)).await;
    }

    async fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        let response = self.target.send(request).await?;
        let (status, headers, raw) = collect(response).await?;
        Ok(answer(status, headers, raw))
    }

    fn keep(&mut self, request: &Request, answer: &Answer) {
        // A refused object is not shown; the name that was generated for it is.
        if let (Some(prefix), Ok(name)) = (request.generate_name(), answer.text("/details/name")) {
            self.known.learn_generated(&prefix, &name);
        }
        let status = StatusCode::from_u16(answer.status).unwrap_or_default();
        let mut step = self.step(request, status, &answer.headers);
        if answer.body.is_object() || answer.body.is_array() {
            step.insert("form".to_owned(), form(answer).into());
        }
        step.insert("body".to_owned(), answer.body.clone());
        self.steps.push(step.into());
    }

    fn keep_event(&mut self, watch: &Watch, event: Value) {
        if let Some(Value::Array(events)) = self.steps[watch.step].get_mut("events") {
            events.push(event);
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "it reads as one of the session's own steps"
    )]
    fn step(
        &self,
        request: &Request,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Map<String, Value> {
        let mut kept = Map::new();
        for name in HEADERS {
            let mut values = headers
                .get_all(name)
                .iter()
                .map(|value| Value::from(String::from_utf8_lossy(value.as_bytes())))
                .collect::<Vec<_>>();
            let value = match values.len() {
                0 => continue,
                1 => values.remove(0),
                _ => Value::Array(values),
            };
            kept.insert(name.to_owned(), value);
        }
        let mut step = Map::new();
        let line = format!("{} {}", request.method, request.path);
        step.insert("request".to_owned(), line.into());
        step.insert("status".to_owned(), status.as_u16().into());
        step.insert("headers".to_owned(), kept.into());
        step
    }

    /// The embedded server is thrown away; the real one goes on.
    async fn clean_up(&mut self) {
        if self.target.is_embedded() {
            return;
        }
        for path in std::mem::take(&mut self.clean_up).into_iter().rev() {
            // Where the case has removed it, there is nothing to do.
            let _ = self.ask(&delete(path)).await;
        }
    }
}

fn answer(status: StatusCode, headers: HeaderMap, raw: Bytes) -> Answer {
    let content_type = headers
        .get("content-type")
        .map_or(&b""[..], |v| v.as_bytes());
    // YAML is compared as what it says: of how it is written there are many ways.
    let said = if content_type.starts_with(b"application/yaml") {
        serde_saphyr::from_slice(&raw).ok()
    } else if content_type.starts_with(b"application/") {
        serde_json::from_slice(&raw).ok()
    } else {
        None
    };
    let body = said.unwrap_or_else(|| match std::str::from_utf8(&raw) {
        Ok(text) => text.into(),
        Err(_) => json!({"base64": BASE64_STANDARD.encode(&raw)}),
    });
    Answer {
        status: status.as_u16(),
        headers,
        body,
        raw,
    }
}

/// How the JSON was laid out.
fn form(answer: &Answer) -> &'static str {
    let content_type = answer.header("content-type").unwrap_or_default();
    if content_type.starts_with("application/yaml") {
        return "YAML";
    }
    let compact = answer.body.to_string();
    let indented = serde_json::to_string_pretty(&answer.body).unwrap_or_default();
    // Go escapes these three in strings, and an indented empty list or map is no different from a compact one.
    let go = |text: String| {
        text.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
    };
    match std::str::from_utf8(&answer.raw) {
        Ok(raw) if raw == format!("{}\n", go(compact.clone())) => "compact",
        Ok(raw) if raw == go(compact) => "compact, without a line's end",
        Ok(raw) if raw == go(indented) => "indented",
        _ => "other",
    }
}

/// Later ones sort after earlier ones, so that lists by name are in the order that a case made them.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    const ALPHABET: &[u8] = b"2456789bcdfghjklmnpqrstvwxz";
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or_default();
    let mut number = now + COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = [b'2'; 9];
    for place in name.iter_mut().rev() {
        let digit = usize::try_from(number % ALPHABET.len() as u64).unwrap_or_default();
        *place = ALPHABET[digit];
        number /= ALPHABET.len() as u64;
    }
    name.into_iter().map(char::from).collect()
}
