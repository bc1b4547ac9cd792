//! The one instruction that has no safe name: ask for a cache line ahead of its use.

/// Asks for the cache line that holds the first byte of `target`. A hint; changes nothing that a
/// program can see. Does nothing on other machines than x86-64.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(target: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the pointer comes from a reference, and a prefetch reads nothing that a program can
    // see and never faults. SSE is part of every x86-64.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(target).cast::<i8>());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = target;
}
