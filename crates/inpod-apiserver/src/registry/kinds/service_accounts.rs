//! Service accounts.

use serde_json::Value;

use super::age;
use crate::registry::json::Fields as _;
use crate::registry::{Context, Strategy};
use crate::schema::Json;

/// The strategy of `ServiceAccounts`.
pub(super) struct ServiceAccounts;

impl Strategy for ServiceAccounts {
    fn prepare_create(&self, _cx: &Context<'_>, account: &mut Json) {
        name_secrets_only(account);
    }

    fn prepare_update(&self, _cx: &Context<'_>, account: &mut Json, _old: &Json) {
        name_secrets_only(account);
    }

    fn returns_deleted(&self) -> bool {
        true
    }

    fn cells(&self, account: &Json, now: i64) -> Vec<Value> {
        vec![super::name(account), age::age(account, now)]
    }
}

/// References to secrets say no more than a name: they are in the account's own namespace.
fn name_secrets_only(account: &mut Json) {
    for secret in account.objects_mut("secrets") {
        secret.retain(|key, _| key == "name");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn secrets_are_named_and_nothing_else() {
        let mut account =
            object(json!({"secrets": [{"name": "s", "namespace": "other", "uid": "1"}]}));
        name_secrets_only(&mut account);
        assert_eq!(account["secrets"], json!([{"name": "s"}]));
    }
}
