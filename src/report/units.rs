//! Numbers as people read them.

use std::time::Duration;

/// `1 326`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// `41 KiB`
pub fn bytes(number: u64) -> String {
    let mut unit = "B";
    let mut scaled = number;
    let mut tenths = 0;
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if scaled < 1024 {
            break;
        }
        tenths = scaled % 1024 * 10 / 1024;
        scaled /= 1024;
        unit = larger;
    }
    match scaled {
        // Below ten the first decimal is worth its place.
        1..10 if unit != "B" => format!("{scaled}.{tenths} {unit}"),
        _ => format!("{scaled} {unit}"),
    }
}

/// `0.8 s`, `12 s`, `3 min 05 s`
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0 if duration.as_millis() < 100 => format!("{:.2} s", duration.as_secs_f64()),
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        whole @ 10..60 => format!("{whole} s"),
        whole @ 60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        whole => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// `25.1 %`
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let cases = [(0, "0"), (999, "999"), (1_326, "1 326"), (1_234_567, "1 234 567")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn sizes_and_times_carry_their_units() {
        let sizes = [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (42_000, "41 KiB")];
        for (number, text) in sizes {
            assert_eq!(bytes(number), text);
        }
        let times = [(4, "0.00 s"), (40, "0.04 s"), (800, "0.8 s"), (12_300, "12 s")];
        for (millis, text) in times {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(seconds(Duration::from_secs(7_260)), "2 h 01 min");
    }
}
