//! The way out of the building: proxies of the environment, and certificates this machine trusts or does not.

use std::{
    path::Path,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{CertificateParams, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls};

/// Whom only the proxy can find.
const FAR: &str = "login.keydesk.test";

/// `keydesk sign-in` at this address, with this environment and nothing of the tester's.
async fn sign_in(authority: &str, home: &Path, env: &[(&str, &str)]) -> String {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_keydesk"));
    command.arg("sign-in").env_clear().env("KEYDESK_HOME", home).env("HOME", home);
    for name in ["PATH", "SYSTEMROOT", "SystemRoot"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("KEYDESK_AUTHORITY", authority).env("KEYDESK_GRAPH", "https://graph.keydesk.test");
    command.env("KEYDESK_TENANT", "contoso.example").env("KEYDESK_CLIENT_ID", "7c1d8f4e-52a6-4b0e-9a53-1f0d6c2e8b71");
    command.envs(env.iter().copied()).kill_on_drop(true);
    let Output { stderr, .. } = tokio::time::timeout(Duration::from_mins(1), command.output()).await.unwrap().unwrap();
    String::from_utf8(stderr).unwrap()
}

/// A proxy that answers every CONNECT with `says`, and after a 200 leads to `to`. Its address, and how many came.
async fn proxy(says: &'static str, to: Option<u16>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let came = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            came.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut asked = vec![0; 4096];
                let read = stream.read(&mut asked).await.unwrap();
                assert!(asked[..read].starts_with(format!("CONNECT {FAR}:443 ").as_bytes()));
                stream.write_all(says.as_bytes()).await.unwrap();
                if let Some(port) = to {
                    let mut there = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut there).await;
                }
            });
        }
    });
    (address, count)
}

/// A server with a certificate of a company's own authority, which answers 404 to everything. Its port, and the authority's certificate.
async fn company(valid_until: i32) -> (u16, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(vec![FAR.to_owned(), "localhost".to_owned()]).unwrap();
    own.not_after = rcgen::date_time_ymd(valid_until, 1, 1);
    own.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = own.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], secret).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Whoever does not trust it is gone by now.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ =
                    stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (port, ca_pem)
}

#[tokio::test]
async fn a_proxy_that_asks_for_a_sign_in_of_its_own_gets_its_own_sentence() {
    let home = tempfile::tempdir().unwrap();
    let (proxy, count) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", None).await;
    let said = sign_in(&format!("https://{FAR}"), home.path(), &[("HTTPS_PROXY", &proxy)]).await;
    assert!(said.contains("the proxy between asks for a sign-in of its own (407)"), "{said}");
    assert!(said.contains("Ask who runs the proxy"), "{said}");
    assert!(
        said.contains("For Microsoft: GET /contoso.example/v2.0/.well-known/openid-configuration: no answer"),
        "{said}"
    );
    assert!(count.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn a_proxy_that_leads_nowhere_gets_its_own_sentence() {
    let home = tempfile::tempdir().unwrap();
    let (proxy, _) = proxy("HTTP/1.1 403 Forbidden\r\n\r\n", None).await;
    let said = sign_in(&format!("https://{FAR}"), home.path(), &[("HTTPS_PROXY", &proxy)]).await;
    assert!(said.contains("the proxy between does not let it through"), "{said}");
}

#[tokio::test]
async fn no_proxy_is_asked_where_the_environment_names_the_host() {
    let home = tempfile::tempdir().unwrap();
    let (proxy, count) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", None).await;
    let env = [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", "keydesk.test")];
    let said = sign_in(&format!("https://{FAR}"), home.path(), &env).await;
    assert!(said.contains("cannot be reached") && !said.contains("407"), "{said}");
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_certificate_from_nowhere_gets_its_own_sentence_and_nothing_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let (port, _) = company(2999).await;
    let (proxy, _) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(port)).await;
    let said = sign_in(&format!("https://{FAR}"), home.path(), &[("HTTPS_PROXY", &proxy)]).await;
    assert!(said.contains("issuer this machine does not know"), "{said}");
    assert!(said.contains("do not go on without it"), "{said}");
}

/// On Linux the system's store can be named by a variable; elsewhere it is the system's alone.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_company_authority_that_the_system_trusts_is_trusted_behind_its_proxy_too() {
    let home = tempfile::tempdir().unwrap();
    let (port, ca) = company(2999).await;
    let store = home.path().join("company.pem");
    std::fs::write(&store, ca).unwrap();
    let (proxy, count) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(port)).await;
    let env = [("HTTPS_PROXY", proxy.as_str()), ("SSL_CERT_FILE", store.to_str().unwrap())];
    let said = sign_in(&format!("https://{FAR}"), home.path(), &env).await;
    assert!(said.contains("does not say where to sign in (HTTP 404)"), "{said}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_certificate_that_is_over_points_at_the_clock() {
    let home = tempfile::tempdir().unwrap();
    let (port, ca) = company(2001).await;
    let store = home.path().join("company.pem");
    std::fs::write(&store, ca).unwrap();
    let env = [("SSL_CERT_FILE", store.to_str().unwrap()), ("NO_PROXY", "localhost")];
    let said = sign_in(&format!("https://localhost:{port}"), home.path(), &env).await;
    assert!(said.contains("not valid at this machine's time") && said.contains("clock"), "{said}");
}
