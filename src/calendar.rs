//! Seconds since 1970 as the calendar dates that file systems and documents hold, always in UTC.

/// A date and time of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    pub year: u32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// The last second of 2107, the end of FAT's dates, which is earlier than that of ISO 9660's (2155).
const LAST: u64 = 4_354_819_199;

impl Date {
    /// Epochs after 2107 are clamped to the last second that every format can express.
    pub fn from_epoch(epoch: u64) -> Date {
        let epoch = epoch.min(LAST);
        let (days, seconds) = (epoch / 86_400, epoch % 86_400);
        let (year, month, day) = civil(days);
        Date {
            year,
            month,
            day,
            hour: (seconds / 3600) as u8,
            minute: (seconds / 60 % 60) as u8,
            second: (seconds % 60) as u8,
        }
    }

    /// The seven bytes of a directory record (ECMA-119 section 9.1.5).
    pub fn iso_record(&self) -> [u8; 7] {
        [(self.year - 1900) as u8, self.month, self.day, self.hour, self.minute, self.second, 0]
    }

    /// The seventeen bytes of a volume descriptor (ECMA-119 section 8.4.26.1).
    pub fn iso_volume(&self) -> [u8; 17] {
        let Date { year, month, day, hour, minute, second } = self;
        let mut bytes = [0; 17];
        let text = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}00");
        bytes[..16].copy_from_slice(text.as_bytes());
        bytes
    }

    /// `2023-11-14T22:13:20Z` (RFC 3339).
    pub fn rfc3339(&self) -> String {
        let Date { year, month, day, hour, minute, second } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// FAT's time and date words; its calendar begins in 1980, its seconds are even.
    pub fn fat(&self) -> (u16, u16) {
        if self.year < 1980 {
            return (0, 1 << 5 | 1);
        }
        let time = u16::from(self.hour) << 11 | u16::from(self.minute) << 5 | u16::from(self.second / 2);
        let date = ((self.year - 1980) as u16) << 9 | u16::from(self.month) << 5 | u16::from(self.day);
        (time, date)
    }
}

/// Days since 1970-01-01 to year, month, day, counted in years that begin in March, so that the leap day comes last.
fn civil(days: u64) -> (u32, u8, u8) {
    const DAYS_PER_ERA: u64 = 146_097;
    let days = days + 719_468; // since 0000-03-01
    let era = days / DAYS_PER_ERA;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year as u32, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(epoch: u64, expected: &str) {
        assert_eq!(Date::from_epoch(epoch).rfc3339(), expected);
    }

    #[test]
    fn epochs_are_the_dates_that_date_prints() {
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_399, "2000-02-28T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(1_700_000_000, "2023-11-14T22:13:20Z");
        check(4_107_542_399, "2100-02-28T23:59:59Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
        check(u64::MAX, "2107-12-31T23:59:59Z");
    }

    #[test]
    fn fat_dates_begin_in_1980() {
        assert_eq!(Date::from_epoch(0).fat(), (0, 0x21));
        assert_eq!(Date::from_epoch(315_532_800).fat(), (0, 0x21));
        assert_eq!(Date::from_epoch(1_700_000_000).fat(), (22 << 11 | 13 << 5 | 10, 43 << 9 | 11 << 5 | 14));
    }
}
