//! Watches a running guest until its check is fulfilled, or cannot be any more.
//!
//! Two threads feed one queue: one reads the console, the other asks for the page once the guest says that it starts
//! its commands. Both end when QEMU does, because QEMU holds the other end of the pipe and of every connection.

use super::Event;
use super::console::{Console, Sign};
use super::error::{BootError, BootFailure, FailureKind, Wanted, url};
use super::http::{self, GetError, Reply};
use super::qemu::{Forward, Qemu};
use crate::recipe::{Check, HttpCheck};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// The time of a check that does not say how long it may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// Messages that wait at most: a guest that prints faster than it is listened to has to wait itself.
const QUEUE: usize = 64;
/// How often is looked at QEMU itself while nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// An image whose init is not ours never says that it starts: then requests begin after this time.
const START_WITHOUT_A_WORD: Duration = Duration::from_secs(20);
/// How long a server that answers, but not as wanted, may take to get ready.
const WRONG_REPLY_PATIENCE: Duration = Duration::from_secs(10);
/// How long the console is read on after the guest has stopped, for the lines that say where.
const AFTER_STOP: Duration = Duration::from_secs(1);
/// How long QEMU may take to end after it has closed the console.
const QEMU_END: Duration = Duration::from_secs(5);
/// Between two requests that were refused.
const REQUEST_PAUSE: Duration = Duration::from_millis(20);
/// The first request is given up after this time, each later one after twice as long as the one before it, up to
/// the longest. A request that came too early is lost, and only a new one finds the guest's network; a request to a
/// guest that is up may take long under TCG.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
const LONGEST_REQUEST: Duration = Duration::from_secs(20);

/// When the check was fulfilled, and by what.
#[derive(Debug)]
pub struct Fulfilled {
    pub after: Duration,
    pub reply: Option<Reply>,
}

/// Watches `qemu`, which was started just now, and ends it.
///
/// # Errors
/// [`BootError::Failed`], or [`BootError::Refused`] when QEMU did not run a guest at all.
pub fn watch(
    qemu: Qemu,
    check: &Check,
    forward: Option<Forward>,
    observer: &dyn Fn(Event<'_>),
) -> Result<Fulfilled, BootError> {
    let start = Instant::now();
    let limit = check.timeout.map_or(DEFAULT_TIMEOUT, |seconds| Duration::from_secs(seconds.into()));
    let page = check.http.as_ref().zip(forward).map(|(http, forward)| Page {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, forward.host_port)),
        url: url(forward.host_port, http),
        check: http,
    });
    std::thread::scope(|scope| {
        // Everything that the threads wait for belongs to this closure, so that they end with it, whatever the way.
        let mut qemu = qemu;
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let console = qemu.take_console();
        scope.spawn({
            let sender = sender.clone();
            move || console.into_iter().for_each(|console| read_console(console, &sender))
        });
        let watch = Watch {
            start,
            limit,
            deadline: start + limit,
            check,
            page,
            observer,
            qemu,
            console: Console::default(),
            receiver,
            sender,
            text_seen: check.console.is_none(),
            started: None,
            requests_begun: false,
            reply: None,
            wrong: None,
            last_problem: "no request was made".to_owned(),
            stopped: None,
            exited: Vec::new(),
        };
        watch.run(scope)
    })
}

/// What the threads have to say.
enum Message {
    Console(Vec<u8>),
    ConsoleClosed,
    Answer(Result<Reply, GetError>),
}

/// The page that must come.
#[derive(Clone)]
struct Page<'a> {
    address: SocketAddr,
    url: String,
    check: &'a HttpCheck,
}

/// The state of one run.
struct Watch<'a> {
    start: Instant,
    limit: Duration,
    deadline: Instant,
    check: &'a Check,
    page: Option<Page<'a>>,
    observer: &'a dyn Fn(Event<'_>),
    qemu: Qemu,
    console: Console,
    receiver: Receiver<Message>,
    sender: SyncSender<Message>,
    /// The console text of the check has been there, or none is wanted.
    text_seen: bool,
    /// When the guest's init said that it starts.
    started: Option<Instant>,
    requests_begun: bool,
    reply: Option<Reply>,
    /// When the first reply came that is not what is wanted, and the last such reply in words.
    wrong: Option<(Instant, String)>,
    last_problem: String,
    /// How the guest has stopped, in its own words.
    stopped: Option<FailureKind>,
    exited: Vec<String>,
}

