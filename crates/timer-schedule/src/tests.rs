//! Schedules that fire when the host would, and those that are refused.

use super::*;

fn next(schedule: &str, now: &str) -> String {
    schedule
        .parse::<Schedule>()
        .unwrap()
        .next(now.parse().unwrap())
        .unwrap()
        .to_string()
}

#[rstest::rstest]
#[case::every_minute("0 * * * * *", "2026-03-02T10:00:30Z", "2026-03-02T10:01:00Z")]
#[case::step("0 */5 * * * *", "2026-03-02T10:01:00Z", "2026-03-02T10:05:00Z")]
#[case::five_fields("*/10 * * * *", "2026-03-02T10:01:00Z", "2026-03-02T10:10:00Z")]
#[case::names("0 30 9 * Jan Mon", "2026-03-02T10:00:00Z", "2027-01-04T09:30:00Z")]
#[case::long_names(
    "0 30 9 * JANUARY monday",
    "2026-03-02T10:00:00Z",
    "2027-01-04T09:30:00Z"
)]
#[case::list_of_names("0 0 0 * * Sat,Sun", "2026-03-02T10:00:00Z", "2026-03-07T00:00:00Z")]
#[case::range_of_names("0 0 0 * * Mon-Fri", "2026-03-07T10:00:00Z", "2026-03-09T00:00:00Z")]
#[case::sunday_is_zero("0 0 0 * * 0", "2026-03-02T10:00:00Z", "2026-03-08T00:00:00Z")]
#[case::both_days_must_match("0 0 0 13 * 5", "2026-03-14T00:00:00Z", "2026-11-13T00:00:00Z")]
#[case::a_stepped_day_counts_too("0 0 0 */2 * 1", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z")]
#[case::step_from_a_value("0 5/20 * * * *", "2026-03-02T10:26:00Z", "2026-03-02T10:45:00Z")]
#[case::step_of_a_range("0 10-30/10 * * * *", "2026-03-02T10:31:00Z", "2026-03-02T11:10:00Z")]
#[case::step_of_one("0 5/1 * * * *", "2026-03-02T10:05:00Z", "2026-03-02T11:05:00Z")]
#[case::list("0 0,15,59 * * * *", "2026-03-02T10:15:00Z", "2026-03-02T10:59:00Z")]
#[case::leap_day("0 0 0 29 2 *", "2026-03-02T00:00:00Z", "2028-02-29T00:00:00Z")]
#[case::leap_day_on_a_sunday("0 0 0 29 2 0", "2026-03-02T00:00:00Z", "2032-02-29T00:00:00Z")]
#[case::blanks("  0  *   * * * * ", "2026-03-02T10:00:30Z", "2026-03-02T10:01:00Z")]
#[case::leading_zeros("00 05 * * * *", "2026-03-02T10:00:30Z", "2026-03-02T10:05:00Z")]
#[case::time_span("00:05:00", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z")]
#[case::days("1.00:00:30", "2026-03-02T10:00:00Z", "2026-03-03T10:00:30Z")]
fn schedules_fire_when_the_host_would(
    #[case] schedule: &str,
    #[case] now: &str,
    #[case] expected: &str,
) {
    assert_eq!(next(schedule, now), expected);
}

