//! Countries and their phone numbers: the calling code, and how a number is dialled within the country and from it. Only what
//! a dialled number needs to become its international form; it knows no settings.

use std::cmp::Reverse;
use std::str::FromStr;

/// `<ISO 3166 code> <calling code> <trunk prefix, or -> [<digits of a national number>]`. The length is given where no trunk
/// prefix tells a national number from an international one. ITU-T E.164, list of country codes and dialling procedures.
const COUNTRIES: &str = "\
US 1 1 10,AG 1 1 10,AI 1 1 10,AS 1 1 10,BB 1 1 10,BM 1 1 10,BS 1 1 10,CA 1 1 10,DM 1 1 10,DO 1 1 10,GD 1 1 10,GU 1 1 10,\
JM 1 1 10,KN 1 1 10,KY 1 1 10,LC 1 1 10,MP 1 1 10,MS 1 1 10,PR 1 1 10,SX 1 1 10,TC 1 1 10,TT 1 1 10,VC 1 1 10,VG 1 1 10,\
VI 1 1 10,RU 7 8 10,KZ 7 8 10,EG 20 0,SS 211 0,MA 212 0,EH 212 0,DZ 213 0,TN 216 - 8,LY 218 0,GM 220 - 7,SN 221 - 9,\
MR 222 - 8,ML 223 - 8,GN 224 - 9,CI 225 - 10,BF 226 - 8,NE 227 - 8,TG 228 - 8,BJ 229 - 10,MU 230 - 8,LR 231 0,SL 232 0,\
GH 233 0,NG 234 0,TD 235 - 8,CF 236 - 8,CM 237 - 9,CV 238 - 7,ST 239 - 7,GQ 240 - 9,GA 241 0,CG 242 - 9,CD 243 0,AO 244 - 9,\
GW 245 - 9,IO 246 - 7,SC 248 - 7,SD 249 0,RW 250 - 9,ET 251 0,SO 252 0,DJ 253 - 8,KE 254 0,TZ 255 0,UG 256 0,BI 257 - 8,\
MZ 258 - 9,ZM 260 0,MG 261 0,RE 262 0,YT 262 0,ZW 263 0,NA 264 0,MW 265 0,LS 266 - 8,BW 267 - 8,SZ 268 - 8,KM 269 - 7,\
ZA 27 0,SH 290 - 5,ER 291 0,AW 297 - 7,FO 298 - 6,GL 299 - 6,GR 30 - 10,NL 31 0,BE 32 0,FR 33 0,ES 34 - 9,GI 350 - 8,\
PT 351 - 9,LU 352 - 9,IE 353 0,IS 354 - 7,AL 355 0,MT 356 - 8,CY 357 - 8,FI 358 0,AX 358 0,BG 359 0,HU 36 06,LT 370 0,\
LV 371 - 8,EE 372 - 7,MD 373 0,AM 374 0,BY 375 80 9,AD 376 - 6,MC 377 - 8,SM 378 - 10,UA 380 0,RS 381 0,ME 382 0,XK 383 0,\
HR 385 0,SI 386 0,BA 387 0,MK 389 0,IT 39 - 10,VA 39 - 10,RO 40 0,CH 41 0,CZ 420 - 9,SK 421 0,LI 423 - 7,AT 43 0,GB 44 0,\
GG 44 0,IM 44 0,JE 44 0,DK 45 - 8,SE 46 0,NO 47 - 8,SJ 47 - 8,PL 48 - 9,DE 49 0,FK 500 - 5,BZ 501 - 7,GT 502 - 8,SV 503 - 8,\
HN 504 - 8,NI 505 - 8,CR 506 - 8,PA 507 - 8,PM 508 0,HT 509 - 8,PE 51 0,MX 52 - 10,CU 53 0,AR 54 0,BR 55 0,CL 56 - 9,\
CO 57 - 10,VE 58 0,GP 590 0,BL 590 0,MF 590 0,BO 591 0,GY 592 - 7,EC 593 0,GF 594 0,PY 595 0,MQ 596 0,SR 597 - 7,UY 598 0,\
CW 599 - 8,BQ 599 - 7,MY 60 0,AU 61 0,CC 61 0,CX 61 0,ID 62 0,PH 63 0,NZ 64 0,SG 65 - 8,TH 66 0,TL 670 - 8,NF 672 - 6,\
BN 673 - 7,NR 674 - 7,PG 675 - 8,TO 676 - 7,SB 677 - 7,VU 678 - 7,FJ 679 - 7,PW 680 - 7,WF 681 - 6,CK 682 - 5,NU 683 - 4,\
WS 685 - 7,KI 686 - 8,NC 687 - 6,TV 688 - 6,PF 689 - 8,TK 690 - 4,FM 691 - 7,MH 692 - 7,JP 81 0,KR 82 0,VN 84 0,KP 850 0,\
HK 852 - 8,MO 853 - 8,KH 855 0,LA 856 0,CN 86 0,BD 880 0,TW 886 0,TR 90 0,IN 91 0,PK 92 0,AF 93 0,LK 94 0,MM 95 0,\
MV 960 - 7,LB 961 0,JO 962 0,SY 963 0,IQ 964 0,KW 965 - 8,SA 966 0,YE 967 0,OM 968 - 8,PS 970 0,AE 971 0,IL 972 0,\
BH 973 - 8,QA 974 - 8,BT 975 - 8,MN 976 0,NP 977 0,IR 98 0,TJ 992 - 9,TM 993 8 8,AZ 994 0,GE 995 0,KG 996 0,UZ 998 - 9";
/// Calling codes of no country: of islands that the list leaves out, of satellites and of international services.
const OTHER_CODES: [&str; 11] = [
    "247", "800", "808", "870", "878", "881", "882", "883", "888", "979", "991",
];
/// The international prefix that ITU-T E.164 recommends. Where a country has another one, this one is written too.
pub(super) const USUAL_PREFIX: &str = "00";
/// International prefixes other than `00`, by calling code, also those that choose a carrier; `x` is any digit. ITU-T, list of
/// dialling procedures, and <https://github.com/google/libphonenumber>, `resources/PhoneNumberMetadata.xml`.
const PREFIXES: [(&str, &str); 44] = [
    ("1", "011"),
    ("7", "810"),
    ("53", "119"),
    (
        "55",
        "0012 0014 0015 0021 0022 0023 0025 0031 0041 0043 0055 0065 0099",
    ),
    ("56", "1xx0"),
    ("57", "005 007 009 00414 00444 00456"),
    ("61", "0011"),
    ("62", "001 007 008 009 01017"),
    ("64", "0161"),
    ("65", "00x 01x 02x 03x"),
    ("66", "00x"),
    ("81", "010"),
    (
        "82",
        "001 002 005 006 008 009 0073 00345 00365 00391 00700 00727 00755 00761 00762 00766",
    ),
    ("86", "179xx00"),
    ("230", "020 03x 040 050 060 070"),
    ("234", "009"),
    ("235", "16"),
    ("238", "0"),
    ("248", "001 002 010"),
    ("254", "000"),
    ("255", "000"),
    ("256", "000"),
    ("358", "990 991 994 996 999"),
    ("375", "810"),
    ("591", "001x"),
    ("592", "001"),
    ("598", "013x 014x 015x 016x 017x 018x 019x"),
    ("675", "1401 1402 1403"),
    ("677", "01"),
    ("679", "052"),
    ("680", "011 012"),
    ("685", "0"),
    ("691", "011"),
    ("692", "011"),
    ("850", "99"),
    ("852", "00x 0030 0050 0059 0060 0080"),
    ("855", "001 004 005 006 007 008 009"),
    ("886", "002 005 006 007 009 019"),
    ("960", "019"),
    ("972", "0105 012 013 014 015 016 017 018 019"),
    ("976", "001"),
    ("992", "810"),
    ("993", "810"),
    ("998", "810"),
];
/// Calling codes whose national numbers keep their leading zero abroad.
pub(super) const ZERO_KEPT: [&str; 2] = ["39", "378"];
/// Digits of an international number with its calling code. The longest is that of ITU-T E.164.
const SHORTEST_INTERNATIONAL: usize = 7;
const LONGEST_INTERNATIONAL: usize = 15;
/// Digits of every number of the calling codes 1 and 7.
const OF_CLOSED_PLAN: usize = 11;

