//! ISO 3166-1 alpha-2 codes: assigned ones only.

/// In alphabetic order, one string for brevity.
const CODES: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR \
GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT \
JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY \
QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO \
TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Whether `code` is an assigned code, in capitals.
pub fn is_country(code: &str) -> bool {
    code.len() == 2 && CODES.split(' ').any(|c| c == code)
}

/// What is wrong with a code, in words that follow the field's path; `None` when nothing is.
pub(super) fn flaw(code: &str) -> Option<String> {
    if is_country(code) {
        return None;
    }
    let capitals = code.to_ascii_uppercase();
    // The EU's own codes differ from ISO's for two countries.
    let meant = match capitals.as_str() {
        "EL" => Some("GR"),
        "UK" => Some("GB"),
        other => is_country(other).then_some(other),
    };
    Some(match meant {
        Some(meant) => format!("`{code}` is no ISO 3166-1 code; did you mean `{meant}`?"),
        None => "not an ISO 3166-1 code of two capital letters, such as LU".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_near_misses() {
        assert_eq!(CODES.split(' ').count(), 249);
        for good in ["LU", "NO", "GR"] {
            assert!(is_country(good), "{good}");
        }
        for bad in ["", "L", "lu", "LUX", "U ", "XX", "EU"] {
            assert!(!is_country(bad), "{bad}");
        }
        assert!(flaw("EL").unwrap().contains("`GR`"));
        assert!(flaw("lu").unwrap().contains("`LU`"));
    }
}
