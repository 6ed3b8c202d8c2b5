//! An S3 server in the process of a test, which misbehaves as it is told.
//!
//! What networks and servers do to a client (answers that break off, that come although nothing was done, that never
//! come although everything was) cannot be had from a real server on demand. This one speaks as much of the protocol as
//! flowlake needs, keeps everything in memory, remembers what it was asked, and asks a rule of the test what is to go
//! wrong with each request. One thread a connection, one request a connection, no clock but the one the test sets.
#![forbid(unsafe_code)]

mod http;
mod s3;

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::http::Answer;
pub use self::http::Request;
pub use self::s3::Object;
use self::s3::Store;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is not carried out; the answer is an error with this status and code.
    Status(u16, &'static str),
    /// It is carried out, and the answer is an error with this status and code.
    DoneBut(u16, &'static str),
    /// It is not carried out, and there is no answer.
    Unheard,
    /// It is carried out, and there is no answer.
    Lost,
    /// The body of the answer ends after so many bytes, and the connection with it.
    Cut(usize),
    /// The body of the answer stops after so many bytes, and the connection stays.
    Stall(usize),
    /// It is carried out, there is no answer, and the connection stays.
    Silent,
    /// It is carried out after so long.
    Late(Duration),
    /// The header about a range is overlooked.
    NoRange,
    /// The range comes, but with the status of a whole object, as from `rclone serve s3`.
    RangeCalledWhole,
    /// The answer has another entity tag.
    OtherTag,
}

/// What a server is like for as long as it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether conditions of writes are carried out, rather than overlooked.
    pub conditions: bool,
    /// Most objects on one page of a list.
    pub page: usize,
    /// How often a list tells an object: some servers do it twice.
    pub told: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { conditions: true, page: 1000, told: 1 }
    }
}

type Rule = Box<dyn FnMut(&Request) -> Fault + Send>;

struct Shared {
    behaviour: Behaviour,
    store: Mutex<Store>,
    requests: Mutex<Vec<Request>>,
    rule: Mutex<Rule>,
    stopped: AtomicBool,
}

/// A server that runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Starts a server without objects. It has every bucket, and all of them are the same.
    ///
    /// # Errors
    /// When the system gives no port.
    pub fn start(behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour,
            store: Mutex::default(),
            requests: Mutex::default(),
            rule: Mutex::new(Box::new(|_| Fault::None)),
            stopped: AtomicBool::new(false),
        });
        let sharing = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if sharing.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&sharing)) else { continue };
                // A client that goes away is none of our business.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on `rule` says what goes wrong with each request, in the order of their arrival.
    pub fn misbehave(&self, rule: impl FnMut(&Request) -> Fault + Send + 'static) {
        *locked(&self.shared.rule) = Box::new(rule);
    }

    /// From now on nothing goes wrong.
    pub fn behave(&self) {
        self.misbehave(|_| Fault::None);
    }

    /// What was asked since the start or the last call, in the order of arrival.
    #[allow(clippy::must_use_candidate, reason = "also a way to forget them")]
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *locked(&self.shared.requests))
    }

    /// Sets the clock, in seconds since 1970: objects written from now on are as old.
    pub fn set_clock(&self, seconds: u64) {
        locked(&self.shared.store).clock = seconds;
    }

    /// Keys of all objects, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        locked(&self.shared.store).objects.keys().cloned().collect()
    }

    /// An object.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<Object> {
        locked(&self.shared.store).objects.get(key).cloned()
    }

    /// Writes an object without a request.
    pub fn write(&self, key: &str, bytes: &[u8], metadata: &[(&str, &str)]) {
        let metadata = metadata.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        locked(&self.shared.store).write(key, bytes.to_vec(), metadata);
    }

    /// Removes an object without a request.
    pub fn remove(&self, key: &str) {
        locked(&self.shared.store).objects.remove(key);
    }

    /// Keys of multipart uploads that were begun and neither completed nor aborted.
    #[must_use]
    pub fn unfinished_uploads(&self) -> Vec<String> {
        locked(&self.shared.store).uploads.values().map(|upload| upload.key.clone()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // So that it looks; if nobody listens any more, it has looked.
        drop(TcpStream::connect(self.address));
        // From here on nobody is there.
        drop(self.accepting.take().map(JoinHandle::join));
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let Some(mut request) = http::read(&mut stream)? else { return Ok(()) };
        let fault = {
            // In one step, so that a rule sees requests in the order in which they are remembered.
            let mut requests = locked(&self.requests);
            requests.push(request.clone());
            (locked(&self.rule))(&request)
        };
        match fault {
            Fault::None => self.carry_out(&request).send(&mut stream),
            Fault::Status(status, code) => Answer::error(status, code).send(&mut stream),
            Fault::DoneBut(status, code) => {
                self.carry_out(&request);
                Answer::error(status, code).send(&mut stream)
            }
            Fault::Unheard => Ok(()),
            Fault::Lost => {
                self.carry_out(&request);
                Ok(())
            }
            Fault::Cut(bytes) => self.carry_out(&request).send_some(&mut stream, bytes),
            Fault::Stall(bytes) => {
                self.carry_out(&request).send_some(&mut stream, bytes)?;
                stream.flush()?;
                // Until the client gives up.
                stream.read(&mut [0]).map(drop)
            }
            Fault::Silent => {
                self.carry_out(&request);
                stream.read(&mut [0]).map(drop)
            }
            Fault::Late(time) => {
                thread::sleep(time);
                self.carry_out(&request).send(&mut stream)
            }
            Fault::NoRange => {
                request.headers.remove("range");
                self.carry_out(&request).send(&mut stream)
            }
            Fault::RangeCalledWhole => {
                let mut answer = self.carry_out(&request);
                if answer.status == 206 {
                    answer.status = 200;
                }
                answer.send(&mut stream)
            }
            Fault::OtherTag => {
                let mut answer = self.carry_out(&request);
                answer.headers.insert("ETag", "\"00000000000000000000000000000bad\"".to_owned());
                answer.send(&mut stream)
            }
        }
    }

    fn carry_out(&self, request: &Request) -> Answer {
        locked(&self.store).carry_out(request, self.behaviour)
    }
}
