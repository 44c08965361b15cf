/// The most bytes of a manager's name.
pub(crate) const MAX: usize = 128;

/// Who writes: who says so in `fieldManager`, or else the program that the User-Agent names.
pub(crate) fn manager(field_manager: &str, user_agent: &str) -> String {
    if !field_manager.is_empty() {
        return field_manager.to_owned();
    }
    let program = user_agent.split('/').next().unwrap_or_default();
    let mut manager = String::new();
    for c in program.chars().filter(|c| is_printable(*c)) {
        if manager.len() + c.len_utf8() > MAX {
            break;
        }
        manager.push(c);
    }
    manager
}

/// As Go's `unicode.IsPrint`, for what anybody writes: no control or format characters, and no space but U+0020.
pub(crate) fn is_printable(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    c == ' ' || !(c.is_control() || c.is_whitespace() || is_format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_whom_the_request_names_or_the_program() {
        assert_eq!(manager("me", "kubectl/v1"), "me");
        assert_eq!(manager("", "kubectl/v1.37.2 (linux/amd64)"), "kubectl");
        assert_eq!(manager("", "a b\t\u{a0}c"), "a bc");
        assert_eq!(manager("", ""), "");
        assert_eq!(manager("", &"é".repeat(100)).len(), 128);
    }
}
