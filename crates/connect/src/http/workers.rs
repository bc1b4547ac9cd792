//! The threads that make calls: as many as there may be calls at the same time, made once.

use std::thread::JoinHandle;

use crossbeam_channel::{Sender, unbounded};

use super::HttpError;

/// What a thread does next.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The threads. Dropped: what was handed over is done, then they end.
pub(super) struct Workers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads, named after their sink.
    pub(super) fn start(sink: &str, count: usize) -> Result<Self, HttpError> {
        let (jobs, waiting) = unbounded::<Job>();
        let mut workers = Self { jobs: Some(jobs), threads: Vec::with_capacity(count) };
        for number in 0..count {
            let waiting = waiting.clone();
            let thread = std::thread::Builder::new()
                .name(format!("http-{number}-{sink}"))
                .spawn(move || waiting.iter().for_each(|job| job()))
                .map_err(HttpError::Thread)?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Hands a job to the next free thread. At most as many as there are threads wait.
    pub(super) fn hand(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job); // the threads live as long as `self`
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a job catches its own panics
        }
    }
}
