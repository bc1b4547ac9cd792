//! Keeps secrets out of what is shown.

/// Shorter texts are not hidden: they would hide half of every message.
const HIDDEN_LEN_MIN: usize = 6;

/// Texts that must not be shown, wherever they come back.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn add(&mut self, secret: &str) {
        if secret.len() >= HIDDEN_LEN_MIN {
            self.0.push(secret.to_owned());
            // Longest first: one secret may begin with another.
            self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        }
    }

    /// `text` with every secret replaced; `further` is one that changes.
    pub(super) fn hide(&self, text: &str, further: Option<&str>) -> String {
        let further = further.filter(|secret| secret.len() >= HIDDEN_LEN_MIN);
        further
            .into_iter()
            .chain(self.0.iter().map(String::as_str))
            .fold(text.to_owned(), |shown, secret| shown.replace(secret, "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_come_back_are_hidden() {
        let mut secrets = Secrets::default();
        secrets.add("password");
        secrets.add("password-2");
        secrets.add("a"); // too short to hide
        let shown = secrets.hide("bad password-2, password and token-9", Some("token-9"));
        assert_eq!(shown, "bad ***, *** and ***");
    }
}