/// How phone numbers are dialled in a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country {
    calling_code: &'static str,
    trunk: Option<&'static str>,
    /// Digits of a national number without its trunk prefix.
    length: Option<usize>,
}

/// A text that names no country.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a country, such as DE or US, or its calling code, such as 49")]
pub struct NoCountry;

impl FromStr for Country {
    type Err = NoCountry;
    fn from_str(text: &str) -> Result<Self, NoCountry> {
        let text = text.trim();
        let code = text.trim_start_matches('+');
        let is_it = |(name, country): &(&str, Self)| {
            name.eq_ignore_ascii_case(text) || country.calling_code == code
        };
        let found = countries().find(is_it);
        found.map(|(_, country)| country).ok_or(NoCountry)
    }
}

fn countries() -> impl Iterator<Item = (&'static str, Country)> {
    COUNTRIES.split(',').filter_map(|entry| {
        let mut parts = entry.split(' ');
        let (name, calling_code, trunk) = (parts.next()?, parts.next()?, parts.next()?);
        let country = Country {
            calling_code,
            trunk: Some(trunk).filter(|trunk| *trunk != "-"),
            length: parts.next().and_then(|length| length.parse().ok()),
        };
        Some((name, country))
    })
}

/// Returns the international prefixes with which dialled digits begin, the longest first: those of the country, and `00`.
pub(super) fn prefixes(country: Option<Country>, dialled: &str) -> Vec<&str> {
    let is_own = |code: &str| country.is_some_and(|country| country.calling_code == code);
    let own = PREFIXES.iter().filter(|(code, _)| is_own(code));
    let own = own.flat_map(|(_, patterns)| patterns.split(' '));
    let found = own.chain([USUAL_PREFIX]);
    let mut found: Vec<&str> = found
        .filter_map(|pattern| beginning(dialled, pattern))
        .collect();
    found.sort_by_key(|prefix| Reverse(prefix.len()));
    found
}

