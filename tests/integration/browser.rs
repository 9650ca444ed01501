//! Chromium without a window, driven through its DevTools protocol (<https://chromedevtools.github.io/devtools-protocol>).
//!
//! With `--remote-debugging-pipe` the browser reads commands from file descriptor 3 and writes answers and events to 4,
//! each a JSON text that ends in a NUL byte. No client library, no port and no Node.js is needed for that.

use crate::support::tool;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// Ends when the test program does, because its descriptor 3 is closed then.
pub struct Browser {
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    n_commands: u64,
}

/// A page in the browser. Nothing else uses the browser as long as there is one.
pub struct Tab {
    browser: MutexGuard<'static, Browser>,
    session: Value,
    /// Exceptions and errors of the page.
    complaints: Vec<String>,
}

/// How long anything may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

impl Browser {
    /// The browser, which all tests share; `None` with a message on a machine without one.
    pub fn get() -> Option<MutexGuard<'static, Browser>> {
        static BROWSER: OnceLock<Mutex<Browser>> = OnceLock::new();
        let chromium = tool("chromium")?;
        let browser = BROWSER.get_or_init(|| Mutex::new(Browser::start(&chromium)));
        // A test that failed has left a tab behind, no more.
        Some(browser.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    #[expect(clippy::zombie_processes, reason = "it ends after the last test, when nobody is left to wait for it")]
    fn start(chromium: &Path) -> Browser {
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chromium");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"]).arg(chromium);
        // The sandbox of the browser wants an ordinary user, and CI has none.
        shell.args(["--headless", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run"]);
        shell.args(["--disable-dev-shm-usage", "--disable-background-networking", "--window-size=1200,900"]);
        // Else what is clicked before the first picture of a page is there does nothing.
        shell.arg("--allow-pre-commit-input");
        shell.arg(format!("--user-data-dir={}", profile.display()));
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Browser { commands, answers, n_commands: 0 }
    }

    /// Sends a command and reads up to its answer; `event` gets what comes in between.
    fn call(&mut self, session: &Value, method: &str, parameters: Value, mut event: impl FnMut(Value)) -> Value {
        self.n_commands += 1;
        let mut command = json!({ "id": self.n_commands, "method": method, "params": parameters });
        if !session.is_null() {
            command["sessionId"] = session.clone();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut message = Vec::new();
            self.answers.read_until(0, &mut message).unwrap();
            assert_eq!(message.pop(), Some(0), "the browser has ended");
            let mut message: Value = serde_json::from_slice(&message).unwrap();
            if message["id"] != self.n_commands {
                event(message);
                continue;
            }
            assert!(message["error"].is_null(), "{method}: {}", message["error"]);
            return message["result"].take();
        }
    }
}

impl Tab {
    /// Opens a file and waits until the page says that it is ready.
    pub fn open(mut browser: MutexGuard<'static, Browser>, file: &Path) -> Tab {
        let target = browser.call(&Value::Null, "Target.createTarget", json!({ "url": "about:blank" }), drop);
        let parameters = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call(&Value::Null, "Target.attachToTarget", parameters, drop)["sessionId"].take();
        let mut tab = Tab { browser, session, complaints: Vec::new() };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            tab.call(domain, json!({}));
        }
        tab.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        tab.wait_for("document.documentElement?.dataset.ready !== undefined");
        tab
    }

    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        let Tab { browser, session, complaints } = self;
        browser.call(session, method, parameters, |event| {
            if event["method"] == "Runtime.exceptionThrown" || event["params"]["entry"]["level"] == "error" {
                complaints.push(event["params"].to_string());
            }
        })
    }

    /// The value of an expression; of a promise, what it comes to.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// What an element says.
    pub fn text(&mut self, selector: &str) -> String {
        let value = self.evaluate(&format!("document.querySelector({})?.innerText", json!(selector)));
        value.as_str().unwrap_or_else(|| panic!("nothing is {selector}")).to_owned()
    }

    pub fn wait_for(&mut self, condition: &str) {
        let begin = Instant::now();
        while self.evaluate(condition) != true {
            assert!(begin.elapsed() < PATIENCE, "never: {condition}; {:?}", self.complaints);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Clicks into the middle of an element.
    pub fn click(&mut self, selector: &str) {
        self.click_while(selector, |_| ());
    }

    /// Clicks into the middle of an element, and does something between pressing the button and letting it go.
    pub fn click_while(&mut self, selector: &str, between: impl FnOnce(&mut Tab)) {
        let middle = self.evaluate(&format!(
            "(element => {{ element.scrollIntoView({{ block: 'center' }}); const box = element.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})(document.querySelector({}))",
            json!(selector)
        ));
        let mouse = |tab: &mut Tab, action: &str| {
            let (x, y) = (&middle[0], &middle[1]);
            let parameters = json!({ "type": action, "x": x, "y": y, "button": "left", "clickCount": 1 });
            tab.call("Input.dispatchMouseEvent", parameters);
        };
        mouse(self, "mousePressed");
        between(self);
        mouse(self, "mouseReleased");
    }

    /// Presses a key and lets it go: `Enter`, `ArrowDown`, or a character.
    pub fn press(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            character if character.len() == 1 => character,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            " " => 32,
            _ => 0,
        };
        for action in ["keyDown", "keyUp"] {
            let text = if action == "keyDown" { text } else { "" };
            let parameters = json!({ "type": action, "key": key, "text": text, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", parameters);
        }
    }

    /// Types text into what has the focus.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Ends with a look at what the page complained of.
    pub fn close(mut self) {
        self.call("Page.close", json!({}));
        assert_eq!(self.complaints, [] as [String; 0]);
    }
}
