use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use inpod::Client;
use serde::Deserialize;
use serde_json::json;

use super::account::Account;
use super::containers::Holder;
use super::pod::Pod;
use super::view;
use crate::failure::Failure;

/// What a kubelet asks for: an hour and the seven seconds by which the API server tells its requests from others'.
const KUBELET_SECONDS: u64 = 3607;

/// The shortest life that a real API server gives a token.
const SHORTEST_REAL: u64 = 600;

/// A kubelet renews a token after a day even where it would live longer.
const OLDEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The times in a token are whole seconds: it may live almost one less than it says.
const ROUNDING: Duration = Duration::from_millis(1200);

/// Where many run, they should not all ask at once: a kubelet's is up to this (`maxJitter` of its token manager).
const MAX_JITTER: Duration = Duration::from_secs(10);

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
    /// By how much it is renewed early.
    jitter: Duration,
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
        let life = Duration::from_secs(seconds.clamp(1, u32::MAX.into()));
        Token {
            text: self.status.token,
            issued,
            life,
            jitter: jitter(life, RandomState::new().hash_one(())),
        }
    }
}

/// Renews the token for as long as somebody has it, when a kubelet would: at 80 % of its life, or after a day.
///
/// Where that fails, the old token stays in place, and it is tried again.
pub(super) async fn keep_fresh(client: Client, request: Request, mut token: Token, holder: Holder) {
    let mut failures = 0;
    loop {
        sleep_until(token.renewal(failures)).await;
        let renewal = tokio::time::timeout(PATIENCE, renew(&client, &request, &holder)).await;
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
async fn renew(client: &Client, request: &Request, holder: &Holder) -> Result<Token, Failure> {
    let token = request.send(client).await?;
    let namespace = &request.account.namespace;
    let ca = view::root_ca(client, namespace).await?;
    holder.renew(&token.text, &ca, namespace)?;
    Ok(token)
}

impl Token {
    /// When to ask for the next one, after so many failures to get it.
    fn renewal(&self, failures: u32) -> SystemTime {
        let due = (self.life * 4 / 5)
            .min(OLDEST)
            .min(self.life.saturating_sub(ROUNDING).max(self.life / 5))
            .saturating_sub(self.jitter);
        let due = self.issued + due;
        if failures == 0 {
            return due;
        }
        let patience = Duration::from_secs(1 << failures.min(6)).min(self.life / 10);
        due.max(SystemTime::now()) + patience
    }
}

/// A part of the most, by a random number; of a short life little.
fn jitter(life: Duration, random: u64) -> Duration {
    let most = MAX_JITTER.min(life / 20);
    let thousandths = u32::try_from(random % 1000).unwrap_or_default();
    most * thousandths / 1000
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
            jitter: Duration::ZERO,
        }
    }

    #[test]
    fn a_token_is_renewed_at_four_fifths_of_its_life_or_after_a_day() {
        for (life, due) in [(3, 1.8), (10, 8.0), (3600, 2880.0), (30 * 86_400, 86_400.0)] {
            let token = token(life);
            let wait = token.renewal(0).duration_since(token.issued).unwrap();
            assert_eq!(wait, Duration::from_secs_f64(due));
        }
    }

    #[test]
    fn many_are_renewed_a_little_early_and_not_at_once() {
        for (life, most) in [(10, 0.5), (3600, 10.0)] {
            let life = Duration::from_secs(life);
            assert_eq!(jitter(life, 0), Duration::ZERO);
            let latest = jitter(life, 999).as_secs_f64();
            assert!(latest > most * 0.99 && latest < most, "{latest}");
        }
    }

    #[test]
    fn a_server_with_another_clock_or_an_odd_answer_makes_no_tight_loop() {
        let now = SystemTime::now();
        for (seconds, due) in [
            ("3600", 2870..=2880),
            ("0", 0..=0),
            ("18446744073709551615", 86_390..=86_400),
        ] {
            let answer = format!(
                r#"{{"spec":{{"expirationSeconds":{seconds}}},"status":{{"token":"t","expirationTimestamp":"1970-01-01T00:00:00Z"}}}}"#
            );
            let answer: Answer = serde_json::from_str(&answer).unwrap();
            let wait = answer
                .token(now, 60)
                .renewal(0)
                .duration_since(now)
                .unwrap();
            assert!(due.contains(&wait.as_secs()), "{seconds}: {wait:?}");
            assert!(!wait.is_zero(), "{seconds}");
        }
    }

    #[test]
    fn a_failed_renewal_is_tried_again_soon_and_never_in_a_tight_loop() {
        let token = token(5);
        let wait = token
            .renewal(3)
            .duration_since(token.issued + Duration::from_millis(3800))
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
