//! Which glibc a binary requires. A binary that requires a newer one than the platform has does not start there.

use std::fmt;
use std::str::FromStr;

use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::FileHeader as _;

/// What the platform's images have at least: Debian 11. (Flex Consumption runs Debian 12, which has 2.36.)
pub const CEILING: GlibcVersion = GlibcVersion {
    major: 2,
    minor: 31,
};

/// `GLIBC_2.31`; a third number (`2.2.5`) does not matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion {
    pub major: u32,
    pub minor: u32,
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for GlibcVersion {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split('.');
        let mut next = || numbers.next().unwrap_or_default().parse();
        Ok(Self {
            major: next()?,
            minor: next()?,
        })
    }
}

/// Why a binary must not be shipped.
#[derive(Debug, thiserror::Error)]
pub enum NotPortable {
    #[error("it is no 64-bit ELF file: the platform runs x86-64 Linux")]
    NotElf(#[from] object::Error),
    #[error("it is built for another processor than x86-64")]
    Machine,
    #[error("it asks for `{0}`, which is no version of glibc that could be compared")]
    Version(String),
    #[error(
        "it asks for glibc {asked}, and the platform may have {ceiling} only; `cargo xtask package` builds one for it"
    )]
    TooNew {
        asked: GlibcVersion,
        ceiling: GlibcVersion,
    },
}

/// The newest glibc that the binary requires; `None`: it is linked statically.
///
/// # Errors
/// When it requires a newer one than `ceiling`, or is not a binary for the platform.
pub fn check(binary: &[u8], ceiling: GlibcVersion) -> Result<Option<GlibcVersion>, NotPortable> {
    let header = FileHeader64::<LittleEndian>::parse(binary)?;
    let endian = header.endian()?;
    if header.e_machine(endian) != object::elf::EM_X86_64 {
        return Err(NotPortable::Machine);
    }
    let sections = header.sections(endian, binary)?;
    let Some((mut libraries, strings_index)) = sections.gnu_verneed(endian, binary)? else {
        return Ok(None);
    };
    let strings = sections.strings(endian, binary, strings_index)?;
    let mut newest = None;
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            let name = String::from_utf8_lossy(version.name(endian, strings)?);
            let Some(number) = name.strip_prefix("GLIBC_") else {
                continue;
            };
            let asked: GlibcVersion = number
                .parse()
                .map_err(|_| NotPortable::Version(name.to_string()))?;
            newest = newest.max(Some(asked));
        }
    }
    match newest {
        Some(asked) if asked > ceiling => Err(NotPortable::TooNew { asked, ceiling }),
        Some(_) | None => Ok(newest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let version = |text: &str| text.parse::<GlibcVersion>().unwrap();
        assert!(
            version("2.4") < version("2.31")
                && version("2.2.5") < version("2.17")
                && CEILING < version("2.36")
        );
        assert!("PRIVATE".parse::<GlibcVersion>().is_err());
    }

    #[test]
    fn a_binary_above_the_ceiling_is_refused_and_told_why() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let asked = check(&this, GlibcVersion { major: 3, minor: 0 })
            .unwrap()
            .expect("tests are linked dynamically");
        assert_eq!(check(&this, asked).unwrap(), Some(asked));
        let refusal = check(&this, GlibcVersion { major: 2, minor: 2 })
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains(&format!("asks for glibc {asked}")) && refusal.contains("2.2 only"),
            "{refusal}"
        );
    }

    #[test]
    fn what_is_no_binary_is_told_so() {
        assert!(
            check(b"#!/bin/sh\n", CEILING)
                .unwrap_err()
                .to_string()
                .contains("no 64-bit ELF")
        );
    }
}
