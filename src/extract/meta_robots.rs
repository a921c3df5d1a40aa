//! MetaRobots: what a page asks of robots, in meta tags and in the header `X-Robots-Tag`. Decides nothing.

use std::time::SystemTime;

use super::sitemap::W3cDate;

/// The rules for robots in `<meta name=robots>` or the header `X-Robots-Tag`.
///
/// ```
/// use actix_crawler::extract::MetaRobots;
///
/// let mut robots = MetaRobots::default();
/// robots.add("noindex, nofollow");
/// assert!(robots.noindex && robots.nofollow);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetaRobots {
    /// The page shall not be shown in search results.
    pub noindex: bool,
    /// None of the page's links shall be followed.
    pub nofollow: bool,
    /// When the page is no longer to be shown; see [`MetaRobots::is_unavailable`].
    pub unavailable_after: Option<SystemTime>,
}

/// Rules that have a value, so that their colon does not follow the name of a robot.
const WITH_VALUE: [&str; 4] = ["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"];

impl MetaRobots {
    /// Adds the rules of `content`, a list such as `noindex, nofollow`. Of several lists the strictest rules hold;
    /// unknown ones are ignored.
    pub fn add(&mut self, content: &str) {
        let mut rest = content;
        while !rest.is_empty() {
            let (rule, after) = rest.split_once(',').unwrap_or((rest, ""));
            rest = match rule.split_once(':') {
                Some((name, _)) if name.trim().eq_ignore_ascii_case("unavailable_after") => self.add_end(rest),
                _ => after,
            };
            let rule = rule.trim();
            let none = rule.eq_ignore_ascii_case("none");
            self.noindex |= none || rule.eq_ignore_ascii_case("noindex");
            self.nofollow |= none || rule.eq_ignore_ascii_case("nofollow");
        }
    }

    /// Adds the rules of a line of `X-Robots-Tag`. Those after the name of a robot (`otherbot: noindex`) count only if
    /// it is `robot`, a product token as in robots files.
    ///
    /// ```
    /// use actix_crawler::extract::MetaRobots;
    ///
    /// let mut robots = MetaRobots::default();
    /// robots.add_header("googlebot: nofollow, noindex", Some("mybot"));
    /// assert_eq!(robots, MetaRobots::default());
    /// robots.add_header("mybot: nofollow", Some("mybot"));
    /// assert!(robots.nofollow && !robots.noindex);
    /// ```
    pub fn add_header(&mut self, line: &str, robot: Option<&str>) {
        let mut is_meant = true;
        // A run of rules for one robot, or for all.
        let mut run = String::new();
        for piece in line.split(',') {
            let (name, rule) = match piece.split_once(':') {
                Some((name, rule)) if is_robot(name.trim()) => (Some(name.trim()), rule),
                _ => (None, piece),
            };
            if let Some(name) = name {
                if is_meant {
                    self.add(&run);
                }
                run.clear();
                is_meant = robot.is_some_and(|robot| robot.eq_ignore_ascii_case(name));
            }
            run.push_str(rule);
            run.push(',');
        }
        if is_meant {
            self.add(&run);
        }
    }

    /// Tells whether the page was to be shown only until a time before `now`.
    pub fn is_unavailable(&self, now: SystemTime) -> bool {
        self.unavailable_after.is_some_and(|end| end < now)
    }

    fn end_at(&mut self, end: Option<SystemTime>) {
        self.unavailable_after = self.unavailable_after.into_iter().chain(end).min();
    }

    /// Reads the date at the start of `rules`, which may have a comma:
    /// `unavailable_after: Fri, 25 Jun 2027 15:00:00 PST`. Returns the rules after it.
    fn add_end<'r>(&mut self, rules: &'r str) -> &'r str {
        let (_, text) = rules.split_once(':').unwrap_or_default();
        let ends = text.match_indices(',').map(|(at, _)| at).chain([text.len()]).take(2);
        for end in ends {
            let (date, after) = text.split_at_checked(end).unwrap_or_default();
            if let Some(date) = date_in(date) {
                self.end_at(Some(date));
                return after.strip_prefix(',').unwrap_or_default();
            }
        }
        text.split_once(',').map_or("", |(_, after)| after)
    }
}

/// Reads a date of RFC 822, RFC 850 or ISO 8601.
fn date_in(text: &str) -> Option<SystemTime> {
    let date = |text: &str| text.parse::<W3cDate>().ok().map(|date| date.time);
    date(text).or_else(|| date(&text.replacen('-', " ", 2)))
}

/// Tells whether what stands before a colon is the name of a robot.
fn is_robot(name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    // The hour of a date is none.
    name.contains(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(is_name)
        && !WITH_VALUE.iter().any(|rule| name.eq_ignore_ascii_case(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<W3cDate>().unwrap().time
    }

    #[test]
    fn a_header_holds_for_all_robots_or_for_those_it_names() {
        let header = |line: &str| {
            let mut robots = MetaRobots::default();
            robots.add_header(line, Some("MyBot"));
            (robots.noindex, robots.nofollow)
        };
        assert_eq!(header("noindex"), (true, false));
        assert_eq!(header("NONE"), (true, true));
        assert_eq!(header("mybot: nofollow"), (false, true));
        assert_eq!(header("otherbot: noindex, nofollow"), (false, false));
        assert_eq!(header("otherbot: noindex, mybot: nofollow"), (false, true));
        assert_eq!(header("noindex, otherbot: nofollow"), (true, false));
        assert_eq!(header("max-snippet: 0, nofollow"), (false, true));
        assert_eq!(header("max-image-preview:large"), (false, false));
        assert_eq!(header("unavailable_after: Fri, 25 Jun 2027 15:00:00 PST, nofollow"), (false, true));
        assert_eq!(header(": noindex"), (false, false));
        assert_eq!(header(""), (false, false));
    }

    #[test]
    fn the_end_of_a_page_is_read_in_every_form_and_the_first_end_holds() {
        for date in [
            "25 Jun 2027 15:00:00 PST",
            "Fri, 25 Jun 2027 15:00:00 PST",
            "25-Jun-2027 15:00:00 PST",
            "Friday, 25-Jun-27 23:00:00 GMT",
            "2027-06-25T15:00:00-08:00",
        ] {
            let mut robots = MetaRobots::default();
            robots.add_header(&format!("unavailable_after: {date}, noindex"), None);
            assert_eq!(robots.unavailable_after, Some(at("2027-06-25T23:00:00Z")), "{date}");
            assert!(robots.noindex, "{date}");
            assert!(robots.is_unavailable(at("2027-06-26")) && !robots.is_unavailable(at("2027-06-25")));
            robots.add("unavailable_after: 2027-01-01");
            robots.add("unavailable_after: 2028-01-01");
            assert_eq!(robots.unavailable_after, Some(at("2027-01-01")));
        }
        let mut robots = MetaRobots::default();
        robots.add("unavailable_after: soon, noindex");
        assert_eq!((robots.unavailable_after, robots.noindex), (None, true));
    }
}
