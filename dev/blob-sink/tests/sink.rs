//! The sink, with raw requests.

use std::error::Error;
use std::time::{Duration, Instant};

use blob_sink::{ACCOUNT, Options, Sink};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

type Outcome = Result<(), Box<dyn Error>>;

/// Ids in base64, as the service has them.
const FIRST: &str = "Zmlyc3Q=";
const SECOND: &str = "c2Vjb25k";

struct Container {
    sink: Sink,
    client: Client,
    url: String,
}

impl Container {
    async fn new() -> Result<Self, Box<dyn Error>> {
        let sink = Sink::start(Options::default()).await?;
        let url = format!("{}/{ACCOUNT}/vault", sink.http_url());
        let container = Self {
            sink,
            client: Client::new(),
            url,
        };
        let made = container
            .request(Method::PUT, "?restype=container")
            .send()
            .await?;
        assert_eq!(made.status(), StatusCode::CREATED);
        Ok(container)
    }

    fn request(&self, method: Method, path_and_query: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path_and_query}", self.url))
    }

    async fn stage(&self, id: &str, content: Vec<u8>) -> Result<StatusCode, reqwest::Error> {
        let id = id.replace('=', "%3D");
        let request = self.request(Method::PUT, &format!("/a%20b?comp=block&blockid={id}"));
        Ok(request.body(content).send().await?.status())
    }

    async fn commit(&self, ids: &[&str]) -> Result<reqwest::Response, reqwest::Error> {
        let rows: String = ids.iter().fold(String::new(), |rows, id| {
            rows + &format!("<Latest>{id}</Latest>")
        });
        let request = self
            .request(Method::PUT, "/a%20b?comp=blocklist")
            .header("if-none-match", "*");
        request
            .body(format!(
                "<?xml version=\"1.0\"?><BlockList>{rows}</BlockList>"
            ))
            .send()
            .await
    }
}

#[tokio::test]
async fn staged_blocks_become_the_blob_that_their_list_names() -> Outcome {
    let container = Container::new().await?;
    container.stage(FIRST, b"12345".to_vec()).await?;
    container.stage(SECOND, b"67890".to_vec()).await?;
    let before = container
        .request(Method::GET, "/a%20b?comp=blocklist&blocklisttype=all")
        .send()
        .await?
        .text()
        .await?;
    assert!(
        before.contains("<CommittedBlocks></CommittedBlocks>"),
        "{before}"
    );
    assert!(
        before.contains(&format!(
            "<Block><Name>{FIRST}</Name><Size>5</Size></Block>"
        )),
        "{before}"
    );
    assert_eq!(
        container
            .request(Method::GET, "/a%20b")
            .send()
            .await?
            .status(),
        StatusCode::NOT_FOUND
    );

    assert_eq!(
        container.commit(&[SECOND, FIRST]).await?.status(),
        StatusCode::CREATED
    );

    let part = container
        .request(Method::GET, "/a%20b")
        .header("range", "bytes=3-6")
        .send()
        .await?;
    assert_eq!(part.headers()["content-range"], "bytes 3-6/10");
    assert_eq!(part.text().await?, "9012");
    let listed: Vec<Value> = container
        .client
        .get(format!("{}/admin/blobs", container.sink.http_url()))
        .send()
        .await?
        .json()
        .await?;
    let crc64 = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, b"6789012345");
    assert_eq!(
        (&listed[0]["name"], &listed[0]["crc64"]),
        (&"a b".into(), &format!("{crc64:016x}").into())
    );
    Ok(())
}

#[tokio::test]
async fn a_list_that_names_an_unknown_block_is_refused() -> Outcome {
    let container = Container::new().await?;
    container.stage(FIRST, b"1".to_vec()).await?;
    let answer = container.commit(&[FIRST, SECOND]).await?;
    assert_eq!(answer.headers()["x-ms-error-code"], "InvalidBlockList");
    Ok(())
}

#[tokio::test]
async fn a_blob_is_created_once_and_replaced_only_by_who_knows_it() -> Outcome {
    let container = Container::new().await?;
    let put = |name: &'static str, value: String| {
        container
            .request(Method::PUT, "/a")
            .header(name, value)
            .body("1")
    };
    let etag = put("if-none-match", "*".to_owned()).send().await?.headers()["etag"]
        .to_str()?
        .to_owned();
    let again = put("if-none-match", "*".to_owned()).send().await?;
    assert_eq!(
        (again.status(), &again.headers()["x-ms-error-code"]),
        (StatusCode::CONFLICT, &"BlobAlreadyExists".parse()?)
    );
    assert_eq!(
        put("if-match", "\"other\"".to_owned())
            .send()
            .await?
            .status(),
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(
        put("if-match", etag).send().await?.status(),
        StatusCode::CREATED
    );
    Ok(())
}