impl<'a> Watch<'a> {
    fn run<'scope>(mut self, scope: &'scope Scope<'scope, '_>) -> Result<Fulfilled, BootError>
    where
        'a: 'scope,
    {
        loop {
            let wait = TICK.min(self.deadline.saturating_duration_since(Instant::now()));
            match self.receiver.recv_timeout(wait) {
                Ok(Message::Console(bytes)) => self.take_console(&bytes),
                Ok(Message::Answer(answer)) => self.take_answer(answer),
                Ok(Message::ConsoleClosed) => {
                    let rest = self.console.finish();
                    rest.into_iter().for_each(|line| self.take_line(&line));
                    return if self.is_fulfilled() { Ok(self.fulfilled()) } else { Err(self.qemu_ended()) };
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if self.is_fulfilled() {
                return Ok(self.fulfilled());
            }
            if let Some(kind) = self.failure() {
                return Err(self.failed(kind));
            }
            self.begin_requests(scope);
        }
    }

    fn take_console(&mut self, bytes: &[u8]) {
        for line in self.console.feed(bytes) {
            self.take_line(&line);
        }
        // A prompt has no end of line.
        self.text_seen |= self.shows_text(&self.console.partial());
    }

    fn take_line(&mut self, line: &str) {
        (self.observer)(Event::Console(line));
        self.text_seen |= self.shows_text(line);
        match Sign::of(line) {
            Some(Sign::Starting) => {
                self.started.get_or_insert_with(Instant::now);
            }
            Some(Sign::Exited(words)) => self.exited.push(words),
            Some(Sign::Panic(line)) => self.note_stop(FailureKind::Panic { line }),
            Some(Sign::PoweredDown) => self.note_stop(FailureKind::PoweredOff),
            Some(Sign::Halted) => self.note_stop(FailureKind::Halted),
            None => {}
        }
    }

    /// Keeps the first reason why the guest is no more. QEMU ends by itself in most cases, but not in all.
    fn note_stop(&mut self, kind: FailureKind) {
        if self.stopped.is_none() {
            self.stopped = Some(kind);
            self.deadline = self.deadline.min(Instant::now() + AFTER_STOP);
        }
    }

    fn shows_text(&self, line: &str) -> bool {
        self.check.console.as_deref().is_some_and(|text| line.contains(text))
    }

    fn take_answer(&mut self, answer: Result<Reply, GetError>) {
        let contains = self.page.as_ref().map_or("", |page| page.check.contains.as_str());
        let problem = match answer {
            Ok(reply) if reply.satisfies(contains) => {
                self.reply = Some(reply);
                return;
            }
            Ok(reply) if reply.status == 200 => format!("{} without the text", reply.status_line),
            Ok(reply) => reply.status_line,
            Err(error @ GetError::NotHttp(_)) => error.to_string(),
            Err(error) => {
                self.last_problem = error.to_string();
                return;
            }
        };
        let since = self.wrong.take().map_or_else(Instant::now, |(since, _)| since);
        self.wrong = Some((since, problem));
    }

    /// Whether everything that the check wants has been there.
    fn is_fulfilled(&self) -> bool {
        let wants_nothing = self.page.is_none() && self.check.console.is_none();
        self.text_seen && (self.page.is_none() || self.reply.is_some()) && (!wants_nothing || self.started.is_some())
    }

    fn fulfilled(self) -> Fulfilled {
        let first_byte = self.reply.as_ref().map(|reply| reply.first_byte);
        let after = first_byte.unwrap_or_else(Instant::now).saturating_duration_since(self.start);
        Fulfilled { after, reply: self.reply }
    }

    /// What makes it useless to wait on, if anything.
    fn failure(&mut self) -> Option<FailureKind> {
        if self.qemu.kvm_stopped() {
            return Some(FailureKind::KvmStopped);
        }
        let now = Instant::now();
        let out_of_time = now >= self.deadline;
        if out_of_time && self.stopped.is_some() {
            return self.stopped.take();
        }
        if let Some((page, (since, problem))) = self.page.as_ref().zip(self.wrong.as_ref())
            && self.reply.is_none()
            && (out_of_time || now >= *since + WRONG_REPLY_PATIENCE)
        {
            let (url, contains) = (page.url.clone(), page.check.contains.clone());
            return Some(FailureKind::WrongReply { url, problem: problem.clone(), contains });
        }
        out_of_time.then(|| FailureKind::Timeout { limit: self.limit, wanted: self.wanted() })
    }

    /// What the guest still owes.
    fn wanted(&self) -> Wanted {
        match (&self.page, &self.check.console) {
            (_, Some(text)) if !self.text_seen => Wanted::Console { text: text.clone() },
            (Some(page), _) if self.started.is_some() || self.requests_begun => {
                Wanted::Reply { url: page.url.clone(), problem: self.last_problem.clone() }
            }
            _ => Wanted::Start,
        }
    }

    /// The console has ended, so QEMU has, or is about to.
    fn qemu_ended(mut self) -> BootError {
        let status = self.qemu.wait_until(Instant::now() + QEMU_END);
        if let Some(kind) = self.stopped.take() {
            return self.failed(kind);
        }
        match status {
            Ok(Some(status)) if status.success() => self.failed(FailureKind::PoweredOff),
            Ok(Some(status)) if self.console.is_empty() => {
                BootError::Refused { status, messages: self.qemu.messages() }
            }
            Ok(Some(status)) => self.failed(FailureKind::QemuEnded { status }),
            // It has closed the console and runs on: nothing more will be heard of it.
            Ok(None) | Err(_) => {
                let wanted = self.wanted();
                self.failed(FailureKind::Timeout { limit: self.limit, wanted })
            }
        }
    }

    fn failed(&self, kind: FailureKind) -> BootError {
        BootError::Failed(Box::new(BootFailure {
            kind,
            seconds: self.start.elapsed().as_secs_f64(),
            console: self.console.tail(),
            exited: self.exited.clone(),
            qemu_messages: self.qemu.messages(),
        }))
    }

    /// Starts to ask for the page, once, when the guest is ready for it.
    fn begin_requests<'scope>(&mut self, scope: &'scope Scope<'scope, '_>)
    where
        'a: 'scope,
    {
        let is_time = self.started.is_some() || self.start.elapsed() >= START_WITHOUT_A_WORD;
        let Some(page) = self.page.as_ref().filter(|_| is_time && !self.requests_begun) else { return };
        let (page, sender, deadline) = (page.clone(), self.sender.clone(), self.deadline);
        self.requests_begun = true;
        scope.spawn(move || ask_until_heard(&page, deadline, &sender));
    }
}

