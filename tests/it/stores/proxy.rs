//! A proxy between the program and a real store that lets one request go
//! wrong.
//!
//! Bytes pass as they are, the `Host` header included, so signatures stay
//! valid. Requests are counted as they arrive; the fault strikes the n-th of
//! those it can strike at all. It knows HTTP/1.1 as far as object stores and
//! their clients use it: bodies have a length, answers may be chunked.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use super::answer::{Answer, Kind, length_of};

/// Longest head of a request: signed ones have some kilobytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How late an answer comes that is only late.
const LATE: Duration = Duration::from_millis(700);

/// Pieces of a body that comes slowly, and the pause after each.
const PIECES: usize = 8;
const PIECE_PAUSE: Duration = Duration::from_millis(100);

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer comes late.
    Late,
    /// The store says that it failed, and has or has not done what was asked.
    Fails(u16, When),
    /// The connection is reset.
    Breaks(When),
    /// The connection is closed in good order, without an answer.
    Closes(When),
    /// No answer ever comes.
    Silence(When),
    /// Half of a body comes, then the connection breaks.
    Truncated,
    /// Half of a body comes, then nothing.
    Stalls,
    /// A body comes in small pieces.
    Slow,
}

/// Whether the store acts before a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It has not heard of it.
    Before,
    /// It has done what was asked.
    After,
}

impl Fault {
    /// Whether it can happen to a request at all.
    pub fn concerns(self, request: &str) -> bool {
        match self {
            // Only who reads gets a body.
            Self::Truncated | Self::Stalls | Self::Slow => request.starts_with("GET "),
            // Only writes are in each other's way.
            Self::Fails(409, _) => request.starts_with("PUT "),
            _ => true,
        }
    }

    /// Whether the client learns of it only by its own patience.
    pub fn needs_patience(self) -> bool {
        matches!(self, Self::Silence(_) | Self::Stalls)
    }
}

/// Which requests go wrong, and how.
#[derive(Clone, Copy, Debug)]
pub enum Strike {
    /// None: requests are only counted.
    Never,
    /// The n-th from 0 that the fault concerns.
    At(usize, Fault),
    /// Each is refused in these words instead of being passed on.
    Refuse(&'static Refusal),
}

/// How a store refuses a request.
#[derive(Debug)]
pub struct Refusal {
    /// The status, such as 403.
    pub status: u16,
    /// The code of S3, such as `RequestTimeTooSkewed`.
    pub code: &'static str,
    /// The sentence with it.
    pub message: &'static str,
}

/// A proxy in front of one store; it ends when dropped.
pub struct Proxy {
    /// Where it listens, on this machine.
    pub port: u16,
    state: Arc<State>,
}

struct State {
    /// The port of the store.
    store: u16,
    strike: Strike,
    seen: Mutex<Seen>,
    stopped: AtomicBool,
}

#[derive(Default)]
struct Seen {
    /// First lines of all requests, in the order in which they came.
    requests: Vec<String>,
    /// How many of them the fault concerns.
    concerned: usize,
    struck: Option<String>,
}

impl Proxy {
    /// Starts one in front of the store on a port.
    pub fn start(store: u16, strike: Strike) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Mutex::default();
        let state = Arc::new(State { store, strike, seen, stopped: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A connection that breaks is what a proxy like this is for.
                std::thread::spawn(move || drop(serve(client, &shared)));
            }
        });
        Self { port, state }
    }

    /// The first lines of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.seen.lock().expect("a lock").requests.clone()
    }

    /// The request that went wrong, if any.
    pub fn struck(&self) -> Option<String> {
        self.state.seen.lock().expect("a lock").struck.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        // Wakes whoever waits for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    /// Counts a request; tells how it goes wrong, if it does.
    fn count(&self, request: &str) -> Option<Fault> {
        let mut seen = self.seen.lock().expect("a lock");
        seen.requests.push(request.to_string());
        let Strike::At(at, fault) = self.strike else { return None };
        if !fault.concerns(request) {
            return None;
        }
        seen.concerned += 1;
        let strikes = seen.concerned == at + 1;
        strikes.then(|| {
            seen.struck = Some(request.to_string());
            fault
        })
    }
}

