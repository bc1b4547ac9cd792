//! Windows, as small numbers: a scope has few of them and millions of entries.

use std::collections::HashMap;

/// The most different windows that a scope tells apart. Beyond, an entry gets the next longer one
/// that is there: it is remembered longer than promised, never shorter.
pub const WINDOWS_MAX: usize = 1 << 13;

/// How many are looked for one after another before the map is asked.
const SCANNED_MAX: usize = 16;

/// A window, as its number among the scope's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowClass(pub(super) u16);

/// The windows that a scope has seen.
#[derive(Debug)]
pub(crate) struct Windows {
    ms: Vec<i64>,
    by_ms: HashMap<i64, u16>,
}

impl Windows {
    pub(crate) fn new() -> Self {
        Self { ms: vec![i64::MAX], by_ms: HashMap::from([(i64::MAX, 0)]) }
    }

    /// The class of a window; a new one for one not seen yet.
    #[inline]
    pub(crate) fn class(&mut self, window_ms: i64) -> WindowClass {
        match self.ms.iter().take(SCANNED_MAX).position(|known| *known == window_ms) {
            Some(number) => WindowClass(number as u16),
            None => self.class_slow(window_ms),
        }
    }

    #[cold]
    fn class_slow(&mut self, window_ms: i64) -> WindowClass {
        if let Some(number) = self.by_ms.get(&window_ms) {
            return WindowClass(*number);
        }
        let known = self.ms.len();
        if known < WINDOWS_MAX {
            self.ms.push(window_ms);
            self.by_ms.insert(window_ms, known as u16);
            return WindowClass(known as u16);
        }
        let longer = self.ms.iter().enumerate().filter(|(_, known)| **known >= window_ms);
        let next = longer.min_by_key(|(_, known)| **known).map_or(0, |(number, _)| number);
        WindowClass(next as u16)
    }

    /// The window of a class; ms, `i64::MAX` without end.
    #[inline]
    pub(crate) fn ms(&self, class: WindowClass) -> i64 {
        self.ms.get(usize::from(class.0)).copied().unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_stands_for_its_window() {
        let mut windows = Windows::new();
        for window in [0, 1, i64::MAX, 300_000, 1, 600_000] {
            let class = windows.class(window);
            assert_eq!(windows.ms(class), window);
        }
        assert_eq!(windows.ms.len(), 5);
    }

    #[test]
    fn past_the_most_a_window_only_gets_longer() {
        let mut windows = Windows::new();
        for window in 0..WINDOWS_MAX as i64 + 100 {
            let class = windows.class(window * 10);
            assert!(windows.ms(class) >= window * 10);
        }
        assert_eq!(windows.ms.len(), WINDOWS_MAX);
        let class = windows.class(55);
        assert_eq!(windows.ms(class), 60);
        let class = windows.class(1 << 40);
        assert_eq!(windows.ms(class), i64::MAX);
    }
}
