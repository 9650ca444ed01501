//! One HTTP GET to the guest, small enough to be read in full: HTTP/1.0, no redirects, everything bounded.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Bytes of a reply, head and body, that are read.
const MAX_REPLY: usize = 1 << 20;
/// Bytes in which the head must end.
const MAX_HEAD: usize = 64 << 10;
/// How long the rest of a body is waited for once the wanted text is there: a server may keep the connection open.
const LINGER: Duration = Duration::from_millis(300);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The first line, such as `HTTP/1.1 200 OK`.
    pub status_line: String,
    /// The number in it.
    pub status: u16,
    /// The body, or the part of its first MiB that came in time.
    pub body: Vec<u8>,
    /// When the first byte came.
    pub(super) first_byte: Instant,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    #[error("the connection was closed without a reply")]
    Closed,
    #[error("no complete reply in time")]
    Timeout,
    #[error("the reply is not HTTP: it starts with `{0}`")]
    NotHttp(String),
}

impl Reply {
    /// Whether this is what the recipe wants.
    pub fn satisfies(&self, contains: &str) -> bool {
        self.status == 200 && has_text(&self.body, contains)
    }
}

/// Asks for `path` and reads the reply until `deadline`.
///
/// A body that is cut off by the deadline counts when it has the text `contains` already.
///
/// # Errors
/// [`GetError`]. The error of a connection that cannot be made now may be gone a moment later.
pub fn get(address: SocketAddr, path: &str, contains: &str, deadline: Instant) -> Result<Reply, GetError> {
    let mut stream = TcpStream::connect_timeout(&address, left(deadline)?).map_err(GetError::Connect)?;
    stream.set_write_timeout(Some(left(deadline)?)).map_err(GetError::Broken)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: minroot\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(GetError::Broken)?;
    read_reply(&mut stream, contains, deadline)
}

fn read_reply(stream: &mut TcpStream, contains: &str, mut deadline: Instant) -> Result<Reply, GetError> {
    let mut bytes = Vec::new();
    let mut head: Option<Head> = None;
    let mut first_byte = None;
    let mut chunk = [0; 16 << 10];
    loop {
        let n_read = match read_some(stream, &mut chunk, deadline) {
            Ok(n_read) => n_read,
            // What came before the deadline, or before the connection broke, may be enough.
            Err(error) => {
                let enough = head.filter(|head| head.satisfies(&bytes, contains)).zip(first_byte);
                return enough.map(|(head, first_byte)| head.reply(&bytes, first_byte)).ok_or(error);
            }
        };
        let first_byte = *first_byte.get_or_insert_with(Instant::now);
        bytes.extend_from_slice(&chunk[..n_read]);
        if head.is_none() {
            head = Head::parse(&bytes)?;
        }
        let ended = n_read == 0 || bytes.len() >= MAX_REPLY;
        match &head {
            Some(head) if ended || head.is_complete(&bytes) => return Ok(head.reply(&bytes, first_byte)),
            Some(head) if head.satisfies(&bytes, contains) => deadline = deadline.min(Instant::now() + LINGER),
            Some(_) => {}
            None if bytes.is_empty() => return Err(GetError::Closed),
            None if ended || bytes.len() > MAX_HEAD => return Err(GetError::NotHttp(excerpt(&bytes))),
            None => {}
        }
    }
}

fn read_some(stream: &mut TcpStream, chunk: &mut [u8], deadline: Instant) -> Result<usize, GetError> {
    loop {
        stream.set_read_timeout(Some(left(deadline)?)).map_err(GetError::Broken)?;
        match stream.read(chunk) {
            Ok(n_read) => return Ok(n_read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(GetError::Timeout);
            }
            Err(error) => return Err(GetError::Broken(error)),
        }
    }
}

/// The time until `deadline`, which a socket wants to be more than nothing.
fn left(deadline: Instant) -> Result<Duration, GetError> {
    Some(deadline.saturating_duration_since(Instant::now())).filter(|time| !time.is_zero()).ok_or(GetError::Timeout)
}

/// What the head of a reply says.
struct Head {
    status_line: String,
    status: u16,
    body_start: usize,
    /// `Content-Length`; without it only the server's closing ends the body.
    length: Option<usize>,
}

impl Head {
    /// Reads the head; `None` while it is not complete.
    fn parse(bytes: &[u8]) -> Result<Option<Head>, GetError> {
        let magic = b"HTTP/1.";
        if !bytes.starts_with(&magic[..magic.len().min(bytes.len())]) {
            return Err(GetError::NotHttp(excerpt(bytes)));
        }
        let Some((head, body_start)) = split_head(bytes) else { return Ok(None) };
        let mut lines = head.split(|&byte| byte == b'\n');
        let status_line = String::from_utf8_lossy(lines.next().unwrap_or_default().trim_ascii_end()).into_owned();
        let status = status_line.split(' ').nth(1).and_then(|number| number.parse().ok());
        let Some(status) = status else { return Err(GetError::NotHttp(excerpt(bytes))) };
        Ok(Some(Head { status_line, status, body_start, length: lines.find_map(content_length) }))
    }

    fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.body_start..]
    }

    fn is_complete(&self, bytes: &[u8]) -> bool {
        self.length.is_some_and(|length| self.body(bytes).len() >= length)
    }

    fn satisfies(&self, bytes: &[u8], contains: &str) -> bool {
        self.status == 200 && has_text(self.body(bytes), contains)
    }

    fn reply(&self, bytes: &[u8], first_byte: Instant) -> Reply {
        let body = self.body(bytes).to_vec();
        Reply { status_line: self.status_line.clone(), status: self.status, body, first_byte }
    }
}

