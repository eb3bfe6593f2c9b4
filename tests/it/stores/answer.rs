//! An answer of a store on its way through the proxy: read whole, passed on
//! as it came, or made up where the store is not asked.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// What is read of a connection at once.
const READ_BYTES: usize = 64 * 1024;

/// Whether an answer has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As its head says.
    Whole,
    /// It has none, whatever length its head tells: the answer to `HEAD`.
    HeadOnly,
}

/// An answer as it came.
pub struct Answer {
    pub head: Vec<u8>,
    /// As on the wire: chunks with their sizes, where it is chunked.
    pub body: Vec<u8>,
    /// Whether the connection ends with it.
    pub is_last: bool,
}

impl Answer {
    /// Reads an answer to its end.
    pub fn receive(store: &mut TcpStream, kind: Kind) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let head_len = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                break end + 4;
            }
            if more(store, &mut bytes)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let mut body = bytes.split_off(head_len);
        let head = bytes;
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let has_no_body = kind == Kind::HeadOnly || text[9..].starts_with("204");
        let mut is_last = text.starts_with("http/1.0") || text.contains("\r\nconnection: close");
        if has_no_body {
            body.clear();
        } else if let Some(length) = length_of(&head) {
            while body.len() < length && more(store, &mut body)? > 0 {}
        } else if text.contains("\r\ntransfer-encoding: chunked") {
            while !body.ends_with(b"\r\n0\r\n\r\n") && body != b"0\r\n\r\n" {
                if more(store, &mut body)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        } else {
            is_last = true;
            while more(store, &mut body)? > 0 {}
        }
        Ok(Self { head, body, is_last })
    }

    /// An answer in the words of S3 that refuses a request.
    pub fn refusing(status: u16, code: &str, message: &str, kind: Kind) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        let head = format!(
            "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let body = if kind == Kind::HeadOnly { Vec::new() } else { body.into_bytes() };
        Self { head: head.into_bytes(), body, is_last: false }
    }

    /// Sends it whole; tells whether the connection goes on.
    pub fn send(&self, mut client: &TcpStream) -> io::Result<bool> {
        client.write_all(&self.head)?;
        client.write_all(&self.body)?;
        Ok(!self.is_last)
    }
}

/// The length of a body by its head.
pub fn length_of(head: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    line.trim().parse().ok()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn more(store: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = vec![0; READ_BYTES];
    let read = store.read(&mut buffer)?;
    bytes.extend_from_slice(&buffer[..read]);
    Ok(read)
}