/// Sends what the guest writes until QEMU ends or nobody listens.
fn read_console(mut console: impl Read, sender: &SyncSender<Message>) {
    let mut chunk = [0; 4096];
    loop {
        match console.read(&mut chunk) {
            Ok(0) => break,
            Ok(n_read) => {
                if sender.send(Message::Console(chunk[..n_read].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // A receiver that is gone does not care.
    let _ = sender.send(Message::ConsoleClosed);
}

/// Asks again and again, until the wanted reply has come, the time is up or nobody listens.
fn ask_until_heard(page: &Page<'_>, deadline: Instant, sender: &SyncSender<Message>) {
    let HttpCheck { path, contains, .. } = page.check;
    let mut patience = FIRST_REQUEST;
    while Instant::now() < deadline {
        let answer = http::get(page.address, path, contains, deadline.min(Instant::now() + patience));
        if matches!(answer, Err(GetError::Timeout)) {
            patience = LONGEST_REQUEST.min(patience * 2);
        }
        let is_wanted = answer.as_ref().is_ok_and(|reply| reply.satisfies(contains));
        if sender.send(Message::Answer(answer)).is_err() || is_wanted {
            return;
        }
        std::thread::sleep(REQUEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::qemu;
    use std::cell::RefCell;
    use std::ffi::OsString;
    use std::io::Write;
    use std::net::TcpListener;
    use std::path::Path;

    /// Watches a shell script in the place of QEMU; its output is the console.
    fn watch_script(script: &str, check: &Check, host_port: u16) -> Result<Fulfilled, BootError> {
        let shell = Qemu::start(Path::new("/bin/sh"), &["-c", script].map(OsString::from)).unwrap();
        let forward = Some(Forward { host_port, guest_port: 80 });
        watch(shell, check, forward, &|_| ())
    }

    fn failure(script: &str, check: &Check, host_port: u16) -> BootFailure {
        match watch_script(script, check, host_port) {
            Err(BootError::Failed(failure)) => *failure,
            other => panic!("{other:?}"),
        }
    }

    /// A server that gives every request the same reply, as long as the test process lives.
    fn server(reply: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(reply.as_bytes());
            }
        });
        port
    }

    fn hello(timeout: u32) -> Check {
        let http = HttpCheck { port: 80, path: "/".to_owned(), contains: "hello".to_owned() };
        Check { http: Some(http), console: None, timeout: Some(timeout) }
    }

    fn text(text: &str) -> Check {
        Check { http: None, console: Some(text.to_owned()), timeout: Some(20) }
    }

    #[test]
    fn requests_begin_when_the_guest_starts() {
        let port = server("HTTP/1.0 200 OK\r\n\r\nhello");
        let fulfilled = watch_script("sleep 0.5; echo minroot: starting x; exec sleep 100", &hello(20), port).unwrap();
        assert_eq!(fulfilled.reply.unwrap().body, b"hello");
        assert!(fulfilled.after >= Duration::from_millis(500) && fulfilled.after < Duration::from_secs(10));
    }

    #[test]
    fn both_the_page_and_the_text_are_needed() {
        let port = server("HTTP/1.0 200 OK\r\n\r\nhello");
        let check = Check { console: Some("ready".to_owned()), ..hello(2) };
        let script = "echo minroot: starting x; sleep 0.5; echo ready; exec sleep 100";
        assert!(watch_script(script, &check, port).unwrap().after < Duration::from_secs(2));
        let failure = failure("echo minroot: starting x; exec sleep 100", &check, port);
        assert!(failure.to_string().contains("did not print `ready` within 2 s"), "{failure}");
    }

    #[test]
    fn a_prompt_without_a_newline_is_text() {
        assert!(watch_script("printf 'a\\nlogin: '; exec sleep 100", &text("login:"), 1).is_ok());
        assert!(watch_script("printf 'done'", &text("done"), 1).is_ok());
    }

    #[test]
    fn an_empty_check_wants_the_start() {
        let check = Check { timeout: Some(1), ..Check::default() };
        assert!(watch_script("echo minroot: starting x; exec sleep 100", &check, 1).is_ok());
        let failure = failure("exec sleep 100", &check, 1);
        assert!(failure.to_string().contains("did not print `minroot: starting` within 1 s"), "{failure}");
        assert!(failure.hint().unwrap().contains("console=ttyS0"));
    }

    #[test]
    fn a_wrong_reply_is_named_when_the_time_is_up() {
        let start = "echo minroot: starting x; exec sleep 100";
        for (reply, problem) in [
            ("HTTP/1.0 503 Later\r\n\r\nhello", "HTTP/1.0 503 Later"),
            ("HTTP/1.0 200 OK\r\n\r\nbye", "HTTP/1.0 200 OK without the text"),
            ("220 mail\r\n", "the reply is not HTTP: it starts with `220 mail"),
        ] {
            let failure = failure(start, &hello(1), server(reply));
            assert!(failure.to_string().contains(problem), "{failure}");
        }
    }

    #[test]
    fn a_guest_that_stops_ends_the_wait() {
        let start = Instant::now();
        let powered_off = "echo minroot: x exited with status 3; echo '[  1.0] reboot: Power down'; exec sleep 100";
        let off = failure(powered_off, &hello(60), 1);
        assert!(matches!(off.kind, FailureKind::PoweredOff) && off.exited == ["x exited with status 3"], "{off:?}");
        let panic = failure("echo Kernel panic - not syncing: no init; echo trace; exec sleep 100", &hello(60), 1);
        assert!(panic.to_string().ends_with("no init") && panic.console[1] == "trace", "{panic:?}");
        let panic = failure("echo Kernel panic - not syncing: no init; exit 0", &hello(60), 1);
        assert!(matches!(panic.kind, FailureKind::Panic { .. }), "{panic:?}");
        let halted = failure("echo reboot: System halted; exec sleep 100", &hello(60), 1);
        assert!(matches!(halted.kind, FailureKind::Halted), "{halted:?}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn the_end_of_qemu_is_told_apart_by_what_came_before() {
        assert!(matches!(failure("echo text", &hello(60), 1).kind, FailureKind::PoweredOff));
        let ended = failure("echo text; echo 'qemu: warning: a\nqemu: b' >&2; exit 1", &hello(60), 1);
        assert!(ended.to_string().ends_with("qemu: b"), "{ended}");
        let taken = "echo \"qemu: Could not set up host forwarding rule 'tcp::1-:2'\" >&2; exit 1";
        match watch_script(taken, &hello(60), 1) {
            Err(BootError::Refused { messages, .. }) => assert!(qemu::is_port_taken(&messages)),
            other => panic!("{other:?}"),
        }
        let kvm = failure("echo text; echo 'KVM internal error. Suberror: 1' >&2; exec sleep 100", &hello(60), 1);
        assert!(matches!(kvm.kind, FailureKind::KvmStopped), "{kvm:?}");
    }

    #[test]
    fn a_guest_that_floods_the_console_is_still_ended_in_time() {
        let start = Instant::now();
        let failure = failure("exec yes", &hello(1), 1);
        assert_eq!(failure.console.len(), 40);
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn the_observer_sees_every_line_in_order() {
        let lines = RefCell::new(Vec::new());
        let shell = Qemu::start(Path::new("/bin/sh"), &["-c", "echo a; echo b; echo end"].map(OsString::from)).unwrap();
        let observer = |event: Event<'_>| {
            if let Event::Console(line) = event {
                lines.borrow_mut().push(line.to_owned());
            }
        };
        watch(shell, &text("end"), None, &observer).unwrap();
        assert_eq!(lines.into_inner(), ["a", "b", "end"]);
    }
}
