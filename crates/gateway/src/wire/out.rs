//! JSON on its way out.

use std::fmt::Write as _;

/// A buffer that JSON is written into, piece by piece.
pub(crate) struct Out(Vec<u8>);

impl Out {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// JSON as it is.
    pub(crate) fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// A string, with its quotes.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        // Writing into memory doesn't fail.
        let _ = sonic_rs::to_writer(&mut self.0, text);
        self
    }

    /// Anything that shows as JSON does: numbers, `true` and `false`.
    pub(crate) fn show(&mut self, value: impl std::fmt::Display) -> &mut Self {
        let _ = write!(self, "{value}");
        self
    }

    /// What shows without anything to escape, in quotes.
    pub(crate) fn quoted(&mut self, value: impl std::fmt::Display) -> &mut Self {
        self.raw("\"").show(value).raw("\"")
    }

    /// Bytes in base64, with quotes.
    pub(crate) fn base64(&mut self, bytes: &[u8]) -> &mut Self {
        self.raw("\"");
        let at = self.0.len();
        let encoded = base64_simd::STANDARD.encoded_length(bytes.len());
        self.0.resize(at + encoded, 0);
        if let Some(into) = self.0.get_mut(at..) {
            let _ = base64_simd::STANDARD.encode(bytes, base64_simd::Out::from_slice(into));
        }
        self.raw("\"")
    }

    /// Ms since the Unix epoch as the services' seconds with a fraction.
    pub(crate) fn seconds(&mut self, ms: i64) -> &mut Self {
        let ms = ms.max(0);
        self.show(format_args!("{}.{:03}", ms / 1_000, ms % 1_000))
    }

    /// The items with commas between them, each written by `write`.
    pub(crate) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self
    }

    /// `"name":"text"` pairs with commas between them.
    pub(crate) fn map<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Self {
        self.list(pairs, |out, (name, text)| {
            out.text(name.as_ref()).raw(":").text(text.as_ref());
        })
    }
}

impl std::fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl From<Out> for Vec<u8> {
    fn from(out: Out) -> Self {
        out.0
    }
}
