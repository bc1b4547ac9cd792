//! Keys out of a Redis dump, as BGSAVE writes it: string keys with their expiry, which is what
//! `SET key value NX EX seconds` leaves. Values of other types are stepped over.
//!
//! The format: https://rdb.fnordig.de/file_format.html, and `rdb.c` of Redis and Valkey.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use dedup::scope::{CommittedKey, KeyState};

use super::args::TextAs;
use super::lines::{Maker, object};
use super::lzf;
use super::pattern::Pattern;
use super::taker::{Taker, unreadable};
use crate::exit::Failure;

/// Newest version that this program knows.
const VERSION_MAX: u32 = 13;
/// Longest text in a dump that is kept; a key of ours is far shorter.
const TEXT_BYTES_MAX: u64 = 512 << 20;

/// A dump can't be read on.
enum Broken {
    Io(io::Error),
    What(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Read_<T> = Result<T, Broken>;

/// Hands the keys of a dump over that look like `pattern`.
pub(super) fn read(
    file: &Path,
    pattern: &Pattern,
    text_as: TextAs,
    mut maker: Maker,
    taker: &mut Taker<'_>,
) -> Result<(), Failure> {
    let opened = File::open(file).map_err(|error| unreadable(file, error))?;
    let mut dump = Dump { input: BufReader::with_capacity(1 << 20, opened), at: 0 };
    let failed = |dump: &Dump, taker: &Taker<'_>, broken: Broken| {
        let what = match broken {
            Broken::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "the dump is cut off".to_owned()
            }
            Broken::Io(error) => error.to_string(),
            Broken::What(what) => what,
        };
        taker.failed(format!("{} at byte {}: {what}", file.display(), dump.at))
    };
    dump.begin().map_err(|broken| failed(&dump, taker, broken))?;
    loop {
        let entry = match dump.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(()),
            Err(broken) => return Err(failed(&dump, taker, broken)),
        };
        let text = String::from_utf8(entry.key).ok().filter(|_| entry.is_string);
        let Some(found) = text.as_deref().and_then(|text| pattern.matches(text)) else {
            taker.tally.other += 1;
            continue;
        };
        let made = object(found.into_iter(), text_as).and_then(|object| maker.make(&object));
        let place = || format!("{} at byte {}", file.display(), dump.at);
        let said = made.map_err(|what| taker.failed(format!("{}: {what}", place())))?;
        let (now_ms, window_ms) = (taker.now_ms, said.window_ms);
        let (recorded_ms, window_ms) = match entry.expires_ms {
            // It ends when it would have ended there.
            Some(ends_ms) => {
                let recorded_ms = ends_ms.saturating_sub(window_ms).min(now_ms);
                (recorded_ms, ends_ms.saturating_sub(recorded_ms))
            }
            None => {
                taker.tally.without_expiry += 1;
                (now_ms, window_ms)
            }
        };
        let key = CommittedKey {
            key: said.key,
            recorded_ms,
            window_ms,
            body_hash: 0,
            state: KeyState::Delivered,
            by: Default::default(),
        };
        taker.take(key, place)?;
    }
}

/// A key of a dump.
struct Entry {
    key: Vec<u8>,
    is_string: bool,
    expires_ms: Option<i64>,
}

struct Dump {
    input: BufReader<File>,
    at: u64,
}

impl Dump {
    fn begin(&mut self) -> Read_<()> {
        let head: [u8; 9] = self.bytes()?;
        let text = std::str::from_utf8(&head).unwrap_or_default();
        let version = text.strip_prefix("REDIS").and_then(|v| v.parse::<u32>().ok());
        match version {
            Some(version) if version <= VERSION_MAX => Ok(()),
            Some(version) => Err(Broken::What(format!(
                "the dump has version {version}, this program reads up to {VERSION_MAX}"
            ))),
            None => Err(Broken::What("this is no Redis dump".into())),
        }
    }

    /// The next key.
    fn next(&mut self) -> Read_<Option<Entry>> {
        let mut expires_ms = None;
        loop {
            match self.byte()? {
                0xff => return Ok(None),
                0xfa => self.texts(2)?,
                0xfb => {
                    self.number()?;
                    self.number()?;
                }
                0xf4 => (0..3).try_for_each(|_| self.number().map(drop))?,
                0xfe | 0xf8 => drop(self.number()?),
                0xf9 => drop(self.byte()?),
                0xfd => expires_ms = Some(i64::from(u32::from_le_bytes(self.bytes()?)) * 1000),
                0xfc => expires_ms = Some(i64::from_le_bytes(self.bytes()?)),
                0xf5 => self.texts(1)?,
                0xf7 => self.module()?,
                kind @ 0xf0.. => {
                    return Err(Broken::What(format!(
                        "it holds a part of kind {kind}, which this \
                                                     program doesn't know"
                    )));
                }
                kind => {
                    let key = self.text()?;
                    self.skip_value(kind)?;
                    return Ok(Some(Entry { key, is_string: kind == 0, expires_ms }));
                }
            }
        }
    }

