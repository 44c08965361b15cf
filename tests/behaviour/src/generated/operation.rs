//! What a sequence consists of: plain data, so that a failing one can be shrunk and read.

use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::kind::{KINDS, Kind};

/// One request, or a few that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    Get(Place),
    Create {
        place: Place,
        variant: u8,
        changes: Vec<Change>,
        dry_run: bool,
    },
    /// A PUT of the object as it was last seen, changed.
    Update {
        place: Place,
        version: Version,
        changes: Vec<Change>,
        dry_run: bool,
    },
    Patch {
        place: Place,
        form: Form,
        version: Version,
        changes: Vec<Change>,
        dry_run: bool,
    },
    Delete {
        place: Place,
        options: Deletion,
    },
    DeleteCollection {
        kind: Kind,
        selector: &'static str,
    },
    /// With limit: the pages up to the end.
    List {
        kind: Kind,
        query: &'static str,
        limit: Option<u8>,
        version: Version,
        matching: &'static str,
    },
    /// From a version up to now.
    Watch {
        kind: Kind,
        selector: &'static str,
        version: Version,
    },
}

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) name: Name,
    pub(super) subresource: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    First,
    Second,
    /// The one that the server generated last.
    Generated,
}

/// Which of an object's versions a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    None,
    /// The last that was seen.
    Fresh,
    /// The first that was seen.
    Stale,
    Zero,
    Nonsense,
}

/// How a patch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Merge,
    Strategic,
    Json,
    /// Each value is tested for before it is set, which fails unless it was that before.
    JsonTest,
}

/// A value at a place; none removes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// The kind's own field.
    Own(u8),
    At(&'static str, Option<Value>),
}

/// Of a delete's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Deletion {
    pub(super) version: Option<Version>,
    pub(super) other_uid: bool,
    pub(super) propagation: Option<&'static str>,
    pub(super) grace: Option<i64>,
    pub(super) dry_run: bool,
    /// In the query rather than the body.
    pub(super) query: bool,
}

/// `length` operations. It shrinks by leaving out: halves, quarters, and so on down to single ones.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) length: usize,
}

/// A sequence while it is shrunk.
#[derive(Debug)]
pub(super) struct Shrinking {
    operations: Vec<Operation>,
    /// How many are left out at once; 0 when it is as short as it gets.
    chunk: usize,
    /// Where.
    at: usize,
    left_out: Vec<Operation>,
}

impl Strategy for Sequence {
    type Tree = Shrinking;
    type Value = Vec<Operation>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let operations = proptest::collection::vec(operation(), self.length)
            .new_tree(runner)?
            .current();
        Ok(Shrinking {
            operations,
            chunk: self.length / 2,
            at: 0,
            left_out: Vec::new(),
        })
    }
}

impl ValueTree for Shrinking {
    type Value = Vec<Operation>;

    fn current(&self) -> Vec<Operation> {
        self.operations.clone()
    }

    fn simplify(&mut self) -> bool {
        while self.chunk > 0 {
            let end = self.operations.len().min(self.at + self.chunk);
            if self.at < end {
                self.left_out = self.operations.drain(self.at..end).collect();
                return true;
            }
            self.chunk /= 2;
            self.at = 0;
        }
        false
    }

    /// Those that were left out are needed: puts them back, and tries without the next ones.
    fn complicate(&mut self) -> bool {
        let back = std::mem::take(&mut self.left_out);
        self.at += back.len();
        let at = self.at - back.len();
        self.operations.splice(at..at, back);
        self.simplify()
    }
}

