//! A static file server for localhost: the page, the built-in model, the headers that a good host sends.
//!
//! Decision: written here on `httparse`, because GET, HEAD and ranges of files are all there is. Rejected: a web
//! framework, whose compile time would be most of the build tool's; Vite's own server, which serves another page than the
//! built one, without its content policy, so that a breach would first show in public.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// The page carries its content policy itself, so that it holds on any host; this is what a page cannot say of itself.
const CONTENT_POLICY: &str = "frame-ancestors 'self'";

const LONGEST_HEAD: usize = 16 << 10;

/// Files under one folder, and further folders under their own prefixes.
pub struct Server {
    listener: TcpListener,
    files: Files,
}

#[derive(Clone)]
struct Files {
    folder: PathBuf,
    mounts: Vec<(String, PathBuf)>,
}

/// What is answered: status, headers, and the part of the file that follows.
struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Option<(File, Range<u64>)>,
}

impl Server {
    /// Port 0 takes any free one. Each mount is a prefix such as `/models/` and its folder.
    pub fn bind(port: u16, folder: PathBuf, mounts: Vec<(String, PathBuf)>) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(Self { listener, files: Files { folder, mounts } })
    }

    /// `localhost`, which browsers take for a secure context.
    pub fn address(&self) -> String {
        let port = self.listener.local_addr().map_or(0, |address| address.port());
        format!("http://localhost:{port}/")
    }

    /// Answers until the process ends; a thread for each connection.
    pub fn serve(&self) -> Result<bool> {
        loop {
            let (stream, _) = self.listener.accept().context("no more connections can be taken")?;
            let files = self.files.clone();
            std::thread::spawn(move || {
                // A browser that hangs up in the middle of a file is no event.
                let _ = files.converse(&stream);
            });
        }
    }
}

impl Files {
    fn converse(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut reader = BufReader::new(stream);
        while let Some(head) = read_head(&mut reader)? {
            let (answer, with_body) = self.answer_to(&head);
            let mut text = format!("HTTP/1.1 {}\r\n", answer.status);
            for (name, value) in &answer.headers {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            text.push_str("\r\n");
            let mut stream = stream;
            stream.write_all(text.as_bytes())?;
            if let Some((mut file, range)) = answer.body.filter(|_| with_body) {
                file.seek(SeekFrom::Start(range.start))?;
                io::copy(&mut file.take(range.end - range.start), &mut stream)?;
            }
        }
        Ok(())
    }

    /// The answer, and whether its body is sent too.
    fn answer_to(&self, head: &[u8]) -> (Answer, bool) {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        if !matches!(request.parse(head), Ok(httparse::Status::Complete(_))) {
            return (Answer::empty("400 Bad Request"), false);
        }
        let with_body = match request.method {
            Some("GET") => true,
            Some("HEAD") => false,
            _ => return (Answer::empty("405 Method Not Allowed").with("Allow", "GET, HEAD"), false),
        };
        let range = request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("range"))
            .and_then(|header| std::str::from_utf8(header.value).ok());
        let found = request.path.and_then(|path| self.locate(path));
        let answer = match found.and_then(|path| Some((File::open(&path).ok()?, path))) {
            Some((file, path)) => Answer::file(file, &path, range),
            None => Answer::empty("404 Not Found"),
        };
        (answer, with_body)
    }

    /// The file for an address; none outside the served folders.
    fn locate(&self, address: &str) -> Option<PathBuf> {
        let path = percent_decoded(address.split(['?', '#']).next()?)?;
        let mount = self.mounts.iter().find_map(|(prefix, folder)| Some((folder, path.strip_prefix(prefix.as_str())?)));
        let (folder, relative) = mount.unwrap_or((&self.folder, path.trim_start_matches('/')));
        let relative = Path::new(relative);
        if !relative.components().all(|component| matches!(component, Component::Normal(_))) {
            return None;
        }
        let file = folder.join(relative);
        let file = if file.is_dir() { file.join("index.html") } else { file };
        file.is_file().then_some(file)
    }
}

impl Answer {
    fn empty(status: &'static str) -> Self {
        Self { status, headers: vec![("Content-Length", "0".into())], body: None }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn file(file: File, path: &Path, range: Option<&str>) -> Self {
        let Ok(length) = file.metadata().map(|metadata| metadata.len()) else {
            return Self::empty("404 Not Found");
        };
        let (status, part) = match range.map(|range| byte_range(range, length)) {
            Some(Some(part)) => ("206 Partial Content", part),
            Some(None) => {
                return Self::empty("416 Range Not Satisfiable").with("Content-Range", format!("bytes */{length}"));
            }
            None => ("200 OK", 0..length),
        };
        let answer = Self { status, headers: Vec::new(), body: None }
            .with("Content-Type", content_type(path))
            .with("Content-Length", (part.end - part.start).to_string())
            .with("Accept-Ranges", "bytes")
            .with("Cache-Control", "no-cache")
            .with("Content-Security-Policy", CONTENT_POLICY)
            .with("Cross-Origin-Opener-Policy", "same-origin")
            .with("Cross-Origin-Resource-Policy", "cross-origin")
            .with("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
            .with("Referrer-Policy", "no-referrer")
            .with("X-Content-Type-Options", "nosniff");
        let answer = match status {
            "206 Partial Content" => {
                let last = part.end.saturating_sub(1);
                answer.with("Content-Range", format!("bytes {}-{last}/{length}", part.start))
            }
            _ => answer,
        };
        Self { body: Some((file, part)), ..answer }
    }
}

/// The bytes up to and with the empty line; none where the other side has hung up.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let before = head.len();
        reader.by_ref().take((LONGEST_HEAD - before) as u64).read_until(b'\n', &mut head)?;
        match head.get(before..) {
            Some(b"\r\n" | b"\n") => return Ok(Some(head)),
            Some([]) | None => return Ok(None),
            Some(_) => {}
        }
    }
}

