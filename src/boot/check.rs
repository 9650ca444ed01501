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
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// The time of a check that does not say how long it may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// How often is looked at QEMU itself while nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// An image whose init is not ours never says that it starts: then requests begin after this time.
const START_WITHOUT_A_WORD: Duration = Duration::from_secs(20);
/// How long a server that answers, but not as wanted, may take to get ready.
const WRONG_REPLY_PATIENCE: Duration = Duration::from_secs(10);
/// How long the console is read on after a panic, for the lines that say where.
const AFTER_PANIC: Duration = Duration::from_secs(1);
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
        let (sender, receiver) = mpsc::channel();
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
            panic: None,
            halted: false,
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
    sender: Sender<Message>,
    /// The console text of the check has been there, or none is wanted.
    text_seen: bool,
    /// When the guest's init said that it starts.
    started: Option<Instant>,
    requests_begun: bool,
    reply: Option<Reply>,
    /// When the first reply came that is not what is wanted, and the last such reply in words.
    wrong: Option<(Instant, String)>,
    last_problem: String,
    panic: Option<String>,
    halted: bool,
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
            if let Some(kind) = self.failure(Instant::now()) {
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
        self.look_for_text(&self.console.partial().into_owned());
    }

    fn take_line(&mut self, line: &str) {
        (self.observer)(Event::Console(line));
        self.look_for_text(line);
        match Sign::of(line) {
            Some(Sign::Starting) => {
                self.started.get_or_insert_with(Instant::now);
            }
            Some(Sign::Exited(words)) => self.exited.push(words),
            Some(Sign::Panic(line)) if self.panic.is_none() => {
                self.panic = Some(line);
                self.deadline = self.deadline.min(Instant::now() + AFTER_PANIC);
            }
            Some(Sign::Halted) => self.halted = true,
            // QEMU ends when the guest is off, and with it the console.
            Some(Sign::PoweredDown | Sign::Panic(_)) | None => {}
        }
    }

    fn look_for_text(&mut self, line: &str) {
        self.text_seen |= self.check.console.as_deref().is_some_and(|text| line.contains(text));
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
    fn failure(&self, now: Instant) -> Option<FailureKind> {
        let out_of_time = now >= self.deadline;
        if let Some(line) = self.panic.as_ref().filter(|_| out_of_time) {
            return Some(FailureKind::Panic { line: line.clone() });
        }
        if self.halted {
            return Some(FailureKind::Halted);
        }
        if self.qemu.kvm_stopped() {
            return Some(FailureKind::KvmStopped);
        }
        let Some((since, problem)) = &self.wrong else {
            return out_of_time.then(|| FailureKind::Timeout { limit: self.limit, wanted: self.wanted() });
        };
        let page = self.page.as_ref().filter(|_| self.reply.is_none());
        match page {
            Some(page) if out_of_time || now >= *since + WRONG_REPLY_PATIENCE => Some(FailureKind::WrongReply {
                url: page.url.clone(),
                problem: problem.clone(),
                contains: page.check.contains.clone(),
            }),
            _ => out_of_time.then(|| FailureKind::Timeout { limit: self.limit, wanted: self.wanted() }),
        }
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
        if let Some(line) = self.panic.take() {
            return self.failed(FailureKind::Panic { line });
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
fn read_console(mut console: impl Read, sender: &Sender<Message>) {
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
fn ask_until_heard(page: &Page<'_>, deadline: Instant, sender: &Sender<Message>) {
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
