use serde_json::Value;

use crate::registry::Context;
use crate::schema::Json;
use crate::{Cause, Status};

/// What a kind adds to the verbs that all kinds share, after `k8s.io/apiserver/pkg/registry/rest`'s strategies.
///
/// Objects are in the storage version, without kind and apiVersion. Metadata that every object has (name, uid, generation,
/// timestamps, their validation) is the generic verbs' business.
pub(crate) trait Strategy: Sync {
    /// Fills in the defaults of the kind's version (`SetDefaults_*`), on create, update and patch.
    fn default(&self, _object: &mut Json) {}

    /// Sets or clears what a client may not choose on create (for example a Pod's status).
    fn prepare_create(&self, _cx: &Context<'_>, _object: &mut Json) {}

    /// Puts back what an update may not change silently (for example `status` on an update of the main resource).
    fn prepare_update(&self, _cx: &Context<'_>, _object: &mut Json, _old: &Json) {}

    /// What is wrong with a new object.
    fn validate(&self, _object: &Json) -> Vec<Cause> {
        Vec::new()
    }

    /// What is wrong with a change; told after what [`Strategy::validate`] says, or before it.
    fn validate_update(&self, _object: &Json, _old: &Json) -> Vec<Cause> {
        Vec::new()
    }

    /// Whether a change is judged before the object that it leads to.
    fn validates_update_first(&self) -> bool {
        false
    }

    /// What the client is to be told of a new or changed object that is good (`WarningsOnCreate`, `WarningsOnUpdate`).
    fn warnings(&self, _object: &Json) -> Vec<String> {
        Vec::new()
    }

    /// Whether objects of the kind take from a pool that they share, so that they are written one at a time.
    fn shares_a_pool(&self) -> bool {
        false
    }

    /// Whether `metadata.generation` counts changes of the spec.
    fn has_generation(&self) -> bool {
        false
    }

    /// Whether finalizers need a domain, unless Kubernetes knows them: so in all groups whose validation is the core's.
    fn qualifies_finalizers(&self) -> bool {
        true
    }

    /// Whether an update may create the object (`AllowCreateOnUpdate`).
    fn create_on_update(&self) -> bool {
        false
    }

    /// Whether an update may leave `metadata.resourceVersion` out (`AllowUnconditionalUpdate`).
    fn unconditional_update(&self) -> bool {
        true
    }

    /// The fields that field selectors may name, beyond `metadata.name` and `metadata.namespace`, with their values.
    fn fields(&self, _object: &Json) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The names of [`Strategy::fields`], so that a selector on another one is refused.
    fn field_labels(&self) -> &'static [&'static str] {
        &[]
    }

    /// What a write of the object or (where it has a name) of a subresource leaves as it is, whatever was sent
    /// (`GetResetFields`): nobody owns it by such a write.
    fn reset_fields(&self, subresource: &str) -> &'static [&'static str] {
        match subresource {
            "status" => &["spec"],
            _ => &["status"],
        }
    }

    /// What every request is warned of, where the kind is deprecated.
    fn deprecation(&self) -> Option<&'static str> {
        None
    }

    /// Seconds between a delete without options and the removal (a scheduled Pod's grace period); 0: at once, but marked first. None
    /// where the kind knows no grace.
    fn grace_period(&self, _object: &Json) -> Option<i64> {
        None
    }

    /// Whether a delete is answered with the object rather than with a Status (`ReturnDeletedObject`).
    fn returns_deleted(&self) -> bool {
        false
    }

    /// Whether more than `metadata.finalizers` keeps an object that is being deleted (a namespace's `spec.finalizers`).
    fn is_held(&self, _object: &Json) -> bool {
        false
    }

    /// What changes on a held object when its deletion begins (a namespace's phase becomes Terminating).
    fn prepare_delete(&self, _object: &mut Json) {}

    /// The columns kubectl prints.
    fn columns(&self) -> &'static [Column] {
        &[Column::NAME, Column::AGE]
    }

    /// The cells of one row, in the order of [`Strategy::columns`]. `object` has its metadata; `now` is in seconds since 1970.
    fn cells(&self, object: &Json, now: i64) -> Vec<Value>;
}

/// A column of a `meta.k8s.io/v1` Table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// `string`, `integer`, …
    pub(crate) kind: &'static str,
    /// `name` for the first column, else empty.
    pub(crate) format: &'static str,
    /// 0 is always shown, 1 with `-o wide`.
    pub(crate) priority: i32,
}

impl Column {
    pub(crate) const NAME: Self = Self {
        name: "Name",
        kind: "string",
        format: "name",
        priority: 0,
    };
    /// What the real server has for kinds without a printer of their own, in place of the age.
    pub(crate) const CREATED_AT: Self = Self {
        name: "Created At",
        kind: "date",
        format: "",
        priority: 0,
    };
    pub(crate) const AGE: Self = Self {
        name: "Age",
        kind: "string",
        format: "",
        priority: 0,
    };
}

/// A resource or subresource that is code rather than a stored object: a review, `serviceaccounts/token`, `pods/binding`.
pub(crate) trait Special: Sync {
    /// Fills in the defaults of what was sent.
    fn default(&self, _object: &mut Json) {}

    /// Whether the answer is the object that was sent, with its answer, so that it has its metadata.
    fn keeps_metadata(&self) -> bool {
        true
    }

    /// Answers a create; the returned object has kind and apiVersion. The status code is 201.
    fn create(&self, cx: &Context<'_>, object: Json) -> Result<Json, Status>;
}
