//! Relays behind TLS: a proxy in front of ours, as people run it, with certificates made here.
#![cfg(test)]
#![cfg(all(feature = "relay", feature = "tls"))]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use alive_db::gun::{
    Anyone, Delta, Peer, PeerConfig, PutError, Query, Relay, RelayLimits, UrlError,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rstest::rstest;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

const DEADLINE: Duration = Duration::from_secs(30);
const YEARS: [i32; 2] = [2000, 4000];

/// An authority, and the certificate of a host by it.
struct Certificates {
    root: Vec<u8>,
    of_host: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Certificates {
    /// The certificate is valid from the first year on, until the second.
    fn new(host: &str, years: [i32; 2]) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root.self_signed(&root_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        [params.not_before, params.not_after] = years.map(|year| date_time_ymd(year, 1, 1));
        let of_host = params.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
        Self {
            root: root_certificate.der().to_vec(),
            of_host: of_host.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }
}

/// Takes TLS connections and passes on what they carry.
async fn proxy(to: SocketAddr, certificates: Certificates) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificates.of_host], certificates.key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut secured) = acceptor.accept(stream).await else { return };
                let mut plain = TcpStream::connect(to).await.unwrap();
                let _ended = copy_bidirectional(&mut secured, &mut plain).await;
            });
        }
    });
    address
}

async fn relay() -> (Peer, Relay) {
    let peer = Peer::start(PeerConfig::default(), Anyone).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(&peer, listener, RelayLimits::default()).unwrap();
    (peer, relay)
}

#[rstest]
#[case("wss", "localhost")]
#[case("https", "localhost")]
#[case("wss", "127.0.0.1")]
#[tokio::test]
async fn a_relay_behind_tls_is_reached_if_its_certificate_is_trusted(
    #[case] scheme: &str,
    #[case] host: &str,
) {
    let (served, relay) = relay().await;
    let certificates = Certificates::new(host, YEARS);
    let config = PeerConfig::default().roots(vec![certificates.root.clone()]);
    let port = proxy(relay.address(), certificates).await.port();
    let client = Peer::start(config, Anyone).unwrap();
    client.dial(&format!("{scheme}://{host}:{port}/gun")).await.unwrap();
    let put = client.put(Delta::of("s", "k", "v".into(), client.next_state()));
    assert!(timeout(DEADLINE, put).await.unwrap().unwrap().elsewhere);
    assert!(served.get(Query::key("s", "k")).await.is_some());
    // And back.
    let mut changes = client.subscribe("news").await;
    served.put(Delta::of("news", "k", "v".into(), served.next_state())).await.unwrap();
    assert!(timeout(DEADLINE, changes.next()).await.unwrap().is_some());
    assert_eq!(client.counts().dials_failed, 0);
    client.stop().await;
    served.stop().await;
}

#[rstest]
#[case::authority_unknown("localhost", false, YEARS)]
#[case::other_host("relay.example", true, YEARS)]
#[case::expired("localhost", true, [2000, 2020])]
#[case::not_yet_valid("localhost", true, [3000, 4000])]
#[tokio::test]
async fn a_relay_that_cannot_prove_who_it_is_hears_nothing(
    #[case] of_host: &str,
    #[case] is_trusted: bool,
    #[case] years: [i32; 2],
) {
    let (served, relay) = relay().await;
    let certificates = Certificates::new(of_host, years);
    let known =
        if is_trusted { certificates.root.clone() } else { Certificates::new(of_host, YEARS).root };
    let port = proxy(relay.address(), certificates).await.port();
    let client = Peer::start(PeerConfig::default().roots(vec![known]), Anyone).unwrap();
    client.dial(&format!("wss://localhost:{port}/gun")).await.unwrap();
    let deadline = Instant::now() + DEADLINE;
    while client.counts().dials_failed == 0 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((served.holdings().links, served.counts().frames), (0, 0));
    client.stop().await;
    served.stop().await;
}

#[tokio::test]
async fn a_relay_without_tls_is_not_reached_over_it() {
    let (served, relay) = relay().await;
    let root = Certificates::new("localhost", YEARS).root;
    let client = Peer::start(PeerConfig::default().roots(vec![root]), Anyone).unwrap();
    client.dial(&format!("wss://{}/gun", relay.address())).await.unwrap();
    let deadline = Instant::now() + DEADLINE;
    while client.counts().dials_failed == 0 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(served.counts().frames, 0);
    client.stop().await;
    served.stop().await;
}

#[tokio::test]
async fn an_authority_that_is_no_certificate_is_refused_at_once() {
    let config = PeerConfig::default().roots(vec![b"no certificate".to_vec()]);
    let client = Peer::start(config, Anyone).unwrap();
    let refused = client.dial("wss://localhost/gun").await;
    assert!(matches!(refused, Err(UrlError::Tls(_))), "{refused:?}");
    // No relay is dialled, so that a put waits for none.
    let put = client.put(Delta::of("s", "k", "v".into(), client.next_state())).await;
    assert!(matches!(put, Ok(stored) if !stored.elsewhere), "{put:?}");
    client.stop().await;
    assert_eq!(client.put(Delta::default()).await, Err(PutError::Stopped));
}
