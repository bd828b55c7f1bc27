//! Media over HTTP: whole, and in parts, byte for byte.

use std::sync::atomic::Ordering;

use super::*;
use crate::support::azurite;
use crate::support::command;
use crate::support::touching_vault::TouchingVault;

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn media_is_given_whole_and_in_parts_byte_for_byte() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let path = format!("/chunks/{id}/media");
    let name = format!("0000-audiowav.{id}.wav");
    let expected = world.vault_files()[&name].clone();
    let size = expected.len();

    let whole = send(&world, Method::GET, &path, &[]).await;
    let headers = whole.headers().clone();
    assert_eq!(
        (whole.status().as_u16(), text(&headers, "content-type")),
        (200, "audio/wav")
    );
    assert_eq!(
        (
            text(&headers, "accept-ranges"),
            text(&headers, "content-length")
        ),
        ("bytes", size.to_string().as_str())
    );
    assert_eq!(
        text(&headers, "content-disposition"),
        format!("inline; filename=\"{name}\"")
    );
    assert_eq!(text(&headers, "x-content-type-options"), "nosniff");
    assert!(whole.bytes().await.expect("the body comes") == expected);
    let etag = text(&headers, "etag");

    let last = format!("bytes {}-{}/{size}", size - 10, size - 1);
    for (range, status, content_range, part) in [
        ("bytes=0-9", 206, format!("bytes 0-9/{size}"), 0..10),
        ("bytes=-10", 206, last, size - 10..size),
        (
            "bytes=100000-",
            206,
            format!("bytes 100000-{}/{size}", size - 1),
            100_000..size,
        ),
        ("bytes=0-1,5-6", 200, String::new(), 0..size),
    ] {
        let response = send(&world, Method::GET, &path, &[("range", range)]).await;
        assert_eq!(
            (
                response.status().as_u16(),
                text(response.headers(), "content-range")
            ),
            (status, content_range.as_str())
        );
        assert!(
            response.bytes().await.expect("the body comes") == expected[part],
            "{range}"
        );
    }
    let beyond = send(
        &world,
        Method::GET,
        &path,
        &[("range", &format!("bytes={size}-"))],
    )
    .await;
    assert_eq!(
        text(beyond.headers(), "content-range"),
        format!("bytes */{size}")
    );
    assert_eq!(beyond.status(), 416);
    let told: Value = beyond.json().await.expect("it is told in JSON");
    assert_eq!(told["error"]["code"], "RangeNotSatisfiable");
    let other = send(
        &world,
        Method::GET,
        &path,
        &[("range", "bytes=0-9"), ("if-range", "\"other\"")],
    )
    .await;
    assert_eq!(other.status(), 200);
    assert_eq!(
        send(&world, Method::GET, &path, &[("if-none-match", etag)])
            .await
            .status(),
        304
    );
    let head = send(&world, Method::HEAD, &path, &[]).await;
    assert_eq!(
        (head.status().as_u16(), text(head.headers(), "etag")),
        (200, etag)
    );
    assert_eq!(text(head.headers(), "content-length"), size.to_string());

    let metadata = send(&world, Method::GET, &format!("/chunks/{id}/metadata"), &[]).await;
    assert_eq!(text(metadata.headers(), "content-type"), "application/json");
    let bytes = metadata.bytes().await.expect("the body comes");
    assert!(bytes == world.vault_files()[&format!("0000-acsmetadata.{id}.json")]);
}

#[tokio::test]
async fn a_version_that_the_caller_does_not_mean_is_not_sent() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let path = format!("/chunks/{}/media", document_ids(&event)[0]);
    let head = send(&world, Method::HEAD, &path, &[]).await;
    let etag = text(head.headers(), "etag").to_owned();
    for (method, condition, expected) in [
        (Method::GET, "\"other\"", 412),
        (Method::HEAD, "\"other\"", 412),
        (Method::GET, &*etag, 200),
        (Method::GET, "*", 200),
    ] {
        let answer = send(&world, method, &path, &[("if-match", condition)]).await;
        assert_eq!(answer.status().as_u16(), expected, "{condition}");
    }
}

#[tokio::test]
async fn a_file_that_is_damaged_or_gone_is_not_vouched_for() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let path = format!("/chunks/{id}/media");
    let head = send(&world, Method::HEAD, &path, &[]).await;
    let etag = text(head.headers(), "etag").to_owned();
    let issued = get(&world, &format!("/chunks/{id}/ticket")).await;
    let play = issued["url"].as_str().expect("a ticket has a URL");
    let play = play.strip_prefix("/api/vault").expect("it is ours");
    let file = world.vault_file(&format!("{id}.wav"));
    let statuses = async || {
        let mut statuses = Vec::new();
        for path in [&*path, play] {
            for (method, headers) in [
                (Method::HEAD, &[] as &[(&str, &str)]),
                (Method::GET, &[]),
                (Method::GET, &[("range", "bytes=0-0")]),
                (Method::GET, &[("if-none-match", &*etag)]),
            ] {
                let answer = send(&world, method, path, headers).await;
                statuses.push(answer.status().as_u16());
            }
        }
        statuses
    };
    assert_eq!(statuses().await, [200, 200, 206, 304].repeat(2));
    let reported = |part: &str| world.console().matches(part).count();
    let whole = std::fs::read(&file).expect("it is readable");
    let longer = [&whole[..], b"x"].concat();
    for damaged in [&whole[..1000], &longer] {
        std::fs::write(&file, damaged).expect("it is writable");
        assert_eq!(statuses().await, [409].repeat(8), "{}", damaged.len());
    }
    assert_eq!(reported("is not the one that was proved"), 16);
    std::fs::remove_file(&file).expect("it is removable");
    assert_eq!(statuses().await, [410].repeat(8));
    assert_eq!(reported("is not in the vault any more"), 8);
}