fn operation() -> BoxedStrategy<Operation> {
    prop_oneof![
        1 => place().prop_map(Operation::Get),
        5 => (place(), 0..3_u8, changes(0..3), rarely()).prop_map(
            |(place, variant, changes, dry_run)| Operation::Create { place, variant, changes, dry_run }
        ),
        4 => (place(), version(), changes(0..3), rarely()).prop_map(
            |(place, version, changes, dry_run)| Operation::Update { place, version, changes, dry_run }
        ),
        5 => (place(), form(), version(), changes(1..3), rarely()).prop_map(
            |(place, form, version, changes, dry_run)| Operation::Patch { place, form, version, changes, dry_run }
        ),
        3 => (place(), deletion()).prop_map(|(place, options)| Operation::Delete { place, options }),
        1 => (select(COLLECTED), select(SELECTORS)).prop_map(
            |(kind, selector)| Operation::DeleteCollection { kind, selector }
        ),
        3 => (listed(), select(QUERIES), proptest::option::of(1..3_u8), version(), select(MATCHING)).prop_map(
            |(kind, query, limit, version, matching)| Operation::List { kind, query, limit, version, matching }
        ),
        2 => (listed(), select(&SELECTORS[..3]), select(&[Version::Stale, Version::Fresh][..])).prop_map(
            |(kind, selector, version)| Operation::Watch { kind, selector, version }
        ),
    ]
    .boxed()
}

/// In a third of the places it is the `ConfigMap`: operations on one object say more than those on many.
fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![2 => Just(Kind::ConfigMap), 5 => select(&KINDS[..])]
}

/// The kinds whose collections hold what the sequence makes, and at most one other object: not the cluster's, which all
/// sequences share, and not `ServiceAccounts`, whose `default` is made before or after the `ConfigMap` `kube-root-ca.crt`.
fn listed() -> impl Strategy<Value = Kind> {
    let other = select(&[Kind::Secret, Kind::Lease, Kind::Pod, Kind::Service][..]);
    prop_oneof![1 => Just(Kind::ConfigMap), 2 => other]
}

fn place() -> impl Strategy<Value = Place> {
    let name =
        prop_oneof![5 => Just(Name::First), 2 => Just(Name::Second), 2 => Just(Name::Generated)];
    (kind(), name, any::<u8>()).prop_map(|(kind, name, chance)| Place {
        kind,
        name,
        subresource: (kind.has_status() && chance > 190).then_some("status"),
    })
}

fn rarely() -> impl Strategy<Value = bool> {
    prop_oneof![7 => Just(false), 1 => Just(true)]
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![
        6 => Just(Version::None),
        6 => Just(Version::Fresh),
        3 => Just(Version::Stale),
        1 => Just(Version::Zero),
        1 => Just(Version::Nonsense),
    ]
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![2 => Just(Form::Merge), 2 => Just(Form::Strategic), 3 => Just(Form::Json), 1 => Just(Form::JsonTest)]
}

fn deletion() -> impl Strategy<Value = Deletion> {
    let version = prop_oneof![3 => Just(None), 1 => version().prop_map(Some)];
    let propagation = prop_oneof![
        6 => Just(None),
        1 => select(&["Background", "Foreground", "Orphan", "Sideways"][..]).prop_map(Some)
    ];
    let grace = prop_oneof![
        4 => Just(None),
        2 => select(&[0, 100, 5, -1][..]).prop_map(Some)
    ];
    (
        version,
        rarely(),
        propagation,
        grace,
        rarely(),
        any::<bool>(),
    )
        .prop_map(
            |(version, other_uid, propagation, grace, dry_run, query)| Deletion {
                version,
                other_uid,
                propagation,
                grace,
                dry_run,
                query,
            },
        )
}

fn changes(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        3 => (0..4_u8).prop_map(Change::Own),
        5 => select(usual()),
        2 => select(odd()),
    ];
    proptest::collection::vec(change, count)
}

fn usual() -> Vec<Change> {
    vec![
        Change::At("/metadata/labels/app", Some("a".into())),
        Change::At("/metadata/labels/app", Some("b".into())),
        Change::At("/metadata/labels/app", None),
        Change::At("/metadata/labels", None),
        Change::At("/metadata/annotations/note", Some("<x>".into())),
        Change::At("/metadata/annotations/note", None),
        Change::At("/metadata/finalizers", Some(json!(["example.com/wait"]))),
        Change::At("/metadata/finalizers", None),
    ]
}