/// Returns the beginning of dialled digits that has the form of a pattern.
fn beginning<'a>(dialled: &'a str, pattern: &str) -> Option<&'a str> {
    let begins = dialled.get(..pattern.len())?;
    let mut pairs = begins.bytes().zip(pattern.bytes());
    let has_form = pairs.all(|(digit, wanted)| wanted == b'x' || wanted == digit);
    has_form.then_some(begins)
}

/// Whether there may be a number with these digits, which begin with a calling code: the code exists, and neither the length
/// nor the next digit says that no number begins so.
pub(super) fn may_exist(international: &str) -> bool {
    let lengths = SHORTEST_INTERNATIONAL..=LONGEST_INTERNATIONAL;
    if !lengths.contains(&international.len()) {
        return false;
    }
    match international.as_bytes() {
        // No area code begins with 0 or 1; in the countries of +7, none with 2 either.
        [b'1', area, ..] => international.len() == OF_CLOSED_PLAN && *area >= b'2',
        [b'7', area, ..] => international.len() == OF_CLOSED_PLAN && *area >= b'3',
        _ => {
            let begins_number = |(_, country): (&str, Country)| {
                let rest = international.strip_prefix(country.calling_code);
                // A zero that is dialled within the country only is no part of the number.
                rest.is_some_and(|rest| country.trunk != Some("0") || !rest.starts_with('0'))
            };
            let mut others = OTHER_CODES.iter();
            countries().any(begins_number) || others.any(|code| international.starts_with(code))
        }
    }
}

impl Country {
    /// Returns the international number, without `+`, of digits as they are dialled within this country; `None` if they are no
    /// national number.
    pub fn international(self, dialled: &str) -> Option<String> {
        let is_long_enough =
            |number: &&str| self.length.is_none_or(|length| number.len() == length);
        let without_trunk = self.trunk.and_then(|trunk| dialled.strip_prefix(trunk));
        let number = match without_trunk.filter(is_long_enough) {
            Some(number) => number,
            None if self.length == Some(dialled.len()) => dialled,
            // As in Italy, a leading zero belongs to the number.
            None if ZERO_KEPT.contains(&self.calling_code) && dialled.starts_with('0') => dialled,
            None => return None,
        };
        Some(format!("{}{number}", self.calling_code)).filter(|number| may_exist(number))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every prefix with which another country is dialled, with the name of a country in which it is.
    pub(in crate::recording) fn all_prefixes() -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for (name, country) in countries() {
            let own = PREFIXES
                .iter()
                .filter(|(code, _)| *code == country.calling_code);
            let own = own.flat_map(|(_, patterns)| patterns.split(' '));
            for pattern in own.chain([USUAL_PREFIX]) {
                let digits = if pattern.contains('x') { 0..=9 } else { 0..=0 };
                let digits = digits.map(|digit: u8| pattern.replace('x', &digit.to_string()));
                found.extend(digits.map(|prefix| (name, prefix)));
            }
        }
        found
    }

