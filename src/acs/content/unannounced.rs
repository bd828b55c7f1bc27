//! Files whose length no header announces, because a gateway passes on what it receives in chunks of HTTP/1.1. Such an answer
//! marks its end, so its length is found by reading the whole file once.

use std::pin::Pin;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::{CONTENT_RANGE, TRANSFER_ENCODING};
use reqwest::{Response, StatusCode};

use crate::export::source::{ChunkPart, SourceError};

/// Bytes of a file that is being read.
pub(super) type Content = BoxStream<'static, Result<Bytes, SourceError>>;

/// Whether an answer announces no length, and marks its end, so that a broken connection is not taken for it.
pub(super) fn shows_its_end(response: &Response) -> bool {
    let headers = response.headers();
    response.status() == StatusCode::OK
        && response.content_length().is_none()
        && headers.contains_key(TRANSFER_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
}

/// Reads a file to its end and returns its length in bytes. The client limits the wait for each piece.
///
/// # Errors
/// When the connection breaks or stalls, or the file is longer than a file of its kind can be.
pub(super) async fn length_of(mut content: Content, part: ChunkPart) -> Result<u64, SourceError> {
    let limit_bytes = part.limit_bytes();
    let mut total_bytes = 0;
    while let Some(piece) = content.try_next().await? {
        total_bytes += piece.len() as u64;
        if total_bytes > limit_bytes {
            return Err(SourceError::TooLarge {
                total_bytes,
                limit_bytes,
            });
        }
    }
    Ok(total_bytes)
}

/// The same bytes, but the last of them only if the content ends after `total_bytes`: a file that has grown since its
/// length was found is not copied in part.
pub(super) fn ending_after(content: Content, total_bytes: u64) -> Content {
    stream::try_unfold((content, total_bytes), async |(mut content, left)| {
        let Some(piece) = content.try_next().await? else {
            return Ok(None);
        };
        let Some(left) = left.checked_sub(piece.len() as u64) else {
            return Err(grown());
        };
        if left == 0 && !has_ended(content.as_mut()).await? {
            return Err(grown());
        }
        Ok(Some((piece, (content, left))))
    })
    .boxed()
}

async fn has_ended(
    mut content: Pin<&mut (dyn Stream<Item = Result<Bytes, SourceError>> + Send)>,
) -> Result<bool, SourceError> {
    while let Some(piece) = content.try_next().await? {
        if !piece.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn grown() -> SourceError {
    SourceError::transient("the file became longer while it was read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(pieces: &[&'static str]) -> Content {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        stream::iter(pieces).boxed()
    }

    #[tokio::test]
    async fn a_length_is_that_of_all_pieces() {
        let length = length_of(content(&["abc", "", "de"]), ChunkPart::Media).await;
        assert_eq!(length.unwrap(), 5);
    }

    #[tokio::test]
    async fn a_file_beyond_the_limit_of_its_kind_is_not_read_to_its_end() {
        let piece = Bytes::from(vec![0; 1 << 20]);
        let endless = stream::repeat_with(move || Ok(piece.clone())).boxed();
        let length = length_of(endless, ChunkPart::Metadata).await;
        assert!(matches!(length, Err(SourceError::TooLarge { .. })));
    }

    #[rstest::rstest]
    #[case::as_found(&["abc", "de"], Some("abcde"))]
    #[case::with_an_empty_end(&["abcde", ""], Some("abcde"))]
    #[case::grown_by_a_piece(&["abc", "de", "f"], None)]
    #[case::grown_within_a_piece(&["abc", "def"], None)]
    #[tokio::test]
    async fn a_file_that_grew_is_not_copied_in_part(
        #[case] pieces: &[&'static str],
        #[case] expected: Option<&str>,
    ) {
        let read: Result<Vec<Bytes>, _> = ending_after(content(pieces), 5).try_collect().await;
        let read = read.ok().map(|pieces| pieces.concat());
        assert_eq!(read.as_deref(), expected.map(str::as_bytes));
    }
}
