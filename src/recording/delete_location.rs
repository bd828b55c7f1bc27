//! Decides which object a deletion at ACS would delete, by URLs in exactly the form in which they are sent. Pure: it
//! knows neither trusted hosts, nor holds, nor what is in the vault.
//!
//! ```text
//! documentId          0-eus-d12-801b…
//! contentLocation     https://<host>/v1/objects/0-eus-d12-801b…/content/video
//! metadataLocation    https://<host>/v1/objects/0-eus-d12-801b…/content/acsmetadata
//! deleteLocation      https://<host>/v1/objects/0-eus-d12-801b…[/content/deletedata]
//! ```
//! An event is not trusted: one that reads object X, files it as Y and deletes Z would lose a recording. So all four
//! must name one object; hosts may differ.

use percent_encoding::percent_decode_str;
use url::Url;

use super::chunk::{ChunkLocations, RecordingChunk};
use super::id::DocumentId;

/// What to do if a `deleteLocation` names another object than its document (event documentation of 2022-12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOtherObject {
    /// It stays at ACS until ACS drops it.
    Keep,
    /// The other object is deleted.
    Delete,
}

/// A parsed `deleteLocation` whose object may be deleted for its chunk. Made by [`DeleteLocation::of`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteLocation {
    url: Url,
    object: DocumentId,
    document: DocumentId,
}

/// Why we do not delete the source of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceKept {
    #[error("the event named no {0}")]
    NotNamed(&'static str),
    #[error("its {name} {why}")]
    NotAnObject {
        name: &'static str,
        why: NotAnObject,
    },
    #[error("its {name} is of object `{object}`, not of `{document}`")]
    OtherContent {
        name: &'static str,
        object: DocumentId,
        document: DocumentId,
    },
    #[error(
        "its deleteLocation is of object `{object}`, not of `{document}`; DELETE_OTHER_OBJECT=true allows such deletions"
    )]
    OtherObject {
        object: DocumentId,
        document: DocumentId,
    },
}

/// Why a text is not the URL of an object. The text may hold anything, and is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObject {
    #[error("is not a URL")]
    NotAUrl,
    #[error("is not written in the form in which it would be sent")]
    NotAsSent,
    #[error("carries a user name or password")]
    UserInfo,
    #[error("carries a query or fragment")]
    QueryOrFragment,
    #[error("has a path that is not one of ACS's: /v1/objects/<documentId>{0}")]
    Path(&'static str),
}

const OBJECTS: &str = "/v1/objects/";
const DELETE_DATA: &str = "/content/deletedata";

impl DeleteLocation {
    /// Returns the location by which the source of `chunk` may be deleted.
    ///
    /// # Errors
    /// When an id or a location does not name the chunk's own object: its source is left to ACS's own expiry.
    pub fn of(chunk: &RecordingChunk, on_other: OnOtherObject) -> Result<Self, SourceKept> {
        let document = &chunk.document_id;
        let locations = &chunk.locations;
        let delete = named("deleteLocation", locations.delete.as_deref())?;
        let content = named("contentLocation", locations.content.as_deref())?;
        is_content_of(document, "contentLocation", content)?;
        if let Some(metadata) = &locations.metadata {
            is_content_of(document, "metadataLocation", metadata)?;
        }
        let not_an_object = |why| SourceKept::NotAnObject {
            name: "deleteLocation",
            why,
        };
        let (url, object) = delete_object(delete).map_err(not_an_object)?;
        if object != *document && on_other == OnOtherObject::Keep {
            return Err(SourceKept::OtherObject {
                object,
                document: document.clone(),
            });
        }
        Ok(Self {
            url,
            object,
            document: document.clone(),
        })
    }

    /// Returns what is sent, unchanged.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the chunk whose source this is.
    pub fn document_id(&self) -> &DocumentId {
        &self.document
    }

    /// Returns the object that is deleted.
    pub fn object_id(&self) -> &DocumentId {
        &self.object
    }

