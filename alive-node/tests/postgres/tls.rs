//! A connection that is encrypted, to a server that proves who it is.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

use alive_core::backend::StreamStore as _;
use alive_node::{PostgresStore, PostgresStoreConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_postgres::NoTls;

use crate::{database::hive, server::Server};

/// A server on a port of its own, whose certificate is for `host`, and the authority that made it, in PEM.
fn served(host: &str) -> (Server, u16, String) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = root.self_signed(&root_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(root, root_key)).unwrap();

    let free = free_port();
    let server = Server::start_after(|folder| {
        let [certificate_file, key_file] =
            ["server.crt", "server.key"].map(|name| folder.join(name));
        fs::write(&certificate_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
        format!(
            "-c listen_addresses=127.0.0.1 -p {free} -c ssl=on -c ssl_cert_file={} -c ssl_key_file={}",
            certificate_file.display(),
            key_file.display()
        )
    });
    (server, free, authority)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn config(port: u16) -> PostgresStoreConfig {
    let text = format!(
        "host=localhost hostaddr=127.0.0.1 port={port} user=haf dbname=postgres sslmode=require"
    );
    PostgresStoreConfig::new(&text).unwrap()
}

/// All that an error says, from the outside in.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn an_authority_that_is_trusted_vouches_for_an_encrypted_connection() {
    let (_server, port, authority) = served("localhost");
    let config = config(port).trust(authority.as_bytes()).unwrap();
    let store = PostgresStore::open(config).await.unwrap();
    assert_eq!(store.cursor(&hive()).await.unwrap(), None);

    let text = format!("host=127.0.0.1 port={port} user=haf dbname=postgres");
    let (admin, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
    tokio::spawn(connection);
    let encrypted = "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl \
        JOIN pg_stat_activity USING (pid) WHERE application_name = 'alive'";
    let row = admin.query_one(encrypted, &[]).await.unwrap();
    let [encrypted, all]: [i64; 2] = [row.get(0), row.get(1)];
    assert!(all > 0 && encrypted == all, "{encrypted} of {all}");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn who_proves_to_be_nobody_or_somebody_else_learns_nothing() {
    let (_server, port, _) = served("localhost");
    let unknown = PostgresStore::open(config(port)).await.unwrap_err();
    assert!(chain(&unknown).contains("certificate"), "{}", chain(&unknown));

    let (_server, port, authority) = served("other.example");
    let config = config(port).trust(authority.as_bytes()).unwrap();
    let other = PostgresStore::open(config).await.unwrap_err();
    assert!(chain(&other).contains("other.example"), "{}", chain(&other));
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_server_without_tls_is_not_talked_to() {
    let free = free_port();
    let _server = Server::start_with(&format!("-c listen_addresses=127.0.0.1 -p {free}"));
    let refused = PostgresStore::open(config(free)).await.unwrap_err();
    let said = chain(&refused);
    assert!(said.contains("TLS"), "{said}");
}