/// The head, and where the body starts. Bare newlines are taken as well, as small servers send them.
fn split_head(bytes: &[u8]) -> Option<(&[u8], usize)> {
    memchr::memchr_iter(b'\n', bytes).find_map(|newline| {
        let rest = &bytes[newline + 1..];
        let empty_line = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
        (empty_line > 0).then(|| (&bytes[..newline], newline + 1 + empty_line))
    })
}

fn content_length(line: &[u8]) -> Option<usize> {
    let (name, value) = line.split_at(memchr::memchr(b':', line)?);
    let value = std::str::from_utf8(value[1..].trim_ascii()).ok()?;
    name.eq_ignore_ascii_case(b"content-length").then(|| value.parse().ok()).flatten()
}

fn has_text(body: &[u8], text: &str) -> bool {
    memchr::memmem::find(body, text.as_bytes()).is_some()
}

/// The start of what was sent instead of HTTP, for a message.
fn excerpt(bytes: &[u8]) -> String {
    crate::path::escaped(&bytes[..bytes.len().min(60)]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that reads the request and then does what `answer` says; the reply a client with a second's time gets.
    fn reply_of(contains: &str, answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> Result<Reply, GetError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let n_read = stream.read(&mut request).unwrap();
            assert!(request[..n_read].starts_with(b"GET /x HTTP/1.0\r\n"));
            answer(&mut stream);
        });
        get(address, "/x", contains, Instant::now() + Duration::from_secs(1))
    }

    fn send(stream: &mut TcpStream, bytes: &[u8]) {
        // The client may have gone away by now; that is its decision.
        let _ = stream.write_all(bytes);
    }

    #[test]
    fn a_reply_in_small_pieces_is_put_together() {
        let reply = reply_of("hello", |stream| {
            for byte in b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello world" {
                send(stream, &[*byte]);
                std::thread::sleep(Duration::from_millis(2));
            }
        })
        .unwrap();
        assert_eq!((reply.status, reply.status_line.as_str()), (200, "HTTP/1.1 200 OK"));
        assert_eq!(reply.body, b"hello world");
        assert!(reply.satisfies("hello") && !reply.satisfies("bye"));
    }

    #[test]
    fn bare_newlines_and_an_empty_body_are_taken() {
        let reply = reply_of("", |stream| send(stream, b"HTTP/1.0 204 No Content\nA: b\n\n")).unwrap();
        assert_eq!((reply.status, reply.body.len()), (204, 0));
        assert!(!reply.satisfies(""));
    }

    #[test]
    fn a_connection_kept_open_does_not_cost_the_whole_time() {
        let wait = |stream: &mut TcpStream, bytes: &[u8]| {
            send(stream, bytes);
            std::thread::sleep(Duration::from_secs(3));
        };
        let start = Instant::now();
        let with_length = b"HTTP/1.1 200 OK\r\ncontent-LENGTH:  5\r\n\r\nhello";
        assert_eq!(reply_of("hello", move |s| wait(s, with_length)).unwrap().body, b"hello");
        let without = b"HTTP/1.1 200 OK\r\n\r\nhello";
        assert_eq!(reply_of("hello", move |s| wait(s, without)).unwrap().body, b"hello");
        assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    }

    #[test]
    fn an_error_status_is_a_reply_that_does_not_satisfy() {
        let reply = reply_of("hello", |s| send(s, b"HTTP/1.0 500 Oops\r\n\r\nhello")).unwrap();
        assert_eq!(reply.status, 500);
        assert!(!reply.satisfies("hello"));
    }

    #[test]
    fn an_endless_body_is_cut() {
        let endless = |stream: &mut TcpStream| {
            send(stream, b"HTTP/1.0 200 OK\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        };
        let reply = reply_of("hello", endless).unwrap();
        assert!(reply.body.len() <= MAX_REPLY + (16 << 10));
        assert!(!reply.satisfies("hello"));
    }

    #[test]
    fn an_endless_head_is_refused() {
        let endless = |stream: &mut TcpStream| {
            send(stream, b"HTTP/1.0 200 OK\r\n");
            while stream.write_all(b"X: y\r\n").is_ok() {}
        };
        assert!(matches!(reply_of("", endless), Err(GetError::NotHttp(_))));
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let start = Instant::now();
        let silent = |_: &mut TcpStream| std::thread::sleep(Duration::from_secs(3));
        assert!(matches!(reply_of("", silent), Err(GetError::Timeout)));
        assert!(start.elapsed() < Duration::from_millis(2500));
        let stalls = |s: &mut TcpStream| {
            send(s, b"HTTP/1.0 200 OK\r\n\r\nhel");
            std::thread::sleep(Duration::from_secs(3));
        };
        assert!(matches!(reply_of("hello", stalls), Err(GetError::Timeout)));
    }

    #[test]
    fn what_is_not_http_is_named() {
        let error = reply_of("", |stream| send(stream, b"SSH-2.0-dropbear\r\n")).unwrap_err();
        assert!(error.to_string().contains("SSH-2.0-dropbear"), "{error}");
        assert!(matches!(reply_of("", |s| send(s, b"HTTP/1.1 many\r\n\r\n")), Err(GetError::NotHttp(_))));
        assert!(matches!(reply_of("", |s| send(s, b"HTTP/1.1 200")), Err(GetError::NotHttp(_))));
        assert!(matches!(reply_of("", |_| ()), Err(GetError::Closed)));
    }

    #[test]
    fn a_closed_port_cannot_be_connected() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = get(address, "/", "", Instant::now() + Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, GetError::Connect(_)), "{error}");
    }
}
