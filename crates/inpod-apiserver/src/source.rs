use std::fmt::Debug;
use std::time::SystemTime;

/// The one place that time, randomness and uids come from, so that a test can hold all three still.
pub trait Source: Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;

    /// Fills `bytes` with randomness fit for secrets.
    fn fill(&self, bytes: &mut [u8]);

    /// The time now as Kubernetes writes a `Time`: RFC 3339 in UTC, whole seconds.
    fn timestamp(&self) -> String {
        rfc3339(self.now())
    }

    /// A random (version 4) UUID, as uids of objects are.
    fn uid(&self) -> String {
        let mut b = [0_u8; 16];
        self.fill(&mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let hex = format!("{:032x}", u128::from_be_bytes(b));
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }

    /// A random suffix of `length` characters from the alphabet of `k8s.io/apimachinery/pkg/util/rand`: no vowels and
    /// nothing that looks like another character, so that no word is spelled by accident.
    fn suffix(&self, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut bytes = vec![0_u8; length];
        self.fill(&mut bytes);
        bytes
            .iter()
            .map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()]))
            .collect()
    }
}

/// The system's clock and its random number generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSource;

impl Source for SystemSource {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes)
            .expect("the system's random number generator never fails once seeded");
    }
}

/// `time` as Kubernetes writes a `Time`: RFC 3339 in UTC, whole seconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map(|t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

/// `time` in whole seconds since 1970.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    jiff::Timestamp::try_from(time).map_or(0, jiff::Timestamp::as_second)
}
