//! The archive: exactly once on disk, read over damage, played back.

mod crash;
mod damage;
mod format;
mod kit;
mod playback;
mod retention;
mod round_trip;