/// What a client may not set, or not so.
fn odd() -> Vec<Change> {
    let time = || Some("2020-02-02T02:02:02Z".into());
    vec![
        Change::At("/metadata/uid", Some("other".into())),
        Change::At("/metadata/uid", None),
        Change::At("/metadata/name", Some("other".into())),
        Change::At("/metadata/name", None),
        Change::At("/metadata/namespace", Some("other".into())),
        Change::At("/metadata/namespace", None),
        Change::At("/metadata/creationTimestamp", time()),
        Change::At("/metadata/creationTimestamp", None),
        Change::At("/metadata/deletionTimestamp", time()),
        Change::At("/metadata/deletionTimestamp", None),
        Change::At("/metadata/deletionGracePeriodSeconds", Some(7.into())),
        Change::At("/metadata/generation", Some(7.into())),
        Change::At("/metadata/selfLink", Some("/self".into())),
        Change::At("/metadata/resourceVersion", Some("".into())),
        Change::At("/metadata/finalizers", Some(json!(["bare"]))),
        Change::At("/metadata/finalizers", Some(json!([]))),
        Change::At("/metadata/labels/app", Some("not a label".into())),
        Change::At("/metadata/labels/app", Some(5.into())),
        Change::At("/metadata/labels", Some("text".into())),
        Change::At("/metadata/annotations/no~1way~1", Some("x".into())),
        Change::At("/metadata/none", Some(1.into())),
        Change::At("/none", Some(json!({"of": 1}))),
        Change::At("/kind", Some("Other".into())),
        Change::At("/kind", None),
        Change::At("/apiVersion", Some("v2".into())),
        Change::At("/apiVersion", None),
        Change::At("/metadata", None),
        Change::At("/data/..", Some("x".into())),
        Change::At("/data/b", Some("MQ==".into())),
        Change::At("/data", Some(5.into())),
        Change::At("/immutable", Some(true.into())),
        Change::At("/immutable", Some(false.into())),
        Change::At("/type", Some("Opaque".into())),
        Change::At("/spec/leaseDurationSeconds", Some(0.into())),
        Change::At("/spec/leaseDurationSeconds", Some("5".into())),
        Change::At("/spec/renewTime", Some("2020-02-02T02:02:02.5Z".into())),
        Change::At("/spec/clusterIP", Some("10.96.0.300".into())),
        Change::At("/status/phase", Some("Running".into())),
        Change::At("/rules", Some(json!([]))),
        Change::At("/rules/0/verbs", Some(json!(["*"]))),
    ]
}

/// The kinds whose collections are deleted. In the others there is what a controller makes again at a time of its own.
const COLLECTED: &[Kind] = &[Kind::Secret, Kind::Lease, Kind::Pod, Kind::Service];

/// The sentinel that ends a watch has the label `app=a`; the first three select it.
const SELECTORS: &[&str] = &["", "app=a", "app", "app!=a", "!app", "app in (a,b),note"];

const QUERIES: &[&str] = &[
    "",
    "labelSelector=app%3Da",
    "labelSelector=app%21%3Da",
    "labelSelector=app+in+(a,b)",
    "labelSelector=%21app",
    "labelSelector=app+notin+(a)",
    "labelSelector=app%3D(",
    "fieldSelector=metadata.name%3Dfirst",
    "fieldSelector=metadata.name%21%3Dfirst",
    "fieldSelector=metadata.namespace%3Ddefault",
    "fieldSelector=type%3DOpaque",
    "fieldSelector=status.phase%3DPending",
    "fieldSelector=spec.nodeName%3Dn",
    "fieldSelector=metadata.labels%3Dx",
    "labelSelector=app&fieldSelector=metadata.name%3Dsecond",
];

const MATCHING: &[&str] = &["", "Exact", "NotOlderThan", "Newest"];