    fn skip_value(&mut self, kind: u8) -> Read_<()> {
        match kind {
            0 | 9..=13 | 16 | 17 | 20 => self.texts(1),
            1 | 2 | 14 => {
                let count = self.number()?;
                self.texts(count)
            }
            4 => {
                let count = self.number()?;
                self.texts(count.saturating_mul(2))
            }
            3 => (0..self.number()?).try_for_each(|_| {
                self.texts(1)?;
                match self.byte()? {
                    253..=255 => Ok(()),
                    len => self.step_over(len.into()),
                }
            }),
            5 => (0..self.number()?).try_for_each(|_| {
                self.texts(1)?;
                self.step_over(8)
            }),
            18 => (0..self.number()?).try_for_each(|_| {
                self.number()?;
                self.texts(1)
            }),
            7 => self.module(),
            15 | 19 | 21 => self.stream(kind),
            22 | 24 => {
                self.step_over(if kind == 24 { 8 } else { 0 })?;
                (0..self.number()?).try_for_each(|_| {
                    self.number()?;
                    self.texts(2)
                })
            }
            23 => self.texts(1),
            25 => {
                self.step_over(8)?;
                self.texts(1)
            }
            other => Err(Broken::What(format!(
                "a key's value is of type {other}, which this program doesn't know"
            ))),
        }
    }

    fn stream(&mut self, kind: u8) -> Read_<()> {
        let nodes = self.number()?;
        self.texts(nodes.saturating_mul(2))?;
        let numbers = if kind == 15 { 3 } else { 8 };
        (0..numbers).try_for_each(|_| self.number().map(drop))?;
        for _ in 0..self.number()? {
            self.texts(1)?;
            let numbers = if kind == 15 { 2 } else { 3 };
            (0..numbers).try_for_each(|_| self.number().map(drop))?;
            for _ in 0..self.number()? {
                self.step_over(24)?;
                self.number()?;
            }
            for _ in 0..self.number()? {
                self.texts(1)?;
                self.step_over(if kind == 21 { 16 } else { 8 })?;
                let pending = self.number()?;
                self.step_over(pending.saturating_mul(16))?;
            }
        }
        Ok(())
    }

    fn module(&mut self) -> Read_<()> {
        self.number()?;
        loop {
            match self.number()? {
                0 => return Ok(()),
                1 | 2 => drop(self.number()?),
                3 => self.step_over(4)?,
                4 => self.step_over(8)?,
                5 => self.texts(1)?,
                _ => return Err(Broken::What("a module's value makes no sense".into())),
            }
        }
    }

    fn texts(&mut self, count: u64) -> Read_<()> {
        (0..count).try_for_each(|_| match self.length()? {
            Length::Plain(len) => self.step_over(len),
            Length::Number(bytes) => self.step_over(bytes),
            Length::Packed => {
                let packed = self.number()?;
                self.number()?;
                self.step_over(packed)
            }
        })
    }

    fn text(&mut self) -> Read_<Vec<u8>> {
        match self.length()? {
            Length::Plain(len) => self.take(len),
            Length::Number(1) => Ok(i8::from_le_bytes(self.bytes()?).to_string().into_bytes()),
            Length::Number(2) => Ok(i16::from_le_bytes(self.bytes()?).to_string().into_bytes()),
            Length::Number(_) => Ok(i32::from_le_bytes(self.bytes()?).to_string().into_bytes()),
            Length::Packed => {
                let (packed, len) = (self.number()?, self.number()?);
                let packed = self.take(packed)?;
                let len = usize::try_from(len.min(TEXT_BYTES_MAX)).unwrap_or(usize::MAX);
                let unpacked = lzf::unpack(&packed, len);
                unpacked.ok_or_else(|| Broken::What("compressed text makes no sense".into()))
            }
        }
    }

    fn take(&mut self, len: u64) -> Read_<Vec<u8>> {
        if len > TEXT_BYTES_MAX {
            return Err(Broken::What(format!("a text of {len} bytes")));
        }
        let mut text = Vec::new();
        let read = (&mut self.input).take(len).read_to_end(&mut text)?;
        self.at += read as u64;
        if (read as u64) < len {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
        } else {
            Ok(text)
        }
    }

    fn step_over(&mut self, len: u64) -> Read_<()> {
        let stepped = io::copy(&mut (&mut self.input).take(len), &mut io::sink())?;
        self.at += stepped;
        if stepped < len {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
        } else {
            Ok(())
        }
    }

    /// A length that stands for a number.
    fn number(&mut self) -> Read_<u64> {
        match self.length()? {
            Length::Plain(number) => Ok(number),
            _ => Err(Broken::What("a number is missing".into())),
        }
    }

    fn length(&mut self) -> Read_<Length> {
        let first = self.byte()?;
        let low = u64::from(first & 0x3f);
        Ok(match first >> 6 {
            0 => Length::Plain(low),
            1 => Length::Plain(low << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Length::Plain(u32::from_be_bytes(self.bytes()?).into()),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.bytes()?)),
            3 if low <= 2 => Length::Number(1 << low),
            3 if low == 3 => Length::Packed,
            _ => return Err(Broken::What("a length makes no sense".into())),
        })
    }

    fn byte(&mut self) -> Read_<u8> {
        let [byte] = self.bytes()?;
        Ok(byte)
    }

    fn bytes<const N: usize>(&mut self) -> Read_<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }
}

/// What a text begins with.
enum Length {
    /// So many bytes.
    Plain(u64),
    /// A number of so many bytes, as text.
    Number(u64),
    /// Compressed.
    Packed,
}
