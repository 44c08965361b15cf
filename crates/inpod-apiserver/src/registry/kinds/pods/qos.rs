//! The quality-of-service class of a Pod, from its requests and limits of CPU and memory.

use crate::registry::json::Fields as _;
use crate::schema::Json;

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(super) fn class(pod: &Json) -> &'static str {
    let containers = || {
        pod.objects("spec.containers")
            .chain(pod.objects("spec.initContainers"))
    };
    let asks = |container: &Json| {
        ["requests", "limits"].iter().any(|kind| {
            ["cpu", "memory"]
                .iter()
                .any(|resource| amount(container, kind, resource).is_some())
        })
    };
    let guaranteed = |container: &Json| {
        ["cpu", "memory"].iter().all(|resource| {
            let limit = amount(container, "limits", resource);
            limit.is_some() && limit == amount(container, "requests", resource)
        })
    };
    if !containers().any(asks) {
        "BestEffort"
    } else if containers().all(guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// What a container requests or is limited to, unless that is nothing.
fn amount(container: &Json, kind: &str, resource: &str) -> Option<f64> {
    let quantity = container.text(&format!("resources.{kind}.{resource}"));
    parse_quantity(quantity).filter(|amount| *amount > 0.0)
}

/// A resource quantity as a number; close enough to tell whether two are the same.
pub(super) fn parse_quantity(quantity: &str) -> Option<f64> {
    let digits = quantity.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &quantity[digits.len()..] {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024_f64,
        "Mi" => 1024_f64.powi(2),
        "Gi" => 1024_f64.powi(3),
        "Ti" => 1024_f64.powi(4),
        "Pi" => 1024_f64.powi(5),
        "Ei" => 1024_f64.powi(6),
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::json::tests::object;

    #[expect(clippy::needless_pass_by_value, reason = "it is given a literal")]
    fn pod(resources: Value) -> Json {
        object(json!({"spec": {"containers": [{"name": "a", "resources": resources}]}}))
    }

    #[test]
    fn the_class_follows_requests_and_limits() {
        assert_eq!(class(&pod(json!({}))), "BestEffort");
        assert_eq!(class(&pod(json!({"requests": {"cpu": "0"}}))), "BestEffort");
        assert_eq!(class(&pod(json!({"requests": {"cpu": "1"}}))), "Burstable");
        assert_eq!(
            class(&pod(json!({
                "requests": {"cpu": "1000m", "memory": "1Gi"},
                "limits": {"cpu": "1", "memory": "1024Mi"},
            }))),
            "Guaranteed"
        );
    }

    #[test]
    fn one_container_without_limits_is_enough_to_be_burstable() {
        let mut pod = pod(json!({
            "requests": {"cpu": "1", "memory": "1Gi"},
            "limits": {"cpu": "1", "memory": "1Gi"},
        }));
        pod.list_mut("spec.initContainers")
            .push(json!({"name": "i"}));
        assert_eq!(class(&pod), "Burstable");
    }

    #[test]
    fn exponents_are_numbers_too() {
        assert_eq!(parse_quantity("1e3"), Some(1000.0));
        assert_eq!(parse_quantity("x"), None);
    }
}
