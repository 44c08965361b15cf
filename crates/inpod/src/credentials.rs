//! Who to be: a bearer token that is never stale, a client certificate, or nobody.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;

use crate::ConfigError;

/// The longest a token is used without looking into its file, whatever the file's times say: Kubernetes asks clients for once a
/// minute (kubernetes/community#5580), client-go has ten seconds of leeway.
const OLDEST: Duration = Duration::from_secs(50);

/// What is never shown: neither in `Debug` nor in an error.
#[derive(Clone)]
pub(crate) struct Secret<T>(pub(crate) T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where the bearer token comes from.
#[derive(Debug, Clone)]
pub(crate) enum Token {
    None,
    Fixed(Secret<String>),
    File(PathBuf),
    Renewable(RenewableToken),
}

/// A bearer token that whoever gave it to a [`Config`](crate::Config) can replace while clients use it.
///
/// ```
/// # fn example() -> Result<(), inpod::ConfigError> {
/// let token = inpod::RenewableToken::new("first")?;
/// let config = inpod::Config::builder().renewable_token(&token);
/// token.set("second")?; // the next request has it
/// # Ok(()) }
/// # example().unwrap();
/// ```
#[derive(Clone)]
pub struct RenewableToken(Arc<Mutex<HeaderValue>>);

impl RenewableToken {
    /// # Errors
    /// [`ConfigError::TokenText`] for what no header can hold.
    pub fn new(token: &str) -> Result<Self, ConfigError> {
        let header = bearer(token.trim()).ok_or(ConfigError::TokenText)?;
        Ok(Self(Arc::new(Mutex::new(header))))
    }

    /// Has the next request, and the repetition of one that was refused, use this token.
    ///
    /// # Errors
    /// [`ConfigError::TokenText`] for what no header can hold; the last token is used on.
    pub fn set(&self, token: &str) -> Result<(), ConfigError> {
        let header = bearer(token.trim()).ok_or(ConfigError::TokenText)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = header;
        Ok(())
    }

    fn current(&self) -> HeaderValue {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Without the token.
impl fmt::Debug for RenewableToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewableToken").finish_non_exhaustive()
    }
}

/// The `Authorization` header of each request.
#[derive(Debug)]
pub(crate) enum Authorization {
    None,
    Fixed(HeaderValue),
    File(TokenFile),
    Renewable(RenewableToken),
}

impl Authorization {
    /// Reads a token file once, so that a missing one is noticed now.
    pub(crate) fn new(token: &Token) -> Result<Self, ConfigError> {
        Ok(match token {
            Token::None => Self::None,
            Token::Fixed(Secret(text)) => {
                Self::Fixed(bearer(text.trim()).ok_or(ConfigError::TokenText)?)
            }
            Token::File(path) => Self::File(TokenFile::open(path)?),
            Token::Renewable(token) => Self::Renewable(token.clone()),
        })
    }

    /// The header for a request that is sent now.
    pub(crate) fn current(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Fixed(header) => Some(header.clone()),
            Self::File(file) => Some(file.current()),
            Self::Renewable(token) => Some(token.current()),
        }
    }

    /// After a 401: the header that the file gives now, where it is another than the one refused.
    pub(crate) fn after_refusal(&self, refused: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::File(file) => Some(file.read_again()).filter(|header| header != refused),
            Self::Renewable(token) => Some(token.current()).filter(|header| header != refused),
            Self::None | Self::Fixed(_) => None,
        }
    }
}

/// A token in a file that somebody else keeps fresh, as a kubelet does.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    header: HeaderValue,
    stamp: Option<Stamp>,
    read_at: Instant,
}

/// Tells one content of the file from the next: a swap of `..data` gives another inode or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    file: u64,
}

impl TokenFile {
    fn open(path: &Path) -> Result<Self, ConfigError> {
        let (header, stamp) = read(path).map_err(|source| ConfigError::Token {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(State {
                header,
                stamp,
                read_at: Instant::now(),
            }),
        })
    }

    /// Re-reads the file where it has changed or was not looked into for long; the last good token stays where that fails
    /// (kubernetes/kubernetes#68164).
    fn current(&self) -> HeaderValue {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.read_at.elapsed() >= OLDEST || stamp(&self.path) != state.stamp {
            self.refresh(&mut state);
        }
        state.header.clone()
    }