    /// Returns the object that is deleted if it is not the chunk's document.
    pub fn other_object(&self) -> Option<&DocumentId> {
        (self.object != self.document).then_some(&self.object)
    }

    /// Whether another URL, such as a redirect's, deletes the same object.
    pub fn is_same_object(&self, url: &Url) -> bool {
        delete_object(url.as_str()).is_ok_and(|(_, object)| object == self.object)
    }
}

/// Whether the media is where ACS keeps the document's own object.
pub fn names_own_object(document: &DocumentId, locations: &ChunkLocations) -> bool {
    let content = locations.content.as_deref();
    content.is_some_and(|content| is_content_of(document, "contentLocation", content).is_ok())
}

/// Whether a redirect leads from the object of one URL to another object. ACS is known to redirect to another host with
/// the same path. A URL that names no object leads to none.
pub fn leads_to_other_object(from: &Url, to: &Url) -> bool {
    if is_ambiguous(to) {
        return true;
    }
    match (object_in(from), object_in(to)) {
        (Some(from), Some(to)) => from != to,
        (Some(_) | None, None) | (None, Some(_)) => false,
    }
}

/// Whether servers may read different objects out of the path: it has dot segments, backslashes, or `objects` twice.
fn is_ambiguous(url: &Url) -> bool {
    let path = percent_decode_str(url.path()).decode_utf8_lossy();
    let named = |part: &&str| part.eq_ignore_ascii_case("objects");
    path.contains('\\')
        || path.split('/').any(|part| part == "..")
        || path.split('/').filter(named).count() > 1
}

/// The id in `/v1/objects/{id}/…`, however that is written.
fn object_in(url: &Url) -> Option<String> {
    let path = percent_decode_str(url.path()).decode_utf8_lossy();
    let mut parts = path.split(['/', '\\']).filter(|part| !part.is_empty());
    parts.find(|part| part.eq_ignore_ascii_case("objects"))?;
    parts.next().map(str::to_owned)
}

fn named<'a>(name: &'static str, location: Option<&'a str>) -> Result<&'a str, SourceKept> {
    location.ok_or(SourceKept::NotNamed(name))
}

fn is_content_of(
    document: &DocumentId,
    name: &'static str,
    location: &str,
) -> Result<(), SourceKept> {
    let object = content_object(location).map_err(|why| SourceKept::NotAnObject { name, why })?;
    if object == *document {
        Ok(())
    } else {
        Err(SourceKept::OtherContent {
            name,
            object,
            document: document.clone(),
        })
    }
}

/// `/v1/objects/{id}` or `/v1/objects/{id}/content/deletedata`.
fn delete_object(location: &str) -> Result<(Url, DocumentId), NotAnObject> {
    let url = url_as_sent(location)?;
    let id = url.path().strip_prefix(OBJECTS);
    let object = id
        .and_then(|id| id.strip_suffix(DELETE_DATA).unwrap_or(id).parse().ok())
        .ok_or(NotAnObject::Path("[/content/deletedata]"))?;
    Ok((url, object))
}

/// `/v1/objects/{id}/content/{video, audio, acsmetadata…}`.
fn content_object(location: &str) -> Result<DocumentId, NotAnObject> {
    let url = url_as_sent(location)?;
    let parts = url
        .path()
        .strip_prefix(OBJECTS)
        .and_then(|path| path.split_once("/content/"));
    let is_word =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    parts
        .filter(|(_, name)| is_word(name) && !name.eq_ignore_ascii_case("deletedata"))
        .and_then(|(id, _)| id.parse().ok())
        .ok_or(NotAnObject::Path("/content/<name>"))
}