    #[test]
    fn every_country_is_listed_once_with_a_calling_code_of_digits() {
        let names: BTreeSet<&str> = countries().map(|(name, _)| name).collect();
        assert_eq!(names.len(), COUNTRIES.split(',').count());
        assert!(names.len() > 230, "{}", names.len());
        for (name, country) in countries() {
            let is_code = country
                .calling_code
                .bytes()
                .all(|byte| byte.is_ascii_digit());
            assert!(name.len() == 2 && is_code, "{name}: {country:?}");
        }
    }

    #[rstest::rstest]
    #[case("DE", "0301234567", Some("49301234567"))]
    #[case("de", "301234567", None)]
    #[case("49", "0301234567", Some("49301234567"))]
    #[case("+1", "5551230001", Some("15551230001"))]
    #[case("US", "15551230001", Some("15551230001"))]
    #[case("US", "0115551230", None)]
    #[case("IT", "0612345678", Some("390612345678"))]
    #[case("IT", "061234567", Some("39061234567"))]
    #[case("CI", "0712345678", Some("2250712345678"))]
    #[case("DK", "030123456", None)]
    #[case("IT", "3471234567", Some("393471234567"))]
    #[case("ES", "912345678", Some("34912345678"))]
    #[case("ES", "34912345678", None)]
    #[case("RU", "89123456789", Some("79123456789"))]
    #[case("RU", "861012345678", None)]
    #[case("HU", "0612345678", Some("3612345678"))]
    fn a_national_number_becomes_international(
        #[case] country: &str,
        #[case] dialled: &str,
        #[case] expected: Option<&str>,
    ) {
        let country: Country = country.parse().expect("it is a country");
        assert_eq!(country.international(dialled).as_deref(), expected);
    }

    #[test]
    fn every_prefix_is_one_of_a_country_of_the_list() {
        for (code, patterns) in PREFIXES {
            assert!(code.parse::<Country>().is_ok(), "{code}");
            let is_digit = |it: char| it == 'x' || it.is_ascii_digit();
            for pattern in patterns.split(' ') {
                assert!(
                    !pattern.is_empty() && pattern.chars().all(is_digit),
                    "{code}: {pattern}"
                );
            }
        }
        let codes: BTreeSet<&str> = PREFIXES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), PREFIXES.len());
    }

    #[rstest::rstest]
    #[case("AU", "001149301234567", &["0011", "00"])]
    #[case("DE", "001149301234567", &["00"])]
    #[case("HK", "008049301234567", &["0080", "008", "00"])]
    #[case("CL", "123049301234567", &["1230"])]
    #[case("CL", "1230", &["1230"])]
    #[case("CL", "123", &[])]
    #[case("DE", "0301234567", &[])]
    fn the_longest_prefix_comes_first(
        #[case] country: &str,
        #[case] dialled: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(prefixes(country.parse().ok(), dialled), expected);
    }

    #[rstest::rstest]
    #[case("493012345678", true)]
    #[case("4903012345678", false)]
    #[case("390612345678", true)]
    #[case("15551230001", true)]
    #[case("1555123000", false)]
    #[case("11493012345", false)]
    #[case("79123456789", true)]
    #[case("71123456789", false)]
    #[case("870773111632", true)]
    #[case("990123456789", false)]
    #[case("0493012345678", false)]
    #[case("4930", false)]
    #[case("4930123456789012", false)]
    fn a_number_that_nobody_can_have_is_recognised(#[case] digits: &str, #[case] expected: bool) {
        assert_eq!(may_exist(digits), expected);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("Germany")]
    #[case("ZZ")]
    #[case("+999")]
    fn what_is_no_country_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<Country>(), Err(NoCountry));
    }
}
