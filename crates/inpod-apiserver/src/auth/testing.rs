//! A store and a clock for the tests of this area.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::Source;
use crate::storage::{Lookup, Object};

/// Objects by group, resource, namespace and name.
#[derive(Debug, Default)]
pub(crate) struct FakeStore {
    objects: Mutex<BTreeMap<[String; 4], Arc<Object>>>,
    generation: AtomicU64,
}

impl FakeStore {
    /// Puts `object` in place of any of that name.
    pub(crate) fn put(&self, group: &str, resource: &str, object: &Value) {
        let json = object.as_object().expect("an object");
        let object = Arc::new(Object::new(json, Vec::new()));
        let key = [group, resource, &object.namespace, &object.name].map(str::to_owned);
        self.lock().insert(key, object);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn remove(&self, group: &str, resource: &str, namespace: &str, name: &str) {
        let key = [group, resource, namespace, name].map(str::to_owned);
        self.lock().remove(&key);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<[String; 4], Arc<Object>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookup for FakeStore {
    fn revision(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let key = [group, resource, namespace, name].map(str::to_owned);
        self.lock().get(&key).cloned()
    }

    fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let objects = self.lock();
        let wanted = objects.iter().filter(|([g, r, n, _], _)| {
            g == group && r == resource && namespace.is_none_or(|namespace| n == namespace)
        });
        wanted.map(|(_, object)| object.clone()).collect()
    }

    fn generation(&self, _: &[(&str, &str)]) -> u64 {
        self.revision()
    }
}

/// A clock that stands until it is moved, and numbers that count up.
#[derive(Debug)]
pub(crate) struct Stepped {
    millis: AtomicU64,
    counter: AtomicU64,
}

/// What [`Stepped`] starts at, in seconds since 1970: 2026-11-23T22:13:20Z.
pub(crate) const START: u64 = 1_795_472_000;

impl Stepped {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            millis: AtomicU64::new(START * 1000),
            counter: AtomicU64::new(0),
        })
    }

    pub(crate) fn step(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).expect("a short step");
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Source for Stepped {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn fill(&self, bytes: &mut [u8]) {
        let number = self.counter.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = number[i % number.len()];
        }
    }
}
