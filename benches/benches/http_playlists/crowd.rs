//! Viewers who wait for a segment, in a process of their own: [`Crowd`] starts it, [`view`] is what it does.
//!
//! It is as light as a client can be: one thread, one buffer, no parsing; the server's answers are all the machine has to do.
//! Each release is asked for by all over the same connections, and measured in one of two ways by turns: while nobody
//! reads, only looking which sockets have got something, which is the server's own time; or reading everything.

use std::{
    io::{self, BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::{SocketAddr, TcpStream as StdStream},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

/// The argument by which this program is the crowd.
pub(crate) const ARGUMENT: &str = "--viewers";

/// How a release is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Until the last byte was handed to the kernel. Nothing is read before.
    Handed,
    /// Until the last byte was read.
    Read,
}

impl Way {
    /// The way of a release.
    pub(crate) fn of(release: usize) -> Self {
        if release.is_multiple_of(2) { Self::Handed } else { Self::Read }
    }
}

/// The other process.
pub(crate) struct Crowd {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Crowd {
    /// Starts `count` viewers who wait `releases` times, for the segments from number `first` on.
    pub(crate) fn start(address: SocketAddr, count: usize, first: usize, releases: usize) -> Self {
        let numbers = [count, first, releases].map(|number| number.to_string());
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([ARGUMENT, &address.to_string()])
            .args(numbers)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the viewers start");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// Until all have asked.
    pub(crate) fn asked(&mut self) {
        assert_eq!(self.line(), "waiting");
    }

    /// Until all are answered: when the last was.
    pub(crate) fn answered(&mut self) -> Duration {
        Duration::from_micros(self.line().parse().expect("a time"))
    }

    /// Until it is gone.
    pub(crate) fn end(mut self) {
        assert!(self.child.wait().expect("it ends").success());
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the viewers are there").expect("text")
    }
}

/// The time of day, the same in both processes.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What the other process does. Prints when all have asked, and when the last was answered.
pub(crate) fn view(list: &str, mut arguments: impl Iterator<Item = String>) {
    let address = arguments.next().and_then(|text| text.parse().ok()).expect("an address");
    let mut number = || arguments.next().and_then(|text| text.parse().ok()).expect("a number");
    let (count, first, releases) = (number(), number(), number());
    let mut viewers = Viewers::connect(address, count);
    for release in 0..releases {
        let path = format!("{list}?_HLS_msn={}&_HLS_skip=YES", first + release);
        viewers.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"));
        println!("waiting");
        let last = match Way::of(release) {
            Way::Handed => viewers.look(),
            Way::Read => viewers.read(),
        };
        println!("{}", last.as_micros());
    }
}

struct Viewers {
    poll: Poll,
    streams: Vec<TcpStream>,
}

impl Viewers {
    fn connect(address: SocketAddr, count: usize) -> Self {
        let poll = Poll::new().expect("a poll");
        let streams = (0..count).map(|viewer| {
            let stream = StdStream::connect(address).expect("it connects");
            stream.set_nonblocking(true).expect("it is ours");
            let mut stream = TcpStream::from_std(stream);
            let registry = poll.registry();
            registry.register(&mut stream, Token(viewer), Interest::READABLE).expect("it is ours");
            stream
        });
        let streams = streams.collect();
        Self { poll, streams }
    }

    fn ask(&mut self, request: &str) {
        for stream in &mut self.streams {
            stream.write_all(request.as_bytes()).expect("it sends");
        }
    }

    /// Waits until every socket has got something, then reads it: an answer is one segment of the network.
    fn look(&mut self) -> Duration {
        let mut events = Events::with_capacity(self.streams.len());
        let mut seen = vec![false; self.streams.len()];
        let mut left = self.streams.len();
        let mut last = Duration::ZERO;
        while left > 0 {
            self.poll.poll(&mut events, None).expect("it polls");
            last = now();
            for event in &events {
                let seen = seen.get_mut(event.token().0).expect("a viewer");
                left -= usize::from(!std::mem::replace(seen, true));
            }
            // A look at every arrival would cost the server's time.
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut answers = Answers::default();
        for stream in &mut self.streams {
            assert!(answers.take(stream), "an answer came in parts");
        }
        last
    }

    /// Reads each answer when it comes.
    fn read(&mut self) -> Duration {
        let mut events = Events::with_capacity(1024);
        let mut answers = Answers::default();
        let mut left = self.streams.len();
        while left > 0 {
            self.poll.poll(&mut events, None).expect("it polls");
            for event in &events {
                let stream = self.streams.get_mut(event.token().0).expect("a viewer");
                left -= usize::from(answers.take(stream));
            }
        }
        now()
    }
}

/// What all are answered; each answer is as long as the first.
struct Answers {
    buffer: Vec<u8>,
    length: Option<usize>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { buffer: vec![0; 64 << 10], length: None }
    }
}

impl Answers {
    /// Reads a viewer's answer; whether there was one.
    fn take(&mut self, stream: &mut TcpStream) -> bool {
        let read = match stream.read(&mut self.buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => panic!("a viewer was left alone: {error}"),
        };
        let answer = self.buffer.get(..read).unwrap_or_default();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(answer));
        let length = *self.length.get_or_insert_with(|| length(answer));
        assert_eq!(read, length, "{}", String::from_utf8_lossy(answer));
        true
    }
}

/// How long an answer is by its own words.
fn length(answer: &[u8]) -> usize {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head") + 4;
    let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default()).to_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    end + line.and_then(|length| length.parse::<usize>().ok()).expect("a length")
}