#[tokio::test]
async fn a_copy_that_a_verification_found_damaged_is_never_served_as_the_proved_one() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let path = format!("/chunks/{id}/media");
    let head = send(&world, Method::HEAD, &path, &[]).await;
    let etag = text(head.headers(), "etag").to_owned();
    let file = world.vault_file(&format!("{id}.wav"));
    let mut bytes = std::fs::read(&file).expect("it is readable");
    bytes[1000] ^= 1;
    std::fs::write(&file, &bytes).expect("it is writable");
    let verify = ["verify", "--read-data-subset", "all"];
    let verified = command::run(world.settings(), &verify).await;
    assert_eq!(verified.status.code(), Some(2), "{verified:?}");

    let metadata = format!("/chunks/{id}/metadata");
    for path in [&path, &metadata] {
        let refused = error(&world, "GET", path, None).await;
        assert_eq!(refused, (409, "CopyDamaged".to_owned()));
        let head = send(&world, Method::HEAD, path, &[("if-none-match", &*etag)]).await;
        assert_eq!(
            (head.status().as_u16(), text(head.headers(), "etag")),
            (409, "")
        );
    }

    let ticket = get(&world, &format!("/chunks/{id}/ticket")).await;
    let problem = ticket["damage"]["problem"].as_str().unwrap_or_default();
    assert!(problem.contains("SHA-256"), "{ticket}");
    let play = ticket["url"].as_str().expect("a ticket has a URL");
    let play = play.strip_prefix("/api/vault").expect("it is ours");
    let of_proved = [("if-none-match", &*etag)];
    let whole = send(&world, Method::GET, play, &of_proved).await;
    let headers = whole.headers().clone();
    assert_eq!((whole.status().as_u16(), text(&headers, "etag")), (200, ""));
    let said = text(&headers, "x-recording-vault-damage");
    assert!(said.contains("SHA-256"), "{said}");
    let name = text(&headers, "content-disposition");
    assert!(name.contains("filename=\"damaged-"), "{name}");
    assert!(whole.bytes().await.expect("the body comes") == bytes);
    let part = send(&world, Method::GET, play, &[("range", "bytes=0-9")]).await;
    assert_eq!(part.status(), 206);
    let rest = [("range", "bytes=0-9"), ("if-range", &*etag)];
    assert_eq!(send(&world, Method::GET, play, &rest).await.status(), 200);
    let proved = [("if-match", &*etag)];
    assert_eq!(send(&world, Method::GET, play, &proved).await.status(), 412);
}

#[tokio::test]
async fn a_ticket_of_a_damaged_copy_of_another_length_plays_the_file_as_it_is() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let file = world.vault_file(&format!("{id}.wav"));
    let mut bytes = std::fs::read(&file).expect("it is readable");
    bytes.truncate(1000);
    std::fs::write(&file, &bytes).expect("it is writable");
    let verify = ["verify", "--read-data-subset", "all"];
    let verified = command::run(world.settings(), &verify).await;
    assert_eq!(verified.status.code(), Some(2), "{verified:?}");
    let recording = only_recording(&world).await;
    let recording = recording["recordingId"].as_str().expect("it has an id");
    let shown = get(&world, &format!("/recordings/{recording}")).await;
    let damage = &shown["chunkList"][0]["damage"];
    assert!(damage["problem"].is_string(), "{shown}");

    let ticket = get(&world, &format!("/chunks/{id}/ticket")).await;
    let play = ticket["url"].as_str().expect("a ticket has a URL");
    let play = play.strip_prefix("/api/vault").expect("it is ours");
    let head = send(&world, Method::HEAD, play, &[]).await;
    let length = text(head.headers(), "content-length").to_owned();
    assert_eq!((head.status().as_u16(), &*length), (200, "1000"));
    let whole = send(&world, Method::GET, play, &[]).await;
    let name = text(whole.headers(), "content-disposition").to_owned();
    assert!(name.contains("filename=\"damaged-"), "{name}");
    assert!(whole.bytes().await.expect("the body comes") == bytes);
    let part = send(&world, Method::GET, play, &[("range", "bytes=0-9")]).await;
    assert_eq!(text(part.headers(), "content-range"), "bytes 0-9/1000");
    std::fs::remove_file(&file).expect("it is removable");
    let gone = send(&world, Method::GET, play, &[]).await;
    assert_eq!(gone.status(), 410);
}

#[tokio::test]
async fn a_file_that_is_touched_while_it_is_read_is_looked_at_again_and_read_through_once() {
    let vault = TouchingVault::before(&azurite::container_url().await).await;
    let world = World::with(&[("VAULT_URL", &vault.url)]).await;
    let event = archived(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let path = format!("/chunks/{id}/media");
    let part = async || {
        let headers = [("range", "bytes=0-9")];
        let answer = send(&world, Method::GET, &path, &headers).await;
        answer.status().as_u16()
    };
    let reads = || vault.reads.swap(0, Ordering::SeqCst);
    reads();
    assert_eq!((part().await, reads()), (206, 1));
    vault.touches.store(1, Ordering::SeqCst);
    assert_eq!(part().await, 206);
    assert_eq!(
        world
            .console()
            .matches("is not the one that was proved")
            .count(),
        0
    );
    reads();
    for _ in 0..3 {
        assert_eq!((part().await, reads()), (206, 1));
    }
    vault.touches.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(part().await, 409);
    assert_eq!(
        world
            .console()
            .matches("is not the one that was proved")
            .count(),
        1
    );
}
