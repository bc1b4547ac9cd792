//! Sources and sinks: where a pipe reads and where it delivers, one folder per system and one line
//! each in [`registry`].
//!
//! It is for everything that touches the outside: files, standard input and output, queues and
//! streams of the embedded broker and behind endpoints, receivers behind HTTP, dead letters, the
//! archive, the file of rejected events. It deliberately knows nothing of configuration, ledgers,
//! keys or stages: the pipe hands over checked options, the ledger's state comes in as
//! `SourceState` and `SinkState`, and what must be durable goes through `journal::Disk`.
//!
//! Start reading at [`file::source`], then [`file::sink`]; of brokers at [`kinesis::embedded`],
//! [`sqs::embedded`] and [`spool`]; of receivers that are called at [`http::sink`].

pub mod archive;
mod aws;
mod broker_error;
pub mod dead;
pub mod file;
pub mod http;
pub mod kinesis;
mod pool;
pub mod registry;
pub mod rejected;
pub mod spool;
pub mod sqs;
pub mod stdout;

pub use archive::{ArchiveOptions, ArchiveSink};
pub use aws::Endpoint;
pub use file::sink::{FileSink, FileSinkOptions};
pub use file::source::{Compression, FilePattern, FileSource, FileSourceOptions};
pub use http::{HttpAuth, HttpBody, HttpClient, HttpError, HttpOptions, HttpSink};
pub use kinesis::StreamStart;
pub use kinesis::embedded::{StreamSource, StreamSourceOptions};
pub use kinesis::endpoint::{RemoteStreamOptions, RemoteStreamSource};
pub use kinesis::target::StreamTarget;
pub use rejected::{RejectedOptions, RejectedSink};
pub use spool::{SpoolOptions, SpoolSink, Target};
pub use sqs::embedded::{QueueSource, QueueSourceOptions};
pub use sqs::endpoint::{RemoteQueueOptions, RemoteQueueSource};
pub use sqs::target::QueueTarget;
pub use stdout::StdoutSink;
