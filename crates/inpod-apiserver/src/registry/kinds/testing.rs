//! A cluster without a wire, for the tests of kinds that need more than an object.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::special;
use crate::registry::json::tests::object;
use crate::registry::testing::Server;
use crate::schema::{self, Json};
use crate::storage::{Lookup as _, Object, Write};
use crate::{Status, UserInfo};

/// A server with the namespace `default`.
pub(crate) struct Cluster {
    server: Server,
    user: UserInfo,
}

impl Cluster {
    /// For requests of an administrator.
    pub(crate) fn new() -> Self {
        Self::of(UserInfo::new("admin", ["system:masters"]))
    }

    /// For requests of `user`.
    pub(crate) fn of(user: UserInfo) -> Self {
        Self {
            server: Server::new(),
            user,
        }
    }

    /// Stores an object as it is.
    pub(crate) fn store(&self, group: &'static str, resource: &'static str, value: Value) {
        let object = Object::new(&object(value), Vec::new());
        let write = Write::Create(object);
        self.server
            .core
            .store
            .apply((group, resource), write)
            .expect("stored");
    }

    /// The stored object of that name in `default`.
    pub(crate) fn get(&self, resource: &str, name: &str) -> Json {
        let object = self.server.core.store.get("", resource, "default", name);
        object.expect("an object").value()
    }

    /// What the code behind `resource` (and, with `name/subresource`, its subresource) answers to a create.
    pub(crate) fn special(
        &self,
        group: &str,
        resource: &str,
        name: &str,
        body: Value,
    ) -> Result<Json, Status> {
        let resource = schema::resource(group, "v1", resource).expect("a resource");
        let info = Server::info(resource, "create", name);
        let mut cx = self.server.context(&info, resource);
        cx.user = &self.user;
        let special = special(resource, cx.subresource).expect("code");
        special.create(&cx, object(body))
    }
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&payload).expect("JSON")
}