/// Parses a URL only if parsing changes nothing: what was compared is what is sent. That leaves no room for dot
/// segments, tabs, newlines, backslashes, default ports, upper-case or Unicode hosts.
fn url_as_sent(location: &str) -> Result<Url, NotAnObject> {
    let url = Url::parse(location).map_err(|_| NotAnObject::NotAUrl)?;
    if url.as_str() != location {
        return Err(NotAnObject::NotAsSent);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NotAnObject::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(NotAnObject::QueryOrFragment);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::chunk::tests::chunk;

    const OWN: &str = "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8";
    const VICTIM: &str = "0-eus-d12-00000000000000000000000000000bad";
    const HOST: &str = "https://us-storage.asm.skype.com";

    fn own() -> RecordingChunk {
        let object = format!("https://storage.asm.skype.com/v1/objects/{OWN}");
        RecordingChunk {
            document_id: OWN.parse().unwrap(),
            locations: ChunkLocations {
                content: Some(format!("{object}/content/video")),
                metadata: Some(format!("{object}/content/acsmetadata")),
                delete: Some(format!("{HOST}/v1/objects/{OWN}")),
            },
            ..chunk()
        }
    }

    fn with_delete(delete: &str) -> RecordingChunk {
        let mut chunk = own();
        chunk.locations.delete = Some(delete.to_owned());
        chunk
    }

    #[rstest::rstest]
    #[case::object("/v1/objects/{id}")]
    #[case::delete_data("/v1/objects/{id}/content/deletedata")]
    fn the_two_paths_of_acs_are_deleted_as_they_came(#[case] path: &str) {
        let text = format!("{HOST}{}", path.replace("{id}", OWN));
        let location = DeleteLocation::of(&with_delete(&text), OnOtherObject::Keep).unwrap();
        assert_eq!(location.url().as_str(), text);
        assert_eq!(location.other_object(), None);
    }

    #[rstest::rstest]
    #[case::video("/content/video")]
    #[case::audio("/content/audio")]
    #[case::a_name_that_is_new("/content/mp4")]
    fn the_content_may_have_any_name_of_the_object(#[case] path: &str) {
        let mut chunk = own();
        chunk.locations.content = Some(format!("{HOST}/v1/objects/{OWN}{path}"));
        assert!(DeleteLocation::of(&chunk, OnOtherObject::Keep).is_ok());
    }

    #[rstest::rstest]
    #[case::dots("https://us-storage.asm.skype.com/v1/objects/{own}/../{victim}")]
    #[case::encoded_dots("https://us-storage.asm.skype.com/v1/objects/{own}/%2e%2e/{victim}")]
    #[case::half_encoded_dots("https://us-storage.asm.skype.com/v1/objects/{own}/.%2E/{victim}")]
    #[case::dots_in_front("https://us-storage.asm.skype.com/v1/x/../objects/{own}")]
    #[case::one_dot("https://us-storage.asm.skype.com/v1/objects/./{own}")]
    #[case::encoded_slash("https://us-storage.asm.skype.com/v1/objects/{own}%2f..%2f{victim}")]
    #[case::upper_encoded_slash("https://us-storage.asm.skype.com/v1/objects%2F{own}")]
    #[case::tab("https://us-storage.asm.skype.com/v1/objects/{own}\t")]
    #[case::tab_inside("https://us-storage.asm.skype.com/v1/obj\tects/{own}")]
    #[case::newline("https://us-storage.asm.skype.com/v1/objects/\n{own}")]
    #[case::carriage_return("https://us-storage.asm.skype.com/v1/objects/{own}\r\n")]
    #[case::space_in_front(" https://us-storage.asm.skype.com/v1/objects/{own}")]
    #[case::space_behind("https://us-storage.asm.skype.com/v1/objects/{own} ")]
    #[case::encoded_space("https://us-storage.asm.skype.com/v1/objects/{own}%20")]
    #[case::nul("https://us-storage.asm.skype.com/v1/objects/{own}\0")]
    #[case::backslash("https://us-storage.asm.skype.com/v1/objects/{own}\\..\\{victim}")]
    #[case::backslash_for_slash("https://us-storage.asm.skype.com\\v1\\objects\\{own}")]
    #[case::fragment("https://us-storage.asm.skype.com/v1/objects/{own}#/{victim}")]
    #[case::empty_fragment("https://us-storage.asm.skype.com/v1/objects/{own}#")]
    #[case::query("https://us-storage.asm.skype.com/v1/objects/{own}?id={victim}")]
    #[case::empty_query("https://us-storage.asm.skype.com/v1/objects/{own}?")]
    #[case::double_slash("https://us-storage.asm.skype.com/v1/objects//{own}")]
    #[case::double_slash_in_front("https://us-storage.asm.skype.com//v1/objects/{own}")]
    #[case::trailing_slash("https://us-storage.asm.skype.com/v1/objects/{own}/")]
    #[case::upper_case_path("https://us-storage.asm.skype.com/v1/Objects/{own}")]
    #[case::upper_case_version("https://us-storage.asm.skype.com/V1/objects/{own}")]
    #[case::upper_case_host("https://US-storage.asm.skype.com/v1/objects/{own}")]
    #[case::upper_case_scheme("HTTPS://us-storage.asm.skype.com/v1/objects/{own}")]
    #[case::encoded_letter("https://us-storage.asm.skype.com/v1/%6fbjects/{own}")]
    #[case::encoded_letter_of_the_id("https://us-storage.asm.skype.com/v1/objects/%30{own}")]
    #[case::parameter("https://us-storage.asm.skype.com/v1/objects/{own};{victim}")]
    #[case::comma("https://us-storage.asm.skype.com/v1/objects/{own},{victim}")]
    #[case::two_ids("https://us-storage.asm.skype.com/v1/objects/{own}/{victim}")]
    #[case::user("https://user@us-storage.asm.skype.com/v1/objects/{own}")]
    #[case::empty_user("https://@us-storage.asm.skype.com/v1/objects/{own}")]
    #[case::default_port("https://us-storage.asm.skype.com:443/v1/objects/{own}")]
    #[case::empty_port("https://us-storage.asm.skype.com:/v1/objects/{own}")]
    #[case::unicode_host("https://us-storage.аsm.skype.com/v1/objects/{own}")]
    #[case::full_width_host("https://ｕs-storage.asm.skype.com/v1/objects/{own}")]
    #[case::full_stop_of_another_script("https://us-storage。asm.skype.com/v1/objects/{own}")]
    #[case::encoded_host("https://us-storag%65.asm.skype.com/v1/objects/{own}")]
    #[case::content("https://us-storage.asm.skype.com/v1/objects/{own}/content/video")]
    #[case::upper_case_delete_data(
        "https://us-storage.asm.skype.com/v1/objects/{own}/content/DeleteData"
    )]
    #[case::all_content("https://us-storage.asm.skype.com/v1/objects/{own}/content")]
    #[case::all_objects("https://us-storage.asm.skype.com/v1/objects/")]
    #[case::another_version("https://us-storage.asm.skype.com/v2/objects/{own}")]
    #[case::a_prefix("https://us-storage.asm.skype.com/prefix/v1/objects/{own}")]
    #[case::no_scheme("us-storage.asm.skype.com/v1/objects/{own}")]
    #[case::relative("//us-storage.asm.skype.com/v1/objects/{own}")]
    #[case::nothing("")]
    fn every_other_spelling_leaves_the_source(#[case] text: &str) {
        let text = text.replace("{own}", OWN).replace("{victim}", VICTIM);
        for on_other in [OnOtherObject::Keep, OnOtherObject::Delete] {
            let decided = DeleteLocation::of(&with_delete(&text), on_other);
            assert!(decided.is_err(), "{text:?}: {decided:?}");
        }
    }

    #[test]
    fn another_object_is_deleted_only_where_the_setting_allows_it() {
        let chunk = with_delete(&format!("{HOST}/v1/objects/{VICTIM}"));
        let kept = DeleteLocation::of(&chunk, OnOtherObject::Keep).unwrap_err();
        assert!(
            matches!(&kept, SourceKept::OtherObject { object, .. } if object.as_str() == VICTIM)
        );
        assert!(kept.to_string().contains("DELETE_OTHER_OBJECT"));
        let location = DeleteLocation::of(&chunk, OnOtherObject::Delete).unwrap();
        assert_eq!(location.other_object().unwrap().as_str(), VICTIM);
    }

    /// An event that reads and deletes X under the document id Y files X as Y, and deletes X past X's hold.
    #[test]
    fn a_document_that_was_not_read_never_loses_its_source() {
        let mut forged = with_delete(&format!("{HOST}/v1/objects/{VICTIM}"));
        forged.locations.content = Some(format!("{HOST}/v1/objects/{VICTIM}/content/video"));
        for on_other in [OnOtherObject::Keep, OnOtherObject::Delete] {
            assert!(matches!(
                DeleteLocation::of(&forged, on_other),
                Err(SourceKept::OtherContent { .. })
            ));
        }
    }

    #[rstest::rstest]
    #[case::none(None)]
    #[case::legacy(Some("/recording/download/{id}"))]
    #[case::dots("/v1/objects/x/../{id}/content/video".into())]
    #[case::query("/v1/objects/{id}/content/video?x=1".into())]
    #[case::no_name("/v1/objects/{id}/content/".into())]
    #[case::two_names("/v1/objects/{id}/content/video/x".into())]
    fn content_that_does_not_name_the_object_leaves_the_source(#[case] path: Option<&str>) {
        let mut chunk = own();
        chunk.locations.content = path.map(|path| format!("{HOST}{}", path.replace("{id}", OWN)));
        assert!(DeleteLocation::of(&chunk, OnOtherObject::Keep).is_err());
    }

    #[test]
    fn metadata_of_another_object_leaves_the_source() {
        let mut chunk = own();
        chunk.locations.metadata = Some(format!("{HOST}/v1/objects/{VICTIM}/content/acsmetadata"));
        assert!(DeleteLocation::of(&chunk, OnOtherObject::Keep).is_err());
        chunk.locations.metadata = None;
        assert!(DeleteLocation::of(&chunk, OnOtherObject::Keep).is_ok());
    }

    #[rstest::rstest]
    #[case::another_host("https://eu.as.asm.skype.com/v1/objects/{own}/content/video", false)]
    #[case::no_object("https://eu.as.asm.skype.com/signed/7", false)]
    #[case::another("https://eu.as.asm.skype.com/v1/objects/{victim}/content/video", true)]
    #[case::another_case("https://eu.as.asm.skype.com/V1/Objects/{victim}/content/video", true)]
    #[case::encoded(
        "https://eu.as.asm.skype.com/v1/%6fbjects/{victim}/content/video",
        true
    )]
    #[case::encoded_slash("https://eu.as.asm.skype.com/v1/objects%2F{victim}/content", true)]
    #[case::two_slashes("https://eu.as.asm.skype.com/v1/objects//{victim}/content/video", true)]
    #[case::dots(
        "https://eu.as.asm.skype.com/v1/objects/{own}/../{victim}/content",
        true
    )]
    #[case::encoded_dots(
        "https://eu.as.asm.skype.com/v1/objects/{own}%2F..%2F{victim}/content",
        true
    )]
    #[case::objects_twice(
        "https://eu.as.asm.skype.com/v1/objects/{own}/objects/{victim}/content",
        true
    )]
    fn a_redirect_of_a_read_may_not_lead_to_another_object(
        #[case] to: &str,
        #[case] expected: bool,
    ) {
        let from = own().locations.content.unwrap().parse().unwrap();
        let to = to.replace("{own}", OWN).replace("{victim}", VICTIM);
        let to = to.parse().unwrap();
        assert_eq!(leads_to_other_object(&from, &to), expected);
        assert!(!leads_to_other_object(&from, &from));
    }

    #[test]
    fn a_redirect_leads_to_the_same_object_only() {
        let location = DeleteLocation::of(&own(), OnOtherObject::Keep).unwrap();
        let url = |text: String| Url::parse(&text).unwrap();
        let regional = "https://eu.as.asm.skype.com/v1/objects";
        assert!(location.is_same_object(&url(format!("{regional}/{OWN}"))));
        assert!(!location.is_same_object(&url(format!("{regional}/{VICTIM}"))));
        assert!(!location.is_same_object(&url(format!("{regional}/{OWN}?x"))));
    }
}
