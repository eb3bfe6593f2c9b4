//! As much of HTTP/1.1 as a stand-in for a store needs: requests with a length,
//! answers with a length, connections that go on.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use percent_encoding::percent_decode_str;

/// A request, read whole.
pub struct Request {
    pub method: String,
    /// The bucket, decoded.
    pub bucket: String,
    /// The name of the object, decoded; empty for the bucket.
    pub object: String,
    pub query: BTreeMap<String, String>,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
}

impl Request {
    /// The next request of a connection; None where it has ended.
    pub fn receive(client: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if client.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            if client.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        client.read_exact(&mut body)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.trim_start_matches('/');
        let (bucket, object) = path.split_once('/').unwrap_or((path, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        });
        Ok(Some(Self {
            method: method.to_string(),
            bucket: decoded(bucket),
            object: decoded(object),
            query: pairs.collect(),
            headers,
            body: body.into(),
        }))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn asks(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

/// What percent-encoding stands for.
pub fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// An answer.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Response {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub fn xml(status: u16, body: &str) -> Self {
        let text = format!("<?xml version='1.0' encoding='UTF-8'?>{body}");
        Self::new(status).with("Content-Type", "application/xml; charset=UTF-8").of(text.into())
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    #[must_use]
    pub fn of(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    /// Sends it; to `HEAD` without its body, whose length it tells all the same.
    pub fn send(&self, mut client: &TcpStream, method: &str) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} -\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.status != 204 {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let mut answer = head.into_bytes();
        answer.extend_from_slice(b"\r\n");
        if method != "HEAD" {
            answer.extend_from_slice(&self.body);
        }
        client.write_all(&answer)
    }
}