/// One range of `bytes=first-last`, `bytes=first-` or `bytes=-length`; none where it lies outside the file.
fn byte_range(header: &str, length: u64) -> Option<Range<u64>> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => length.saturating_sub(suffix.parse().ok()?)..length,
        (first, "") => first.parse().ok()?..length,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?.min(length),
    };
    (range.start < range.end).then_some(range)
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::path::PathBuf;

    use super::{Server, byte_range, read_head};

    struct Site {
        folder: PathBuf,
        port: u16,
    }

    impl Site {
        /// `site/index.html`, `site/app.js`, a mounted model and a secret beside them.
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("darkroom-server-{name}-{}", std::process::id()));
            fs::create_dir_all(folder.join("site")).unwrap();
            fs::create_dir_all(folder.join("models/small model")).unwrap();
            fs::write(folder.join("site/index.html"), "<!doctype html>").unwrap();
            fs::write(folder.join("site/app.js"), "let a = 1;").unwrap();
            fs::write(folder.join("models/small model/unet.safetensors"), "0123456789").unwrap();
            fs::write(folder.join("secret.txt"), "secret").unwrap();
            let server =
                Server::bind(0, folder.join("site"), vec![("/models/".into(), folder.join("models"))]).unwrap();
            let port = server.listener.local_addr().unwrap().port();
            std::thread::spawn(move || server.serve());
            Self { folder, port }
        }

        fn ask(&self, request: &str) -> String {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        }

        fn get(&self, path: &str) -> String {
            self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        }
    }

    impl Drop for Site {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn files_come_with_their_type_and_headers() {
        let site = Site::new("types");
        let page = site.get("/");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
        assert!(page.contains("Content-Type: text/html; charset=utf-8\r\n"), "{page}");
        assert!(page.contains("X-Content-Type-Options: nosniff\r\n"), "{page}");
        assert!(page.contains("Content-Security-Policy: frame-ancestors 'self'\r\n"), "{page}");
        assert!(page.ends_with("\r\n\r\n<!doctype html>"), "{page}");
        let script = site.get("/app.js?v=1");
        assert!(script.contains("Content-Type: text/javascript"), "{script}");
        assert!(script.ends_with("let a = 1;"), "{script}");
        let model = site.get("/models/small%20model/unet.safetensors");
        assert!(model.ends_with("\r\n\r\n0123456789"), "{model}");
    }

    #[test]
    fn ranges_and_head() {
        let site = Site::new("ranges");
        let path = "/models/small%20model/unet.safetensors";
        let part = site.ask(&format!("GET {path} HTTP/1.1\r\nrange: bytes=2-4\r\n\r\n"));
        assert!(part.starts_with("HTTP/1.1 206 Partial Content\r\n"), "{part}");
        assert!(part.contains("Content-Range: bytes 2-4/10\r\n") && part.ends_with("\r\n\r\n234"), "{part}");
        let outside = site.ask(&format!("GET {path} HTTP/1.1\r\nRange: bytes=10-\r\n\r\n"));
        assert!(outside.starts_with("HTTP/1.1 416") && outside.contains("bytes */10"), "{outside}");
        let head = site.ask(&format!("HEAD {path} HTTP/1.1\r\n\r\n"));
        assert!(head.contains("Content-Length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn one_connection_serves_several_requests() {
        let site = Site::new("alive");
        let both = site.ask("GET /app.js HTTP/1.1\r\n\r\nGET /app.js HTTP/1.1\r\n\r\n");
        assert_eq!(both.matches("let a = 1;").count(), 2, "{both}");
    }

    #[test]
    fn nothing_outside_the_folders() {
        let site = Site::new("outside");
        for path in ["/../secret.txt", "/%2e%2e/secret.txt", "/models/../secret.txt", "/models//etc/passwd", "/none"] {
            let answer = site.get(path);
            assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        }
        assert!(site.ask("POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(site.ask("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    }

    #[test]
    fn a_head_without_end_is_dropped() {
        let endless = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000));
        assert_eq!(read_head(&mut endless.as_bytes()).unwrap(), None);
        let many = "a: b\r\n".repeat(5_000);
        assert_eq!(read_head(&mut many.as_bytes()).unwrap(), None);
        assert_eq!(read_head(&mut &b"GET / HTTP/1.1\r\n\r\nnext"[..]).unwrap().unwrap(), b"GET / HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn ranges() {
        assert_eq!(byte_range("bytes=0-0", 10), Some(0..1));
        assert_eq!(byte_range("bytes=4-", 10), Some(4..10));
        assert_eq!(byte_range("bytes=-3", 10), Some(7..10));
        assert_eq!(byte_range("bytes=-30", 10), Some(0..10));
        assert_eq!(byte_range("bytes=5-100", 10), Some(5..10));
        assert_eq!(byte_range("bytes=5-18446744073709551615", 10), None);
        for bad in ["bytes=10-", "bytes=5-4", "bytes=-0", "bytes=a-b", "items=0-1", "bytes=0-1,3-4"] {
            assert_eq!(byte_range(bad, 10), None, "{bad}");
        }
    }
}
