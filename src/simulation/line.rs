//! The wire below HTTP: connections that can be cut in the middle of an answer.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// Where an answer breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After so many bytes of the answer, headers included.
    AfterBytes(usize),
    /// After the last byte of the headers and so many bytes of the body.
    AfterHeaders(usize),
}

#[derive(Debug, Clone, Copy)]
struct Order {
    cut: Cut,
    /// End with RST rather than FIN.
    reset: bool,
}

/// The handle by which a request handler orders its own connection to be cut.
#[derive(Debug, Clone, Default)]
pub struct Line(Arc<Mutex<Option<Order>>>);

impl Line {
    pub fn cut(&self, cut: Cut, reset: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Order { cut, reset });
    }

    /// Forget an order that an answer was too short for.
    pub fn heal(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many of the bytes about to be written may pass: all, some, or `Err` when none may any more.
    fn allow(&self, bytes: &[u8]) -> Result<usize, bool> {
        let mut order = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Order { cut, reset }) = *order else { return Ok(bytes.len()) };
        let left = match cut {
            Cut::AfterBytes(left) => left,
            Cut::AfterHeaders(body) => {
                let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
                let Some(end) = end else { return Ok(bytes.len()) };
                end + 4 + body
            }
        };
        if left == 0 {
            return Err(reset);
        }
        let allowed = left.min(bytes.len());
        *order = Some(Order { cut: Cut::AfterBytes(left - allowed), reset });
        Ok(allowed)
    }
}

/// A TCP connection that obeys its [`Line`].
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    line: Line,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.line.allow(buf) {
            Ok(allowed) => {
                // What the order let pass must not be lost when the socket takes less of it.
                let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &buf[..allowed]));
                Poll::Ready(written)
            }
            Err(reset) => {
                if reset {
                    self.stream.set_zero_linger()?;
                }
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Accepts connections and gives each its line.
#[derive(Debug)]
pub struct Exchange(pub TcpListener);

impl Listener for Exchange {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, addr) = Listener::accept(&mut self.0).await;
        // Small answers should not wait for each other.
        let _ = stream.set_nodelay(true);
        (Wire { stream, line: Line::default() }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Exchange>> for Line {
    fn connect_info(stream: IncomingStream<'_, Exchange>) -> Self {
        stream.io().line.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_orders_lets_everything_pass() {
        assert_eq!(Line::default().allow(b"hello"), Ok(5));
    }

    #[test]
    fn a_cut_after_bytes_counts_over_several_writes() {
        let line = Line::default();
        line.cut(Cut::AfterBytes(7), true);
        assert_eq!(line.allow(b"hello"), Ok(5));
        assert_eq!(line.allow(b"world"), Ok(2));
        assert_eq!(line.allow(b"rld"), Err(true));
    }

    #[test]
    fn a_cut_after_headers_finds_their_end() {
        let line = Line::default();
        line.cut(Cut::AfterHeaders(0), false);
        assert_eq!(line.allow(b"HTTP/1.1 200 OK\r\n\r\n{}"), Ok(19));
        assert_eq!(line.allow(b"{}"), Err(false));
    }
}
