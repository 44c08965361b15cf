//! Deliberate faults, one of each class that the behaviour suite is to notice: it is run against each of them, and must find it.
//!
//! They are compiled in with the feature `breaks` alone, which no program has that anyone uses.

/// A way in which the server is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Break {
    /// 409 for a name that is taken has the reason of a stale update.
    WrongReason,
    /// A field that is not known is dropped without a word.
    NoWarning,
    /// A resource has lost its short names.
    NoShortNames,
    /// A Table lacks its last cells.
    ShortTable,
    /// A stale update is taken.
    LostUpdate,
    /// An update gives an object a new uid.
    NewUid,
    /// An update makes an object younger.
    NewAge,
    /// A dry run of a create is stored.
    WetRun,
    /// The data of a body in protobuf is lost.
    LostData,
    /// A list claims an older version than its items have.
    StaleList,
    /// A page lacks its last item.
    LostItem,
    /// A list takes no notice of selectors.
    NoSelection,
    /// A watch tells what has happened backwards.
    BackwardEvents,
    /// A watch-list does not say where the objects that were there end.
    NoBookmark,
    /// A token is good after its Pod is gone.
    DeadPodToken,
    /// A token is good after its time.
    ExpiredToken,
    /// A token is good for an audience that is not its own.
    AnyAudience,
    /// A Pod gets no token.
    NoToken,
    /// Everyone who is known may get everything.
    OpenReads,
    /// Whoever may write roles may grant what they do not hold.
    Escalation,
    /// A request is answered as its sender, not as the user that it impersonates.
    NoImpersonation,
}

/// Makes every server of this process wrong in one way, or none.
#[cfg(feature = "breaks")]
pub fn turn_on(broken: Option<Break>) {
    *BROKEN
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = broken;
}

#[cfg(feature = "breaks")]
static BROKEN: std::sync::RwLock<Option<Break>> = std::sync::RwLock::new(None);

/// Whether to be wrong in that way.
#[cfg(feature = "breaks")]
pub(crate) fn is_on(asked: Break) -> bool {
    *BROKEN
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        == Some(asked)
}

/// Never.
#[cfg(not(feature = "breaks"))]
pub(crate) const fn is_on(_: Break) -> bool {
    false
}

#[cfg(feature = "breaks")]
impl Break {
    /// Each.
    pub const ALL: [Self; 21] = [
        Self::WrongReason,
        Self::NoWarning,
        Self::NoShortNames,
        Self::ShortTable,
        Self::LostUpdate,
        Self::NewUid,
        Self::NewAge,
        Self::WetRun,
        Self::LostData,
        Self::StaleList,
        Self::LostItem,
        Self::NoSelection,
        Self::BackwardEvents,
        Self::NoBookmark,
        Self::DeadPodToken,
        Self::ExpiredToken,
        Self::AnyAudience,
        Self::NoToken,
        Self::OpenReads,
        Self::Escalation,
        Self::NoImpersonation,
    ];
}
