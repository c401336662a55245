//! Syslog: where it goes, and how each way carries a message. What a message says stands in [`message`].

mod message;

use std::{io, net::SocketAddr};

use tokio::net::UdpSocket;

use super::{ForwardError, tls::Wire};
use crate::domain::{
    outbox::Parcel,
    policy::forwarding::{Facility, Syslog},
};

/// What every receiver of datagrams should take (RFC 5426, section 3.2), in bytes: longer ones may be cut or lost on the way.
const DATAGRAM: usize = 2048;

#[derive(Debug)]
pub(super) struct Server {
    facility: Facility,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Tls(Wire),
    Udp { host: String, port: u16 },
    Local { path: String },
}

impl Server {
    pub fn new(to: Syslog, facility: Facility, authorities: &str) -> Self {
        let way = match to {
            Syslog::Tls { host, port } => Way::Tls(Wire::new(host, port, authorities)),
            Syslog::Udp { host, port } => Way::Udp { host, port },
            Syslog::Local { path } => Way::Local { path: path.unwrap_or_else(|| local::SOCKET.to_owned()) },
        };
        Self { facility, way }
    }

    /// For words.
    pub fn place(&self) -> String {
        match &self.way {
            Way::Tls(wire) => wire.place(),
            Way::Udp { host, port } => format!("{host}:{port}"),
            Way::Local { path } => path.clone(),
        }
    }

    pub async fn send(&self, parcels: &[Parcel]) -> Result<(), ForwardError> {
        let messages: Vec<Vec<u8>> = parcels.iter().map(|parcel| self.whole(parcel)).collect();
        match &self.way {
            Way::Tls(wire) => wire.send(&messages).await,
            Way::Udp { .. } => {
                let socket = self.udp().await?;
                for (whole, parcel) in messages.iter().zip(parcels) {
                    let short;
                    let bytes = if whole.len() > DATAGRAM {
                        short = self.short(parcel);
                        &short
                    } else {
                        whole
                    };
                    socket.send(bytes).await.map_err(|source| self.unreached(source))?;
                }
                Ok(())
            }
            Way::Local { path } => {
                local::send(path, &messages, |n| self.short(&parcels[n])).await.map_err(|error| match error {
                    Some(source) => self.unreached(source),
                    None => ForwardError::NoLocal,
                })
            }
        }
    }

    /// As far as a connection, where there is one.
    pub async fn reach(&self) -> Result<Option<String>, ForwardError> {
        match &self.way {
            Way::Tls(wire) => {
                let stream = wire.connect().await?;
                let version = stream.get_ref().1.protocol_version();
                Ok(Some(format!("{} answers, {version:?}.", wire.place())))
            }
            // Nothing answers a datagram.
            Way::Udp { .. } => self.udp().await.map(|_| None),
            Way::Local { path } => match local::reach(path) {
                Ok(()) => Ok(Some(format!("{path} is there."))),
                Err(Some(source)) => Err(self.unreached(source)),
                Err(None) => Err(ForwardError::NoLocal),
            },
        }
    }

    async fn udp(&self) -> Result<UdpSocket, ForwardError> {
        let Way::Udp { host, port } = &self.way else { return Err(ForwardError::NoLocal) };
        let found = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(|source| self.unreached(source))?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        for to in found {
            let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
            let bound = async {
                let socket = UdpSocket::bind(any).await?;
                socket.connect(to).await.map(|()| socket)
            };
            match bound.await {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(self.unreached(last))
    }

    fn whole(&self, parcel: &Parcel) -> Vec<u8> {
        message::of(parcel, self.facility, message::Length::Whole)
    }

    fn short(&self, parcel: &Parcel) -> Vec<u8> {
        message::of(parcel, self.facility, message::Length::Short)
    }

    fn unreached(&self, source: io::Error) -> ForwardError {
        ForwardError::Unreached { place: self.place(), source }
    }
}

/// The socket of this machine's own log: datagrams, or a stream where the daemon wants one.
#[cfg(unix)]
mod local {
    use std::{
        io,
        os::unix::net::{UnixDatagram as Blocking, UnixStream as BlockingStream},
    };

    use rustix::io::Errno;
    use tokio::{
        io::AsyncWriteExt as _,
        net::{UnixDatagram, UnixStream},
    };

    #[cfg(target_os = "macos")]
    pub const SOCKET: &str = "/var/run/syslog";
    #[cfg(not(target_os = "macos"))]
    pub const SOCKET: &str = "/dev/log";

    fn is(error: &io::Error, errno: Errno) -> bool {
        error.raw_os_error() == Some(errno.raw_os_error())
    }

    /// `short` makes the short form of one that the socket finds too long.
    pub async fn send(
        path: &str,
        messages: &[Vec<u8>],
        short: impl Fn(usize) -> Vec<u8>,
    ) -> Result<(), Option<io::Error>> {
        let socket = UnixDatagram::unbound()?;
        match socket.connect(path) {
            Err(error) if is(&error, Errno::PROTOTYPE) => return Ok(stream(path, messages).await?),
            connected => connected?,
        }
        for (n, message) in messages.iter().enumerate() {
            match socket.send(message).await {
                Err(error) if is(&error, Errno::MSGSIZE) => socket.send(&short(n)).await?,
                sent => sent?,
            };
        }
        Ok(())
    }

    /// One line a message: the stored JSON has no line end in it.
    async fn stream(path: &str, messages: &[Vec<u8>]) -> io::Result<()> {
        let mut stream = UnixStream::connect(path).await?;
        for message in messages {
            stream.write_all(message).await?;
            stream.write_all(b"\n").await?;
        }
        stream.shutdown().await
    }

    pub fn reach(path: &str) -> Result<(), Option<io::Error>> {
        match Blocking::unbound()?.connect(path) {
            Err(error) if is(&error, Errno::PROTOTYPE) => Ok(BlockingStream::connect(path).map(drop)?),
            connected => Ok(connected?),
        }
    }
}

#[cfg(not(unix))]
mod local {
    use std::io;

    pub const SOCKET: &str = "";

    #[expect(clippy::unused_async, reason = "as on the systems that have such a socket")]
    pub async fn send(_: &str, _: &[Vec<u8>], _: impl Fn(usize) -> Vec<u8>) -> Result<(), Option<io::Error>> {
        Err(None)
    }

    pub fn reach(_: &str) -> Result<(), Option<io::Error>> {
        Err(None)
    }
}