/// Serves a connection until one side has enough.
fn serve(client: TcpStream, state: &State) -> io::Result<()> {
    client.set_nodelay(true)?;
    while let Some(request) = Request::receive(&client)? {
        let fault = state.count(&request.line);
        match fault {
            Some(Fault::Breaks(When::Before)) => return Ok(()),
            Some(Fault::Closes(When::Before)) => return request.finish(&client),
            Some(Fault::Silence(When::Before)) => return wait_for_end(&request, &client),
            _ => {}
        }
        let answer = match (state.strike, fault) {
            (Strike::Refuse(refusal), _) => {
                Answer::refusing(refusal.status, refusal.code, refusal.message, request.kind())
            }
            (_, Some(Fault::Fails(status, When::Before))) => failing(status, &request),
            _ => pass_on(&request, state.store)?,
        };
        if fault == Some(Fault::Breaks(When::After)) {
            return Ok(());
        }
        request.finish(&client)?;
        let goes_on = match fault {
            None | Some(Fault::Fails(_, When::Before)) => answer.send(&client)?,
            Some(Fault::Fails(status, When::After)) => failing(status, &request).send(&client)?,
            Some(Fault::Late) => {
                sleep(LATE);
                answer.send(&client)?
            }
            Some(fault) => deliver(&answer, fault, &client)?,
        };
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Delivers an answer that does not arrive as it should; tells whether the
/// connection goes on.
fn deliver(answer: &Answer, fault: Fault, mut client: &TcpStream) -> io::Result<bool> {
    if fault == Fault::Slow {
        client.write_all(&answer.head)?;
        for piece in answer.body.chunks(answer.body.len() / PIECES + 1) {
            client.write_all(piece)?;
            sleep(PIECE_PAUSE);
        }
        return Ok(!answer.is_last);
    }
    if matches!(fault, Fault::Truncated | Fault::Stalls) {
        client.write_all(&answer.head)?;
        client.write_all(&answer.body[..answer.body.len() / 2])?;
    }
    if fault.needs_patience() {
        wait_until_closed(client)?;
    }
    Ok(false)
}

fn failing(status: u16, request: &Request) -> Answer {
    let (code, message) = match status {
        409 => ("ConditionalRequestConflict", "A conflicting operation is in progress."),
        // Google's answer to more than a write a second of one object.
        429 => ("SlowDown", "Reduce your rate of object mutation requests."),
        503 => ("SlowDown", "Please reduce your request rate."),
        _ => ("InternalError", "We encountered an internal error. Please try again."),
    };
    Answer::refusing(status, code, message, request.kind())
}

/// Lets the store act, and returns what it says.
fn pass_on(request: &Request, store: u16) -> io::Result<Answer> {
    // A connection a request: none is ever found closed when it is used again.
    let mut connection = TcpStream::connect(("127.0.0.1", store))?;
    connection.set_nodelay(true)?;
    connection.write_all(&request.bytes)?;
    Answer::receive(&mut connection, request.kind())
}

/// A request as it came.
struct Request {
    /// Its first line without the version: method and path.
    line: String,
    bytes: Vec<u8>,
}

impl Request {
    /// Reads a request but for its last byte, which stays with the kernel:
    /// closing a socket with bytes unread resets the connection, as a broken
    /// one is reset. None where the client has closed it.
    fn receive(mut client: &TcpStream) -> io::Result<Option<Self>> {
        let mut window = vec![0; HEAD_BYTES_MAX];
        let head_len = loop {
            let there = client.peek(&mut window)?;
            if there == 0 {
                return Ok(None);
            }
            match window[..there].windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if there == window.len() => return Err(io::ErrorKind::InvalidData.into()),
                None => sleep(Duration::from_millis(1)),
            }
        };
        let body_len = length_of(&window[..head_len]).unwrap_or(0);
        let mut bytes = vec![0; head_len + body_len];
        let last = bytes.len() - 1;
        client.read_exact(&mut bytes[..last])?;
        client.peek(&mut bytes[last..])?;
        let head = String::from_utf8_lossy(&bytes[..head_len]);
        let line = head.lines().next().unwrap_or_default();
        let line = line.rsplit_once(' ').map_or(line, |(line, _)| line).to_string();
        Ok(Some(Self { line, bytes }))
    }

    /// Takes the last byte, too.
    fn finish(&self, mut client: &TcpStream) -> io::Result<()> {
        client.read_exact(&mut [0])
    }

    fn kind(&self) -> Kind {
        if self.line.starts_with("HEAD ") { Kind::HeadOnly } else { Kind::Whole }
    }
}

fn wait_for_end(request: &Request, client: &TcpStream) -> io::Result<()> {
    request.finish(client)?;
    wait_until_closed(client)
}

fn wait_until_closed(mut client: &TcpStream) -> io::Result<()> {
    client.read(&mut [0]).map(drop)
}