#[rstest::rstest]
#[case::letters("a b c d e f", "its seconds field is `a`")]
#[case::seconds("60 * * * * *", "its seconds field is `60`")]
#[case::minutes("0 60 * * * *", "its minutes field is `60`")]
#[case::hours("0 0 24 * * *", "its hours field is `24`")]
#[case::day_zero(
    "0 0 0 0 * *",
    "its day-of-month field is `0`; expected numbers from 1 to 31"
)]
#[case::day("0 0 0 32 * *", "its day-of-month field is `32`")]
#[case::month_zero("0 0 0 * 0 *", "its month field is `0`")]
#[case::month("0 0 0 * 13 *", "its month field is `13`")]
#[case::sunday_is_not_seven("0 0 0 * * 7", "its day-of-week field is `7`")]
#[case::step_of_zero("*/0 * * * * *", "its seconds field is `*/0`")]
#[case::no_step("*/ * * * * *", "its seconds field is `*/`")]
#[case::two_steps("*/2/3 * * * * *", "its seconds field is `*/2/3`")]
#[case::nothing_before_the_step("/5 * * * * *", "its seconds field is `/5`")]
#[case::empty_item("1,,2 * * * * *", "its seconds field is `1,,2`")]
#[case::comma_at_the_end("1, * * * * *", "its seconds field is `1,`")]
#[case::open_range("1- * * * * *", "its seconds field is `1-`")]
#[case::negative("-1 * * * * *", "its seconds field is `-1`")]
#[case::plus("+1 * * * * *", "its seconds field is `+1`")]
#[case::backwards("0 0 0 * * Fri-Mon", "its day-of-week field is `Fri-Mon`")]
#[case::long_number("99999999999999999999 * * * * *", "its seconds field is")]
#[case::name_in_the_wrong_field("0 0 0 Mon * *", "its day-of-month field is `Mon`")]
#[case::day_as_a_month("0 0 0 * Mon *", "its month field is `Mon`")]
#[case::letters_behind_a_name("0 0 0 * Janus *", "its month field is `Janus`")]
#[case::two_letters("0 0 0 * Ju *", "its month field is `Ju`")]
#[case::last_day("0 0 0 L * *", "its day-of-month field is `L`")]
#[case::closest_weekday("0 0 0 15W * *", "its day-of-month field is `15W`")]
#[case::nth_weekday("0 0 0 * * 1#2", "its day-of-week field is `1#2`")]
#[case::question_mark("0 0 0 ? * *", "its day-of-month field is `?`")]
#[case::tab("0\t* * * * * *", "its seconds field is `0\t*`")]
#[case::nickname("@hourly", "it has 1 field instead of six")]
#[case::sentence("every minute", "it has 2 fields instead of six")]
#[case::four_fields("0 * * *", "it has 4 fields instead of six")]
#[case::a_year("0 0 0 1 1 * 2027", "it has 7 fields instead of six")]
#[case::empty("", "it is empty; expected six fields such as 0 * * * * *")]
#[case::blank("  ", "it is empty")]
#[case::reference("%OTHER_SETTING%", "the host does not resolve `%` references")]
#[case::reference_within("0 %MINUTE% * * * *", "the host does not resolve `%` references")]
#[case::no_such_day("0 0 0 30 2 *", "its months have no such day")]
#[case::no_such_day_in_any("0 0 0 31 Apr,Jun,Sep,Nov *", "its months have no such day")]
#[case::zero("00:00:00", "it is not a time span")]
#[case::no_seconds("00:05", "it is not a time span")]
#[case::hours_of_a_day("24:00:00", "it is not a time span; expected hh:mm:ss up to 23:59:59")]
#[case::minutes_of_an_hour("00:60:00", "it is not a time span")]
#[case::fraction("00:00:00.5", "it is not a time span")]
#[case::letters_of_a_time_span("a:b:c", "it is not a time span")]
fn an_invalid_schedule_is_refused_with_its_reason(#[case] text: &str, #[case] reason: &str) {
    let error = text.parse::<Schedule>().unwrap_err().to_string();
    assert!(error.starts_with(reason), "`{text}`: {error}");
    assert!(error.contains("expected "), "`{text}`: {error}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_refused_or_fires_in_the_future(text in "[-0-9*/,? :.%A-Za-z]{0,40}|(\\*|[0-9]{1,2}|\\*/[0-9]{1,3})( (\\*|[0-9]{1,2}|[0-9]-[0-9]|MON|JAN)){4,5}") {
        let now: Timestamp = "2026-03-02T10:00:30Z".parse().unwrap();
        if let Ok(schedule) = text.parse::<Schedule>() {
            let is_long = matches!(schedule, Schedule::Every(_));
            match schedule.next(now) {
                Some(next) => proptest::prop_assert!(next > now, "`{text}` gives {next}"),
                None => proptest::prop_assert!(is_long, "`{text}` never fires"),
            }
        }
    }
}

#[test]
fn a_schedule_of_seconds_keeps_no_status() {
    let now = "2026-03-02T10:00:00Z".parse().unwrap();
    let below = |text: &str| text.parse::<Schedule>().unwrap().is_below_a_minute(now);
    assert!(below("*/5 * * * * *"));
    assert!(!below("0 * * * * *"));
}

#[rstest::rstest]
#[case::each_minute("0 * * * * *", 1, false)]
#[case::each_second("* * * * * *", 1, false)]
#[case::exactly_the_limit("0 */15 * * * *", 15, false)]
#[case::just_over("0 */16 * * * *", 15, true)]
#[case::over_the_hour("0 0-40 * * * *", 15, true)]
#[case::six_hours("0 0 */6 * * *", 360, false)]
#[case::over_night("0 0 8-18 * * *", 360, true)]
#[case::weekdays("0 * * * * 1-5", 360, true)]
#[case::all_days_but_the_31st("0 * * 1-30 * *", 360, true)]
#[case::one_day_a_year("0 0 0 1 1 *", 360, true)]
#[case::one_day_in_four_years("0 0 0 29 2 *", 360, true)]
#[case::every_day_and_month_by_name("0 0 */2 1-31 Jan-Dec Sun-Sat", 360, false)]
#[case::a_span("06:00:00", 360, false)]
#[case::a_longer_span("06:00:01", 360, true)]
fn the_longest_gap_is_found(#[case] text: &str, #[case] limit_mins: u64, #[case] expected: bool) {
    let schedule: Schedule = text.parse().unwrap();
    let limit = Duration::from_secs(60 * limit_mins);
    assert_eq!(schedule.has_gap_over(limit), expected);
}
