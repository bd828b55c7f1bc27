//! An issuer of tokens: OpenID configuration, published keys, and tokens as they should and should not be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub const AUDIENCE: &str = "6a1f6b00-09ba-44a6-967d-ecf54e3f58a3";
/// Event Grid's own application.
const EVENT_GRID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
/// A PKCS #8 document of an RSA key is this much header, and then the PKCS #1 key that signing takes.
const PKCS8_HEADER: usize = 26;

/// A running issuer with one key.
pub struct Issuer {
    address: SocketAddr,
    key: EncodingKey,
    /// How often its keys were fetched.
    pub fetches: Arc<AtomicUsize>,
    /// Keys are given as long as there are permits.
    pub gate: Arc<Semaphore>,
}

fn new_key() -> EncodingKey {
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key can be generated");
    EncodingKey::from_rsa_der(&key.as_der().expect("a key has a form").as_ref()[PKCS8_HEADER..])
}

impl Issuer {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With a published key that is changed.
    pub async fn start_with(change: impl FnOnce(&mut Jwk)) -> Self {
        Self::serve(None, change).await
    }

    /// With a configuration that names another issuer than its tokens.
    pub async fn start_named(issuer: &str) -> Self {
        Self::serve(Some(issuer), |_| {}).await
    }

    async fn serve(issuer: Option<&str>, change: impl FnOnce(&mut Jwk)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let key = new_key();
        let mut published =
            Jwk::from_encoding_key(&key, Algorithm::RS256).expect("it is an RSA key");
        published.common.key_id = Some("k1".to_owned());
        change(&mut published);
        let fetches = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Semaphore::new(1000));
        let (counted, gated) = (Arc::clone(&fetches), Arc::clone(&gate));
        let issuer = issuer.map_or_else(|| issuer_of(address), str::to_owned);
        let configuration = json!({"issuer": issuer, "jwks_uri": format!("http://{address}/keys")});
        let router = Router::new()
            .route("/openid", get(async move || Json(configuration)))
            .route(
                "/keys",
                get(async move || {
                    counted.fetch_add(1, Ordering::SeqCst);
                    gated
                        .acquire()
                        .await
                        .expect("the gate is never closed")
                        .forget();
                    Json(json!({"keys": [published]}))
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            key,
            fetches,
            gate,
        }
    }

    pub fn openid_url(&self) -> String {
        format!("http://{}/openid", self.address)
    }

    /// Claims of a token that is right.
    pub fn claims(&self) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({"iss": issuer_of(self.address), "aud": AUDIENCE, "azp": EVENT_GRID, "nbf": now, "exp": now + 300})
    }

    /// A token with these claims, signed with the published key.
    pub fn token(&self, claims: &Value) -> String {
        signed(&self.key, Algorithm::RS256, claims)
    }

    /// The same, with another header.
    pub fn token_with(&self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        let mut header = header(Algorithm::RS256);
        change(&mut header);
        encode(&header, claims, &self.key).expect("the key fits its algorithm")
    }
}

/// A token that says it is signed with the published key, and is not.
pub fn forged(claims: &Value) -> String {
    signed(&new_key(), Algorithm::RS256, claims)
}

/// A token "signed" with what everybody knows.
pub fn symmetric(claims: &Value) -> String {
    signed(&EncodingKey::from_secret(b"k1"), Algorithm::HS256, claims)
}

fn issuer_of(address: SocketAddr) -> String {
    format!("http://{address}/")
}

fn header(algorithm: Algorithm) -> Header {
    Header {
        kid: Some("k1".to_owned()),
        ..Header::new(algorithm)
    }
}

fn signed(key: &EncodingKey, algorithm: Algorithm, claims: &Value) -> String {
    encode(&header(algorithm), claims, key).expect("the key fits its algorithm")
}