    fn read_again(&self) -> HeaderValue {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state);
        state.header.clone()
    }

    fn refresh(&self, state: &mut State) {
        match read(&self.path) {
            Ok((header, stamp)) => {
                *state = State {
                    header,
                    stamp,
                    read_at: Instant::now(),
                };
            }
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the token cannot be read again; the last one is used on");
                // Not at every request: an unreadable file has no stamp, and is looked at again when it has one.
                state.stamp = stamp(&self.path);
                state.read_at = Instant::now();
            }
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("read_at", &self.read_at)
            .finish_non_exhaustive()
    }
}

/// The stamp is taken first: a change in between is noticed at the next look.
fn read(path: &Path) -> Result<(HeaderValue, Option<Stamp>), std::io::Error> {
    let stamp = stamp(path);
    let text = fs::read_to_string(path)?;
    let token = text.trim();
    if token.is_empty() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "the file is empty",
        ));
    }
    let header = bearer(token).ok_or_else(|| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, "the file holds no token")
    })?;
    Ok((header, stamp))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok(),
        length: metadata.len(),
        file: file_number(&metadata),
    })
}

#[cfg(unix)]
fn file_number(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn file_number(_metadata: &fs::Metadata) -> u64 {
    0
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_renewed_token_is_in_the_next_header() {
        let token = RenewableToken::new("one\n").unwrap();
        let authorization = Authorization::new(&Token::Renewable(token.clone())).unwrap();
        let first = authorization.current().unwrap();
        assert_eq!(first, "Bearer one");
        assert_eq!(authorization.after_refusal(&first), None);
        token.set("two").unwrap();
        assert_eq!(authorization.current().unwrap(), "Bearer two");
        assert_eq!(authorization.after_refusal(&first).unwrap(), "Bearer two");
        assert!(token.set("no\nheader").is_err());
        assert_eq!(authorization.current().unwrap(), "Bearer two");
        assert!(!format!("{authorization:?}").contains("two"));
    }

    fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn a_token_with_a_trailing_newline_is_trimmed() {
        let (_folder, path) = file(" abc\n");
        assert_eq!(TokenFile::open(&path).unwrap().current(), "Bearer abc");
    }

    #[test]
    fn a_new_token_is_seen_at_once_and_a_lost_one_is_kept() {
        let (folder, path) = file("one");
        let token = TokenFile::open(&path).unwrap();
        let new = folder.path().join("new");
        fs::write(&new, "two").unwrap();
        fs::rename(&new, &path).unwrap();
        assert_eq!(token.current(), "Bearer two");
        fs::write(&path, "\n").unwrap();
        assert_eq!(token.current(), "Bearer two");
        fs::remove_file(&path).unwrap();
        assert_eq!(token.current(), "Bearer two");
        fs::write(&path, "three").unwrap();
        assert_eq!(token.current(), "Bearer three");
    }

    #[test]
    fn after_a_refusal_only_another_token_is_worth_a_try() {
        let (_folder, path) = file("one");
        let authorization = Authorization::new(&Token::File(path.clone())).unwrap();
        let refused = authorization.current().unwrap();
        assert_eq!(authorization.after_refusal(&refused), None);
        fs::write(&path, "two").unwrap();
        assert_eq!(authorization.after_refusal(&refused).unwrap(), "Bearer two");
    }

    #[test]
    fn an_empty_or_missing_token_is_an_error_that_names_the_file() {
        let (_folder, path) = file("  \n");
        let error = Authorization::new(&Token::File(path.clone()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert!(Authorization::new(&Token::File("/nonexistent/token".into())).is_err());
    }

    #[test]
    fn a_token_is_in_no_debug_output() {
        let (_folder, path) = file("sesame");
        let authorization = Authorization::new(&Token::File(path)).unwrap();
        let fixed = Token::Fixed(Secret("sesame".to_owned()));
        let text = format!(
            "{authorization:?} {fixed:?} {:?}",
            Authorization::new(&fixed).unwrap()
        );
        assert!(!text.contains("sesame"), "{text}");
    }

    proptest! {
        #[test]
        fn what_is_in_a_file_is_a_token_or_an_error(content in "[ \\t\\r\\na-zé.\\x00]{0,12}") {
            let (_folder, path) = file(&content);
            let token = content.trim();
            match TokenFile::open(&path) {
                Ok(file) => {
                    let expected = format!("Bearer {token}");
                    let header = file.current();
                    prop_assert_eq!(header.as_bytes(), expected.as_bytes());
                }
                Err(_) => prop_assert!(token.is_empty() || token.contains(['\r', '\n', '\0'])),
            }
        }
    }
}
