use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use inpod::Client;
use inpod_sandbox::Sandbox;
use serde::Deserialize;
use serde_json::json;

use super::account::Account;
use super::pod::Pod;
use super::view;
use crate::failure::Failure;

/// What a kubelet asks for: an hour and the seven seconds by which the API server tells its requests from others'.
const KUBELET_SECONDS: u64 = 3607;

/// The shortest life that a real API server gives a token.
const SHORTEST_REAL: u64 = 600;

/// A kubelet renews a token after a day even where it would live longer.
const OLDEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest sleep between looks at the clock: a suspended machine wakes to an old token, and timers do not count its sleep.
const TICK: Duration = Duration::from_secs(10);

/// How long a renewal may take: a server that takes the request and never answers must not be the last that was asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bound token.
pub(super) struct Token {
    pub(super) text: String,
    /// When it was asked for, by this machine's clock: the cluster's may be another, and decides nothing here.
    issued: SystemTime,
    life: Duration,
}

/// What is asked for, again at each renewal.
#[derive(Debug, Clone)]
pub(super) struct Request {
    account: Account,
    path: String,
    seconds: u64,
    body: serde_json::Value,
}

impl Request {
    /// A token of `account` that dies with `pod`.
    pub(super) fn new(
        account: &Account,
        pod: &Pod,
        audience: Option<&str>,
        seconds: Option<u64>,
    ) -> Self {
        let seconds = seconds.unwrap_or(KUBELET_SECONDS);
        let mut spec = json!({
            "expirationSeconds": seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid},
        });
        if let Some(audience) = audience {
            spec["audiences"] = json!([audience]);
        }
        Self {
            path: format!(
                "/api/v1/namespaces/{}/serviceaccounts/{}/token",
                account.namespace, account.name
            ),
            account: account.clone(),
            seconds,
            body: json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}),
        }
    }

    pub(super) async fn send(&self, client: &Client) -> Result<Token, Failure> {
        let issued = SystemTime::now();
        let answer: Result<Answer, inpod::Error> = client.create(&self.path, &self.body).await;
        match answer {
            Ok(answer) => Ok(answer.token(issued, self.seconds)),
            Err(inpod::Error::Api(status))
                if status.code == 422 && self.seconds < SHORTEST_REAL =>
            {
                Err(Failure::new(format!(
                    "the cluster refuses a token of {} seconds: {status} (a real one allows no less than {SHORTEST_REAL}; \
                 `inpod cluster --token-ttl SECONDS` does)",
                    self.seconds
                )))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A `TokenRequest` as the server answers it. Its `status.expirationTimestamp` is left out: it is of the cluster's clock.
#[derive(Deserialize)]
struct Answer {
    spec: Spec,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    /// What the server made of what was asked for.
    expiration_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct Status {
    token: String,
}

impl Answer {
    fn token(self, issued: SystemTime, asked: u64) -> Token {
        let seconds = self.spec.expiration_seconds.unwrap_or(asked);
        Token {
            text: self.status.token,
            issued,
            life: Duration::from_secs(seconds.clamp(1, u32::MAX.into())),
        }
    }
}

/// Renews the token for as long as the sandbox lives, when a kubelet would: at 80 % of its life, or after a day.
///
/// Where that fails, the old token stays in place, and it is tried again. A kubelet's jitter, which keeps a node's many Pods
/// from asking at once, is left out: there is one process here.
pub(super) async fn keep_fresh(
    client: Client,
    request: Request,
    mut token: Token,
    sandbox: Arc<Sandbox>,
) {
    let mut failures = 0;
    loop {
        sleep_until(token.renewal(failures)).await;
        let renewal = tokio::time::timeout(PATIENCE, renew(&client, &request, &sandbox)).await;
        match renewal.unwrap_or_else(|_elapsed| Err(Failure::new("the API server did not answer")))
        {
            Ok(new) => {
                token = new;
                failures = 0;
            }
            Err(failure) => {
                failures += 1;
                tracing::warn!("the token was not renewed, and is tried again: {failure}");
            }
        }
    }
}

/// A new token, and the CA as it is now, put where the process reads them.
async fn renew(client: &Client, request: &Request, sandbox: &Sandbox) -> Result<Token, Failure> {
    let token = request.send(client).await?;
    let namespace = &request.account.namespace;
    let ca = view::root_ca(client, namespace).await?;
    sandbox.update(
        Path::new(view::MOUNT_PATH),
        &view::files(&token, &ca, namespace),
    )?;
    Ok(token)
}

impl Token {
    /// When to ask for the next one, after so many failures to get it.
    fn renewal(&self, failures: u32) -> SystemTime {
        let due = self.issued + (self.life * 4 / 5).min(OLDEST);
        if failures == 0 {
            return due;
        }
        let patience = Duration::from_secs(1 << failures.min(6)).min(self.life / 10);
        due.max(SystemTime::now()) + patience
    }
}

/// Sleeps by the wall clock, in short steps.
async fn sleep_until(due: SystemTime) {
    while let Ok(left) = due.duration_since(SystemTime::now())
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(TICK)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(seconds: u64) -> Token {
        Token {
            text: String::new(),
            issued: SystemTime::now(),
            life: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_token_is_renewed_at_four_fifths_of_its_life_or_after_a_day() {
        for (life, due) in [(5, 4), (3600, 2880), (30 * 86_400, 86_400)] {
            let token = token(life);
            assert_eq!(token.renewal(0), token.issued + Duration::from_secs(due));
        }
    }

    #[test]
    fn a_server_with_another_clock_or_an_odd_answer_makes_no_tight_loop() {
        let now = SystemTime::now();
        for (seconds, due) in [("3600", 2880), ("0", 0), ("18446744073709551615", 86_400)] {
            let answer = format!(
                r#"{{"spec":{{"expirationSeconds":{seconds}}},"status":{{"token":"t","expirationTimestamp":"1970-01-01T00:00:00Z"}}}}"#
            );
            let answer: Answer = serde_json::from_str(&answer).unwrap();
            let wait = answer
                .token(now, 60)
                .renewal(0)
                .duration_since(now)
                .unwrap();
            assert_eq!(wait.as_secs(), due, "{seconds}");
            assert!(!wait.is_zero(), "{seconds}");
        }
    }

    #[test]
    fn a_failed_renewal_is_tried_again_soon_and_never_in_a_tight_loop() {
        let token = token(5);
        let wait = token
            .renewal(3)
            .duration_since(token.issued + Duration::from_secs(4))
            .unwrap();
        assert_eq!(wait, Duration::from_millis(500));
        let token = Token {
            issued: SystemTime::now() - Duration::from_secs(7200),
            ..self::token(3600)
        };
        let wait = token.renewal(20).duration_since(SystemTime::now()).unwrap();
        assert!(
            wait > Duration::from_secs(50) && wait <= Duration::from_secs(120),
            "{wait:?}"
        );
    }
}
