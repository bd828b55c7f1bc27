//! Where imports by hand began: what is there may be an operator's file, and says nothing about the file at ACS.

use serde::{Deserialize, Serialize};

use super::LedgerEntry;
use crate::recording::FileNumber;

/// The names in the vault under which an import began to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::export) struct BegunImport {
    folder: String,
    file: FileNumber,
}

impl LedgerEntry {
    /// Notes that an import begins to write the document's file into its folder.
    pub(in crate::export) fn note_begun_import(&mut self) {
        let begun = BegunImport {
            folder: self.folder.clone(),
            file: self.chunk.file_number,
        };
        if !self.begun_imports.contains(&begun) {
            self.begun_imports.push(begun);
        }
    }

    /// Whether an import began under the names that an export of this file from ACS would use.
    pub(in crate::export) fn is_where_import_began(&self, number: FileNumber) -> bool {
        let folder = self.folder_of(number);
        let mut begun = self.begun_imports.iter();
        begun.any(|begun| begun.folder == folder && begun.file == number)
    }

    /// Switches a file to another folder if an import began under its names. The kind of media of that import's file is
    /// not that of the file at ACS.
    pub(in crate::export) fn leave_begun_import(&mut self, number: FileNumber) {
        if !self.is_where_import_began(number) {
            return;
        }
        self.leave_folder(number);
        if self.chunk.file_number == number {
            self.media_kind = self.chunk.media_kind();
        } else if let Some(further) = self.further_mut(number) {
            further.media_kind = further.file.media_kind();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;
    use crate::recording::MediaKind;

    #[test]
    fn a_folder_in_which_an_import_began_is_left_once_by_an_export_from_acs() {
        let mut entry = entry();
        let (first, own) = (entry.folder.clone(), entry.chunk.file_number);
        entry.leave_begun_import(own);
        assert_eq!(entry.folder, first, "no import began");

        entry.note_begun_import();
        entry.media_kind = Some(MediaKind::DEFAULT);
        assert!(entry.is_where_import_began(own));
        let json = serde_json::to_vec(&entry).unwrap();
        assert_eq!(serde_json::from_slice::<LedgerEntry>(&json).unwrap(), entry);
        entry.leave_begun_import(own);
        let left = entry.folder.clone();
        assert_ne!(left, first);
        assert_eq!(entry.media_kind, entry.chunk.media_kind());
        assert!(
            entry.folders().any(|folder| folder == first),
            "its files are still known"
        );
        entry.leave_begun_import(own);
        assert_eq!(entry.folder, left);
    }
}
