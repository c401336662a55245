//! Syslog over TLS (RFC 5425): frames counted in octets, and an end that the other side confirms.
//!
//! The protocol itself acknowledges nothing, so each run of rows gets a connection of its own: after the last frame our end is closed, and the
//! server's own last word of TLS (`close_notify`) in turn says that it has read all of it. The end of the TCP connection alone says nothing:
//! whoever stands on the way can forge it.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::ForwardError;

/// One server, and how its certificate is judged.
#[derive(Debug)]
pub(super) struct Wire {
    host: String,
    port: u16,
    /// A PEM file of further authorities; empty: none.
    authorities: String,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Wire {
    pub fn new(host: String, port: u16, authorities: &str) -> Self {
        Self { host, port, authorities: authorities.to_owned(), config: OnceLock::new() }
    }

    pub fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Sends these messages, and returns once the server has read them.
    pub async fn send(&self, messages: &[Vec<u8>]) -> Result<(), ForwardError> {
        let mut stream = self.connect().await?;
        let mut frames = Vec::new();
        for message in messages {
            frames.extend_from_slice(format!("{} ", message.len()).as_bytes());
            frames.extend_from_slice(message);
        }
        let not_read = |error: io::Error| ForwardError::NotRead { place: self.place(), why: error.to_string() };
        stream.write_all(&frames).await.map_err(not_read)?;
        // Says that nothing follows, and closes our direction.
        stream.shutdown().await.map_err(not_read)?;
        // Whatever it says is not for us; its end is.
        let mut said = [0; 512];
        loop {
            match stream.read(&mut said).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Anyone on the way could have swallowed the rows and ended it so.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(not_read(io::Error::other("it closed without TLS's last word, close_notify")));
                }
                Err(error) => return Err(not_read(error)),
            }
        }
    }

    /// Only the handshake.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>, ForwardError> {
        let unreached = |source| ForwardError::Unreached { place: self.place(), source };
        let config = self.config()?;
        let name = ServerName::try_from(self.host.clone()).map_err(|_| {
            unreached(io::Error::new(io::ErrorKind::InvalidInput, "it has no name a certificate could be for"))
        })?;
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreached)?;
        TlsConnector::from(config).connect(name, tcp).await.map_err(unreached)
    }

    fn config(&self) -> Result<Arc<ClientConfig>, ForwardError> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let tls = |error: rustls::Error| ForwardError::Tls(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            Verifier::new_with_extra_roots(self.further_authorities()?, Arc::clone(&provider)).map_err(tls)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .dangerous()
            // The machine's own judge, as for everything else this program says to the outside.
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }

    fn further_authorities(&self) -> Result<Vec<CertificateDer<'static>>, ForwardError> {
        if self.authorities.is_empty() {
            return Ok(Vec::new());
        }
        let unreadable = |why: String| ForwardError::Authorities { path: self.authorities.clone(), why };
        let read = CertificateDer::pem_file_iter(&self.authorities).map_err(|error| unreadable(error.to_string()))?;
        let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| unreadable(error.to_string()))?;
        if found.is_empty() { Err(unreadable("there is none in it".into())) } else { Ok(found) }
    }
}

// Windows programs are tried under wine, where a connection judged by a further authority never comes up.
#[cfg(not(windows))]
#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, Issuer, KeyPair};
    use rustls::{ServerConfig, pki_types::PrivateKeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// How a server ends a connection of which it has read everything.
    #[derive(Clone, Copy, PartialEq)]
    enum Ends {
        Well,
        /// As whoever stands on the way could.
        WithTcpAlone,
    }

    async fn send_to_one_that(ends: Ends) -> Result<(), ForwardError> {
        let folder = tempfile::tempdir().unwrap();
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, authority.self_signed(&authority_key).unwrap().pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        own.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = own.signed_by(&key, &Issuer::from_params(&authority, &authority_key)).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(tcp).await.unwrap();
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.unwrap();
            if ends == Ends::Well {
                stream.shutdown().await.unwrap();
            }
            read
        });
        let sent = Wire::new("localhost".into(), port, &path.display().to_string()).send(&[b"row".to_vec()]).await;
        assert_eq!(server.await.unwrap(), b"3 row");
        sent
    }

    #[tokio::test]
    async fn rows_are_read_when_the_server_says_so_within_tls_and_not_when_the_connection_merely_ends() {
        send_to_one_that(Ends::Well).await.unwrap();
        let error = send_to_one_that(Ends::WithTcpAlone).await.unwrap_err();
        assert!(matches!(error, ForwardError::NotRead { .. }), "{error}");
        assert!(error.to_string().contains("close_notify"), "{error}");
    }
}