#[tokio::test]
async fn content_that_is_not_as_its_checksums_say_is_refused() -> Outcome {
    let container = Container::new().await?;
    // MD5 and CRC-64/NVME of `123456789`, from the algorithms' published check values.
    for (name, right) in [
        ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
        ("x-ms-content-crc64", "iJh5CoYUi64="),
    ] {
        let put = |content: &'static str| {
            container
                .request(Method::PUT, "/a")
                .header(name, right)
                .body(content)
        };
        assert_eq!(
            put("123456788").send().await?.status(),
            StatusCode::BAD_REQUEST,
            "{name}"
        );
        assert_eq!(
            put("123456789").send().await?.status(),
            StatusCode::CREATED,
            "{name}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn of_a_large_block_only_the_beginning_is_kept() -> Outcome {
    let container = Container::new().await?;
    container.stage(FIRST, vec![7; 100_000]).await?;
    container.commit(&[FIRST]).await?;
    let head = container.request(Method::HEAD, "/a%20b").send().await?;
    assert_eq!(
        (head.status(), &head.headers()["content-length"]),
        (StatusCode::OK, &"100000".parse()?)
    );
    assert_eq!(
        container
            .request(Method::GET, "/a%20b")
            .send()
            .await?
            .headers()["x-ms-error-code"],
        "ContentDropped"
    );
    let beginning = container
        .request(Method::GET, "/a%20b")
        .header("range", "bytes=10-19")
        .send()
        .await?;
    assert_eq!(
        (beginning.status(), beginning.bytes().await?),
        (StatusCode::PARTIAL_CONTENT, vec![7; 10].into())
    );
    Ok(())
}

#[tokio::test]
async fn a_listing_continues_where_its_marker_says() -> Outcome {
    let container = Container::new().await?;
    for name in ["/x/1", "/x/2", "/y"] {
        container
            .request(Method::PUT, name)
            .body("1")
            .send()
            .await?;
    }
    let first = "?restype=container&comp=list&prefix=x/&maxresults=1";
    let page = container
        .request(Method::GET, first)
        .send()
        .await?
        .text()
        .await?;
    assert!(
        page.contains("<Name>x/1</Name>") && page.contains("<NextMarker>x/2</NextMarker>"),
        "{page}"
    );
    let page = container
        .request(Method::GET, &format!("{first}&marker=x/2"))
        .send()
        .await?
        .text()
        .await?;
    assert!(
        page.contains("<Name>x/2</Name>") && page.contains("<NextMarker></NextMarker>"),
        "{page}"
    );
    assert_eq!(
        container
            .request(Method::DELETE, "/x/1")
            .send()
            .await?
            .status(),
        StatusCode::ACCEPTED
    );
    assert_eq!(
        container
            .request(Method::HEAD, "/x/1")
            .send()
            .await?
            .status(),
        StatusCode::NOT_FOUND
    );
    Ok(())
}

#[tokio::test]
async fn no_answer_comes_before_the_latency_has_passed() -> Outcome {
    let latency = Duration::from_millis(30);
    let sink = Sink::start(Options {
        latency,
        ..Options::default()
    })
    .await?;
    let began = Instant::now();
    Client::new()
        .put(format!(
            "{}/{ACCOUNT}/vault?restype=container",
            sink.http_url()
        ))
        .send()
        .await?
        .error_for_status()?;
    assert!(began.elapsed() >= latency);
    Ok(())
}

#[tokio::test]
async fn the_tls_door_shows_a_certificate_of_its_authority() -> Outcome {
    let sink = Sink::start(Options {
        https: Some("127.0.0.1:0".parse()?),
        ..Options::default()
    })
    .await?;
    let pem = sink.ca_pem().ok_or("there is an authority")?;
    let client = Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes())?])
        .build()?;
    let url = sink.https_url().ok_or("there is a TLS door")?;
    let stats: Value = client
        .get(format!("{url}/admin/stats"))
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(stats["receivedBytes"], 0);
    Ok(())
}
