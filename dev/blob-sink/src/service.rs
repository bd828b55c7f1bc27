//! The REST interface: which operation a request is, and its answer.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api>

mod answer;
mod request;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use serde_json::{Value, json};

use self::request::{Call, Received};
use crate::Options;
use crate::store::{Blob, Block, Refusal, Slot, Store};

#[derive(Clone)]
struct Service {
    keep_bytes: usize,
    latency: Duration,
    store: Arc<Mutex<Store>>,
}

pub fn router(options: &Options, store: Arc<Mutex<Store>>) -> Router {
    Router::new()
        .route("/admin/stats", routing::get(stats))
        .route("/admin/blobs", routing::get(blobs))
        .route("/admin/sizes/{container}", routing::get(sizes))
        .fallback(serve)
        .with_state(Service {
            keep_bytes: options.keep_bytes,
            latency: options.latency,
            store,
        })
}

impl Service {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no holder of this lock panics")
    }
}

async fn serve(State(service): State<Service>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let call = Call::of(&parts);
    // A block list has to be read however long it is.
    let keep_bytes = if call.comp == "blocklist" {
        usize::MAX
    } else {
        service.keep_bytes
    };
    let Ok(received) = request::receive(body, keep_bytes, call.content_md5.is_some()).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if !service.latency.is_zero() {
        tokio::time::sleep(service.latency).await;
    }
    let mut store = service.store();
    *store.requests.entry(call.operation()).or_default() += 1;
    store.received_bytes += received.block.size_bytes;
    perform(&mut store, &call, received).unwrap_or_else(answer::refused)
}

fn perform(store: &mut Store, call: &Call, received: Received) -> Result<Response, Refusal> {
    call.verify(&received)?;
    let (container, name) = (call.container.as_str(), call.blob.as_str());
    match call.operation() {
        "create container" => store
            .create_container(container)
            .map(|()| answer::done(StatusCode::CREATED)),
        "head container" => store
            .container(container)
            .map(|_| answer::done(StatusCode::OK)),
        "list blobs" => Ok(answer::blob_list(
            container,
            call,
            store.container(container)?,
        )),
        "put block" => {
            let crc64 = received.block.crc64;
            store.stage(container, name, call.block_id.clone(), received.block)?;
            Ok(answer::staged(crc64))
        }
        "put blob" => {
            let crc64 = received.block.crc64;
            let blob = commit(store, call, vec![(String::new(), received.block)])?;
            Ok(answer::put(&blob, crc64))
        }
        "put block list" => {
            let ids = request::listed_ids(&received.block.content);
            let blocks = store.listed(container, name, ids)?;
            commit(store, call, blocks).map(|blob| answer::committed(&blob))
        }
        "get block list" => Ok(answer::block_list(
            store.slot(container, name)?,
            &call.block_list_type,
        )),
        "get blob" => read(call, store.blob(container, name)?),
        "head blob" => {
            let blob = store.blob(container, name)?;
            call.conditions.check_read(blob)?;
            let head =
                answer::blob(StatusCode::OK, blob).header("content-length", blob.size_bytes());
            Ok(answer::built(head.body(Body::empty())))
        }
        "delete blob" => {
            call.conditions
                .check_write(Some(store.blob(container, name)?))?;
            store.container(container)?.remove(name);
            Ok(answer::done(StatusCode::ACCEPTED))
        }
        _ => Err(Refusal::UnsupportedRequest),
    }
}

fn commit(store: &mut Store, call: &Call, blocks: Vec<(String, Block)>) -> Result<Blob, Refusal> {
    store.commit(
        (&call.container, &call.blob),
        blocks,
        call.blob_headers.clone(),
        &call.conditions,
    )
}

/// A blob, or the range asked for; only what was kept can be read.
fn read(call: &Call, blob: &Blob) -> Result<Response, Refusal> {
    call.conditions.check_read(blob)?;
    let total = blob.size_bytes();
    let (status, begin, end) = match call.range {
        None => (StatusCode::OK, 0, total),
        Some((begin, end)) if begin < end.min(total) => {
            (StatusCode::PARTIAL_CONTENT, begin, end.min(total))
        }
        Some(_) => return Err(Refusal::InvalidRange),
    };
    let content = blob.read(begin, end)?;
    let mut answer = answer::blob(status, blob).header("content-length", end - begin);
    if status == StatusCode::PARTIAL_CONTENT {
        answer = answer.header(
            "content-range",
            format!("bytes {begin}-{}/{total}", end - 1),
        );
    }
    Ok(answer::built(answer.body(Body::from(content))))
}

async fn stats(State(service): State<Service>) -> Json<Value> {
    let store = service.store();
    let staged: usize = store
        .containers
        .values()
        .flat_map(|container| container.values())
        .map(|slot| slot.staged.len())
        .sum();
    Json(
        json!({"requests": store.requests, "receivedBytes": store.received_bytes, "stagedBlocks": staged}),
    )
}

/// The sizes of the blobs of a container. It costs little, so that a program is hardly disturbed while it is measured.
async fn sizes(State(service): State<Service>, Path(container): Path<String>) -> Json<Vec<u64>> {
    let store = service.store();
    let slots = store.containers.get(&container).into_iter().flatten();
    let blobs = slots.filter_map(|(_, slot)| slot.blob.as_ref());
    Json(blobs.map(Blob::size_bytes).collect())
}

async fn blobs(State(service): State<Service>) -> Json<Vec<Value>> {
    let described = |container: &String, name: &String, slot: &Slot| {
        let blob = slot.blob.as_ref()?;
        let crc64 = format!("{:016x}", blob.crc64());
        Some(
            json!({"container": container, "name": name, "sizeBytes": blob.size_bytes(), "crc64": crc64}),
        )
    };
    let store = service.store();
    let slots = store.containers.iter().flat_map(|(container, slots)| {
        slots
            .iter()
            .map(move |(name, slot)| (container, name, slot))
    });
    Json(
        slots
            .filter_map(|(container, name, slot)| described(container, name, slot))
            .collect(),
    )
}
