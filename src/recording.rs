//! The vocabulary of call recording: pure values, no IO, no async, no clock.
//!
//! Every input about a recording is parsed into one of these types at the door and is not checked again inside.

pub mod acknowledgement;
mod announced_file;
mod call;
pub mod call_event;
pub mod chunk;
pub mod country;
pub mod delete_location;
pub mod event;
mod file_number;
pub mod id;
pub mod identifier;
pub mod json_memory;
pub(crate) mod lenient;
pub mod lenient_json;
pub mod media;
pub mod metadata;
pub mod person_key;
mod subject;

pub use acknowledgement::Acknowledgement;
pub use announced_file::AnnouncedFile;
pub use call::{CallLocator, RecordedCall};
pub use chunk::{
    Absorbed, ChunkEnd, ChunkLocations, EARLIEST_DAY, EARLIEST_START, NamedAs, OtherNames,
    RecordingChunk,
};
pub use delete_location::{
    DeleteLocation, OnOtherObject, SourceKept, leads_to_other_object, names_own_object,
};
pub use event::{
    IncomingEvent, InvalidEvent, RecordingFileStatusUpdated, RefusedChunk, check_is_event,
};
pub use file_number::{FileNumber, InvalidFileNumber, MOST_FILES};
pub use id::{CallId, DocumentId, InvalidId, RecordingId, ServerCallId};
pub use media::{ContentKind, FormatKind, MediaKind};
pub use metadata::{MetadataSummary, Participant, PauseInterval, RecordingMetadata};
pub use person_key::PersonKey;
