//! Bytes of a file's content: read, decompressed, or waited for.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Compression;

/// How much a decompressor reads at a time.
const STORED_BYTES: usize = 256 << 10;

/// What a read gave.
pub(super) enum Gave {
    /// So many bytes.
    Bytes(usize),
    /// Nothing within the time; only a pipe does that.
    Nothing,
    /// The content ends here.
    End,
    /// The compressed data ends too early, or is damaged; what came before is good.
    Broken(String),
}

/// The bytes as stored.
pub(super) enum Stored {
    /// A file, with the number of bytes read so far.
    File(File, u64),
    /// A pipe or a terminal, with the time that a read may wait.
    Pipe(OwnedFd, Duration),
}

impl Read for Stored {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file, done) => {
                let n = file.read(into)?;
                *done += n as u64;
                Ok(n)
            }
            Self::Pipe(pipe, wait) => {
                let timeout =
                    Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
                let mut fds = [PollFd::new(pipe, PollFlags::IN)];
                match poll(&mut fds, Some(&timeout)) {
                    Ok(0) | Err(rustix::io::Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
                    Ok(_) => Ok(rustix::io::read(pipe.as_fd(), into)?),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

/// The bytes as lines are made of them.
pub(super) enum Input {
    Plain(Stored),
    Gzip(Box<MultiGzDecoder<BufReader<Stored>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Stored>>>),
}

impl Input {
    pub(super) fn new(stored: Stored, compression: Compression) -> io::Result<Self> {
        let buffered = |stored| BufReader::with_capacity(STORED_BYTES, stored);
        Ok(match compression {
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(buffered(stored)))),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(buffered(stored))?;
                Self::Zstd(Box::new(decoder))
            }
            Compression::Auto | Compression::None => Self::Plain(stored),
        })
    }

    fn stored(&self) -> &Stored {
        match self {
            Self::Plain(stored) => stored,
            Self::Gzip(decoder) => decoder.get_ref().get_ref(),
            Self::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }

    /// How many stored bytes were read, ahead of the decompressor too.
    pub(super) fn stored_read(&self) -> u64 {
        match self.stored() {
            Stored::File(_, done) => *done,
            Stored::Pipe(..) => 0,
        }
    }

    /// The file, where it is one.
    pub(super) fn file(&self) -> Option<&File> {
        match self.stored() {
            Stored::File(file, _) => Some(file),
            Stored::Pipe(..) => None,
        }
    }

    /// Sets the time that a read of a pipe may wait.
    pub(super) fn wait_at_most(&mut self, time: Duration) {
        let stored = match self {
            Self::Plain(stored) => stored,
            Self::Gzip(decoder) => decoder.get_mut().get_mut(),
            Self::Zstd(decoder) => decoder.get_mut().get_mut(),
        };
        if let Stored::Pipe(_, wait) = stored {
            *wait = time;
        }
    }

    /// Reads once.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Gave> {
        loop {
            let read = match self {
                Self::Plain(stored) => stored.read(into),
                Self::Gzip(decoder) => decoder.read(into),
                Self::Zstd(decoder) => decoder.read(into),
            };
            return match read {
                Ok(0) if self.is_hollow() => Ok(Gave::Broken(TOO_EARLY.into())),
                Ok(0) => Ok(Gave::End),
                Ok(n) => Ok(Gave::Bytes(n)),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock => Ok(Gave::Nothing),
                    io::ErrorKind::UnexpectedEof => Ok(Gave::Broken(TOO_EARLY.into())),
                    // An error with a number is the system's; the others are a decompressor's.
                    _ if error.raw_os_error().is_none() && !matches!(self, Self::Plain(_)) => {
                        Ok(Gave::Broken(format!("is damaged ({error})")))
                    }
                    _ => Err(error),
                },
            };
        }
    }

    /// A compressed file without a byte in it: not even an empty one is that short.
    fn is_hollow(&self) -> bool {
        !matches!(self, Self::Plain(_)) && matches!(self.stored(), Stored::File(_, 0))
    }
}

const TOO_EARLY: &str = "ends in the middle of its compressed data";
